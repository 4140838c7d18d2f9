"""A directory of the user's keeps every byte, whatever is started in it."""

import os
from pathlib import Path

import pytest

from prunebert.errors import BadInput
from prunebert.runs import artifacts, guard, made

USERS_FILES = {
    "run.log": "my own log\n",
    ".lock": "held by me\n",
    ".hydra/config.yaml": "db: mysql\n",
    "metrics.jsonl": '{"loss": 1}\n',
    "result.json": '{"accuracy": 0.9}\n',
    "masks.safetensors": "my masks",
    "checkpoint/epoch-3.pt": "my weights",
    "elsewhere.json": "{}",
}
RECORD = "method: a\ntask: b\nmodel: c\nsparsity: 0.5\nseed: 1\n"
COMMANDS = {
    "a run": ["method=magnitude"],
    "bad input": ["method=magnitude", "fit.steps=many"],
    "bad data": ["method=magnitude", "task.score=nonsense"],
    "a repetition": ["method=magnitude", "rerun=true"],
    "a dry run": ["method=magnitude", "dry=true"],
}


def content(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): None if p.is_dir() else p.read_bytes() for p in folder.rglob("*")}


def put(folder: Path, names) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(USERS_FILES[name])


@pytest.mark.parametrize("name", USERS_FILES)
def test_each_file_of_the_users_is_named_and_kept(cli, toy, tmp_path, name):
    put(tmp_path / "run", [name])
    before = content(tmp_path)
    status, printed = cli(*toy, "method=magnitude")
    assert status == 2 and printed.splitlines() == [
        f"prunebert: hydra.run.dir=run holds {name.split('/')[0]} of another origin than a run of prunebert; choose "
        "another directory"
    ]
    assert content(tmp_path) == before


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_all_of_them_outlive_every_command(cli, toy, tmp_path, words):
    put(tmp_path / "run", USERS_FILES)
    before = content(tmp_path)
    status, printed = cli(*toy, *words)
    assert status == 2 and len(printed.splitlines()) == 1 and content(tmp_path) == before
    (tmp_path / "link").symlink_to("run")
    assert cli(*toy, *words, "hydra.run.dir=link")[0] == 2
    (tmp_path / "link").unlink()
    assert content(tmp_path) == before


@pytest.mark.parametrize("words", [[], ["dry=true"], ["task.score=nonsense"]])
def test_a_sweep_among_the_users_files_changes_none(cli, toy, tmp_path, words):
    put(tmp_path / "mine", [name for name in USERS_FILES if name != "elsewhere.json"])
    before = content(tmp_path)
    sweep = ["-m", *toy, "method=magnitude", "hydra.sweep.dir=mine", "hydra.sweep.subdir=."]
    status, printed = cli(*sweep, *words)
    assert content(tmp_path) == before
    assert status == (1 if words == ["dry=true"] else 2) and printed.count("holds") == (
        2 if words == ["dry=true"] else 1
    )
    (tmp_path / "mine/multirun.yaml").write_text("jobs: 3\n")
    status, printed = cli(*sweep, *words)
    assert (tmp_path / "mine/multirun.yaml").read_text() == "jobs: 3\n"
    if words != ["dry=true"]:
        assert status == 2 and "hydra.sweep.dir=" in printed and "holds multirun.yaml of another origin" in printed


def test_other_files_of_the_users_are_no_reason_to_refuse(cli, toy, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert cli(*toy, "method=magnitude", "hydra.run.dir=.")[0] == 0
    assert (tmp_path / "notes.txt").read_text() == "mine" and (tmp_path / "result.json").is_file()


@pytest.mark.parametrize("words", [["fit.steps=many"], ["task.score=nonsense"], ["dry=true"]])
def test_directories_are_removed_only_where_the_command_made_them(cli, toy, tmp_path, words):
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to("mine")
    for directory in ("mine", "mine/deep/run", "link/deep/run", "link", "."):
        cli(*toy, "method=magnitude", *words, f"hydra.run.dir={directory}")
        assert content(tmp_path) == {"mine": None, "link": None}


def test_a_dry_sweep_leaves_a_record_as_it_is(cli, toy, tmp_path):
    words = ["-m", *toy, "method=magnitude", "hydra.sweep.dir=sweep"]
    assert cli(*words)[0] == 0
    before = content(tmp_path)
    status, printed = cli(*words, "seed=0,1", "dry=true")
    assert status == 0 and printed.count("steps, to do") == 2 and content(tmp_path) == before


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("file", "Not a directory"),
        ("file/run", "Not a directory"),
        ("dangling", "Not a directory"),
        ("x" * 300, "File name too long"),
        ("/".join(["y" * 200] * 30), "File name too long"),
    ],
)
def test_a_place_that_cannot_be_a_directory_is_named(cli, toy, tmp_path, place, reason):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    before = content(tmp_path / "file")
    for key, words in (("hydra.run.dir", []), ("hydra.sweep.dir", ["-m"])):
        status, printed = cli(*words, *toy, "method=magnitude", f"{key}={place}")
        assert status == 2 and printed.rstrip().endswith(f"cannot be written to: {reason}") and key in printed
        assert len(printed.splitlines()) == 1
    assert content(tmp_path / "file") == before and {p.name for p in tmp_path.iterdir()} == {"file", "dangling"}


def test_hydras_own_record_is_refused(cli, toy, tmp_path):
    status, printed = cli(*toy, "method=magnitude", "hydra.output_subdir=record")
    assert status == 2 and "hydra.output_subdir=record: only null is allowed" in printed
    assert not list(tmp_path.iterdir())


def test_another_stopped_run_found_under_the_lock_is_refused(tmp_path):
    """It was started by another process after this one had looked for the first time."""
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra/config.yaml").write_text(RECORD)
    guard.refuse_foreign(tmp_path, "hydra.run.dir")
    guard.refuse_another(tmp_path, lambda text: text == RECORD, "hydra.run.dir")
    with pytest.raises(BadInput, match="already holds a stopped run"):
        guard.refuse_another(tmp_path, lambda text: False, "hydra.run.dir")


def test_leftovers_of_dead_processes_are_removed_and_nothing_else(cli, toy, tmp_path):
    assert cli(*toy, "method=magnitude")[0] == 0
    run = tmp_path / "run"
    before = content(run)
    (run / "checkpoint").mkdir()
    litter = [".masks.safetensors.4194305", ".result.json.7", ".probe.12", ".hydra/.config.yaml.3"]
    litter += ["checkpoint/moment-00000001.safetensors", "checkpoint/.phase-prune.safetensors.9"]
    for name in litter:
        (run / name).write_text("half-written")
    assert cli(*toy, "method=magnitude")[0] == 0
    after = content(run)
    assert after.pop("run.log") != before.pop("run.log") and after == before
    kept = [".masks.safetensors.mine", "masks.safetensors.5", "checkpoint/mine.txt", ".notes.5"]
    (run / "checkpoint").mkdir()
    for name in kept:
        (run / name).write_text("mine")
    (run / ".head.safetensors.5").symlink_to("masks.safetensors.5")
    assert cli(*toy, "method=magnitude")[0] == 0
    assert all((run / name).read_text() == "mine" for name in [*kept, ".head.safetensors.5"])


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_log_that_is_also_another_file_becomes_a_copy(cli, toy, tmp_path, link):
    assert cli(*toy, "method=magnitude")[0] == 0
    log, mine = tmp_path / "run/run.log", tmp_path / "mine.txt"
    log.rename(mine)
    link(mine, log)
    before = mine.read_text()
    status, printed = cli(*toy, "method=magnitude")
    assert status == 0 and "finished before" in printed and mine.read_text() == before
    assert log.read_text().startswith(before) and "finished before" in log.read_text() and not log.is_symlink()


def test_metrics_that_are_also_another_file_become_a_copy(tmp_path):
    (tmp_path / "mine.jsonl").write_text("{}\n")
    (tmp_path / "run").mkdir()
    os.link(tmp_path / "mine.jsonl", tmp_path / "run/metrics.jsonl")
    artifacts.Artifacts(tmp_path / "run", resumed=True).record({"step": 1})
    assert (tmp_path / "mine.jsonl").read_text() == "{}\n"
    assert (tmp_path / "run/metrics.jsonl").read_text() == '{}\n{"step": 1}\n'


def test_a_log_that_is_a_pipe_hangs_nothing(cli, toy, tmp_path):
    assert cli(*toy, "method=magnitude")[0] == 0
    (tmp_path / "run/run.log").unlink()
    os.mkfifo(tmp_path / "run/run.log")
    status, printed = cli(*toy, "method=magnitude")
    assert status == 0 and printed.count("run.log: it is no regular file; the log is not complete") == 1


@pytest.mark.parametrize("name", [".hydra", "checkpoint"])
def test_a_folder_of_a_run_that_is_a_link_is_refused(cli, toy, tmp_path, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/config.yaml").write_text(RECORD)
    (tmp_path / "run").mkdir()
    if name == "checkpoint":
        (tmp_path / "run/.hydra").mkdir()
        (tmp_path / "run/.hydra/config.yaml").write_text(RECORD)
    (tmp_path / "run" / name).symlink_to("../mine")
    before = content(tmp_path)
    status, printed = cli(*toy, "method=magnitude", "rerun=true")
    assert status == 2 and f"hydra.run.dir=run holds {name}, which is a link" in printed
    assert len(printed.splitlines()) == 1 and content(tmp_path) == before


@pytest.mark.parametrize("key", ["hydra.run.dir", "hydra.sweep.dir"])
@pytest.mark.parametrize("kind", ["your home directory", "the root of a repository"])
def test_directories_that_hold_much_else_are_refused(cli, toy, tmp_path, monkeypatch, key, kind):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "repository/.git").mkdir(parents=True)
    place = tmp_path / ("home" if "home" in kind else "repository")
    (tmp_path / "link").symlink_to(place)
    before = content(tmp_path)
    words = [*(["-m"] if "sweep" in key else []), *toy, "method=magnitude"]
    for name in (place, tmp_path / "link"):
        status, printed = cli(*words, f"{key}={name}")
        assert status == 2 and printed.startswith(f"prunebert: {key}={name} is {kind}; choose a directory for")
        assert len(printed.splitlines()) == 1 and content(tmp_path) == before


def test_the_root_of_the_file_system_is_refused_and_a_folder_of_a_repository_is_not(tmp_path):
    with pytest.raises(BadInput, match="is the root of the file system; choose"):
        guard.refuse_shared(Path("/"), "hydra.run.dir")
    (tmp_path / ".git").mkdir()
    guard.refuse_shared(tmp_path / "outputs", "hydra.run.dir")
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra/config.yaml").write_text(RECORD)
    guard.refuse_shared(tmp_path, "hydra.run.dir")  # a run was started here before


def test_the_record_of_another_program_is_no_run(cli, toy, tmp_path):
    put(tmp_path / "mine", [".hydra/config.yaml", "run.log"])
    put(tmp_path / "mine/theirs", [".hydra/config.yaml"])
    status, printed = cli("-m", *toy, "method=magnitude", "hydra.sweep.dir=mine")
    assert status == 0 and "did not finish" not in printed
    (cell,) = artifacts.runs(tmp_path / "mine")
    assert artifacts.finished_runs(tmp_path / "mine") == [cell] and cell.parent == tmp_path / "mine"
    status, printed = cli("status", "mine")
    assert status == 0 and "1 done" in printed and "stale" not in printed
    (cell / ".hydra/config.yaml").write_text("[")  # a damaged record may be a run's
    assert artifacts.runs(tmp_path / "mine") == [cell]


def test_a_directory_made_by_another_process_stays(tmp_path, monkeypatch):
    mkdir = Path.mkdir

    def slower(path, *args, **settings):
        mkdir(path)
        mkdir(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", slower)
        made.make(tmp_path / "theirs")
    made.make(tmp_path / "ours/inner")
    made.end()
    assert os.listdir(tmp_path) == ["theirs"]
