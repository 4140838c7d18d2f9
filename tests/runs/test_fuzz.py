"""Whatever happens to a run's files, every command ends with the right numbers or with one line (slow)."""

import hashlib
import json
import os
import shutil

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import prunebert
from prunebert.commands.catalogue import carry_out
from prunebert.errors import BadInput
from prunebert.runs import seal
from prunebert.settings.overrides import checked

pytestmark = pytest.mark.slow
TEXTS = ["the film was good", "a dull plot"]
COMMANDS = {
    "info": ["info", "RUN"],
    "status": ["status", "RUN"],
    "mask": ["mask", "info", "RUN"],
    "compare": ["compare", "RUN", "OTHER", "--out", "OUT"],
    "report": ["report", "RUN", "OTHER", "--out", "OUT"],
    "evaluate": ["evaluate", "RUN"],
    "export": ["export", "RUN", "OUT"],
    "export --sparse": ["export", "RUN", "OUT", "--sparse"],
}
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def sources(finished, tmp_path_factory):
    """A run that trained weights, one that trained only masks, and a task delta; and the logits of each."""
    delta = tmp_path_factory.mktemp("delta") / "delta"
    runs = [finished("method=magnitude", "sparsity=0.5"), finished("method=smp", "sparsity=0.5")]
    carry_out("export", [str(runs[0]), str(delta), "--sparse"], checked)
    return {run: prunebert.load(run).logits(TEXTS) for run in (*runs, delta)}


def damage(draw, file):
    """Damage a file in one way, and return whether it has other bytes now."""
    before = file.read_bytes()
    how = draw(st.sampled_from(["remove", "cut", "flip", "replace", "append", "folder", "pipe", "link"]))
    content = bytearray(before)
    if how == "flip" and before:
        content[draw(st.integers(0, len(before) - 1))] ^= draw(st.integers(1, 255))
    elif how == "cut":
        del content[draw(st.integers(0, len(before))) :]
    elif how == "replace":
        content = draw(st.binary(max_size=300) | st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b"a: \xff"]))
    elif how == "append":
        content += draw(st.binary(min_size=1, max_size=20))
    file.unlink()
    if how == "folder":
        file.mkdir()
    elif how == "pipe":
        os.mkfifo(file)
    elif how == "link":
        file.symlink_to(file)
    elif how != "remove":
        file.write_bytes(content)


def ends_well(words):
    """Run a command; it may refuse in one line, but not break."""
    try:
        carry_out(words[0], words[1:], checked)
    except BadInput as error:
        assert str(error).strip()
        assert words[0] == "report" or "\n" not in str(error).strip()


def tried(root, source, draw, expected):
    other = next(iter(expected))
    name = draw(st.sampled_from(sorted(COMMANDS)))
    place = {"RUN": str(root), "OTHER": str(other), "OUT": str(root.parent / "out")}
    ends_well([place.get(word, word) for word in COMMANDS[name]])
    try:
        loaded = prunebert.load(root)
    except BadInput:
        return None
    return loaded.logits(TEXTS)


FUZZ = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@FUZZ
@given(st.data())
def test_damaged_files(sources, tmp_path_factory, data):
    source = data.draw(st.sampled_from(list(sources)))
    root = shutil.copytree(source, tmp_path_factory.mktemp("fuzz") / "run")
    damage(data.draw, data.draw(st.sampled_from(sorted(p for p in root.rglob("*") if p.is_file()))))
    logits = tried(root, source, data.draw, sources)
    assert logits is None or torch.equal(logits, sources[source])
    shutil.rmtree(root.parent)


@FUZZ
@given(st.data())
def test_results_that_were_edited_under_a_right_checksum(sources, tmp_path_factory, data):
    source = data.draw(st.sampled_from(list(sources)))
    root = shutil.copytree(source, tmp_path_factory.mktemp("fuzz") / "run")
    row = json.loads((root / "result.json").read_text())
    table, keys = row, []
    while not keys or (isinstance(table[keys[-1]], dict) and table[keys[-1]] and data.draw(st.booleans())):
        table = table[keys[-1]] if keys else table
        keys.append(data.draw(st.sampled_from(sorted(table))))
    if data.draw(st.booleans()):
        del table[keys[-1]]
    else:
        table[keys[-1]] = data.draw(VALUES)
    row["checksum"] = seal.checksum(row)
    (root / "result.json").write_text(json.dumps(row))
    tried(root, source, data.draw, sources)
    shutil.rmtree(root.parent)


@FUZZ
@given(st.data())
def test_files_that_were_damaged_under_right_hashes(sources, tmp_path_factory, data):
    source = data.draw(st.sampled_from(list(sources)))
    root = shutil.copytree(source, tmp_path_factory.mktemp("fuzz") / "run")
    row = json.loads((root / "result.json").read_text())
    damage(data.draw, root / data.draw(st.sampled_from(sorted(row["files"]))))
    present = [name for name in row["files"] if (root / name).is_file()]
    row["files"] = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in present}
    if data.draw(st.booleans()):
        del row["files"]  # as a result of an earlier version
    row["checksum"] = seal.checksum(row)
    (root / "result.json").write_text(json.dumps(row))
    tried(root, source, data.draw, sources)
    shutil.rmtree(root.parent)
