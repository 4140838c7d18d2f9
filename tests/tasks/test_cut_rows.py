"""A row that ends too early is refused, and an empty last value is not."""

import pytest

from prunebert.errors import BadInput
from prunebert.tasks import files


@pytest.mark.parametrize(
    ("name", "content", "row"),
    [
        ("a.csv", "label,text\n1,good\n0\n1,bad\n", 2),
        ("a.csv", 'label,text\n1,"two\nlines, and ""quotes"""\n\n0,\n1', 3),
        ("a.csv", "\ufefflabel,text,more\n1,good\n", 1),
        ("a.tsv", 'label\ttext\n1\t"good\n0\n', 2),
    ],
)
def test_a_row_without_all_values_is_refused(tmp_path, name, content, row):
    (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match=f"row {row} .* has [12] of the header's [23] values"):
        files.read(str(tmp_path / name), "task.train")


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("a.csv", 'label,text\n1,good\n\n0,\n1,""\n', ["good", "", ""]),
        ("a.csv", 'label,text\n1,"' + "long " * 40_000 + '"\n0,\n', ["long " * 40_000, ""]),
        ("a.tsv", 'label\ttext\n1\t"good\n0\t\n', ['"good', ""]),
        ("a.csv", 'text\ngood\n""\n', ["good", ""]),
    ],
)
def test_an_empty_last_value_is_a_value(tmp_path, name, content, texts):
    (tmp_path / name).write_text(content)
    assert files.read(str(tmp_path / name), "task.train").text.tolist() == texts


def test_json_by_columns_is_explained(tmp_path):
    (tmp_path / "a.json").write_text('{"text": ["a", "b"], "label": [0, 1]}')
    with pytest.raises(BadInput, match="a list for each of text, label, and a list of objects is needed"):
        files.read(str(tmp_path / "a.json"), "task.train")


def test_of_many_names_the_first_are_listed():
    assert files.listed(f"c{i}" for i in range(1000)).endswith("c28, c29, … (1,000 in all)")
    assert files.listed(["a", "b\n", "x" * 200]) == "a, 'b\\n', " + "x" * 99 + "…"
