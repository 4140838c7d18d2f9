"""Test `prunebert transfer`: what it refuses, the sweeps that it starts, and what it prints."""

import json
from pathlib import Path

import pytest

from prunebert.analysis.transfer import Cell, Matrix, Target
from prunebert.commands import transfer, transfer_runs
from prunebert.commands.transfer_runs import Source
from prunebert.errors import BadInput
from prunebert.settings import overrides


def source(name="a", sparsity="0.9", **facts):
    command = "prunebert model.name=folder method=smp task=sst2 hydra.searchpath=[file://lab]"
    row = {"command": command, "weights_hash": "w", "model": "m", "prunable": "encoder", "method": "smp"}
    return Source(Path(name), row | facts, sparsity)


def test_a_sweep_crosses_masks_copies_and_seeds_for_each_task():
    words = ["task=rte,cola", "seed=0,1", "fit=quick", "distill=logits"]
    found = [source("a"), source("b=1"), source("c", "0.5")]
    sweeps = transfer_runs.sweeps(found, words, "head", "run", Path("out"))
    assert [transfer_runs.count(sweep) for sweep in sweeps] == [2 * 2 * 2, 2 * 2, 2] * 2
    masks, _, dense = sweeps[:3]
    assert {"-m", "method.masks=a,'b=1'", "method.train=head", "method.start=run", "sparsity=0.9"} <= set(masks)
    assert {"model.name=folder", "hydra.searchpath=[file://lab]", "distill=logits", "task=rte"} <= set(masks)
    assert "method=dense" in dense and "distill=logits" not in dense and "model.name=folder" in dense
    assert len({sweep[-1] for sweep in sweeps}) == 6
    more = transfer_runs.sweeps(found, ["task=mnli,rte", *words[1:]], "head", "run", Path("out"))
    assert more[3:] == sweeps[:3]  # a further task leaves the directories of the others
    assert transfer_runs.sweeps(found, words, "all", "run", Path("out"))[0][-1] != masks[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=0"], r"^task=: name the tasks"),
        (["task=rte", "sparsity=0.5"], r"^sparsity=0.5: transfer sets this itself: it is that of the masks"),
        (["task=rte", "model=tiny"], r"^model=tiny: the model is that of the masks"),
        (["task=rte", "method.start=run"], r"use --start"),
        (["task=rte", "hydra.sweep.dir=x"], r"use --out"),
    ],
)
def test_words_that_the_command_sets_itself_are_refused(words, message):
    with pytest.raises(BadInput, match=message):
        transfer_runs.refuse_words(words)


@pytest.fixture
def runs(finished, tmp_path, monkeypatch):
    """Two runs with masks, a dense one, and one with another prunable set."""
    monkeypatch.chdir(tmp_path)
    words = {"magnitude": "encoder", "random": "encoder", "dense": "encoder"}
    made = {method: finished(f"method={method}", "sparsity=0.9", f"prunable={p}") for method, p in words.items()}
    return made | {"wide": finished("method=random", "sparsity=0.9", "prunable=encoder_pooler_embeddings")}


@pytest.mark.parametrize(
    ("names", "words", "message"),
    [
        (["magnitude", "magnitude"], ["task=rte"], r"is named twice"),
        (["magnitude", "wide"], ["task=rte"], r"cover another prunable set than those of"),
        (["dense"], ["task=rte"], r"method=dense removed no weights, so it has no mask to transfer"),
        (["magnitude"], ["task=nope"], r"^task=nope: allowed are"),
        (["magnitude"], ["task=rte", "fit.steps=-1"], r"^fit.steps=-1"),
        (["magnitude"], ["task=rte", "task.data_dir=nowhere"], r"nowhere"),
        (["magnitude"], ["task=rte", "--train=none", "fit=quick"], r"^fit=quick: --train none trains nothing"),
        (["magnitude"], ["task=rte", "--train=none", "--start=run"], r"^--start=run: with --train none"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_written(runs, tmp_path, monkeypatch, names, words, message):
    monkeypatch.setattr(transfer_runs, "carry_out", lambda sweep: pytest.fail("something was started"))
    with pytest.raises(BadInput, match=message) as error:
        transfer.main([*(str(runs[name]) for name in names), *words], overrides.checked)
    assert "\n" not in str(error.value) and not (tmp_path / "transfer").exists()


def test_a_stopped_sweep_ends_the_command_with_its_status(runs, monkeypatch):
    monkeypatch.setattr(transfer_runs, "carry_out", lambda sweep: 75)
    monkeypatch.setattr(transfer_runs, "checked", lambda sweep, compose: {"dry": False})
    with pytest.raises(SystemExit) as end:
        transfer.main([str(runs["magnitude"]), "task=rte"], overrides.checked)
    assert end.value.code == 75


@pytest.mark.parametrize("value", ["true", "True"])
def test_a_dry_run_ends_without_a_matrix(runs, tmp_path, monkeypatch, capsys, value):
    words = []
    monkeypatch.setattr(transfer_runs, "carry_out", lambda sweep: words.append(sweep) or 0)
    transfer.main([str(runs["magnitude"]), "task=rotten_tomatoes", f"dry={value}"], overrides.checked)
    assert len(words) == 2 and "Scores" not in capsys.readouterr().out and not (tmp_path / "transfer").exists()


def test_a_source_is_above_its_shuffled_copy(capsys):
    target, cells = Target("rte", "accuracy"), [Cell(score, None, 1) for score in (0.75, -0.00001, 0.875)]
    own, shuffled, dense = {("a", target): cells[0]}, {("a", target): cells[1]}, {target: cells[2]}
    transfer._show_scores(Matrix("", ["a"], [target], own, shuffled, dense, {target: 0.5}, {}), wide=True)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[3:7] == [
        ["dense", "0.8750"],
        ["a", "0.7500"],
        ["shuffled", "0.0000"],
        ["constant", "baseline", "0.5000"],
    ]


def test_another_encoder_is_refused():
    with pytest.raises(BadInput, match=r"^b: its masks .*were found on another encoder than those of a"):
        transfer_runs._refuse_different(source("a"), source("b", weights_hash="other"))


@pytest.mark.slow
def test_the_matrix_is_that_of_ordinary_runs_and_a_second_call_trains_nothing(
    prunebert, runs, toy, tmp_path, data_folder
):
    words = [word for word in toy if not word.startswith(("model", "hydra"))]
    names = [str(runs[name]) for name in ("magnitude", "random")]
    first = prunebert("transfer", *names, *words, "--train=head", COLUMNS="100")
    assert first.returncode == 0, first.stderr
    rows = [json.loads(file.read_text()) for file in (tmp_path / "transfer").rglob("result.json")]
    assert sorted(row["method"] for row in rows) == ["dense"] + ["fixed_mask"] * 4
    for row in rows:
        assert row["method"] == "dense" or list(row["phases"]) == ["head"]
        assert f"{row['score']:.4f}" in first.stdout
    times = {file: file.stat().st_mtime_ns for file in (tmp_path / "transfer").rglob("result.json")}
    again = prunebert("transfer", *names, *words, "--train=head", COLUMNS="100")
    assert again.returncode == 0 and times == {file: file.stat().st_mtime_ns for file in times}
    read = [word for word in words if word.startswith(("task", "impl"))]
    as_they_are = prunebert("transfer", names[0], *read, "--train=none")
    own = json.loads((Path(names[0]) / "result.json").read_text())["score"]
    assert as_they_are.returncode == 0 and f"{own:.4f}" in as_they_are.stdout.split("Scores")[1]
