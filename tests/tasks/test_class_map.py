"""task.map: every spelling of it, and what does not fit."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from prunebert.errors import BadInput
from prunebert.tasks import class_map

MNLI, HANS = ["entailment", "neutral", "contradiction"], ["entailment", "non-entailment"]
PAIRS = ["contradiction:non-entailment", "entailment:entailment", "neutral: non-entailment"]
MAP = {"entailment": "entailment", "neutral": "non-entailment"}
RIGHT = {"entailment": "entailment", "neutral": "non-entailment", "contradiction": "non-entailment"}


@pytest.mark.parametrize("value", [PAIRS, ",".join(PAIRS), RIGHT, [*PAIRS, "not_entailment:non-entailment"]])
def test_a_list_a_text_and_a_mapping_mean_the_same_in_the_order_of_the_trained_classes(value):
    found = class_map.resolve(value, MNLI, HANS, "hans")
    assert found == RIGHT and list(found) == MNLI
    assert class_map.never_predicted(found, HANS) == []


def test_numbers_are_compared_by_value_and_spelt_as_the_classes_are():
    assert class_map.resolve({"0": 1, "1": 2.0}, ["0.0", "1.0"], ["1", "2.0", "3"], "x") == {"0.0": "1", "1.0": "2.0"}
    assert class_map.never_predicted({"0.0": "1", "1.0": "2.0"}, ["1", "2.0", "3"]) == ["3"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["entailment:entailment"], r"neutral, contradiction is not mapped; the run was trained for entailment, neut"),
        (RIGHT | {"neutral": "no"}, r"no is no class of task=hans; the run was .* task=hans has entailment, non-ent"),
        ([*PAIRS, "neutral:entailment"], "neutral is mapped twice"),
        (["entailment"], r"entailment is no pair trained:class, as in task\.map=\["),
        (["a:b:c"], "a:b:c is no pair"),
        (["entailment:"], "an entry has no label"),
        ("", "'' is no pair"),
    ],
)
def test_what_does_not_fit_is_one_line_that_begins_with_the_key(value, message):
    with pytest.raises(BadInput, match=rf"^task\.map=.*: {message}") as caught:
        class_map.resolve(value, MNLI, HANS, "hans")
    assert "\n" not in str(caught.value)


def test_the_forms_that_messages_and_pages_show_are_read_by_hydra():
    parser = OverridesParser.create()
    for word, expected in (
        ("task.map=[entailment:entailment,neutral:non-entailment]", [*MAP.items()]),
        ("task.map={entailment: entailment, neutral: non-entailment}", [*MAP.items()]),
        (r"task.map={a\:b: c}", [("a:b", "c")]),
    ):
        assert class_map.parse(parser.parse_override(word).value()) == expected
