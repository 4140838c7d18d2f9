"""What `evaluate --keep` leaves in a run's directory: whole, verified, and of this result only."""

import json

import pytest

from prunebert.errors import BadInput
from prunebert.runs import evaluations

ROW = {"checksum": "c1", "files": {"predictions.parquet": "h"}, "data": {"fingerprint": {"train": "t", "dev": "d"}}}
FOUND = {
    "task": "my hans/2",
    "metric": "accuracy",
    "score": 0.25,
    "metrics": {"accuracy": 0.25},
    "majority": {"accuracy": 0.5},
    "data": {"fingerprint": {"train": "x", "validation": "y"}},
}


def test_what_is_kept_is_read_again_and_replaced_by_the_same_rows_alone(tmp_path):
    first = evaluations.keep(tmp_path, ROW, FOUND)
    assert first.parent == tmp_path / "evaluations" and first.name.startswith("my_hans_2-")
    assert evaluations.keep(tmp_path, ROW, FOUND | {"score": 0.5}) == first
    other = FOUND | {"data": {"fingerprint": {"train": "x", "validation": "z"}}}
    assert evaluations.keep(tmp_path, ROW, other) != first
    found, reasons = evaluations.read(tmp_path, ROW)
    assert sorted(each["score"] for each in found) == [0.25, 0.5] and reasons == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": 0.75}, "is damaged: its checksum does not match"),
        ({"checksum": None}, "is damaged: its checksum does not match"),
    ],
)
def test_an_edited_file_is_named_and_neither_read_nor_replaced(tmp_path, change, message):
    file = evaluations.keep(tmp_path, ROW, FOUND)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    found, (reason,) = evaluations.read(tmp_path, ROW)
    assert found == [] and message in reason and str(file) in reason
    with pytest.raises(BadInput, match=r"^--keep: .* is damaged: .*; move it away first"):
        evaluations.keep(tmp_path, ROW, FOUND)


def test_an_evaluation_of_an_earlier_result_is_not_used(tmp_path):
    evaluations.keep(tmp_path, ROW, FOUND)
    found, (reason,) = evaluations.read(tmp_path, ROW | {"checksum": "c2"})
    assert found == [] and "belongs to an earlier result of this run" in reason


def test_the_runs_own_rows_are_known(tmp_path):
    own = FOUND | {"data": {"fingerprint": {"train": "x", "validation": "d"}}}
    assert evaluations.is_own(ROW, own) and not evaluations.is_own(ROW, FOUND)
    assert not evaluations.is_own(ROW, FOUND | {"data": {}})


def test_where_nothing_can_be_kept_is_refused_beforehand(tmp_path):
    with pytest.raises(BadInput, match="is a task delta, which keeps no evaluations; use --out"):
        evaluations.require_room(tmp_path, ROW | {"files": {}})
    (tmp_path / "evaluations").write_text("a file of the user's")
    with pytest.raises(BadInput, match="evaluations cannot be written to: Not a directory"):
        evaluations.require_room(tmp_path, ROW)
