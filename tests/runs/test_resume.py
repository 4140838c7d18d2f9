"""A run that was cut off anywhere and started again ends with the same masks, scores and metrics, bit for bit."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from prunebert.masks import maskfile
from prunebert.runs import files
from prunebert.training.checkpoints import Checkpoints
from tests.methods.test_matrix import EXTRA, PHASES

SHORT = ["fit.steps=9", "teacher_fit.steps=5", "mask_fit.steps=7", "checkpoint.steps=2", "sparsity=0.6"]
BEST = ["fit.eval_every=2", "fit.keep=best"]


class Killed(BaseException):
    """Stands for kill -9: nothing is executed after it."""


def results(run: Path) -> dict:
    """Return everything of a run that must not depend on interruptions."""
    row = json.loads((run / "result.json").read_text())
    phases = {n: {k: v for k, v in p.items() if k != "seconds"} for n, p in row["phases"].items()}
    files = {
        f"{file} {n}": x
        for file in ("weights.safetensors", "head.safetensors")
        if (run / file).exists()
        for n, x in load_file(run / file).items()
    }
    return {
        "row": {k: row[k] for k in ("identity", "score", "metrics", "steps", "trained_parameters", "prunable")},
        "phases": phases,
        "topology": json.loads((run / "topology.json").read_text()),
        "metrics": (run / "metrics.jsonl").read_bytes(),
        "predictions": pd.read_parquet(run / "predictions.parquet").to_dict("list"),
        "tensors": maskfile.read(run / "masks.safetensors").masks | files,
    }


def assert_same_run(a: dict, b: dict) -> None:
    assert a["tensors"].keys() == b["tensors"].keys()
    for n, x in a["tensors"].items():
        assert torch.equal(x, b["tensors"][n]), n
    for part in ("row", "phases", "topology", "metrics"):
        assert a[part] == b[part], part
    assert str(a["predictions"]) == str(b["predictions"])


def killed_at(moments: set[int], patch: pytest.MonkeyPatch) -> list[int]:
    """Let the process die at these steps, counted over all starts: at odd ones before the checkpoint is written."""
    count = [0]
    save_if_due = Checkpoints.save_if_due

    def dying(self, step, moment, seconds):
        count[0] += 1
        if count[0] in moments and count[0] % 2:
            raise Killed
        save_if_due(self, step, moment, seconds)
        if count[0] in moments:
            raise Killed

    patch.setattr(Checkpoints, "save_if_due", dying)
    return count


CASES = [("smp", BEST), ("imp", [])]
SLOWER = [(m, more) for m in PHASES for more in ([], BEST) if (m, more) not in CASES]


@pytest.mark.parametrize(
    ("method", "more"),
    [
        *CASES,
        *[pytest.param(*case, marks=pytest.mark.slow) for case in SLOWER],
    ],
)
def test_killed_and_started_again_it_ends_the_same(cli, toy, text, tmp_path, monkeypatch, method, more):
    words = [*toy, *text, f"method={method}", *EXTRA.get(method, []), *SHORT, *more]
    assert cli(*words, "hydra.run.dir=whole")[0] == 0
    count = killed_at({1, 4, 7, 10, 17, 24}, monkeypatch)
    deaths = 0
    while not (tmp_path / "run/result.json").exists():
        try:
            assert cli(*words)[0] == 0
        except Killed:
            deaths += 1
            assert len(list((tmp_path / "run").glob("checkpoint/moment-*"))) <= 2
    assert deaths >= 4 and count[0] > 9
    assert_same_run(results(tmp_path / "whole"), results(tmp_path / "run"))
    assert not (tmp_path / "run/checkpoint").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["method=abp", "method.recovery=false"],
        pytest.param(["method=imp", "method.step=0.2"], marks=pytest.mark.slow),
    ],
)
def test_a_methods_memory_is_restored_too(cli, toy, tmp_path, monkeypatch, words):
    words = [*toy, *words, *SHORT]
    assert cli(*words, "hydra.run.dir=whole")[0] == 0
    killed_at({3, 6, 8}, monkeypatch)
    for _ in range(3):
        with pytest.raises(Killed):
            cli(*words)
    assert cli(*words)[0] == 0
    assert_same_run(results(tmp_path / "whole"), results(tmp_path / "run"))


def test_a_shared_teacher_that_was_finished_before_the_end_is_not_trained_again(cli, toy, tmp_path, monkeypatch):
    words = [*toy, "method=sparsebert", *SHORT, "distill.shared=teachers"]
    killed_at({8}, monkeypatch)  # 4 calls in the teacher's 5 steps
    with pytest.raises(Killed):
        cli(*words)
    status, printed = cli(*words)
    assert status == 0 and "fine-tuned before" in printed and "goes on after step" in printed


@pytest.fixture
def broken_off(cli, toy, tmp_path, monkeypatch):
    """Return the command line of a run that died in its second phase with two moments in `run`; `whole` did not die."""
    words = [*toy, "method=imp", "method.step=0.6", *SHORT]
    assert cli(*words, "hydra.run.dir=whole")[0] == 0
    with monkeypatch.context() as patch:
        killed_at({15}, patch)  # 8 in round 1, 7 in the second phase
        with pytest.raises(Killed):
            cli(*words)
    file_names = sorted(f.name for f in (tmp_path / "run/checkpoint").iterdir())
    assert len(file_names) == 3 and file_names[2] == "phase-round-1.safetensors"
    return words, tmp_path / "run/checkpoint"


def damage(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes({"bit": bytes(content), "short": content[: len(content) // 2], "empty": b""}[how])


SLOW_DAMAGE = [pytest.param(how, marks=pytest.mark.slow) for how in ("short", "empty")]


@pytest.mark.parametrize("how", ["bit", *SLOW_DAMAGE])
def test_a_damaged_moment_is_reported_and_the_older_one_used(cli, tmp_path, broken_off, how):
    words, folder = broken_off
    _, newer = sorted(folder.glob("moment-*"))
    damage(newer, how)
    status, printed = cli(*words)
    assert status == 0 and f"{newer} is damaged" in printed.replace("\n", "") and "after step 4" in printed
    assert_same_run(results(tmp_path / "whole"), results(tmp_path / "run"))


@pytest.mark.parametrize("how", ["bit", SLOW_DAMAGE[0]])
def test_where_all_is_damaged_the_run_begins_anew(cli, tmp_path, broken_off, how):
    words, folder = broken_off
    for file in folder.iterdir():
        damage(file, how)
    status, printed = cli(*words)
    assert status == 0 and printed.count("is damaged") >= 3
    assert_same_run(results(tmp_path / "whole"), results(tmp_path / "run"))


def test_another_configuration_is_refused_where_a_stopped_run_lies(cli, tmp_path, broken_off):
    words, folder = broken_off
    before = sorted(folder.iterdir())
    status, printed = cli(*words, "seed=3")
    assert status == 2 and "already holds a stopped run (checkpoint) of another configuration" in printed
    assert sorted(folder.iterdir()) == before


def test_a_checkpoint_of_other_data_is_not_used(cli, toy, tmp_path, broken_off):
    """The command line is the same, but the file under that name has changed."""
    words, _ = broken_off
    (file,) = (Path(w.partition("=")[2]) for w in toy if w.startswith("task.train="))
    content = file.read_text()
    try:
        file.write_text("\n".join(content.splitlines()[:-1]) + "\n")
        status, printed = cli(*words)
    finally:
        file.write_text(content)
    assert status == 0 and "of another configuration" in printed and "goes on after" not in printed
    assert json.loads((tmp_path / "run/result.json").read_text())["data"]["rows"]["train"] == 95


def test_a_loss_that_diverged_leaves_no_checkpoint(cli, toy, tmp_path):
    status, printed = cli(*toy, "method=magnitude", *SHORT, "fit.lr=1e30", "fit.clip=1e30", "fit.steps=40")
    assert status == 2 and "the loss is not finite" in printed
    assert not (tmp_path / "run/checkpoint").exists()


def test_a_clock_that_goes_backwards_changes_nothing(cli, toy, tmp_path, monkeypatch):
    words = [*toy, "method=magnitude", *SHORT, "checkpoint.seconds=0.01"]
    assert cli(*words, "hydra.run.dir=whole")[0] == 0
    clock = [2e9]

    def backwards():
        clock[0] -= 3600
        return clock[0]

    monkeypatch.setattr(time, "time", backwards)
    assert cli(*words)[0] == 0
    assert_same_run(results(tmp_path / "whole"), results(tmp_path / "run"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["checkpoint.seconds=0"], "checkpoint.seconds=0: must be a number, above 0, infinity included, or null"),
        (
            ["checkpoint.steps=0"],
            "checkpoint.steps=0: must be a whole number, at least 1 and at most 1000000000",
        ),
        (["checkpoint.step=3"], "checkpoint.step: there is no such key; did you mean checkpoint.steps?"),
        (["rerun=yess"], "rerun=yess: must be true or false"),
    ],
)
def test_bad_settings_are_refused_in_one_line(cli, toy, tmp_path, words, message):
    status, printed = cli(*toy, "method=dense", *words)
    assert status == 2 and message in printed and not (tmp_path / "run").exists()


def start(words, folder, **more) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "prunebert", *words],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **more,
    )


@pytest.mark.parametrize(
    "place",
    [
        "in the finished phase",
        *(pytest.param(place, marks=pytest.mark.slow) for place in ("in the phase in training", "missing")),
    ],
)
def test_damaged_metrics_are_reported_and_not_kept(cli, tmp_path, broken_off, place):
    """What the damage precedes is trained again, and the metrics end as those of a run that nothing happened to."""
    words, folder = broken_off
    metrics = tmp_path / "run/metrics.jsonl"
    content = metrics.read_bytes()
    at = (
        content.index(b'"loss_task": 0.') + 16 if place == "in the finished phase" else content.rindex(b'"step": 4') + 8
    )
    wrong = content[:at] + (b"3" if content[at : at + 1] != b"3" else b"7") + content[at + 1 :]
    metrics.write_bytes(wrong)
    if place == "missing":
        metrics.unlink()
    status, printed = cli(*words)
    reason = "is damaged: it is not as" if "phase" in place else "is shorter than when"
    assert status == 0 and f"metrics.jsonl {reason}" in printed.replace("\n", " ")
    assert ("phase round-1 was finished before" in printed) == (place == "in the phase in training")
    assert_same_run(results(tmp_path / "whole"), results(tmp_path / "run"))
    assert not folder.exists()


def test_checkpoints_of_earlier_versions_without_a_hash_of_the_metrics_are_used(cli, tmp_path, broken_off, monkeypatch):
    words, folder = broken_off
    for file in folder.iterdir():
        tensors, text = files.read_tensors(file)
        facts = json.loads(text)
        assert len(facts.pop("metrics_sha256")) == 64
        files.write_tensors(file, {n: x.clone() for n, x in tensors.items()}, json.dumps(facts))
    status, printed = cli(*words)
    assert status == 0 and "goes on after step" in printed and "round-1 was finished before" in printed
    assert_same_run(results(tmp_path / "whole"), results(tmp_path / "run"))
