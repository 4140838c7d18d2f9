"""Files that are no files, files in another encoding, and broken tables: one line each, and nothing hangs."""

import gzip
import json
import os
import socket

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prunebert.errors import BadInput
from prunebert.system import paths
from prunebert.tasks import files, layouts, sources
from prunebert.tasks.corpus import corpus
from prunebert.tasks.labels import label_names, located, to_classes

NO_SOURCE = {"hub": None, "package": None, "text": "text"}


def message(call, *arguments):
    with pytest.raises(BadInput) as caught:
        call(*arguments)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("https://example.org/a.csv", "this is a URL"),
        ("s3://bucket/a.csv", "this is a URL"),
        (r"C:\data\train.csv", "this is a Windows path"),
        ("C:/data/train.csv", "this is a Windows path"),
        (r"\\server\train.csv", "this is a Windows path"),
        ("nowhere.csv", "there is no such file"),
        ("a\0b.csv", "embedded null"),
        ("x" * 3000 + ".csv", "name too long"),
        ("~nobody-has-this-name/a.csv", "home directory"),
        ("/dev/null", "this is no regular file"),
        ("/proc/self/mem/a.csv", "Not a directory"),
    ],
    ids=lambda value: value[:20].replace("\0", "0"),
)
def test_what_is_no_file_is_told_as_what_it_is(file, words):
    found = message(paths.find, file, "task.train")
    assert found.startswith(f"task.train={file}: ") and words.lower() in found.lower()


def test_folders_pipes_and_sockets_are_refused_at_once(tmp_path):
    (tmp_path / "parts").mkdir()
    assert "this is a folder; name a file in it" in message(files.read, str(tmp_path / "parts"), "k")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "parts/part-0.parquet")
    found = message(files.read, str(tmp_path / "parts"), "k")
    assert "this is a folder of several Parquet files" in found and "parts/part-0.parquet" in found
    (tmp_path / "data.parquet").mkdir()
    assert "this is a folder" in message(files.read, str(tmp_path / "data.parquet"), "k")
    os.mkfifo(tmp_path / "pipe.csv")
    assert "no regular file" in message(files.read, str(tmp_path / "pipe.csv"), "k")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.csv"))
        assert "no regular file" in message(files.read, str(tmp_path / "s.csv"), "k")
    os.mkfifo(tmp_path / "pipe.txt")
    assert "no regular file" in message(lambda: corpus(name="own", file=str(tmp_path), holdout=0.5, **NO_SOURCE))
    (tmp_path / "a.csv").symlink_to(tmp_path / "a.csv")
    assert "symbolic link" in message(files.read, str(tmp_path / "a.csv"), "k")


ENCODED = "text,label\nfine,1\nbad,0\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", ENCODED.encode("utf-16"), "it is UTF-16 text"),
        ("a.csv", ENCODED.encode("utf-16-le"), "line 1 has a NUL character"),
        ("a.csv", ENCODED.replace("bad", "b\0d").encode(), "line 3 has a NUL character"),
        ("a.tsv", ENCODED.replace(",", "\t").replace("bad", "b\0d").encode(), "line 3 has a NUL character"),
        ("a.csv", gzip.compress(ENCODED.encode(), mtime=0), "it is a gzip file"),
        ("a.csv.gz", gzip.compress(ENCODED.encode(), mtime=0), "the ending .gz is not known; unpack it first"),
        ("a.csv", b"PK\x03\x04...", "it is a zip archive, or a spreadsheet"),
        ("a.csv", b"PAR1....", "it is a Parquet file"),
        ("a.csv", "text,label\ncafé,1\n".encode("latin1"), "save it as UTF-8"),
        ("a.jsonl", '{"text": "café"}\n'.encode("latin1"), "save it as UTF-8"),
        ("a.json", ENCODED.encode("utf-16"), "it is UTF-16 text"),
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"text,label\n", "has no rows"),
        ("a.tsv", b"text\tlabel\n", "has no rows"),
        ("a.csv", b"text,label,text\na,1,b\n", "several columns of this name"),
        ("a.tsv", b"text\ttext\tlabel\na\tb\t1\n", "several columns of this name"),
        ("a.csv", b"text,label,label\na,1,0\n", "task.label=label"),
        ("a.json", b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n' + b"[" * 100_000, "nested too deeply"),
        ("a.jsonl", b'{"text": "a", "text": "b", "label": 1}\n', "the key 'text' twice"),
        ("a.json", b"[1, 2]", "row 1 is the number 1"),
        ("a.json", b'[{"text": "a", "label": 1}, null]', "row 2 is null"),
        ("a.json", b'"text"', "it holds text"),
        ("a.json", b"{}", "has no rows"),
        ("a.json", b"[]", "has no rows"),
        ("a.json", b'[{"text": "a\\ud800", "label": 1}]', "half of a character"),
        ("a.json", b'[{"text": {"a": 1}, "label": 1}]', "but an object of keys and values"),
        ("a.json", b'[{"text": "a", "label": ' + b"9" * 5000 + b"}]", "limit"),
    ],
    ids=str,
)
def test_broken_tables_are_refused_with_their_name(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    found = message(sources.from_files, str(tmp_path / name), None, ["text"], "label")
    assert str(tmp_path / name) in found and words in found


def test_names_with_line_breaks_stay_in_one_line(tmp_path):
    (tmp_path / "a.csv").write_text('"te\nxt",label\na,"1\n2"\nb,3\n')
    found = message(sources.from_files, str(tmp_path / "a.csv"), None, ["te xt"], "label")
    assert "it has 'te\\nxt', label" in found
    label = located(sources.from_files(str(tmp_path / "a.csv"), None, ["te\nxt"], "label")["train"])
    names = label_names(label, "label", "a.csv")
    assert "labels are '1\\n2', 3" in message(to_classes, label.replace("3", "4"), names, "label", "a.csv")


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path)
    return str(path)


def test_parquet_columns_of_every_type(tmp_path):
    bad = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")])
    found = message(files.read, parquet(tmp_path / "a.parquet", text=bad), "k")
    assert "a.parquet cannot be read: " in found and "UTF8" in found.upper().replace("-", "")
    file = parquet(tmp_path / "b.parquet", text=[b"caf\xc3\xa9", b"bar"], label=[b"neg", b"pos"])
    table = sources.from_files(file, None, ["text"], "label")["train"]
    assert table.text_a.tolist() == ["café", "bar"]
    file = parquet(tmp_path / "c.parquet", text=[b"fine", b"\xff"], label=[0, 1])
    assert "row 2 of" in (found := message(sources.from_files, file, None, ["text"], "label")) and "no UTF-8" in found
    (tmp_path / "e=1").mkdir()
    file = parquet(tmp_path / "e=1" / "d.parquet", text=[["a"], ["b"]], label=[0, 1])
    assert "but a list of values" in message(sources.from_files, file, None, ["text"], "label")
    (tmp_path / "f.parquet").write_bytes(b"PAR1")
    assert "f.parquet cannot be read: " in message(files.read, str(tmp_path / "f.parquet"), "k")


def test_huge_fields_and_whole_numbers_beside_missing_values_stay_what_they_are(tmp_path):
    (tmp_path / "a.csv").write_text(f"text,label\n{'word ' * 300_000},1\nb,0\n")
    table = sources.from_files(str(tmp_path / "a.csv"), None, ["text"], "label")["train"]
    assert len(table.text_a[0]) == 1_500_000
    (tmp_path / "a.json").write_text('[{"text": 5, "label": 12345678901234567}, {"text": 2.5, "label": 0.5}]')
    table = sources.from_files(str(tmp_path / "a.json"), None, ["text"], "label")["train"]
    assert table.text_a.tolist() == ["5", "2.5"] and table.label.tolist() == [12345678901234567, 0.5]


def test_an_unreadable_file_is_told_with_the_systems_reason(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text(ENCODED)

    def refuse(*arguments, **settings):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "check_text", refuse)
    assert message(files.read, str(tmp_path / "a.csv"), "k").endswith("a.csv cannot be read: Permission denied")


@pytest.mark.parametrize(
    "evaluation",
    [["a.csv", "b.csv"], {}, {"train": "a.csv"}, {"x": ["a.csv"]}, {1: "a.csv"}, {"": "a.csv"}, {"x": ""}, ""],
)
def test_evaluation_files_of_another_type_are_refused(evaluation):
    assert message(layouts.evaluation_files, evaluation).startswith("task.eval=")
    assert layouts.evaluation_files("a.csv") == {"validation": "a.csv"}
    assert layouts.evaluation_files({"x": "a.csv"}) == {"x": "a.csv"}


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(TEXT, st.sampled_from(["1", "1.0", "b"])), min_size=1, max_size=5))
def test_any_text_comes_back_from_json_and_csv(tmp_path, rows):
    table = pd.DataFrame(rows, columns=["text", "label"])
    table.to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(r) for r in table.to_dict("records")), "utf-8")
    for name in ("a.csv", "a.jsonl"):
        found = sources.from_files(str(tmp_path / name), None, ["text"], "label")["train"]
        assert found.text_a.tolist() == table.text.tolist() and found.label.tolist() == table.label.tolist()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60), ending=st.sampled_from(files.FORMATS))
def test_random_bytes_give_a_table_or_one_line(tmp_path, content, ending):
    (tmp_path / f"a{ending}").write_bytes(content)
    try:
        sources.from_files(str(tmp_path / f"a{ending}"), None, ["text"], "label")
    except BadInput as error:
        assert len(str(error).splitlines()) == 1
