"""The same run has the same bytes in every process, whatever the seeds of the process's hash tables."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from prunebert.masks.header import in_order
from prunebert.runs import files
from tests.toys import toy_words

FILES = ("head.safetensors", "masks.safetensors", "predictions.parquet", "topology.json", "weights.safetensors")


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(finished, prunebert, model_folder, data_folder, tmp_path):
    run = finished("method=magnitude", "sparsity=0.5")
    words = [*toy_words(model_folder, data_folder, "again"), "method=magnitude", "sparsity=0.5"]
    done = prunebert(*words, PYTHONHASHSEED="7")
    assert done.returncode == 0, done.stderr
    for name in FILES:
        assert (run / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name
    rows = [json.loads((root / "result.json").read_text()) for root in (run, tmp_path / "again")]
    assert list(rows[0]) == list(rows[1])
    measured = {k for k in rows[0] if rows[0][k] != rows[1][k]}
    assert measured <= {"seconds", "seconds_overall", "seconds_to_first_step", "seconds_per_step", "phases"} | {
        *("peak_memory_bytes", "device", "command", "checksum")
    }


def test_metadata_is_in_the_order_of_its_names_and_nothing_else_changes(tmp_path):
    """safetensors alone writes it in another order in every call."""
    tensors = {"b": torch.arange(3.0), "a": torch.ones(2, dtype=torch.int32)}
    metadata = {k: f'{k} "é" \n 中' for k in "zyxwvutsr"}
    contents = [save(tensors, metadata) for _ in range(20)]
    assert len(set(contents)) > 1
    ordered = {in_order(content) for content in contents}
    assert len(ordered) == 1 and {len(content) for content in contents} == {len(content) for content in ordered}
    (tmp_path / "x.safetensors").write_bytes(ordered.pop())
    with safe_open(tmp_path / "x.safetensors", "pt") as stream:
        assert stream.metadata() == metadata and set(stream.keys()) == {"a", "b"}
        assert all(torch.equal(stream.get_tensor(n), x) for n, x in tensors.items())
    assert in_order(save(tensors)) == save(tensors)


def test_tensor_files_are_the_same_bytes_and_stay_readable(tmp_path):
    tensors = {"b": torch.arange(3.0), "a": torch.ones(2)}
    for name in ("x", "y"):
        files.write_tensors(tmp_path / name, tensors, '{"step": 1}')
        assert files.read_tensors(tmp_path / name)[1] == '{"step": 1}'
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
