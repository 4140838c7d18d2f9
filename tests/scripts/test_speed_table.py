"""Test that docs/results/speed.md agrees with results/speed/, and scripts/speed_table.py with tables by hand."""

import json
from pathlib import Path

import pytest

from tests.toys import script

ROOT = Path(__file__).parents[2]
ABOUT = {"compile": False, "threads": None, "device": "cpu", "models": ["tiny"], "rounds": 3, "hardware": "a machine"}


@pytest.fixture
def speed_table(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return script("speed_table")


@pytest.fixture
def written(speed_table, monkeypatch, tmp_path):
    """Return a function that writes a file of measurements: write(name, rows, more of what it says about itself)."""
    monkeypatch.setattr(speed_table, "SPEED", tmp_path)

    def write(name, rows, **about):
        (tmp_path / f"{name}.json").write_text(json.dumps({"about": ABOUT | about, "rows": rows}))

    return write


def test_the_page_agrees_with_the_measurements(speed_table):
    text = (ROOT / "docs/results/speed.md").read_text()
    assert speed_table.fill(text) == text and text.count("<!-- results/speed") == 5
    measured = list((ROOT / "results/speed").glob("alternatives-*.json"))
    assert (speed_table.NOT_MEASURED in text) == (not measured)


def test_a_table_of_methods_by_hand(speed_table, written):
    times = [{"model": "minilm", "method": "gmp", "by_dense": 1.005, "by_floor": 1.2}]
    times += [{"model": "tiny", "method": "abp", "by_dense": 1.5, "choice_by_compare": 2.0}]
    written("times", times)
    written("memory", [{"model": "minilm", "method": "gmp", "mebibytes": 7.0, "by_dense": 1.3}], memory=True)
    written("one-thread", [times[1] | {"by_dense": 9.0}], threads=1)
    written("gpu", [times[1] | {"by_dense": 0.5}], device="cuda")
    rows = [line.replace(" ", "") for line in speed_table.speed_table("cpu").splitlines()[2:]]
    assert rows == ["|tiny|abp|1.50||2.00||", "|minilm|gmp|1.00|1.20||1.30|"]
    assert speed_table.speed_table("cuda").splitlines()[2:] == ["| tiny | abp | 0.50 | 2.00 |"]
    with pytest.raises(ValueError, match="results/speed"):
        speed_table.fill("no marks")


def test_rows_of_a_model_check_each_other(speed_table, written):
    rows = [
        {"model": "tiny", "method": m, "by_dense": a, "by_frozen": b}
        for m, a, b in (("smp local", 0.9, 1.0), ("gmp", 1.2, 1.5))
    ]
    rows += [{"model": "tiny", "method": "tamt, phase 1", "by_dense": 9.0, "by_frozen": 1.0}]
    written("times", [*rows, {"model": "minilm", "method": "gmp", "by_dense": 1.0, "by_frozen": 2.0}])
    lines = ["- tiny: 0.80 to 0.90 (2 rows).", "- minilm: 0.50 to 0.50 (1 row)."]
    assert speed_table.check().splitlines() == lines
    again = {"model": "tiny", "way": "prunebert"}
    written("alternatives-tiny", [again | {"method": m, "by_dense": x} for m, x in (("smp", 0.93), ("gmp", 1.14))])
    assert speed_table.check().splitlines() == [*lines, "- The 2 steps that both tables have differ by at most 0.06."]


def test_a_ratio_that_two_files_have_is_refused(speed_table, written):
    row = {"model": "tiny", "method": "gmp", "by_dense": 1.0}
    written("tiny", [row])
    written("tiny-memory", [row | {"mebibytes": 7.0}], memory=True)
    assert speed_table.ratios_of("cpu") == {("tiny", "gmp"): {"by_dense": 1.0, "memory": 1.0}}
    written("tiny-again", [row | {"by_dense": 1.1}])
    with pytest.raises(ValueError, match="tiny, gmp: another file has by_dense too; remove one"):
        speed_table.ratios_of("cpu")


def test_alternatives_by_hand(speed_table, written):
    assert speed_table.alternatives_table() == speed_table.NOT_MEASURED
    sort = {"method": "smp", "way": "full sort", "by_dense": 2.0, "memory_by_dense": 1.5}
    prune = {"method": "gmp", "way": "torch.nn.utils.prune", "by_dense": 1.25, "memory_by_dense": 1.0}
    written(
        "alternatives-minilm", [{"model": "minilm"} | sort], models=["minilm"], left_out=["minilm, gmp, x: it keeps 9"]
    )
    tiny = [{"model": "tiny", "by_dense_lowest": 1.0, "by_dense_highest": 1.125} | prune]
    written(
        "alternatives-tiny", [*tiny, {"model": "tiny"} | sort | {"by_dense": 3.0}], minutes=2.5, git_commit=40 * "a"
    )
    written("alternatives-tiny-cuda", [{"model": "tiny"} | sort | {"by_dense": 9.0}], device="cuda")
    assert speed_table.alternatives_table().splitlines() == [
        "| trained | masks by | step, tiny | step, minilm | memory, tiny | memory, minilm |",
        "| --- | --- | --- | --- | --- | --- |",
        "| scores (SMP-L) | full sort | 3.00 | 2.00 | 1.50 | 1.50 |",
        "| weights (GMP) | torch.nn.utils.prune | 1.25 |  | 1.00 |  |",
    ]
    assert speed_table.sources("cpu", alternatives=True).splitlines() == [
        "- tiny, 3 rounds: a machine; commit aaaaaaa; 2.5 minutes. Between rounds, a ratio varied by at most 0.12.",
        "- minilm, 3 rounds: a machine; commit not recorded.",
        "- Left out: minilm, gmp, x: it keeps 9.",
    ]
    assert speed_table.speed_table("cpu").splitlines()[2:] == []


def test_how_each_file_was_measured(speed_table, written):
    """Time comes before memory, and a small model before a large one."""
    row = {"model": "tiny", "method": "gmp", "by_dense": 1.0}
    facts = {"transformers": "5.1", "spin": "1000", "git_commit": 40 * "b", "git_dirty": True, "minutes": 2.0}
    written("a", [row | {"mebibytes": 7.0}], memory=True, rounds=None)
    written("b", [row | {"rounds": 21}], rounds=None, **facts)
    written("0", [row | {"model": "minilm"}], models=["minilm"])
    facts = "transformers 5.1; GOMP_SPINCOUNT=1000; commit bbbbbbb with uncommitted changes; 2 minutes"
    assert speed_table.sources("cpu").splitlines() == [
        f"- tiny, 21 rounds: a machine; {facts}.",
        "- tiny, memory: a machine; commit not recorded.",
        "- minilm, 3 rounds: a machine; commit not recorded.",
    ]


def test_the_sentences_by_hand(speed_table, written):
    smp, movement = ({"model": "tiny", "method": method, "by_dense": 1.5} for method in ("smp local", "movement"))
    written("tiny", [smp, movement, smp | {"model": "minilm", "by_dense": 0.9}])
    written("memory-tiny", [smp | {"mebibytes": 1.0, "by_dense": 0.875}], memory=True)
    lines = speed_table.summary().splitlines()
    assert lines[:3] == [
        "- **A step of SMP-L takes 1.50 (tiny) and 0.90 (minilm) of the time of full fine-tuning.**",
        "- A step of movement pruning takes 1.50 (tiny).",
        "- SMP-L's peak memory, divided by that of full fine-tuning, is 0.88 (tiny).",
    ]
    assert len(lines) == 4 and "not measured" in lines[3]
    ways = [
        {"model": "tiny", "method": "smp", "way": way, "by_dense": n} for way, n in (("prunebert", 1.0), ("x", 2.0))
    ]
    written("alternatives-tiny", ways)
    assert speed_table.summary().splitlines()[4:] == [
        "- The same step of SMP-L, measured in turns with other ways to make the masks:",
        "    - prunebert: 1.00 (tiny)",
        "    - x: 2.00 (tiny)",
    ]


def test_the_bars_are_the_ratios_of_the_alternatives(monkeypatch):
    plot = script("plot_alternatives")
    rows = {("smp", "prunebert"): {"tiny": {"by_dense": 0.9}}}
    rows |= {("smp", "full sort"): {"tiny": {"by_dense": 1.6}, "minilm": {"by_dense": 2.4}}}
    rows |= {("movement", "full sort"): {"minilm": {"by_dense": 2.5}}, ("gmp", "x"): {"tiny": {"by_dense": 9.0}}}
    monkeypatch.setattr(plot, "alternative_rows", lambda: rows)
    smp, movement = plot.draw().axes
    assert [bar.get_width() for bar in smp.patches] == [0.9, 1.6, 0, 2.4]  # by model, then by way; 0: not measured
    assert [bar.get_width() for bar in movement.patches] == [2.5]
    monkeypatch.setattr(plot, "alternative_rows", dict)
    with pytest.raises(ValueError, match="no file"):
        plot.draw()
