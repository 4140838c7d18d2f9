"""One run of a working directory has one result, alone or in a sweep, wherever it was made."""

import json
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from prunebert.runs import artifacts, index
from prunebert.runs.index import Index

RECORD = "method: a\ntask: b\nmodel: c\nsparsity: 0.5\nseed: 1\n"
NAME = "0" * 32


@pytest.fixture
def dated(toy):
    return [w for w in toy if not w.startswith("hydra")]


def results(folder):
    return sorted(p.parent for p in folder.rglob("result.json"))


def make_run(root, result=None):
    (root / ".hydra").mkdir(parents=True)
    (root / ".hydra/config.yaml").write_text(RECORD)
    if result is not None:
        (root / "result.json").write_text(result)
    return root


def write_entry(folder, root, identity=NAME):
    folder.mkdir(parents=True, exist_ok=True)
    directory = str(Path("..") / root)
    (folder / f"{identity}.json").write_text(json.dumps({"identity": identity, "directory": directory}))


def test_a_cell_is_found_alone_and_a_run_alone_in_a_sweep(cli, dated, tmp_path):
    assert cli("-m", *dated, "method=magnitude", "seed=0,1")[0] == 0
    cells = results(tmp_path)
    status, printed = cli(*dated, "method=magnitude", "seed=1")
    assert status == 0 and f"in {cells[1].relative_to(tmp_path)}" in printed.replace("\n", "")
    assert "finished before" in printed and results(tmp_path) == cells
    assert cli(*dated, "method=random", "seed=0")[0] == 0
    status, printed = cli("-m", *dated, "method=magnitude,random", "seed=0")
    assert status == 0 and printed.count("finished before") == 2 and len(results(tmp_path)) == 3
    assert (tmp_path / ".prunebert/.gitignore").read_text() == "*\n"
    assert len(list((tmp_path / ".prunebert").glob("*.json"))) == 3 and not list(tmp_path.rglob(".index"))


def test_a_named_directory_is_its_own_and_found_by_dated_starts_while_it_is_intact(cli, dated, tmp_path):
    words = [*dated, "method=magnitude"]
    assert cli(*words, "hydra.run.dir=mine")[0] == 0
    status, printed = cli(*words)
    assert status == 0 and "finished before" in printed and results(tmp_path) == [tmp_path / "mine"]
    status, printed = cli(*words, "hydra.run.dir=other")
    assert status == 0 and "finished before in mine; trained again, because hydra.run.dir names" in printed
    assert results(tmp_path) == [tmp_path / "mine", tmp_path / "other"]
    (tmp_path / "mine/masks.safetensors").write_bytes(b"x")
    before = (tmp_path / "mine/result.json").read_bytes()
    status, printed = cli(*words)
    assert status == 0 and len(results(tmp_path)) == 3 and (tmp_path / "mine/result.json").read_bytes() == before


def test_a_rerun_replaces_no_run_of_another_configuration(cli, toy, tmp_path):
    assert cli(*toy, "method=magnitude")[0] == 0
    files = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    for words in (["method=random"], ["method=magnitude", "seed=1"]):
        status, printed = cli(*toy, *words, "rerun=true")
        assert status == 2 and "rerun=true does not replace" in printed.splitlines()[-1]
        assert {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()} == files
    (tmp_path / "run/result.json").write_text("{")  # its configuration decides now
    status, printed = cli(*toy, "method=random", "rerun=true")
    assert status == 2 and "already holds a finished run" in printed
    status, printed = cli(*toy, "method=magnitude", "rerun=true")
    assert status == 0 and "finished before" not in printed and artifacts.result(tmp_path / "run")["method"]


@pytest.mark.parametrize("folder", ["outputs/.index", "multirun/.index"])
def test_the_indices_of_earlier_versions_are_read(tmp_path, folder):
    run = make_run(tmp_path / "outputs/2026-11-21/18-00-01-000123")
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    content = {"identity": NAME, "directory": "../../outputs/2026-11-21/18-00-01-000123"}
    (tmp_path / folder / f"{NAME}.json").write_text(json.dumps(content))
    for start in ("multirun/2026-11-22/10-00-00/seed-0", "outputs/2026-11-22/10-00-00-1"):
        assert Index(tmp_path, tmp_path / start, NAME).find() == run
        assert Index(tmp_path, tmp_path / start, "1" * 32).find() is None
    shutil.move(run, tmp_path / "moved")
    assert Index(tmp_path, tmp_path / start, NAME).find() is None


def test_the_index_beside_a_dated_directory_elsewhere_is_read(tmp_path):
    run = make_run(tmp_path / "far/2026-11-21/18-00-01")
    write_entry(tmp_path / "far/.index", "2026-11-21/18-00-01")
    assert Index(tmp_path / "work", tmp_path / "far/2026-11-22/18-00-01/seed-0", NAME).find() == run
    assert Index(tmp_path / "work", tmp_path / "work/outputs/2026-11-22/18-00-01", NAME).find() is None


def test_a_finished_directory_is_preferred_to_a_stopped_one(tmp_path):
    stopped = make_run(tmp_path / "outputs/2026-11-21/18-00-01")
    finished = make_run(tmp_path / "multirun/2026-11-21/18-00-01/seed-0", "{}")
    write_entry(tmp_path / ".prunebert", stopped.relative_to(tmp_path))
    known = Index(tmp_path, stopped, NAME)
    assert known.find() == stopped and known.find(tmp_path / "multirun") is None
    write_entry(tmp_path / "multirun/.index", "2026-11-21/18-00-01/seed-0")
    assert known.find() == known.find(tmp_path / "multirun") == finished


def test_a_named_directory_that_another_run_took_is_not_found(finished, tmp_path):
    run = finished("method=magnitude", "sparsity=0.6")
    shutil.copytree(run, tmp_path / "mine")
    identity = artifacts.result(run)["identity"]
    write_entry(tmp_path / ".prunebert", "mine", identity)
    write_entry(tmp_path / ".prunebert", "mine")
    start = tmp_path / "outputs/2026-11-21/18-00-01"
    assert Index(tmp_path, start, identity).find() == tmp_path / "mine"
    assert Index(tmp_path, start, NAME).find() is None


@pytest.mark.parametrize(
    ("directory", "dated"),
    [
        ("o/2026-11-21/18-00-01-000123", True),
        ("m/2026-11-21/18-00-01/method=smp,seed=0", True),
        ("m/2026-11-21/18-00-01/smp/0", True),
        ("m/2026-11-21/18-00-01", True),
        ("my/run", False),
        ("my/2026-11-21/run", False),
    ],
)
def test_which_directories_are_dated(tmp_path, directory, dated):
    inside = tmp_path / "2026-11-21/18-00-01/work"  # the date of the working directory does not count
    assert index.is_dated(inside / directory, inside) is index.is_dated(tmp_path / directory, inside) is dated


def test_an_index_that_cannot_be_written_costs_only_the_index(cli, dated, tmp_path):
    (tmp_path / ".prunebert").write_text("mine")
    status, printed = cli(*dated, "method=magnitude")
    assert status == 0 and printed.count("this run is not indexed") == 1 and len(results(tmp_path)) == 1
    assert (tmp_path / ".prunebert").read_text() == "mine"
    assert cli(*dated, "method=magnitude", "hydra.run.dir=named")[0] == 0


def test_an_entry_of_a_run_at_work_is_left_to_its_process(cli, toy, tmp_path):
    """A process that holds the lock has a dated directory for the same run and has indexed it."""
    assert cli(*toy, "method=magnitude")[0] == 0
    (entry,) = (tmp_path / ".prunebert").glob("*.json")
    entry.unlink()
    with FileLock(entry.with_suffix(".lock")):
        assert cli(*toy, "method=magnitude")[0] == 0
    assert not entry.exists()
    assert cli(*toy, "method=magnitude")[0] == 0 and entry.exists()


def test_what_is_removed_again_is_only_what_this_process_added(tmp_path):
    (tmp_path / "a").mkdir()
    first, second = (Index(tmp_path, tmp_path / "a", digit * 32) for digit in "01")
    assert first.prepare()
    first.add(tmp_path / "a")
    second.add(tmp_path / "a")
    first.remove()
    assert (tmp_path / ".prunebert/.gitignore").exists() and second.entry.exists() and not first.entry.exists()
    second.remove()
    assert [p.name for p in (tmp_path / ".prunebert").iterdir()] == [".gitignore"]  # it was there before the second
