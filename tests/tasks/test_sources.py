"""Read files into rows: formats, columns, broken input."""

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from prunebert.errors import BadInput
from prunebert.tasks import sources
from prunebert.tasks.labels import to_classes, to_numbers

TABLE = [
    {"text": 'She said "no", twice', "note": "NA", "label": 1},
    {"text": "null", "note": "an 'a'", "label": 0},
    {"text": 'a "b, café…', "note": "3", "label": 1},
]


def write(path: Path) -> str:
    """Write the three rows in the format of the file's ending. The stem chooses among JSON's forms."""
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", encoding="utf-8", newline="") as stream:
            if path.suffix == ".csv":
                writer = csv.DictWriter(stream, list(TABLE[0]))
                writer.writeheader()
                writer.writerows(TABLE)
            else:
                stream.writelines("\t".join(map(str, r)) + "\n" for r in [TABLE[0], *(r.values() for r in TABLE)])
    elif path.suffix == ".parquet":
        pd.DataFrame(TABLE).to_parquet(path)
    elif path.stem == "records":
        path.write_text(json.dumps(TABLE), "utf-8")
    elif path.stem == "by_id":
        path.write_text(json.dumps({f"id{i}": r for i, r in enumerate(TABLE)}, indent=1, ensure_ascii=False), "utf-8")
    else:
        path.write_text("\n\n".join(json.dumps(r, ensure_ascii=False) for r in TABLE) + "\n", "utf-8")
    return str(path)


@pytest.mark.parametrize(
    "name", ["a.csv", "a.tsv", "lines.jsonl", "lines.json", "records.json", "by_id.json", "a.parquet"]
)
def test_the_same_rows_in_every_format(tmp_path, name):
    file = write(tmp_path / name)
    (table,) = sources.from_files(file, None, ["text", "note"], "label").values()
    assert table.text_a.tolist() == [r["text"] for r in TABLE]
    assert table.text_b.tolist() == ["NA", "an 'a'", "3"]
    assert table.id.tolist() == [0, 1, 2]
    assert to_classes(table.label, ["no", "yes"], "label", "train").tolist() == [1, 0, 1]
    assert to_numbers(table.label, "label", "train").tolist() == [1.0, 0.0, 1.0]


def test_a_stray_quote_in_a_tsv_keeps_its_rows(tmp_path):
    file = tmp_path / "a.tsv"
    file.write_text('text\tlabel\n"open\t0\nfine\t1\nclosed"\t0\nlast\t1\n')
    assert sources.read(str(file), "task.train").text.tolist() == ['"open', "fine", 'closed"', "last"]


def test_a_byte_order_mark_is_not_part_of_a_name(tmp_path):
    for name, mark in [("a.csv", ","), ("a.tsv", "\t")]:
        (tmp_path / name).write_text(f"text{mark}label\nfine{mark}1\n", "utf-8-sig")
        assert list(sources.read(str(tmp_path / name), "k").columns) == ["text", "label"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_byte_order_mark_before_json(tmp_path, name):
    (tmp_path / name).write_text('{"text": "fine", "label": 1}\n{"text": "bad", "label": 0}\n', "utf-8-sig")
    assert sources.read(str(tmp_path / name), "k").text.tolist() == ["fine", "bad"]


@pytest.mark.parametrize("break_", ["\u2028", "\u0085"])
def test_a_line_separator_inside_a_json_string(tmp_path, break_):
    rows = [{"text": f"one{break_}two", "label": 1}, {"text": "three", "label": 0}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in rows), "utf-8")
    assert sources.read(str(tmp_path / "a.jsonl"), "k").to_dict("records") == rows


@pytest.mark.parametrize("content", ["text,label\nfine,1,\nbad,0,\n", "text,label\nfine, really,1\nbad,0\n"])
def test_a_csv_whose_rows_are_longer_than_its_header_is_not_shifted(tmp_path, content):
    (tmp_path / "a.csv").write_text(content)
    try:
        table = sources.read(str(tmp_path / "a.csv"), "k")
    except BadInput:
        return
    assert table.text.tolist() == ["fine", "bad"] and table.label.tolist() == ["1", "0"]


def test_evaluation_files_become_splits(tmp_path):
    file = write(tmp_path / "a.csv")
    assert list(sources.from_files(file, None, ["text"], "label")) == ["train"]
    assert list(sources.from_files(file, file, ["text"], "label")) == ["train", "validation"]
    two = sources.from_files(file, {"matched": file, "mismatched": file}, ["text"], "label")
    assert list(two) == ["train", "matched", "mismatched"]
    assert list(two["matched"].columns) == ["id", "label", "text_a"]


def refused(call, *fragments):
    with pytest.raises(BadInput) as caught:
        call()
    assert all(fragment in str(caught.value) for fragment in fragments), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_column_lists_the_existing_ones(tmp_path):
    file = write(tmp_path / "a.csv")
    refused(
        lambda: sources.from_files(file, None, ["txt"], "label"),
        f"task.text=txt: {file} has no such column; it has text, note, label; did you mean text?",
    )
    refused(
        lambda: sources.from_files(file, None, ["text", "zzz"], "label"), "task.text=zzz", "it has text, note, label"
    )
    refused(lambda: sources.from_files(file, None, ["text"], "lable"), "task.label=lable", "did you mean label?")
    refused(lambda: sources.from_files(file, None, ["text", "note", "text"], "label"), "one or two columns")
    refused(lambda: sources.from_files(file, None, [], "label"), "one or two columns")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,label\na,1\nb,\nc,0\n"),
        ("a.tsv", "text\tlabel\na\t1\nb\t \nc\t0\n"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}\n'),
    ],
)
def test_a_row_without_label_is_refused(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    file = str(tmp_path / name)
    refused(
        lambda: sources.from_files(file, None, ["text"], "label"),
        f"task.label=label: row 2 of {file} (rows count from 1, without a header) has no label",
    )


def test_broken_json_is_reported_with_its_line(tmp_path):
    lines, whole = tmp_path / "a.jsonl", tmp_path / "a.json"
    lines.write_text('{"text": "a", "label": 1}\n\n{"text": "b", label: 1}\n')
    refused(lambda: sources.read(str(lines), "k"), "line 3, column 15")
    whole.write_text('[\n {"text": "a",\n  "label": }\n]\n')
    refused(lambda: sources.read(str(whole), "k"), "line 3, column 12")


def test_a_list_is_no_text(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 1}\n{"text": ["a", "b"], "label": 0}\n')
    refused(
        lambda: sources.from_files(str(tmp_path / "a.jsonl"), None, ["text"], "label"),
        "row 2 of ",
        "has no text in text",
    )


def test_an_ending_in_capitals_is_known(tmp_path):
    write(tmp_path / "a.csv")
    (tmp_path / "a.csv").rename(tmp_path / "b.CSV")
    assert len(sources.read(str(tmp_path / "b.CSV"), "k")) == 3


def test_unusable_files_are_refused(tmp_path):
    file = write(tmp_path / "a.csv")
    refused(lambda: sources.from_files("absent.csv", None, ["text"], "label"), "task.train=absent.csv", "no such file")
    refused(lambda: sources.from_files(file, "absent.csv", ["text"], "label"), "task.eval=absent.csv", "no such file")
    refused(lambda: sources.from_files(str(tmp_path), None, ["text"], "label"), "no such file")
    (tmp_path / "a.xlsx").write_text("x")
    refused(
        lambda: sources.read(str(tmp_path / "a.xlsx"), "k"),
        "ending .xlsx is not known",
        ".csv, .tsv, .jsonl, .json, .parq",
    )
    (tmp_path / "none").write_text("x")
    refused(lambda: sources.read(str(tmp_path / "none"), "k"), "ending (none) is not known")
    (tmp_path / "only.csv").write_text("text,label\n")
    (tmp_path / "only.jsonl").write_text("")
    refused(lambda: sources.from_files(str(tmp_path / "only.csv"), None, ["text"], "label"), "only.csv has no rows")
    refused(
        lambda: sources.from_files(str(tmp_path / "only.jsonl"), None, ["text"], "label"),
        "only.jsonl: the file is empty",
    )


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.csv", b""),
        ("a.csv", b"text,label\nfine,1\nbad,0,surplus\n"),
        ("a.csv", b"text,label\n\xff\xfe,1\n"),
        ("a.jsonl", b'{"text": "fine"\n'),
        ("a.json", b"[1, 2"),
        ("a.json", b"3"),
        ("a.parquet", b"PAR1 not really"),
    ],
)
def test_a_broken_file_is_reported_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    file = str(tmp_path / name)
    refused(lambda: sources.from_files(file, None, ["text"], "label"), file)


def test_a_row_without_text_is_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "fine", "label": 1}\n{"text": null, "label": 0}\n')
    refused(lambda: sources.from_files(str(tmp_path / "a.jsonl"), None, ["text"], "label"), "row 2 of ", "has no text")
