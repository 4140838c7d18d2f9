"""Test that runs are collected into a table, and that each run left out is reported."""

import hashlib
import json
import math
import shutil
from pathlib import Path

import pytest

from prunebert.errors import BadInput
from prunebert.report.collect import collect
from prunebert.runs import seal
from tests.toys import write_result

from .conftest import started, sweep


def kinds(collected):
    return [t.kind for t in collected.troubles]


def test_runs_of_several_folders_are_in_one_table_each_run_once(run, tmp_path):
    run("a/outputs/1", seed=0)
    run("a/multirun/x/seed=1", seed=1)
    run("b/2", "smp", seed=0)
    collected = collect([tmp_path / "a", tmp_path / "b", tmp_path / "a/outputs", tmp_path / "b/2"])
    assert [(r.method, r.seed) for r in collected.runs.itertuples()] == [("magnitude", 0), ("magnitude", 1), ("smp", 0)]
    assert collected.troubles == [] and collected.finished == 3


def test_the_newest_of_two_equal_runs_counts_and_the_other_is_reported(run, tmp_path):
    run("old", wrong=50, written=100)
    run("new", wrong=10, written=200)
    collected = collect([tmp_path])
    assert collected.runs["score"].tolist() == [0.9] and kinds(collected) == ["replaced"]
    assert collected.troubles[0].location.endswith("old") and collected.troubles[0].reason.endswith(
        "new, which was written later"
    )


def test_the_last_written_counts_whatever_its_score_its_name_or_the_order_of_the_folders(run, tmp_path):
    for name, written, wrong in (("b", 300, 30), ("a", 100, 5), ("c", 200, 50)):
        run(name, written=written, wrong=wrong)
    run("other", "magnitude", 0.9, written=50, wrong=40)  # another sparsity
    run("another", task="rte", written=50, wrong=41)  # another table
    for roots in ([tmp_path], [tmp_path / x for x in ("c", "b", "another", "other", "a")]):
        runs = collect(roots).runs
        assert sorted(runs["score"].tolist()) == [0.59, 0.6, 0.7]


def test_a_run_without_a_result_is_reported_with_its_last_log_line(run, tmp_path):
    run("complete")
    started(tmp_path / "failed", ["seed=1"], "10:00:01 ERROR the disk is full")
    (tmp_path / "bytes").mkdir()
    started(tmp_path / "bytes/x", ["seed=1"])
    (tmp_path / "bytes/x/run.log").write_bytes(b"\xff\xfe the end")
    reasons = {t.location.rpartition("/")[2]: t.reason for t in collect([tmp_path]).troubles}
    assert reasons["failed"].endswith("last line of its log: 10:00:01 ERROR the disk is full")
    assert reasons["x"].endswith("the end") and len(reasons) == 2


def test_a_run_whose_log_ends_in_an_error_is_not_said_to_run(run, tmp_path):
    """A traceback follows the error, so the last line is not its entry."""
    run("complete")
    started(tmp_path / "broken", ["seed=1"], "10:00:01 ERROR it broke\nTraceback\nRuntimeError: no memory")
    started(tmp_path / "begun", ["seed=2"], "10:00:01 INFO phase prune begins")
    reasons = {t.location.rpartition("/")[2]: t.reason for t in collect([tmp_path]).troubles}
    assert reasons["broken"] == "the last line of its log: RuntimeError: no memory"
    assert reasons["begun"].startswith("it may still be running; the last line")


def test_a_task_delta_is_no_run(run, tmp_path):
    run("complete")
    root = run("delta", seed=1)
    row = json.loads((root / "result.json").read_text())
    (root / "result.json").write_bytes(seal.encoded(seal.sealed(row | LATER, {"masks.safetensors": "0"})))
    (trouble,) = collect([tmp_path]).troubles
    assert (trouble.kind, Path(trouble.location).name) == ("not used", "delta") and "task delta" in trouble.reason


def test_a_metric_that_is_not_finite_is_missing_and_runs_that_were_replaced_are_finished(run, tmp_path):
    run("old", metrics={"accuracy": 0.8, "f1": 0.7}, written=1)
    run("new", metrics={"accuracy": 0.8, "f1": None}, written=2)
    collected = collect([tmp_path])
    assert collected.runs["metrics"].tolist() == [{"accuracy": 0.8}] and collected.finished == 2


def test_empty_lists_of_a_result_make_no_columns(run, tmp_path):
    run("a", overlaps=[], architecture={})
    run("b", seed=1, overlaps=["seen"], architecture={"hidden_act": "relu"}, weights_hash="other")
    first, second = sorted(collect([tmp_path]).runs["row"], key=lambda row: row["seed"])
    assert not {"overlaps", "architecture", "files"} & first.keys()
    assert second["overlaps"] == ["seen"] and second["architecture"] == {"hidden_act": "relu"}


def test_only_some_reasons_are_named_where_no_run_can_be_read(tmp_path):
    for i in range(7):
        started(tmp_path / str(i), [], f"gave up {i}")
    with pytest.raises(BadInput) as error:
        collect([tmp_path])
    assert str(error.value).count("gave up") == 5 and str(error.value).endswith("; and 2 more")


RESULTS = {
    "not JSON": ("{", "damaged: Expecting"),
    "no table": ("[1, 2]", "damaged: it holds no table of names and values"),
    "not text": (b"\xff\xff", "damaged: 'utf-8' codec"),
    "has no checksum": ("{}", "damaged: it has no checksum"),
    "lacks a key": ({"method": None}, "damaged: method is None, not str"),
    "no score": ({"score": "high"}, "damaged: score is high, not float"),
    "score is true": ({"score": True}, "damaged: score is True, not float"),
    "score is NaN": ({"score": math.nan}, "damaged: NaN is no number of JSON"),
    "seed is a word": ({"seed": "one"}, "damaged: seed is one, not int"),
    "settings are a list": ({"settings": [1]}, "damaged: settings is [1], not dict"),
    "metrics are null": ({"metrics": None}, "damaged: metrics is None, not dict"),
}


@pytest.mark.parametrize(("content", "message"), RESULTS.values(), ids=RESULTS)
def test_a_damaged_result_is_a_line_under_not_used(run, tmp_path, content, message):
    run("good")
    bad_file = run("bad", seed=1) / "result.json"
    if isinstance(content, dict):
        write_result(bad_file.parent, json.loads(bad_file.read_text()) | content)
    else:
        bad_file.write_bytes(content if isinstance(content, bytes) else content.encode())
    collected = collect([tmp_path])
    assert len(collected.runs) == 1 and kinds(collected) == ["not used"] and message in collected.troubles[0].reason


def test_a_run_whose_other_files_are_missing_is_still_in_the_table(run, tmp_path):
    root = run("copied")
    shutil.rmtree(root / ".hydra")
    for name in ("topology.json", "predictions.parquet"):
        (root / name).unlink()
    assert len(collect([tmp_path]).runs) == 1


def test_predictions_that_a_run_did_not_write_are_a_trouble(run, tmp_path):
    """The tests over examples leave them out; a reader who looks at another table must know."""
    for name in ("right", "flipped"):
        root = run(name)
        content = (root / "predictions.parquet").read_bytes()
        row = json.loads((root / "result.json").read_text())
        hashes = {"predictions.parquet": hashlib.sha256(content).hexdigest()}
        (root / "result.json").write_bytes(seal.encoded(seal.sealed(row | LATER, hashes)))
    (root / "predictions.parquet").write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    collected = collect([tmp_path])
    troubles = [t for t in collected.troubles if t.kind == "not in the tests"]
    assert [Path(t.location).name for t in troubles] == ["flipped"]
    assert "predictions.parquet is damaged: its content is not what the run wrote" in troubles[0].reason


def seal_files(root):
    """Give result.json of a run the hashes of its other files, as runs of today have."""
    row = json.loads((root / "result.json").read_text())
    (root / "result.json").unlink()
    hashes = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in root.iterdir() if p.is_file()}
    identity = {"identity": hashlib.md5(str(root).encode()).hexdigest()}
    (root / "result.json").write_bytes(seal.encoded(seal.sealed(row | LATER | identity, hashes)))
    return root


LATER = {
    **{"identity": "i", "head": "linear", "seconds_to_first_step": 0.1, "seconds_overall": 1.0, "ranks": 1},
    **{"majority": {}, "phases": {}, "versions": {}, "checkpoint": {"name": "m"}},
    "form": {"name": "t", "span": False, "regression": False, "masked_lm": False, "pair": False}
    | {"outputs": 2, "max_length": 8},
}


def test_nothing_to_report_on_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="no such directory"):
        collect([tmp_path / "nowhere"])
    with pytest.raises(BadInput, match="no finished run"):
        collect([tmp_path])
    started(tmp_path / "x", [], "gave up")
    with pytest.raises(BadInput, match="gave up"):
        collect([tmp_path])


def test_cells_that_a_sweep_never_started_are_reported_unless_another_folder_has_them(run, tmp_path):
    sweep(tmp_path / "s", ["method=smp,magnitude", "seed=range(0,2)", "task=toy", "impl.threads=1"])
    words = "method={} seed={} task=toy impl.threads={}"
    run("s/a", "smp", seed=0, command="prunebert " + words.format("smp", 0, 1))
    started(tmp_path / "s/b", words.format("smp", 1, 1).split(), "failed")
    run("elsewhere/c", "magnitude", seed=0, command="prunebert " + words.format("magnitude", 0, 8))
    collected = collect([tmp_path])
    missing = [t.reason for t in collected.troubles if t.kind == "missing"]
    assert missing == ["never started: method=magnitude seed=1"]
    started(
        tmp_path / "elsewhere/d", words.format("magnitude", 1, 8).split(), "failed"
    )  # a failed run counts as started
    assert [t.kind for t in collect([tmp_path]).troubles if t.kind == "missing"] == []
    assert [t.reason for t in collect([tmp_path / "s"]).troubles if t.kind == "missing"] == [
        "never started: method=magnitude seed=0",
        "never started: method=magnitude seed=1",
    ]
