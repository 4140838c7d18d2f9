"""Hydra's flags: --config-dir means hydra.searchpath, and what no command line can use is refused in one line."""

import json

import pytest

MINE = """# @package _global_
defaults:
  - override /task: mine
  - override /method: magnitude
  - override /fit: smoke
"""


@pytest.fixture
def own(toy, tmp_path):
    """Write an experiment and a task of the user's into conf/. Return the words that are left."""
    (tmp_path / "conf/experiment").mkdir(parents=True)
    (tmp_path / "conf/task").mkdir()
    (tmp_path / "conf/experiment/mine.yaml").write_text(MINE)
    keys = dict(word.removeprefix("task.").split("=", 1) for word in toy if word.startswith("task."))
    lines = [f"{key}: {value}" for key, value in keys.items()]
    (tmp_path / "conf/task/mine.yaml").write_text("\n".join(["defaults: [file, _self_]", *lines, ""]))
    return [word for word in toy if not word.startswith(("task", "fit", "hydra"))]


@pytest.mark.parametrize("flag", [["--config-dir", "conf"], ["--config-dir=conf"], ["-cd", "conf"]])
def test_an_experiment_in_the_folder_of_the_flag_is_found_and_repeated(own, cli, tmp_path, flag):
    status, printed = cli(*flag, "experiment=mine", *own, "hydra.run.dir=run")
    assert status == 0, printed
    command = json.loads((tmp_path / "run/result.json").read_text())["command"]
    assert "hydra.searchpath=[" in command and "config-dir" not in command and "experiment=mine" in command
    status, printed = cli("evaluate", "run", "impl.threads=1")
    assert status == 0, printed


def test_the_folder_is_named_once(own, cli):
    status, printed = cli("--config-dir", "conf", "hydra.searchpath=[conf]", "experiment=mine", *own)
    assert (status, printed) == (2, "prunebert: --config-dir=conf: name the folder in hydra.searchpath=[…] instead\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--config-name", "mine"],
            "--config-name=mine: prunebert has one main configuration; settings of",
        ),
        (["-cn", "mine", "method=smp"], "--config-name=mine: prunebert has one main configuration"),
        (["--config-path=conf"], "--config-path=conf: prunebert has one main configuration"),
        (
            ["--experimental-rerun", "x.pickle"],
            "--experimental-rerun=x.pickle: no run has such a file;",
        ),
        (["--resolve", "method=smp"], "--resolve: is for --cfg, as in --cfg job --resolve"),
        (
            ["method=smp", "task@other=mnli"],
            "task@other: a group has one place in the configuration; write",
        ),
        (["-m", "method=smp", "hydra.sweeper.params.seed=0,1"], "hydra.sweeper.params.seed=0,1: write what a sweep"),
        (["-m", "method=smp", "+hydra.sweeper.params.seed='0,1'"], "+hydra.sweeper.params.seed='0,1': write what a"),
    ],
)
def test_what_no_command_can_use_is_refused_in_one_line(cli, tmp_path, words, line):
    status, printed = cli(*words)
    assert status == 2 and printed.startswith(f"prunebert: {line}") and printed.count("\n") == 1, printed
    assert not list(tmp_path.iterdir())


def test_resolving_what_is_shown_works(cli):
    status, printed = cli("--cfg", "job", "--resolve", "method=smp", "model=tiny", "task=rte")
    assert status == 0 and "${" not in printed
