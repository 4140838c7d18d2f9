"""A damaged, edited or exchanged file of a run is named and refused at every door; nothing else is."""

import hashlib
import json
import math
import random
import shutil
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save, save_file

import prunebert
from prunebert import result
from prunebert.analysis import comparison
from prunebert.commands.export import export_delta
from prunebert.errors import BadInput
from prunebert.masks import maskfile
from prunebert.masks.maskfile import MaskFile
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.report.collect import collect
from prunebert.runs import artifacts, reuse, schema, seal, weights
from tests.toys import RESULT, write_result

TEXTS = ["the film was good", "a dull plot", "it was not bad"]
FILES = ("head.safetensors", "masks.safetensors", "predictions.parquet", "topology.json", "weights.safetensors")


@pytest.fixture
def run(finished, tmp_path):
    """A copy of a finished run that trained its weights."""
    return shutil.copytree(finished("method=magnitude", "sparsity=0.5"), tmp_path / "run")


def doors(run):
    """Read everything of a run as the commands do."""
    artifacts.predictions(run), artifacts.topology(run), artifacts.packed_masks(run)
    weights.read_trained(run, SubNetwork(models.load(artifacts.result(run)["checkpoint"]["name"]), 0))


def independent_checksum(row):
    rest = {k: v for k, v in row.items() if k != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def edited(run, change):
    """Change result.json and give it a right checksum again, as a careful forger would."""
    row = json.loads((run / "result.json").read_text())
    change(row)
    (run / "result.json").write_text(json.dumps(row | {"checksum": independent_checksum(row)}))


def as_an_earlier_version(run):
    """Take the hashes of the files out of the result: earlier versions wrote none."""
    edited(run, lambda row: row.pop("files"))


def test_the_result_has_the_hash_of_every_other_file(run):
    row = json.loads((run / "result.json").read_text())
    written = {p.name for p in run.iterdir() if p.is_file()} - {"result.json", "run.log", ".lock"}
    assert row["files"] == {n: hashlib.sha256((run / n).read_bytes()).hexdigest() for n in written}
    assert written == {*FILES, "metrics.jsonl"} and row["checksum"] == independent_checksum(row)
    assert artifacts.result(run) == row
    doors(run)


def test_every_flipped_bit_of_a_result_is_found(run, cli):
    """The score is shown by no command: it is refused, or in a table of several runs it is left out."""
    content = (run / "result.json").read_bytes()
    at = content.index(b'"score": 0.') + len(b'"score": 0.')
    for position in [at, *random.Random(0).sample(range(len(content)), 60)]:
        flipped = bytearray(content)
        flipped[position] ^= 1 + 4 * (position % 2)
        if flipped[position : position + 1].isspace() and content[position : position + 1].isspace():
            continue  # one space for another: the same result
        (run / "result.json").write_bytes(bytes(flipped))
        with pytest.raises(BadInput, match=r"result\.json is damaged"):
            artifacts.result(run)
    other = shutil.copytree(run, run.parent / "other")
    (other / "result.json").write_bytes(content)
    (run / "result.json").write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    for words in (["info", run], ["mask", "info", run], ["export", run, "out"], ["bench", run], ["evaluate", run]):
        status, printed = cli(*map(str, words))
        assert status == 2 and "result.json is damaged" in printed and len(printed.splitlines()) == 1
    status, printed = cli("info", str(run.parent))
    assert status == 0 and "1 finished run" in printed and f"left out: {run}/result.json is damaged" in printed
    collected = collect([run.parent])
    assert len(collected.runs) == 1 and "result.json is damaged" in collected.troubles[0].reason
    found = artifacts.finished_runs(run.parent)
    with pytest.raises(BadInput, match=r"at least two finished runs .*found \d; .*/run/result\.json is damaged"):
        comparison.comparison(found, found)
    with pytest.raises(BadInput, match=r"result\.json is damaged"):
        reuse.masks_of(str(run), None, "encoder", 0.5)
    assert not (run.parent / "out").exists()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["a flipped bit", "cut off", "missing", "exchanged", "a folder"])
def test_every_damaged_file_is_found(run, finished, name, how):
    file = run / name
    content = bytearray(file.read_bytes())
    if how == "a flipped bit":
        content[random.Random(name).randrange(len(content))] ^= 8
    elif how == "cut off":
        del content[-1:]
    elif how == "exchanged":
        content = (finished("method=magnitude", "sparsity=0.3") / name).read_bytes()
        assert content != file.read_bytes()
    file.unlink()
    if how == "a folder":
        file.mkdir()
    elif how != "missing":
        file.write_bytes(content)
    with pytest.raises(BadInput, match=f"{name} is damaged") as caught:
        doors(run)
    assert "\n" not in str(caught.value)


def test_a_file_that_the_run_did_not_write_is_not_read(finished, tmp_path):
    """A run that trained no weights gets those of another run."""
    run = shutil.copytree(finished("method=smp", "sparsity=0.5"), tmp_path / "run")
    expected = prunebert.load(run).logits(TEXTS)
    for name in ("weights.safetensors", "head.safetensors"):
        assert not (run / name).exists()
        shutil.copy(finished("method=magnitude", "sparsity=0.5") / name, run)
    assert torch.equal(prunebert.load(run).logits(TEXTS), expected)


def test_runs_of_earlier_versions_stay_readable_and_info_says_so(run, cli):
    expected = prunebert.load(run).logits(TEXTS)
    as_an_earlier_version(run)
    doors(run)
    assert torch.equal(prunebert.load(run).logits(TEXTS), expected)
    status, printed = cli("info", str(run))
    assert status == 0 and "without hashes of its files, so only its masks can be verified" in printed
    for key in schema.LATER:
        edited(run, lambda row, key=key: row.pop(key, None))
    artifacts.result(run)
    with pytest.raises(BadInput, match="an older prunebert"):
        prunebert.load(run)


def test_info_marks_damaged_files_and_shows_no_number_of_a_damaged_topology(run, cli):
    assert "damaged" not in cli("info", str(run))[1]
    (run / "metrics.jsonl").write_text("")
    (run / "head.safetensors").unlink()
    status, printed = cli("info", str(run))
    assert status == 0 and "metrics.jsonl 0 B damaged" in printed and "head.safetensors 0 B damaged" in printed
    (run / "topology.json").write_text((run / "topology.json").read_text().replace("0.5", "0.6"))
    status, printed = cli("info", str(run))
    assert status == 2 and printed.count("\n") == 1 and "topology.json is damaged" in printed


def test_a_run_with_a_damaged_file_is_repeated(cli, toy, tmp_path):
    words = [*toy, "method=magnitude", "sparsity=0.5"]
    assert cli(*words)[0] == 0
    right = {name: (tmp_path / "run" / name).read_bytes() for name in FILES}
    assert "finished before" in cli(*words)[1]
    (tmp_path / "run/head.safetensors").write_bytes(right["head.safetensors"][:-1] + b"\x7f")
    status, printed = cli(*words)
    assert status == 0 and "phase finetune" in printed and "head.safetensors is damaged" in printed.replace("\n", "")
    assert {name: (tmp_path / "run" / name).read_bytes() for name in FILES} == right


def test_a_task_delta_is_sealed_too(run, tmp_path):
    loaded, out = prunebert.load(run), tmp_path / "delta"
    expected = loaded.logits(TEXTS)
    export_delta(loaded, run, out)
    row = artifacts.result(out)
    assert row["files"].keys() == {"delta.safetensors", "head.safetensors", "masks.safetensors"}
    assert row["identity"] == artifacts.result(run)["identity"] and artifacts.topology(out) == {}
    assert torch.equal(prunebert.load(out).logits(TEXTS), expected)
    for name in row["files"]:
        content = (out / name).read_bytes()
        (out / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(BadInput, match=f"{name} is damaged"):
            prunebert.load(out)
        (out / name).write_bytes(content)
    delta = {n: x.clone() for n, x in load_file(out / "delta.safetensors").items()}  # not mapped from the file
    matrix = next(n for n, x in delta.items() if n in loaded.masks)
    for wrong in ({matrix: delta[matrix][:1]}, {"x": torch.ones(2)}, {"rows/x": torch.ones(2, dtype=torch.int32)}):
        save_file(delta | wrong, out / "delta.safetensors")
        as_an_earlier_version(out) if "files" in artifacts.result(out) else None
        if next(iter(wrong)).startswith("rows/"):
            assert torch.equal(prunebert.load(out).logits(TEXTS), expected)  # nothing refers to it
        else:
            with pytest.raises(BadInput, match=f"delta.safetensors does not fit.*{next(iter(wrong))}"):
                prunebert.load(out)


WRONG = (None, True, -1, 1.5, "x", "'", [], [1], {}, {"a": 1})


def test_a_mistyped_key_is_named_even_under_a_right_checksum(run):
    """Each key of the result, and each in it, is removed and given values of other types."""
    row = json.loads((run / "result.json").read_text())
    kinds = {**schema.REQUIRED, **schema.LATER, **schema.OPTIONAL}
    assert {*row, "tuning", "masks_from"} == {*kinds, "checksum"}  # of experiment=tune and fixed_mask alone
    for key, types in kinds.items():
        assert schema.fault({k: v for k, v in row.items() if k != key}).startswith(key) or key in (
            "files",
            *schema.OPTIONAL,
        )
        for value in WRONG:
            fits = type(value) in types or (float in types and type(value) is int)
            if not fits:
                assert schema.fault(row | {key: value}).startswith(f"{key} is {str(value)[:60]}, not "), (key, value)
    for key in ("form", "checkpoint"):
        for inner in row[key]:
            assert schema.fault(row | {key: row[key] | {inner: 2.5}}).startswith(f"{key}.{inner} is 2.5, not ")
    assert schema.fault(row | {"metrics": {"accuracy": "high"}}) == "metrics.accuracy is high, not float or null"
    assert schema.fault(row | {"files": {"../x": "0"}}) == "files has ../x, which is no file's name"
    assert schema.fault(row | {"prunable": "all"}).startswith("prunable is all, not encoder or")
    for key in ("rows", "fingerprint"):
        assert schema.fault(row | {"data": row["data"] | {key: 1.5}}) == f"data.{key} is 1.5, not dict or null"
    assert schema.fault(row | {"device": ["x\ny"]}) == r"device is ['x\ny'], not str"
    assert schema.fault(row | {"versions": {"x\ny": 1}}) == "versions.x y is 1, not str"
    assert schema.fault(row) == schema.fault(RESULT) == ""


def test_what_is_not_finite_is_written_as_null(tmp_path):
    out = artifacts.Artifacts(tmp_path / "run")
    out.save_json("result.json", RESULT | {"metrics": {"f1": math.nan}, "majority_score": math.inf})
    row = json.loads((tmp_path / "run/result.json").read_text())
    assert row["metrics"] == {"f1": None} and row["majority_score"] is None and row["files"] == {}


def test_a_score_that_is_no_number_is_no_result(tmp_path):
    run = SimpleNamespace(evaluation=SimpleNamespace(score=math.nan), task=SimpleNamespace(score="pearson"))
    with pytest.raises(BadInput, match=r"task\.score=pearson: it is nan on the evaluation data"):
        result.write(run, artifacts.Artifacts(tmp_path / "run"))
    assert not any((tmp_path / "run").iterdir())


TENSORS = {
    "another type": ({"x": torch.ones(2, dtype=torch.bfloat16)}, "torch.bfloat16, not of torch.float32"),
    "8 bits": ({"x": torch.ones(2).to(torch.float8_e4m3fn)}, "torch.float8_e4m3fn, not of torch.float32"),
    "whole numbers": ({"x": torch.ones(2, dtype=torch.int32)}, "torch.int32, not of torch.float32"),
    "NaN": ({"x": torch.tensor([1.0, math.nan])}, "not finite"),
    "infinity": ({"x": torch.tensor([1.0, math.inf])}, "not finite"),
    "another name": ({"x": torch.ones(2)}, "x is not in"),
}


@pytest.mark.parametrize(("tensors", "message"), TENSORS.values(), ids=TENSORS)
def test_unusable_tensors_are_refused_where_no_hash_can(run, tensors, message):
    as_an_earlier_version(run)
    head = {n: x.clone() for n, x in load_file(run / "head.safetensors").items()}
    (run / "head.safetensors").write_bytes(save(head | tensors))
    with pytest.raises(BadInput, match=message):
        prunebert.load(run)
    name = next(iter(head))
    (run / "head.safetensors").write_bytes(save(head | {name: head[name][:1]}))
    with pytest.raises(BadInput, match=name):
        prunebert.load(run)


def test_unusable_predictions_and_masks_are_refused_where_no_hash_can(run):
    as_an_earlier_version(run)
    content = (run / "predictions.parquet").read_bytes()
    for position in random.Random(1).sample(range(len(content)), 40):
        (run / "predictions.parquet").write_bytes(content[:position] + b"\xff" + content[position + 1 :])
        try:
            assert isinstance(artifacts.predictions(run), pd.DataFrame)
        except BadInput as error:
            assert "predictions.parquet" in str(error) and "\n" not in str(error)
    for masks in ({}, {"x": torch.ones(4, dtype=torch.bool)}, {"x": torch.ones(0, 4, dtype=torch.bool)}):
        (run / "masks.safetensors").write_bytes(maskfile.encode(MaskFile(masks, "m", "w")))
        with pytest.raises(
            BadInput, match=r"masks.safetensors (holds no masks|is damaged: x is .*, which is no matrix)"
        ):
            artifacts.masks(run)


def test_a_table_of_results_has_no_hashes(run):
    assert "files" not in collect([run]).runs["row"][0]


def test_masks_without_a_result_are_read_by_their_own_checksum(run, tmp_path):
    (tmp_path / "masks").mkdir()
    shutil.copy(run / "masks.safetensors", tmp_path / "masks")
    assert artifacts.masks(tmp_path / "masks").masks.keys() == artifacts.masks(run).masks.keys()
    write_result(tmp_path / "masks", RESULT)
    (tmp_path / "masks/masks.safetensors").unlink()
    with pytest.raises(BadInput, match=r"masks\.safetensors is missing"):
        artifacts.masks(tmp_path / "masks")
    assert seal.damaged(tmp_path / "masks", RESULT) == {}
