"""results/: the README's table is what its script makes of results.csv, and the script does what it says."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prunebert.runs import artifacts
from tests.toys import script

ROOT = Path(__file__).parents[2]


results_table, glue_10k = script("results_table"), script("glue_10k")


@pytest.fixture
def speed_table(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return script("speed_table")


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("README.md", "main"),
        ("results/README.md", "main"),
        ("results/README.md", "minilm"),
        ("results/README.md", "budget"),
    ],
)
def test_a_pages_table_is_made_of_the_results(page, name):
    text = (ROOT / page).read_text()
    assert results_table.filled(text, ROOT / f"results/{name}/results.csv") == text


@pytest.mark.parametrize("page", ["README.md", "results/README.md"])
def test_a_pages_speed_table_is_made_of_the_measurements(page, speed_table):
    text = (ROOT / page).read_text()
    assert speed_table.filled(text) == text


def test_a_speed_table_by_hand(monkeypatch, tmp_path, speed_table):
    about = {"compile": False, "threads": None, "device": "cpu"}
    times = [{"model": "minilm", "method": "gmp", "by_dense": 1.005, "by_floor": 1.2}]
    times += [{"model": "tiny", "method": "abp", "by_dense": 1.5, "choice_by_compare": 2.0}]
    memory = [{"model": "minilm", "method": "gmp", "mebibytes": 7.0, "by_dense": 1.3}]
    for name, told in {
        "times": {"about": about, "rows": times},
        "memory": {"about": about, "rows": memory},
        "one-thread": {"about": about | {"threads": 1}, "rows": [times[1] | {"by_dense": 9.0}]},
        "gpu": {"about": about | {"device": "cuda"}, "rows": [times[1] | {"by_dense": 0.5}]},
    }.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(told))
    monkeypatch.setattr(speed_table, "SPEED", tmp_path)
    rows = [line.replace(" ", "") for line in speed_table.table().splitlines()[2:]]
    assert rows == ["|tiny|abp|1.50||2.00||", "|minilm|gmp|1.00|1.20||1.30|"]
    assert speed_table.table(device="cuda").splitlines()[2:] == ["| tiny | abp | 0.50 | 2.00 |"]
    assert len(speed_table.table(("gmp",)).splitlines()) == 3
    with pytest.raises(ValueError, match="results/speed"):
        speed_table.filled("no marks")


def test_claims_by_hand():
    rows = [("smp", 0.9, 0, 0.7), ("smp", 0.9, 1, 0.6), ("soft_movement", 0.9, 0, 0.5), ("soft_movement", 0.9, 1, 0.61)]
    rows += [("sparsebert", 0.5, 0, 0.7), ("sparsebert", 0.9, 0, 0.7), ("dense", 0.0, 0, 0.8), ("dense", 0.0, 3, 0.9)]
    runs = pd.DataFrame(rows, columns=["label", "sparsity", "seed", "score"]).assign(task="a", majority_score=0.496)
    other = runs[runs["label"].isin(["smp", "soft_movement"])].assign(task="b", score=lambda r: r["score"] + r["seed"])
    other.loc[other["label"] == "smp", "score"] += 0.1
    other["majority_score"] = 0.45
    assert results_table.claims(pd.concat([runs, other])).splitlines() == [
        "| score above | at | a | b | tasks in which it holds | pairs of runs |",
        "| --- | --- | --- | --- | --- | --- |",
        "| smp over soft_movement | 0.9 | +9.5 † | +19.5 | 2 of 2 | 3 of 4 |",
        "| sparsebert over dense | 0.5 | -10.0 |  | 0 of 1 | 0 of 1 |",
        "| sparsebert over dense | 0.9 | -10.0 |  | 0 of 1 | 0 of 1 |",
    ]


def test_a_table_by_hand():
    rows = [("dense", "a", 0.0, s, 0.8 + 0.1 * s) for s in (0, 1)] + [("dense", "b", 0.0, 0, 0.5)]
    rows += [("dense", "c", 0.0, 0, 0.9)]
    rows += [
        ("smp", t, p, s, x + s / 10) for t, p, x in (("a", 0.9, 0.6), ("b", 0.9, 0.2), ("a", 0.5, 0.7)) for s in (0, 1)
    ]
    runs = pd.DataFrame(rows, columns=["label", "task", "sparsity", "seed", "score"])
    runs["metric"] = runs["task"].map({"a": "accuracy", "b": "accuracy", "c": "pearson"})
    runs["majority_score"] = runs["task"].map({"a": 0.5, "b": 0.2, "c": 0.0})
    assert results_table.table(runs).splitlines() == [
        "| method | a at 0.9, accuracy | b at 0.9, accuracy | c at 0.9, pearson | mean accuracy at 0.5 | "
        "mean accuracy at 0.9 |",
        "| --- | --- | --- | --- | --- | --- |",
        "| constant answer | 0.500 | 0.200 | 0.000 | 0.350 | 0.350 |",
        "| dense | 0.850 ± 0.071 | 0.500 | 0.900 | 0.675 | 0.675 |",
        "| smp | 0.650 ± 0.071 | 0.250 ± 0.071 † |  |  | 0.450 |",
    ]


def test_methods_go_by_their_names_where_these_tell_them_apart():
    def made(*labels):
        runs = pd.DataFrame({"label": labels, "task": "a", "sparsity": 0.9, "score": 0.5, "metric": "f1"})
        told = results_table.table(runs.assign(majority_score=0.4)).splitlines()
        return [line.split(" | ")[0] for line in told[3:]]

    frozen = "random (fit.head_lr=0.003, keep_pretrained=true)"
    assert made("random (fit.head_lr=0.001, keep_pretrained=false)", frozen, "smp (distill=logits)") == [
        "| random",
        "| random (keep_pretrained=true)",
        "| smp",
    ]
    assert made("smp (fit.steps=1)", "smp (fit.steps=2)") == ["| smp (fit.steps=1)", "| smp (fit.steps=2)"]


def test_only_what_is_between_the_marks_changes():
    a, b, end = results_table.mark("results/a/results.csv"), "<!-- results/b/results.csv -->", results_table.END
    page = f"before\n{a}\nold\n{end}\nbetween\n{b}\nother\n{end}\nafter"
    assert results_table.between(page, "new", b) == page.replace("other", "new")
    assert results_table.between(page, "new", a) == page.replace("old", "new")
    for broken in ("no marks", f"{a} no end", f"{end} before {a}", page + page):
        with pytest.raises(ValueError, match="there must be one"):
            results_table.between(broken, "new", a)


def test_steps_by_hand():
    """The usual 300 stand between those tried, of the same seed; IMP's three rounds of 30 are 90."""
    columns = ["method", "task", "sparsity", "seed", "score", "settings.fit.steps", "settings.keep_pretrained"]
    usual = [("smp", "a", 0.9, s, 0.6 + s / 10, 300, None) for s in (0, 1)] + [("dense", "a", 0.0, 1, 0.8, 300, None)]
    usual += [("smp", "a", 0.5, 1, 0.9, 300, None), ("smp", "b", 0.9, 1, 0.9, 300, None)]
    runs = [("smp", "a", 0.9, 1, 0.65, 90, None), ("imp", "a", 0.9, 1, 0.503, 30, False)]
    runs += [("magnitude", "a", 0.9, 1, 0.75, 900, True)]
    both = (pd.DataFrame(x, columns=columns).assign(majority_score=0.5) for x in (runs, usual))
    assert results_table.steps(*both).splitlines() == [
        "| method | a at 0.9, 90 steps | a at 0.9, 300 steps | a at 0.9, 900 steps |",
        "| --- | --- | --- | --- |",
        "| smp | 0.650 | 0.700 |  |",
        "| imp | 0.503 † |  |  |",
        "| magnitude (keep_pretrained=true) |  |  | 0.750 |",
    ]


def test_where_weights_stay_by_sets(cli, toy, tmp_path, monkeypatch):
    """Against sets of places; pairs are of different seeds only."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    where = script("where_weights_stay")
    words = [*[w for w in toy if not w.startswith("hydra")], "hydra.sweep.dir=runs", "sparsity=0.75"]
    assert cli("-m", *words, "method=random,movement", "seed=0,1", "method.prunable=encoder_pooler_embeddings")[0] == 0
    rows, places = [], {}
    for run in artifacts.finished_runs(tmp_path / "runs"):
        told = artifacts.result(run)
        rows.append((told["method"], told["task"], told["sparsity"], told["seed"], str(run.relative_to(tmp_path))))
        masks = artifacts.masks(run).masks
        places[told["method"], told["seed"]] = {
            (n, i) for n, m in masks.items() for i in m.flatten().nonzero().flatten().tolist()
        }
    size = {n: m.numel() for n, m in masks.items()}
    runs = pd.DataFrame(rows, columns=where.COLUMNS)
    told = where.budgets(runs, tmp_path).set_index(["label", "kind"])["remaining"]
    query = [n for n in size if "query" in n]
    kept = [sum(n in query for n, _ in places["movement", seed]) for seed in (0, 1)]
    assert told["movement", "query"] == pytest.approx(np.mean(kept) / sum(size[n] for n in query))
    found = where.overlaps(runs, tmp_path).set_index(["a", "b"])
    assert found["pairs"].to_dict() == {("movement", "movement"): 1, ("movement", "random"): 2, ("random", "random"): 1}
    for part in ("all", "encoder"):
        names = [n for n in size if part == "all" or "encoder" in n]
        beyond = []
        for pair in (0, 1), (1, 0):
            a, b = (
                {x for x in places[m, s] if x[0] in names} for m, s in zip(("movement", "random"), pair, strict=True)
            )
            chance = len(a) * len(b) / sum(size[n] for n in names)
            beyond.append((len(a & b) - chance) / (min(len(a), len(b)) - chance))
        assert found[part]["movement", "random"] == pytest.approx(np.mean(beyond))


def test_samples_become_files_in_glues_layout(tmp_path):
    source = tmp_path / "QQP/train.json"
    source.parent.mkdir()
    row = {"text_a": 'a "quoted"\ttext\nof two lines', "text_b": "b", "label": "1"}
    source.write_text(json.dumps({"0": row, "1": row | {"label": "0"}}))
    glue_10k.convert(source, tmp_path / "out/QQP/train.tsv")
    assert (tmp_path / "out/QQP/train.tsv").read_text().splitlines() == [
        "question1\tquestion2\tis_duplicate",
        'a "quoted" text of two lines\tb\t1',
        'a "quoted" text of two lines\tb\t0',
    ]


def test_budgets_of_runs_that_are_gone_are_pooled_with_those_at_hand(monkeypatch):
    """Two earlier runs at 0.3 and one at hand at 0.6 are three at 0.4; what has no run here stays as it was."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    where = script("where_weights_stay")
    columns = [*where.BUDGET, "remaining", "runs"]
    found = pd.DataFrame([("a", "smp", 0.9, "key", 0.6, 1)], columns=columns)
    earlier = pd.DataFrame([("a", "smp", 0.9, "key", 0.3, 2), ("b", "smp", 0.9, "key", 0.2, 1)], columns=columns)
    gone = pd.DataFrame([("a", "smp", 0.9, 0), ("a", "smp", 0.9, 1), ("b", "smp", 0.9, 0)])
    gone.columns = ["task", "label", "sparsity", "seed"]
    both = where.pooled(found, earlier, gone).set_index("task")
    assert both["remaining"].to_dict() == pytest.approx({"a": 0.4, "b": 0.2})
    assert both["runs"].to_dict() == {"a": 3, "b": 1}
    with pytest.raises(ValueError, match="other runs"):
        where.pooled(found, earlier, gone[1:])


def test_tests_of_an_earlier_report_stay_where_their_predictions_do_not():
    join = script("earlier_tests")

    def table(title, *rows):
        head = r" & sparsity & seeds & difference & p, examples & p, seeds \\"
        body = "\n".join([rf"\caption{{{title}}}", head, *rows])
        return f"\\begin{{table}}\n{body}\n\\end{{table}}\n"

    gone = r"smp & 0.9 & 3 & +0.1 & predictions not at hand & 0.2 \\"
    tested, here = gone.replace("predictions not at hand", "0.01"), r"gmp & 0.9 & 3 & +0.1 & 0.5 & 0.2 \\"
    other = tested.replace("+0.1", "+0.2")
    earlier = table("a", tested) + table("b", tested, here) + table("c", other)
    new = table("a", gone) + table("b", gone, here) + table("c", gone) + table("d", gone)
    assert join.joined(new, earlier) == table("a", tested) + table("b", gone, here) + table("c", gone) + table(
        "d", gone
    )
