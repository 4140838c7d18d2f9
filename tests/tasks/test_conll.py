"""Read words and labels: CoNLL columns and tables with lists. What cannot be read is refused in one line."""

import json

import numpy as np
import pandas as pd
import pytest

from prunebert.errors import BadInput
from prunebert.tasks import conll, files

GOOD = '{"w": ["a"], "t": ["O"]}\n'
WORDS = [["EU", "rejects"], ["Peter"]]
TAGS = [["B-ORG", "O"], ["B-PER"]]
BLANKS = "-DOCSTART- -X- O\n\nEU NNP B-ORG\nrejects  VBZ O\n\n\n-DOCSTART- -X- O\nPeter NNP B-PER\n"


def read(path, content, text="0", label="2"):
    path.write_bytes(content.encode()) if isinstance(content, str) else content.to_parquet(path)
    return conll.columns(conll.read(str(path), "task.train"), [text], label, path.name)


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        *((f"a{ending}", BLANKS, ("0", "2")) for ending in files.WORD_LINES),
        ("a.conll", BLANKS.replace("\n", "\r\n"), ("0", "2")),
        ("a.conll", "EU\tB-ORG\nrejects\tO\n \t \nPeter\tB-PER", ("0", "1")),
        ("a.jsonl", '{"w": ["EU", "rejects"], "t": ["B-ORG", "O"]}\n{"w": ["Peter"], "t": ["B-PER"]}\n', ("w", "t")),
        ("a.json", json.dumps([{"w": w, "t": t} for w, t in zip(WORDS, TAGS, strict=True)]), ("w", "t")),
        ("a.parquet", pd.DataFrame({"w": WORDS, "t": TAGS}), ("w", "t")),
    ],
)
def test_the_same_sentences_in_every_format(tmp_path, name, content, columns):
    table = read(tmp_path / name, content, *columns)
    assert table.words.tolist() == WORDS and table.label.tolist() == TAGS and table.id.tolist() == [0, 1]


def test_a_word_is_what_stands_between_the_tabs(tmp_path):
    """It may have blanks, be one, or be a separator of lines in Unicode."""
    table = read(tmp_path / "a.conll", "New York\tB-LOC\n \tO\n\tO\na\u2028b\tO\n", label="1")
    assert table.words.tolist() == [["New York", " ", "", "a\u2028b"]]


def test_comments_of_conll_u_are_no_words(tmp_path):
    """They may have as many words as the file has columns. In a file without tabs, # is a word."""
    content = "# sent_id = 1\n# text = EU\n1\tEU\tX\tNOUN\n\n# sent_id = 2\n1\t#\tX\tSYM\n# \ta\tX\tNUM\n"
    table = read(tmp_path / "a.conll", content, "1", "3")
    assert table.words.tolist() == [["EU"], ["#", "a"]] and table.label.tolist() == [["NOUN"], ["SYM", "NUM"]]
    assert read(tmp_path / "a.conll", "# O\nEU B-ORG\n", label="1").words.tolist() == [["#", "EU"]]
    with pytest.raises(BadInput, match=r"line 2 has 2 columns, and line 1 has 4"):
        read(tmp_path / "a.conll", "# sent_id = 1\nEU\tB-ORG\nx O\n", label="1")


def test_numbers_are_words_and_indices(tmp_path):
    table = read(tmp_path / "a.parquet", pd.DataFrame({"w": [[1, 20]], "t": [np.array([0, 3])]}), "w", "t")
    assert table.words.tolist() == [["1", "20"]] and table.label.tolist() == [[0, 3]]


@pytest.mark.parametrize(
    ("name", "content", "columns", "message"),
    [
        ("a.conll", "EU B-ORG\nx\n", ("0", "1"), "a.conll cannot be read: line 2 has 1 columns, and line 1 has 2"),
        ("a.conll", "EU O\n", ("0", "3"), "task.label=3: a.conll has no such column; it has 0, 1"),
        ("a.conll", "\n \n", ("0", "1"), "a.conll has no rows"),
        ("a.conll", "", ("0", "1"), "the file is empty"),
        ("a.conll", "a O\n\0 O\n", ("0", "1"), "line 2 has a NUL character"),
        ("a.xml", "x", ("0", "1"), "the ending .xml is not known; allowed are .conll, .iob"),
        ("a.csv", "w,t\nEU,O\n", ("w", "t"), "has no list in w, but text; a file with a word on each line needs"),
        ("a.jsonl", GOOD + '{"w": ["a", "b"], "t": ["O"]}', ("w", "t"), "row 2 of a.jsonl .* has 2 words and 1 labels"),
        ("a.jsonl", GOOD + '{"w": ["a", null], "t": ["O", "O"]}', ("w", "t"), "has null in place of a word in w"),
        ("a.jsonl", GOOD + '{"w": ["\\ud800"], "t": ["O"]}', ("w", "t"), "half of a character"),
        ("a.jsonl", GOOD + '{"w": null, "t": ["O"]}', ("w", "t"), "has no list in w, but null"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, name, content, columns, message):
    with pytest.raises(BadInput, match=message):
        read(tmp_path / name, content, *columns)


def test_two_columns_of_words_are_refused():
    with pytest.raises(BadInput, match=r"task\.text=\[a,b\]: with task\.kind=tokens one column"):
        conll.columns(pd.DataFrame({"a": WORDS, "b": WORDS, "t": TAGS}), ["a", "b"], "t", "x")


def test_a_file_of_words_needs_the_kind_of_words(tmp_path):
    (tmp_path / "a.conll").write_text("a O\n")
    with pytest.raises(BadInput, match=r"\.conll is not known; allowed are \.csv, .* read with task\.kind=tokens"):
        files.read(str(tmp_path / "a.conll"), "task.train")
