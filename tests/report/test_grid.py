"""A sweep's grid against what was started, by its words; a real sweep's record is read in test_command."""

import json

import pytest

from prunebert.errors import BadInput
from prunebert.runs import artifacts
from prunebert.runs import sweep as runs_sweep
from prunebert.settings.overrides import axis, canonical

from .conftest import started, sweep


@pytest.mark.parametrize(
    ("value", "choices"),
    [
        ("0.5,0.9", ["0.5", "0.9"]),
        ("0.5, 0.9", ["0.5", "0.9"]),
        ("[a,b]", ["[a,b]"]),
        ("[a,b],[c]", ["[a,b]", "[c]"]),
        ("{a:1,b:2}", ["{a:1,b:2}"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ("range(3)", ["0", "1", "2"]),
        ("range(0,5,2)", ["0", "2", "4"]),
        ("choice(a,b)", ["a", "b"]),
        ("/data/x y", ["/data/x\\ y"]),
        ("", [""]),
        ("glob(*)", None),
        ("range(0,1,0.25)", ["0.0", "0.25", "0.5", "0.75"]),
        ("null,true", ["null", "True"]),  # as Hydra's own sweeper writes them
        ("interval(0,1)", None),
    ],
)
def test_the_values_of_a_sweep(value, choices):
    if choices is None:
        with pytest.raises(BadInput):
            axis(f"key={value}")
    else:
        assert axis(f"key={value}") == [f"key={choice}" for choice in choices]


def test_a_grid_by_the_sweepers_params_and_numbers_however_they_are_written(tmp_path):
    root = sweep(
        tmp_path, ["experiment=quickstart", "sparsity=.5,0.90"], {"method": "dense,smp", "sparsity": "0.1,0.2"}
    )
    started(tmp_path / "a", ["experiment=quickstart", "sparsity=0.5", "method=dense"])
    started(tmp_path / "b", ["experiment=quickstart", "sparsity=0.9", "method=smp"])
    assert runs_sweep.missing(root, []) == [
        "never started: sparsity=0.5 method=smp",
        "never started: sparsity=0.9 method=dense",
    ]


def test_a_cell_whose_run_was_found_in_another_directory_is_not_missing(tmp_path):
    """dense removes nothing, so its cell at 0.9 finds the run of the cell at 0.5."""
    root = sweep(tmp_path / "sweep", ["method=dense", "sparsity=0.5,0.9"])
    first, second = (started(root / f"at-{s}", ["method=dense", f"sparsity={s}"]) for s in (0.5, 0.9))
    (first / "metrics.jsonl").write_text("")
    artifacts.write_pointer(second, first)
    assert artifacts.runs(root) == [first] and runs_sweep.missing(root, []) == []


def test_what_cannot_be_read_is_said_and_a_long_list_is_cut(tmp_path):
    assert "not known" in runs_sweep.missing(sweep(tmp_path / "a", ["method=glob(*)"]), [])[0]
    assert "not known" in runs_sweep.missing(tmp_path / "nowhere", [])[0]
    (sweep(tmp_path / "b", []) / "multirun.yaml").write_text("hydra: [")
    assert "not known" in runs_sweep.missing(tmp_path / "b", [])[0]
    (tmp_path / "b/multirun.yaml").write_text("hydra: 3")
    assert "not known" in runs_sweep.missing(tmp_path / "b", [])[0]
    lines = runs_sweep.missing(sweep(tmp_path / "c", ["seed=range(0,100)"]), [])
    assert len(lines) == runs_sweep.SHOWN + 1 and lines[-1] == f"never started: {100 - runs_sweep.SHOWN} more cells"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sparsity=0.90", "sparsity=.9"),
        ("++fit.lr=1e-3", "fit.lr=0.001"),
        ("k='a b'", 'k="a b"'),
        ("k=/x y", r"k=/x\ y"),
    ],
)
def test_words_that_mean_the_same_have_one_spelling(one, other):
    assert canonical(one) == canonical(other) != canonical("k=0.91")


def test_words_that_cannot_change_a_result_are_left_out():
    words = ["tracking=wandb", "checkpoint.seconds=60", "impl.threads=1", "hydra/launcher=laptop", "rerun=true"]
    words += ["experiment=quickstart", "dry=true"]
    assert runs_sweep.science([*words, "fit.steps=5", "method=smp"]) == {"fit.steps=5", "method=smp"}


def test_a_missing_cells_command_has_the_search_path_and_a_grid_may_be_too_large(tmp_path):
    root = sweep(tmp_path / "a", ["seed=0,1", "method=smp"])
    record = {"overrides": {"task": ["seed=0,1", "method=smp"], "hydra": ["hydra.searchpath=[file:///lab]"]}}
    (root / "multirun.yaml").write_text(json.dumps({"hydra": record | {"sweeper": {"params": {"seed": "5,6"}}}}))
    cells = runs_sweep.never_started(root, [])
    assert [cell.varying for cell in cells] == [["seed=0"], ["seed=1"]]  # the command line goes before the params
    assert cells[0].command == ["hydra.searchpath=[file:///lab]", "seed=0", "method=smp"]
    root = sweep(tmp_path / "b", [f"{key}=range(101)" for key in "abc"])  # 1,030,301 cells
    assert runs_sweep.missing(root, [])[0].endswith("1,030,301 cells, and cells are enumerated up to 1,000,000")
