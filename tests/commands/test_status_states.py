"""Every state of `prunebert status` from a run's files alone, and the command that goes on."""

import json
import shlex

import pytest
from filelock import FileLock

from prunebert.commands import status
from prunebert.runs import discover
from tests.toys import RESULT, write_result

RECORD = json.dumps(dict.fromkeys(["method", "task", "model", "sparsity", "seed"]))
METRICS = '{"phase": "prune", "step": 900, "t": 0.75}\n{"phase": "prune", "step": 1500, "t": 0.5}\n{"phase": "pru'


@pytest.fixture
def write(tmp_path):
    """Return a function that writes the directory of a run that has started."""

    def call(name, words=("method=smp",), log="", metrics="", search=None):
        run = tmp_path / name
        (run / ".hydra").mkdir(parents=True)
        (run / ".hydra/config.yaml").write_text(RECORD)
        (run / ".hydra/overrides.yaml").write_text(json.dumps([*words]))
        if search:
            record = {"hydra": {"overrides": {"hydra": [f"hydra.searchpath=[{search}]"]}}}
            (run / ".hydra/hydra.yaml").write_text(json.dumps(record))
        for file, content in (("run.log", log), ("metrics.jsonl", metrics)):
            if content:
                (run / file).write_text(content)
        return run

    return call


def states(root):
    return {s.directory.rpartition("/")[2]: (s.state, s.detail) for s in status.run_states([root])}


def test_the_state_is_told_by_lock_log_and_result(write, tmp_path):
    start = "10:00:00 INFO phase prune begins\n"
    write("finished", words=["seed=9"])
    write_result(tmp_path / "finished", RESULT | {"metric": "f1", "score": 0.61})
    write("damaged", words=["seed=8"])
    (tmp_path / "damaged/result.json").write_text("{}")
    write("at work", log=start, metrics=METRICS)
    write("killed", log=start, metrics=METRICS)
    write("killed early", log=start)
    write(
        "by a signal",
        log=f"{start}10:00:09 WARNING stopped by SIGTERM after step 5\n10:00:10 a library at its exit\n",
        metrics=METRICS,
    )
    write("told so", log=f"{start}10:00:10 INFO phase head stopped early\n")
    write(
        "broken", log=f"{start}10:00:09 ERROR it broke\nTraceback\n  File\nRuntimeError: no memory\n", metrics=METRICS
    )
    write("refused", log=f"{start}10:00:09 ERROR task.score=x: allowed are f1\n")
    with FileLock(tmp_path / "at work/.lock"):
        found = states(tmp_path)
    reached = "phase prune, step 1,500 of 3,000"  # by the last whole line
    assert found.pop("damaged")[0] == "failed"
    assert found == {
        "finished": ("done", "f1 0.6100"),
        "at work": ("running", reached),
        "killed": ("stale", reached),
        "killed early": ("stale", "10:00:00 INFO phase prune begins"),
        "by a signal": ("stopped", reached),
        "told so": ("stale", "10:00:10 INFO phase head stopped early"),
        "broken": ("failed", "RuntimeError: no memory"),
        "refused": ("failed", "task.score=x: allowed are f1"),
    }


def test_only_the_same_run_elsewhere_makes_a_stale_one_done(write, tmp_path):
    """Words that change no result may differ. An experiment is not one of them: it stands for other words."""
    done = write("done", ["method=smp", "seed=0", "impl=cpu"])
    write_result(done, RESULT)
    write("again", ["seed=0", "method=smp", "tracking=wandb"])
    write("other", ["method=smp", "seed=1"])
    write("experiment", ["method=smp", "seed=0", "experiment=quickstart"])
    found = {name: state for name, (state, _) in states(tmp_path).items()}
    assert found == {"done": "done", "again": "done", "other": "stale", "experiment": "stale"}
    assert states(tmp_path)["again"][1] == f"repeated in {done}"


def test_the_command_has_the_search_path_and_does_no_sweep(write, tmp_path):
    run = write("a", ["experiment=mine", "seed=0"], search="file:///lab")
    (state,) = status.run_states([run])
    words = ["prunebert", "hydra.searchpath=[file:///lab]", "experiment=mine", "seed=0", "hydra.mode=RUN"]
    assert shlex.split(state.command_line) == [*words, f"hydra.run.dir={run}"]
    (run / ".hydra/overrides.yaml").unlink()
    assert status.run_states([run])[0].command_line == f"# {run}: its command is not recorded"


def test_failed_lists_every_unfinished_run_and_no_other(write, tmp_path, capsys):
    write("stale", ["seed=1"])
    write("failed", ["seed=2"], log="10:00:09 ERROR no\n")
    write("stopped", ["seed=3"], log="10:00:09 WARNING stopped by SIGINT\n")
    write("running", ["seed=4"])
    write_result(write("done", ["seed=5"]), RESULT)
    with FileLock(tmp_path / "running/.lock"):
        status.main(["--failed", str(tmp_path)])
    printed = capsys.readouterr().out
    assert [line.split()[1] for line in printed.splitlines()] == ["seed=2", "seed=1", "seed=3"]  # by directory


def test_how_far_a_run_has_come_is_its_last_whole_line(tmp_path):
    for text, expected in (
        (METRICS, "phase prune, step 1,500 of 3,000"),
        ('{"phase": "a", "step": 3, "t": 0.0}', ""),
        ("", ""),
    ):
        (tmp_path / "metrics.jsonl").write_text(text)
        assert discover.progress(tmp_path) == expected
