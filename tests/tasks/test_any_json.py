"""Any JSON in place of a table or of SQuAD's file: a table comes of it, or one line. Nothing else is raised."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prunebert.errors import BadInput
from prunebert.tasks import questions, sources
from prunebert.tasks.labels import gold_classes, label_names, located, to_numbers

VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["1", "1.0", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["text", "label", "data"]), inner, max_size=2)
    ),
    max_leaves=5,
)
RECORD = st.fixed_dictionaries(
    {"text": st.text(max_size=3) | VALUE, "label": st.sampled_from([1, 1.0, "1", "b"]) | VALUE}
)
SQUAD = {"data": [{"paragraphs": [{"context": "a b", "qas": [{"id": "1", "question": "q", "answers": []}]}]}]}
SQUAD["data"][0]["paragraphs"][0]["qas"][0]["answers"].append({"text": "a", "answer_start": 0})
QUICK = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}


def one_line(error):
    assert str(error) and len(str(error).splitlines()) == 1


def read_everything(file):
    """Read a table and its labels as classes and as numbers; return how many of the three came of it."""
    done = 0
    try:
        tables = sources.from_files(file, None, ["text"], "label")
        done += 1
        label = located(tables["train"])
        to_numbers(label, "label", file)
        done += 1
        names = label_names(label, "label", file)
        gold = gold_classes(tables, names, "label", by_index=False, own=True)["train"]
        assert len(gold) == len(tables["train"]) and set(gold.tolist()) == set(range(len(names)))
        done += 1
    except BadInput as error:
        one_line(error)
    return done


@settings(max_examples=40, **QUICK)
@given(content=st.lists(RECORD, max_size=4) | VALUE)
def test_any_json_as_a_table(tmp_path, content):
    (tmp_path / "a.json").write_text(json.dumps(content))
    read_everything(str(tmp_path / "a.json"))


def test_good_json_passes_all_of_it(tmp_path):
    content = [{"text": "a", "label": 1}, {"text": "b", "label": "2.0"}]
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert read_everything(str(tmp_path / "a.json")) == 3


def places(value, path=()):
    """Yield the path of every value inside nested lists and dicts."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


PLACES = [path for path in places(SQUAD) if path]


@pytest.mark.parametrize("place", PLACES, ids=str)
@settings(max_examples=8, **QUICK)
@given(value=VALUE)
def test_any_json_inside_squads_layout(tmp_path, place, value):
    """The message names the place, unless the value fits."""
    content = copy.deepcopy(SQUAD)
    parent = content
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    (tmp_path / "a.json").write_text(json.dumps(content))
    try:
        questions.from_files(str(tmp_path / "a.json"), str(tmp_path / "a.json"), 0.1, True)
    except BadInput as error:
        one_line(error)
        assert "a.json" in str(error)


def test_one_json_line_of_lists_is_a_row(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"words": ["a", "b"], "tags": ["O", "O"]}\n')
    assert sources.read(str(tmp_path / "a.jsonl"), "task.train").words.tolist() == [["a", "b"]]
