"""The walk over the folders of runs: links lead nowhere, and an unreadable folder is named."""

import os

import pytest

from prunebert.runs import artifacts, discover, walk
from prunebert.system import countdown


def folder_of_runs(root):
    for name in ("a", "b/c", ".hidden/d"):
        (root / name / ".hydra").mkdir(parents=True)
    (root / "e").mkdir()
    (root / "e/result.json").write_text("{}")
    (root / "b/multirun.yaml").write_text("{}")
    return root


def test_every_run_and_sweep_is_found_once(tmp_path):
    root = folder_of_runs(tmp_path)
    assert artifacts.runs(root) == [root / ".hidden/d", root / "a", root / "b/c"]
    assert discover.started_runs(root) == [root / ".hidden/d", root / "a", root / "b/c", root / "e"]
    assert discover.sweeps(root) == [root / "b"]
    assert artifacts.runs(root / "a") == [root / "a"] and artifacts.runs(root / "nowhere") == []


def test_links_to_folders_are_not_followed(tmp_path):
    root = folder_of_runs(tmp_path)
    (root / "b/circle").symlink_to(root)
    (root / "b/c/self").symlink_to(".")
    assert len(artifacts.runs(root)) == 3 and len(discover.started_runs(root)) == 4


def test_an_unreadable_folder_is_named_once(tmp_path, monkeypatch, caplog):
    root = folder_of_runs(tmp_path)
    scan = os.scandir

    def refuse(path):
        if str(path) == str(root / "b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert discover.started_runs(root) == [root / ".hidden/d", root / "a", root / "e"]
    assert caplog.messages == [f"left out: {root / 'b'}: Permission denied"]


def test_a_long_walk_shows_its_progress_and_can_be_interrupted(tmp_path, monkeypatch, capsys):
    for i in range(30):
        (tmp_path / str(i)).mkdir()
    ticks = iter(range(1000))
    monkeypatch.setattr(countdown.time, "monotonic", lambda: next(ticks))
    assert artifacts.runs(tmp_path) == []
    assert capsys.readouterr().err.splitlines()[0].startswith("looking for runs: ")
    monkeypatch.setattr(countdown.Countdown, "advance", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        list(walk.holding(tmp_path, (".hydra",)))
    assert countdown.Countdown.shown is None
