"""Entities by conlleval's rules, against a plain implementation of its tables; schemes found from labels."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebert import entities
from prunebert.errors import BadInput

# conlleval's tables of (prefix before, prefix now). An entity also begins and ends where the type changes.
BEGINS = {*(f"{a}{b}" for a in "OBIES" for b in "BS"), *("OI", "OE", "EI", "EE", "SI", "SE")}
ENDS = {*(f"{a}{b}" for a in "ES" for b in "OBIES"), *(f"{a}{b}" for a in "BI" for b in "BSO")}
SCHEMES = {"iob1": "BI", "iob2": "BI", "iobes": "BIES", "bilou": "BILU"}


def plain_entities(tags):
    """The (type, first, last) of a sentence, by the tables. L is read as E, and U as S."""
    found, first = set(), None
    before = ("O", "")
    for position, tag in enumerate([*tags, "O"]):
        now = (tag[0].replace("L", "E").replace("U", "S"), tag[2:])
        changes = before[1] != now[1]
        if before[0] != "O" and (before[0] + now[0] in ENDS or changes):
            found.add((before[1], first, position - 1))
        if now[0] != "O" and (before[0] + now[0] in BEGINS or changes):
            first = position
        before = now
    return found


def plain_scores(gold, predicted, kind=None):
    """Micro precision, recall and F1 over all sentences, of one type or of all."""
    one, two = (
        {(i, *e) for i, tags in enumerate(side) for e in plain_entities(tags) if kind in (None, e[0])}
        for side in (gold, predicted)
    )
    right = len(one & two)
    precision, recall = (right / len(x) if x else 0.0 for x in (two, one))
    return precision, recall, 2 * precision * recall / (precision + recall) if right else 0.0


def two_sides(prefixes):
    tags = st.sampled_from(["O", *(f"{p}-{t}" for p in prefixes for t in ("PER", "LOC"))])
    sentence = st.lists(st.tuples(tags, tags), min_size=0, max_size=9)
    return st.lists(sentence, min_size=1, max_size=4)


@pytest.mark.parametrize("prefixes", [*SCHEMES.values(), "BIESLU"])
def test_scores_are_conllevals_on_random_labels(prefixes):
    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(two_sides(prefixes))
    def check(sentences):
        gold, predicted = ([[pair[side] for pair in s] for s in sentences] for side in (0, 1))
        for tags in gold:
            assert {(e.label, e.start, e.end) for e in entities.entities(tags)} == plain_entities(tags)
        found = entities.scores(gold, predicted, ["LOC", "PER"])
        precision, recall, f1 = plain_scores(gold, predicted)
        assert (found["precision"], found["recall"], found["f1"]) == pytest.approx((precision, recall, f1))
        for kind in ("LOC", "PER"):
            assert found[f"f1_{kind}"] == pytest.approx(plain_scores(gold, predicted, kind)[2])

    check()


def test_scores_by_hand():
    """Of four gold entities two are found, of three predicted ones: one has another type, one another end."""
    gold = ["B-PER", "I-PER", "O", "B-LOC", "O", "B-ORG", "B-ORG"]
    predicted = ["B-PER", "I-PER", "O", "B-ORG", "O", "B-ORG", "I-ORG"]
    found = entities.scores([gold], [predicted], ["LOC", "ORG", "PER"])
    assert found["precision"] == pytest.approx(1 / 3) and found["recall"] == pytest.approx(1 / 4)
    assert found["f1"] == pytest.approx(2 / 7) and found["accuracy"] == pytest.approx(5 / 7)
    assert {k: v for k, v in found.items() if k.startswith("f1_")} == {"f1_LOC": 0, "f1_ORG": 0, "f1_PER": 1}


@pytest.mark.parametrize(
    ("tags", "iob2"),
    [
        ("I-PER I-PER B-PER O", "B-PER I-PER B-PER O"),  # IOB1
        ("B-PER I-ORG", "B-PER B-ORG"),
        ("B-PER E-PER S-PER O S-LOC", "B-PER I-PER B-PER O B-LOC"),
        ("B-PER L-PER U-PER I-PER", "B-PER I-PER B-PER B-PER"),
        ("B-PER S-PER L-PER", "B-PER B-PER B-PER"),  # two schemes in one sentence
        ("B I O I", "B-_ I-_ O B-_"),
    ],
)
def test_labels_that_do_not_fit_each_other_are_read_as_conlleval_reads_them(tags, iob2):
    assert entities.as_iob2(tags.split()) == iob2.split()


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        (["B-PER I-PER O B-LOC"], "iob2"),
        (["B-PER I-PER O", "O I-LOC"], "iob1"),
        (["I-PER B-PER I-LOC"], "iob1"),
        (["B-PER E-PER O S-LOC"], "iobes"),
        (["B-PER L-PER O U-LOC"], "bilou"),
        (["B-PER L-PER O S-LOC"], "iobes"),
        (["B I O B"], "iob2"),
        (["NOUN VERB O"], "none"),
        (["I S NOUN"], "none"),
        (["X-1 Y-2"], "none"),
    ],
)
def test_the_scheme_is_that_of_the_labels(sentences, scheme):
    split = [s.split() for s in sentences]
    names = sorted({tag for tags in split for tag in tags})
    assert entities.find_scheme(names, split, "ner") == scheme


def test_labels_with_and_without_a_prefix_are_refused_together():
    with pytest.raises(BadInput, match=r"task\.label=ner: the label PER has no prefix .*and B-LOC has one.*=none"):
        entities.find_scheme(["B-LOC", "O", "PER"], [["B-LOC", "O", "PER"]], "ner")


def test_a_prefix_outside_a_given_scheme_is_refused():
    with pytest.raises(BadInput, match=r"task\.scheme=iob2: the label S-PER .*prefixes are B, I"):
        entities.require_scheme(["B-PER", "S-PER", "O"], "iob2", "ner")
    entities.require_scheme(["B-PER", "S-PER", "O"], "iobes", "ner")
    entities.require_scheme(["B-PER", "NOUN"], "none", "ner")


def test_the_confusion_counts_types_of_the_same_words_and_what_is_missed_or_spurious():
    gold = [["B-PER", "O", "B-LOC", "I-LOC"], ["B-LOC", "O"]]
    predicted = [["B-LOC", "O", "B-LOC", "O"], ["B-LOC", "B-PER"]]
    table = entities.confusion(gold, predicted, ["LOC", "PER", entities.NO_ENTITY])
    assert table == [[1, 0, 1], [1, 0, 0], [1, 1, 0]]
