"""The documents of a corpus: from a folder's text files in order, without empty lines, and what is refused."""

import re

import datasets
import pandas as pd
import pytest

from prunebert.errors import BadInput
from prunebert.system import packaged
from prunebert.tasks import layouts
from prunebert.tasks.corpus import corpus

NAMES = {"name": "own", "hub": None, "package": None, "text": "text", "holdout": 0.25}
DOCUMENTS = ["one", "  two, with spaces  ", "three", "four", "five", "six", "seven", "eight"]


@pytest.fixture
def folder(tmp_path):
    """Two text files whose names are not in the order of their making, and a file that is no text file of theirs."""
    (tmp_path / "texts").mkdir()
    for name, lines in {"b.txt": DOCUMENTS[3:], "a.txt": DOCUMENTS[:3], "notes.md": ["no document"]}.items():
        (tmp_path / "texts" / name).write_text("\n \n\n".join(lines) + "\n")
    return tmp_path / "texts"


def test_a_folders_files_are_one_corpus_in_the_order_of_their_names(folder, tmp_path):
    found = corpus(**NAMES, file=str(folder))
    assert sorted(found["train"] + found["validation"]) == sorted(DOCUMENTS) and len(found["validation"]) == 2
    (tmp_path / "all.txt").write_text("\n".join(DOCUMENTS))
    assert corpus(**NAMES, file=str(tmp_path / "all.txt")) == found  # so the same documents are held out


def test_a_file_of_ones_own_goes_before_a_package_and_a_package_before_the_hub(folder, tmp_path, monkeypatch):
    pd.DataFrame({"text": [*DOCUMENTS, " ", "other"], "part": ["train"] * 9 + ["test"]}).to_csv(tmp_path / "p.csv")
    monkeypatch.setattr(packaged, "folder", lambda **_: tmp_path)
    both = NAMES | {"package": {"file": "p.csv", "where": {"part": "train"}, "name": "p"}, "hub": {"path": "a/b"}}
    found = corpus(**both, file=None)
    assert sorted(found["train"] + found["validation"]) == sorted(DOCUMENTS)  # of the rows that `where` names
    (folder / "b.txt").unlink()
    found = corpus(**both, file=str(folder))
    assert sorted(found["train"] + found["validation"]) == sorted(DOCUMENTS[:3])


@pytest.mark.parametrize(
    ("content", "holdout", "message"),
    [
        ("one\n \n", 0.5, "^corpus=own has 1 documents with text; at least 2 are needed"),
        ("one\ntwo\n", 1.0, r"^corpus\.holdout=1\.0: must be above 0 and below 1"),
        ("one\ntwo\n", 0.0, r"^corpus\.holdout=0\.0: must be above 0 and below 1"),
        ("one\nt\0wo\n", 0.5, r"^corpus\.file=.*: line 2 has a NUL character"),
    ],
)
def test_a_corpus_that_cannot_be_divided_is_refused(tmp_path, content, holdout, message):
    (tmp_path / "a.txt").write_text(content)
    with pytest.raises(BadInput, match=message):
        corpus(**NAMES | {"holdout": holdout}, file=str(tmp_path / "a.txt"))


def test_a_row_of_the_hub_that_is_no_text_is_refused(monkeypatch):
    loaded = {
        "train": datasets.Dataset.from_dict({"text": ["a", "b"]}),
        "dev": datasets.Dataset.from_dict({"text": ["c", None]}),
    }
    monkeypatch.setattr("prunebert.system.hub.prepare", lambda: True)
    monkeypatch.setattr(datasets, "load_dataset", lambda path, config: loaded)
    hub = {"path": "a/b", "config": "c", "train": "train", "validation": "dev"}
    with pytest.raises(BadInput, match=r"^corpus\.text=text: row 2 of a/b dev .* has no text, but null$"):
        corpus(**NAMES | {"hub": hub}, file=None)
    loaded["dev"] = datasets.Dataset.from_dict({"text": [3]})
    with pytest.raises(BadInput, match=r"row 1 of a/b dev .* has no text, but the number 3$"):
        corpus(**NAMES | {"hub": hub}, file=None)
    loaded["dev"] = datasets.Dataset.from_dict({"text": ["c", ""]})
    assert corpus(**NAMES | {"hub": hub}, file=None) == {"train": ["a", "b"], "validation": ["c"]}


def test_an_address_in_place_of_a_file_is_refused_by_its_key():
    for file in ("https://example.org/a.txt", "C:\\texts"):
        with pytest.raises(BadInput, match=rf"^corpus\.file={re.escape(file)}: this is a (URL|Windows path)"):
            layouts.corpus(file)
