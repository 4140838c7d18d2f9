"""Files of other people are read strictly, within bounds, and nothing in them is executed or opened that blocks."""

import json
import os
import sys
import time

import pytest

from prunebert.commands.catalogue import carry_out
from prunebert.errors import BadInput
from prunebert.report import variants
from prunebert.report.collect import collect
from prunebert.runs import artifacts, discover, identity, reading
from prunebert.settings.overrides import checked
from tests.report.conftest import finished as write_run

BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{y}: &{y} [{', '.join([f'*{x}'] * 10)}]\n" for x, y in zip("abcdefgh", "bcdefghi", strict=True)
)
BAD_JSON = {
    "empty": ("", "Expecting value"),
    "a list": ("[1]", "no table of names and values"),
    "cut off": ('{"a": 1', "Expecting ','"),
    "a name twice": ('{"a": 1, "b": 2, "a": 3}', "a occurs twice"),
    "a name twice inside": ('{"x": {"a": 1, "a": 1}}', "a occurs twice"),
    "NaN": ('{"a": NaN}', "NaN is no number"),
    "infinity": ('{"a": -Infinity}', "-Infinity is no number"),
    "too large": ('{"a": 1e999}', "1e999 is too large"),
    "too many digits": ('{"a": ' + "9" * 5000 + "}", "integer string conversion"),
    "deep": ('{"a":' * 100_000, "nested too deeply"),
    "half a character": (r'{"a": "\ud800"}', "surrogates not allowed"),
    "no text": (b'{"a": "\xff"}', "'utf-8' codec can't decode"),
}
BAD_YAML = {
    "aliases": (BOMB, "YAML aliases"),
    "deep, flow": ("[" * 100_000, "nested too deeply"),
    "deep, block": ("\n".join(" " * i + "a:" for i in range(300)), "nested too deeply"),
    "a list": ("- 1", "no dict"),
    "a tag of Python": ("a: !!python/object/apply:os.system [true]", "could not determine a constructor"),
    "a number that is none": ("a: !!int x", "value of another type"),
    "a date that is none": ("a: 2001-99-99", "value of another type"),
    "no text": (b"a: \xff", "'utf-8' codec can't decode"),
}


def refused(read, path, message):
    start = time.perf_counter()
    with pytest.raises(BadInput, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(("content", "message"), BAD_JSON.values(), ids=BAD_JSON)
def test_what_is_no_strict_json_is_refused(tmp_path, content, message):
    file = tmp_path / "x.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(reading.json_table, file, message)


@pytest.mark.parametrize(("content", "message"), BAD_YAML.values(), ids=BAD_YAML)
def test_yaml_that_could_harm_is_refused(tmp_path, content, message):
    file = tmp_path / "x.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(lambda path: reading.yaml_content(path, dict), file, message)


@pytest.mark.parametrize(
    "content", ['{"a": ":", "b": 1, "b": 2}', '{"a": {"b" : 1, "b" :2}}', '{"a": ":", "b": [1e400]}']
)
def test_a_text_with_a_colon_hides_nothing(tmp_path, content):
    """Names are counted by their colons first, because that is fast."""
    (tmp_path / "x.json").write_text(content)
    refused(reading.json_table, tmp_path / "x.json", "too large" if "1e400" in content else "b occurs twice")


TABLE = {"x": {"a": 1, "y": [1.5, {"z": None}]}, "y": 2, "text": '\n "z": 3', "z": {"w": {}}}


@pytest.mark.parametrize(("indent", "parsed"), [(1, {"y", "z"}), (None, {*TABLE}), (2, {*TABLE})])
def test_of_a_table_as_prunebert_writes_it_only_the_named_entries_are_parsed(tmp_path, indent, parsed):
    """Entries within other entries have the same names."""
    (tmp_path / "x.json").write_text(json.dumps(TABLE, indent=indent))
    table = reading.json_table(tmp_path / "x.json", keys=("y", "z"))
    assert table == {key: TABLE[key] for key in parsed}


def test_where_a_named_entry_is_missing_the_whole_table_is_parsed(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps(TABLE, indent=1))
    assert reading.json_table(tmp_path / "x.json", keys=("y", "missing")) == TABLE


def test_a_named_entry_is_read_strictly(tmp_path):
    (tmp_path / "x.json").write_text('{\n "a": 1,\n "b": {"c": 1, "c": 2}\n}\n')
    refused(lambda path: reading.json_table(path, keys=("b",)), tmp_path / "x.json", "c occurs twice")
    assert reading.json_table(tmp_path / "x.json", keys=("a",)) == {"a": 1}


def test_valid_files_are_read_as_the_standard_library_reads_them(tmp_path):
    table = {"a": [1, 2.5, -1e-300, None, True], "é": {"b": "😀 \u2028"}, "": {}}
    (tmp_path / "x.json").write_text(json.dumps(table))
    assert reading.json_table(tmp_path / "x.json") == table
    (tmp_path / "x.yaml").write_text("a: '*b'\nc: [1, {d: 2 * 3}]\n")
    assert reading.yaml_content(tmp_path / "x.yaml", dict) == {"a": "*b", "c": [1, {"d": "2 * 3"}]}


@pytest.mark.parametrize("read", [reading.json_table, reading.text, reading.yaml_text, reading.sha256])
def test_only_regular_files_are_opened(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("pipe", "folder", "loop"):
        refused(read, tmp_path / name, "no regular file")
    refused(read, tmp_path / "nothing", "missing")
    refused(read, tmp_path / ("x" * 3000), "missing")
    assert reading.tail(tmp_path / "pipe") == [] and artifacts.resolve_pointer(tmp_path / ("x" * 3000))


def test_a_file_that_is_too_large_is_refused(tmp_path):
    with (tmp_path / "x.json").open("wb") as stream:
        stream.truncate(reading.MAX_TEXT + 1)
    refused(reading.json_table, tmp_path / "x.json", "more than 64 MiB")


def test_of_a_long_log_only_the_end_is_read(tmp_path):
    (tmp_path / "run.log").write_text("x" * (2 * reading.TAIL) + "\nthe end\n")
    assert discover.last_words(tmp_path) == "the end"


POINTERS = {
    "itself": ".",
    "the root": "/",
    "far up": "../" * 40,
    "a number": 5,
    "another pointer": "../b",
    "nothing": "../nowhere",
    "a long name": "x" * 3000,
    "a null character": "a\0b",
}


@pytest.mark.parametrize("name", POINTERS.values(), ids=POINTERS)
def test_a_damaged_pointer_is_refused_and_left_out_of_lists(tmp_path, name):
    for cell, target in (("a", name), ("b", "../a")):
        (tmp_path / cell / ".hydra").mkdir(parents=True)
        (tmp_path / cell / "elsewhere.json").write_text(json.dumps({"directory": target}))
    refused(artifacts.resolve_pointer, tmp_path / "a", "elsewhere.json")
    assert artifacts.runs(tmp_path) == [tmp_path / "a", tmp_path / "b"]


def test_content_hash_does_not_walk_the_disk(tmp_path):
    start = time.perf_counter()
    assert len(identity.content_hash("/")) == 64 and len(identity.content_hash("/usr")) == 64
    assert identity.content_hash("x" * 3000) == "x" * 3000
    assert time.perf_counter() - start < 1
    (tmp_path / "a.txt").write_text("a")
    before = identity.content_hash(str(tmp_path))
    (tmp_path / "below").mkdir()
    (tmp_path / "below/b.txt").write_text("a corpus does not read this")
    os.mkfifo(tmp_path / "c.txt")
    assert identity.content_hash(str(tmp_path)) == before
    (tmp_path / "a.txt").write_text("b")
    assert identity.content_hash(str(tmp_path)) != before


def test_reading_a_record_imports_nothing_that_it_names(tmp_path, monkeypatch, cli):
    """A package of a stranger's is on the path, and writes a file when it is imported."""
    mark = tmp_path / "imported"
    package = tmp_path / "code/stranger/inner"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text(f"open({str(mark)!r}, 'w')")
    (package / "method.py").write_text(f"open({str(mark)!r}, 'w')\ndef prune(net, task, *, bold=1, fit=None): ...\n")
    monkeypatch.syspath_prepend(tmp_path / "code")
    runs = [write_run(tmp_path / f"runs/{i}", "prune", seed=i, sparsity=0.5 + i / 10) for i in range(2)]
    for target in ("stranger.inner.method.prune", "stranger.nowhere.prune", "stranger", "nothing.at.all"):
        for i, run in enumerate(runs):
            row = json.loads((run / "result.json").read_text())
            row["settings"] |= {"bold": 2} if i else {}
            (run / ".hydra/config.yaml").write_text(json.dumps({"method": {"_target_": target}}))
        rows = [json.loads((run / "result.json").read_text()) for run in runs]
        rows[1]["settings"]["bold"] = 2
        assert "bold" not in variants.fill_defaults(rows, runs)[0]["settings"]
        assert len(collect([tmp_path / "runs"]).runs) == 2
        for words in (["info", str(runs[0])], ["status", str(tmp_path / "runs")], ["mask", "info", str(runs[0])]):
            assert cli(*words)[0] == 0
        assert cli("compare", *map(str, runs), "--out", str(tmp_path / "out"))[0] == 0
    assert not mark.exists() and not [name for name in sys.modules if name.startswith("stranger")]
    assert variants.fill_defaults(rows, [None, None])  # a row of a table names no directory


def test_a_record_of_aliases_or_pipes_hangs_no_command(tmp_path, cli):
    run = write_run(tmp_path / "runs/a")
    for name in ("config.yaml", "overrides.yaml", "hydra.yaml"):
        (run / ".hydra" / name).unlink(missing_ok=True)
        (run / ".hydra" / name).write_text(BOMB)
    (tmp_path / "runs/multirun.yaml").write_text(BOMB)
    start = time.perf_counter()
    assert cli("info", str(run))[0] == 0
    status, printed = cli("info", str(run), "--config")
    assert status == 2 and "YAML aliases" in printed and len(printed.splitlines()) == 1
    status, printed = cli("status", str(tmp_path / "runs"))
    assert status == 0 and "1 done" in printed
    assert len(collect([tmp_path / "runs"]).runs) == 1
    for name in ("run.log", "topology.json", "masks.safetensors", "result.json"):
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)
    assert cli("info", str(run))[0] == 2
    assert cli("mask", "info", str(run))[0] == 2
    assert cli("status", str(tmp_path / "runs"))[0] == 0
    with pytest.raises(BadInput, match="no finished run"):
        collect([tmp_path / "runs"])
    assert time.perf_counter() - start < 20


COMMANDS = (
    *(["info"], ["status"], ["compare"], ["report"], ["mask", "info"]),
    *(["export", "out"], ["evaluate"], ["bench"]),
)


@pytest.mark.parametrize("name", ["y" * 3000, "~nobody_has_this_name", "pipe", "/dev/zero"], ids=lambda name: name[:9])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_what_is_no_run_is_refused_at_once(tmp_path, monkeypatch, words, name):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with pytest.raises(BadInput):
        carry_out(words[0], [*words[1:], name] if words[0] == "mask" else [name, *words[1:]], checked)
    assert os.listdir() == ["pipe"]
