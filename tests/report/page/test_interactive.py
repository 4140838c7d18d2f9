"""What the charts get of hand-made runs: their facts, ticks and looks, which runs are left out, and what is damaged."""

import hashlib
import json
import math

import pytest

from prunebert.report.collect import Trouble, collect
from prunebert.report.figures import style
from prunebert.report.page import interactive, literature, marks


def test_the_facts_of_the_runs_are_those_of_their_results(run, tmp_path):
    root = run("a", "smp", 0.9, 3, wrong=12, seconds=7.5, trained_parameters=123456, peak_memory_bytes=3 * 2**30)
    (root / "masks.safetensors").write_bytes(b"x" * 500)
    run("b", "dense", wrong=4, label="x")
    content = interactive.payload(collect([tmp_path]).runs)
    rows, runs = content["rows"], content["runs"]
    labels = [rows[row]["label"] for row in runs["row"]]
    k, dense = labels.index("smp"), labels.index("dense")
    facts = {name: values[k] for name, values in runs.items() if name not in ("row", "directory", "command", "device")}
    expected = {"seed": 3, "sparsity": 0.9, "score": 0.88, "remaining": 0.1, "trained": 123456, "seconds": 7.5}
    assert facts == pytest.approx(expected | {"memory": 3, "disk": 0.0005})
    assert runs["command"][k] == "prunebert method=smp sparsity=0.9 seed=3" and runs["directory"][k].endswith("a")
    assert [rows[i]["level"] for i in (runs["row"][k], runs["row"][dense])] == [False, True]
    table = content["tables"][0]
    assert (table["metric"], table["lower"], table["constant"]) == ("accuracy", False, 0.5)
    assert content == interactive.payload(collect([tmp_path]).runs)
    json.dumps(content, allow_nan=False)


def test_ticks_are_at_minus_the_logarithm_of_what_remains(run, tmp_path):
    for sparsity in (0.5, 0.9, 0.99):
        run(f"a{sparsity}", "smp", sparsity)
    ticks = {text: x for x, text in interactive.payload(collect([tmp_path]).runs)["tables"][0]["ticks"]}
    assert {".5", ".9", ".99"} <= ticks.keys()
    assert [ticks[text] for text in (".5", ".9", ".99")] == pytest.approx([math.log10(2), 1, 2], abs=1e-5)


def test_variants_of_a_method_share_its_colour_and_differ_in_their_line(run, tmp_path):
    for i, rate in enumerate((1, 2)):
        run(f"a{i}", "smp", settings={"fit": {"steps": 9}, "rate": rate, "sparsity": 0.5, "seed": 0})
    one, two = interactive.payload(collect([tmp_path]).runs)["rows"]
    assert one["colour"] == two["colour"] and one["symbol"] == two["symbol"] == "star" and one["dash"] != two["dash"]


def test_every_look_has_a_symbol_and_a_line_in_plotly():
    for method in (*style.METHODS, "a method of one's own"):
        assert {marks.look(method, variant)["colour"] for variant in range(9)} == {style.look(method)[0]}
    assert len(set(marks.SYMBOLS.values())) == len(marks.SYMBOLS) > 20
    assert [marks.dash(line) for line in ("-", "-.", (0, (3, 1.5)))] == ["solid", "dashdot", "3px,1.5px"]


def test_published_numbers_are_those_of_the_static_figure(run, tmp_path):
    run("a", "smp", 0.9, task="squad", metric="f1", metrics={"f1": 0.8})
    runs = collect([tmp_path]).runs
    found = literature.find(runs, interactive.numbers.read_table())
    table = interactive.payload(runs)["tables"][0]
    drawn = [(x, y) for trace in table["published"] for x, y in zip(trace["x"], trace["y"], strict=True)]
    expected = [
        (-math.log10(1 - point["sparsity"]), point["score"])
        for numbers in (*found[0], found[1])
        for point in numbers.to_dict("records")
    ]
    assert len(drawn) > 5 and sorted(drawn) == [pytest.approx(point, abs=1e-5) for point in sorted(expected)]
    assert all(table["ends"][0] <= x <= table["ends"][1] for x, _ in drawn)


def test_the_lowest_seeds_come_first(run, tmp_path):
    for method, seeds in (("smp", (7, 1, 4)), ("gmp", (2, 9))):
        for seed in seeds:
            run(f"{method}{seed}", method, seed=seed)
    chosen = interactive.lowest_seeds(collect([tmp_path]).runs, 3)
    assert list(zip(chosen["method"], chosen["seed"], strict=True)) == [("gmp", 2), ("smp", 1), ("gmp", 9)]


def test_what_is_left_out_is_said(run, tmp_path, monkeypatch):
    for seed in range(3):
        root = run(f"a{seed}", "smp", seed=seed)
        line = {"phase": "prune", "step": 1, "t": 1.0, "sparsity": 0.5, "lr": 0.1, "loss_task": 1.0}
        (root / "metrics.jsonl").write_text(json.dumps(line))
    runs = collect([tmp_path]).runs
    whole = interactive.payload(runs)
    assert [len(whole["training"][0]["curves"]), whole["training"][0]["note"]] == [3, ""]
    assert [len(whole["predictions"][0]["runs"]), whole["predictions"][0]["note"]] == [3, ""]
    assert interactive.charts(whole, runs["table"].iloc[0]) == {"score", "training", "confusion", "disagreement"}
    monkeypatch.setattr(interactive, "MAX_CURVES", 2)
    monkeypatch.setattr(interactive, "PREDICTION_BYTES", 100)  # ids and labels take 29, and each run 32
    part = interactive.payload(runs)
    assert part["training"][0]["note"].startswith("The page has 2 training curves for 3 runs.")
    assert sorted(part["predictions"][0]["runs"]) == ["0", "1"]
    assert part["predictions"][0]["note"].startswith("The page has 2 prediction files for 3 runs.")


def test_damaged_files_are_left_out_and_reported_once(run, tmp_path):
    names, seals = ("metrics.jsonl", "predictions.parquet"), []
    for seed in range(4):
        root = run(f"a{seed}", "smp", seed=seed)
        (root / "metrics.jsonl").write_text("[]\n" if seed == 0 else "")
        seals.append({"files": {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names}})
    runs = collect([tmp_path]).runs.assign(seal=seals)
    for damaged in ("a1/predictions.parquet", "a2/metrics.jsonl"):
        (tmp_path / damaged).write_bytes(b"other")
    troubles: list[Trouble] = []
    content = interactive.payload(runs, troubles)
    found = {trouble.location.rpartition("/")[2]: trouble.reason for trouble in troubles}
    assert {trouble.kind for trouble in troubles} == {"not in the charts"} and found.keys() == {"a0", "a1", "a2"}
    assert "cannot be drawn" in found["a0"] and found["a2"].endswith(
        "is damaged: its content is not what the run wrote"
    )
    assert content["training"][0]["curves"] == {} and sorted(content["predictions"][0]["runs"]) == ["0", "2", "3"]
    assert interactive.charts(content, runs["table"].iloc[0]) == {"score", "confusion", "disagreement"}
    known = [Trouble("not in the tests", "somewhere", found["a1"])]
    interactive.payload(runs, known)
    assert [trouble.reason for trouble in known] == [found[name] for name in ("a1", "a0", "a2")]


def test_rows_of_a_table_have_scores_and_costs_only(run, tmp_path):
    run("a", "smp")
    runs = collect([tmp_path]).runs.assign(has_files=False, seal=None)
    content = interactive.payload(runs)
    assert content["runs"]["score"] == [0.8] and content["predictions"][0]["runs"] == {}
    assert interactive.charts(content, runs["table"].iloc[0]) == {"score"}
    assert content["training"][0]["note"].startswith("The page has no training curve")
