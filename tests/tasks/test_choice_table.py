"""Which choice a label means, read from whole files; and tables of choices that are refused."""

import json

import pandas as pd
import pytest

from prunebert.errors import BadInput
from prunebert.tasks import arguments, choice_table, sources

TEXTS = [("a cat", "a dog", "a bird"), ("red", "blue", "green"), ("up", "down", "left")]


def tables(labels, names="abc", texts=TEXTS, **more):
    """Tables of questions by split, as the sources make them. more: labels of other splits."""
    found = {}
    for split, of_split in {"train": labels, **more}.items():
        raw = pd.DataFrame(texts[: len(of_split)], columns=[*names])
        raw = raw.assign(question="what is it", answer=pd.Series(of_split, dtype=object))
        found[split] = choice_table.columns(raw, ["question"], "answer", f"{split}.csv", choices=[*names])
    return found


def positions(labels, names="abc", texts=TEXTS, **more):
    of_choices = [*names]
    return {
        s: g.tolist() for s, g in choice_table.gold(tables(labels, names, texts, **more), "answer", of_choices).items()
    }


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([0, 2, 1], "abc"),
        (["0", "2.0", " 1 "], "abc"),
        (["A", "C", "B"], "xyz"),
        (["a", "c", "b"], "xyz"),
        (["a", "c", "b"], "abc"),  # a letter and the column mean the same
        (["x", "z", "y"], "xyz"),
        (["a cat", "green", "down "], "abc"),
        ([1, 3, 2], "123"),  # the columns' names, of which the last is no index
    ],
)
def test_every_way_of_writing_the_same_answers(labels, names):
    assert positions(labels, names) == {"train": [0, 2, 1]}


def test_the_splits_are_read_together():
    """No 0 is among the evaluation labels alone, so only the training file shows that they count from 0."""
    assert positions([0, 2, 1], validation=[1, 2]) == {"train": [0, 2, 1], "validation": [1, 2]}


@pytest.mark.parametrize(
    ("labels", "names", "said"),
    [
        ([1, 3, 2], "abc", ["row 1 of train.csv", "labelled 1", "no row is labelled 0", "A to C"]),
        ([1, 2, 1], "abc", ["labelled '1'", "'a dog' as an index from 0", "'a cat' as a number from 1"]),
        (["a", "c", "b"], "bca", ["labelled 'a'", "'a cat' as a letter", "'a bird' as a choice's name"]),
        ([0, "B", 2], "abc", ["row 2 of train.csv", "labelled 'B'", "0 to 2", "A to C", "all rows in one way"]),
        (["A", "D", "B"], "abc", ["row 2 of train.csv", "labelled 'D'"]),
        ([0, 1, 3], "abc", ["row 3 of train.csv", "labelled '3'"]),
        ([0, 1, -1], "abc", ["row 3 of train.csv", "labelled '-1'"]),
        ([0, 1, None], "abc", ["row 3 of train.csv", "has no label"]),
        ([True, False, True], "abc", ["labelled 'True'"]),
    ],
)
def test_labels_that_may_mean_two_choices_or_none_are_refused(labels, names, said):
    with pytest.raises(BadInput) as error:
        positions(labels, names)
    assert "\n" not in str(error.value)
    assert all(words in str(error.value) for words in ["task.label=answer", *said]), error.value


def test_numbers_as_choices_must_not_look_like_indices():
    texts = [("0", "1", "2"), ("2", "0", "1")]
    with pytest.raises(
        BadInput, match=r"row 2 .* labelled '0', which is '2' as an index from 0 and '0' as a choice's text"
    ):
        positions([1, 0], texts=texts)
    assert positions(["10", "12"], texts=[("10", "11", "12"), ("13", "12", "11")]) == {"train": [0, 1]}


def test_a_label_that_is_the_text_of_two_choices_is_refused():
    with pytest.raises(BadInput, match=r"row 2 .* 'red', the text of 2 choices"):
        positions(["a cat", "red"], texts=[TEXTS[0], ("red", "red", "blue")])
    assert positions([0, 2], texts=[TEXTS[0], ("red", "red", "blue")]) == {"train": [0, 2]}


def from_lines(tmp_path, *rows, choices="options"):
    file = tmp_path / "train.jsonl"
    file.write_text("\n".join(json.dumps({"q": "what", **row}) for row in rows))
    raw = sources.read(str(file), "task.train")
    return {"train": choice_table.columns(raw, ["q"], "y", "train.jsonl", choices=[choices])}


def test_one_column_with_a_list_of_texts(tmp_path):
    table = from_lines(tmp_path, {"options": ["no", "yes"], "y": "yes"}, {"options": ["up", "down"], "y": "up"})
    assert table["train"].choices.tolist() == [("no", "yes"), ("up", "down")]
    assert choice_table.gold(table, "y", ["options"])["train"].tolist() == [1, 0]


def test_names_in_the_file_are_those_of_the_row(tmp_path):
    """As in CommonsenseQA and ARC, where some rows have letters and some numbers: these never count positions."""
    rows = [
        {"options": {"label": ["A", "B"], "text": ["no", "yes"]}, "y": "B"},
        {"options": {"label": ["1", "2"], "text": ["up", "down"]}, "y": "1"},
        {"options": {"label": ["B", "A"], "text": ["in", "out"]}, "y": "A"},
    ]
    assert choice_table.gold(from_lines(tmp_path, *rows), "y", ["options"])["train"].tolist() == [1, 0, 1]
    with pytest.raises(BadInput, match=r"row 2 .* labelled '0'.* a choice's name"):
        choice_table.gold(from_lines(tmp_path, rows[0], rows[1] | {"y": 0}), "y", ["options"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["up", "down", "left"], "row 2 of train.jsonl .* has 3 choices and the first row has 2"),
        (["up"], "row 2 .* at least two choices, and it has 1"),
        ("up", "row 2 .* has text, and one column must hold a list"),
        (["up", None], "row 2 .* has no text in options"),
        (["up", " "], "row 2 .* has no text in options"),
        (["up", ["down"]], "row 2 .* has no text in options, but a list"),
        (["up", "\ud800"], "row 2 .* half of a character"),
        ({"text": ["up", "down"]}, "row 2 .* lists `label` and `text`"),
        ({"text": ["up", "down"], "label": ["A"]}, "row 2 .* of equal length"),
        ({"text": ["up", "down"], "label": ["A", "A "]}, "row 2 .* two choices of one name"),
    ],
)
def test_rows_of_choices_that_are_refused(tmp_path, options, said):
    with pytest.raises(BadInput, match=rf"^task.choices.*{said}"):
        from_lines(tmp_path, {"options": ["no", "yes"], "y": 0}, {"options": options, "y": 1})


def test_an_empty_cell_is_a_missing_choice():
    with pytest.raises(BadInput, match=r"row 2 of train.csv .* has no text in c; every row needs the same number"):
        tables([0, 1], texts=[TEXTS[0], ("red", "blue", "")])


def test_every_split_has_as_many_choices(tmp_path):
    train = from_lines(tmp_path, {"options": ["no", "yes"], "y": 0})["train"]
    other = from_lines(tmp_path, {"options": ["no", "yes", "so"], "y": 0})["train"]
    with pytest.raises(BadInput, match=r"has 3 choices in a row and .* has 2"):
        choice_table.number_of({"train": train, "validation": other})
    assert choice_table.number_of({"train": other}) == 3


def test_columns_that_do_not_exist_or_have_two_meanings_are_refused():
    raw = pd.DataFrame({"q": ["what"], "a": ["no"], "b": ["yes"], "y": [0]})
    with pytest.raises(BadInput, match=r"task.choices=c: f.csv has no such column; it has q, a, b, y"):
        choice_table.columns(raw, ["q"], "y", "f.csv", choices=["a", "c"])
    for choices, others in ((["a", "a"], ["q", "y"]), (["a", "y"], ["q", "y"]), (["q", "a"], ["q", "y"])):
        with pytest.raises(BadInput, match=r"a is another choice|y is another choice|q is another choice"):
            arguments.choice_columns("choices", choices, others)
    with pytest.raises(BadInput, match=r"task.choices is needed"):
        arguments.choice_columns("choices", None, ["q", "y"])
    with pytest.raises(BadInput, match=r"read with task.kind=choices only; the kind here is regression"):
        arguments.choice_columns("regression", ["a", "b"], ["q", "y"])
    assert arguments.choice_columns("choices", "options", ["q", "y"]) == ["options"]
