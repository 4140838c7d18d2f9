"""Spans by hand: SQuAD's metrics, the tokens of an answer, the answer that the logits predict."""

import evaluate
import numpy as np
import pytest

from prunebert import measures
from prunebert.errors import BadInput
from prunebert.metrics import Squad, SquadV2
from prunebert.tasks import spans


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", tmp_path)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Cat,\tsat.", "cat sat"),
        ("an apple a day", "apple day"),
        ("theatre and anthem", "theatre and anthem"),  # articles are words, not letters
        ("U.S.A.", "usa"),
        ("the", ""),
        ("7–3 «Ärger»", "7–3 «ärger»"),  # only ASCII's punctuation goes
        ("an a-ha moment", "aha moment"),  # punctuation goes first, and leaves no article
        ("sea–the–air", "sea– –air"),  # an article leaves a space
    ],
)
def test_normalise(text, normal):
    assert measures.normalise(text) == normal


@pytest.mark.parametrize(
    ("prediction", "gold", "exact", "f1"),
    [
        ("The Cat!", "cat", 1, 1),
        ("the cat sat", "A cat sat down!", 0, 2 * 2 / (2 + 3)),
        ("cat cat dog", "cat dog dog", 0, 2 * 2 / (3 + 3)),  # words count as often as both have them
        ("dog", "cat", 0, 0),
        ("", "cat", 0, 0),
        ("the", "a", 1, 0),  # SQuAD 1.1's script: no shared word, F1 0
    ],
)
def test_exact_and_f1(prediction, gold, exact, f1):
    assert measures.exact(prediction, gold) == exact
    assert measures.f1(prediction, gold) == pytest.approx(f1)


def test_metric_of_v1_takes_the_best_gold_answer_and_pairs_by_id():
    predictions = [{"id": "b", "prediction_text": "red house"}, {"id": "a", "prediction_text": "in York"}]
    references = [
        {"id": "a", "answers": ["York", "the York!", "in York, England"]},
        {"id": "b", "answers": ["a house"]},
    ]
    result = Squad(keep_in_memory=True).compute(predictions=predictions, references=references)
    assert result == pytest.approx({"exact": 0.0, "f1": (4 / 5 + 2 / 3) / 2})
    with pytest.raises(BadInput, match="id=b"):
        Squad(keep_in_memory=True).compute(predictions=[predictions[1]] * 2, references=references)


def test_metric_of_v2_scores_no_answer_by_itself():
    golds = {"a": ["York"], "b": ["old York"], "c": [], "d": [], "e": ["the", "York"]}
    texts = {"a": "york", "b": "York", "c": "", "d": "York", "e": "the"}
    result = SquadV2(keep_in_memory=True).compute(
        predictions=[{"id": k, "prediction_text": v} for k, v in texts.items()],
        references=[{"id": k, "answers": v} for k, v in golds.items()],
    )
    assert result == pytest.approx(
        {
            "exact": 2 / 5,
            "f1": (1 + 2 / 3 + 1) / 5,
            "has_answer_exact": 1 / 3,
            "has_answer_f1": (1 + 2 / 3) / 3,
            "no_answer_exact": 1 / 2,
        }
    )
    assert set(measures.v2_metrics([""], [[]])) == {"exact", "f1", "no_answer_exact"}


OFFSETS = np.array([[0, 0], [0, 0], [0, 4], [5, 9], [9, 10], [11, 15], [0, 0]])  # [CLS] ? then four tokens, [SEP]


@pytest.mark.parametrize(
    ("first", "last", "span"),
    [
        (0, 4, (2, 2)),
        (5, 10, (3, 4)),
        (6, 8, (3, 3)),  # inside a token
        (4, 15, (3, 5)),  # from the space before a token
        (0, 15, (2, 5)),
        (11, 16, (0, 0)),  # goes on behind the window
        (-1, -1, (0, 0)),
    ],
)
def test_token_span(first, last, span):
    assert spans.token_span(OFFSETS, first, last) == span


def test_token_span_of_a_window_that_starts_late():
    assert spans.token_span(OFFSETS[[0, 3, 4, 6]], 0, 9) == (0, 0)
    assert spans.token_span(OFFSETS[:2], 0, 4) == (0, 0)


def logits(length: int, starts: dict[int, float], ends: dict[int, float]) -> np.ndarray:
    """Return [length, 2], 0 by default."""
    values = np.zeros((length, 2), dtype=np.float32)
    for side, values_at in enumerate((starts, ends)):
        values[list(values_at), side] = list(values_at.values())
    return values


@pytest.mark.parametrize(
    ("starts", "ends", "n_best", "max_answer", "expected"),
    [
        ({3: 2.0}, {5: 3.0}, 20, 30, (5.0, 3, 5)),
        ({3: 2.0, 5: 1.5}, {5: 3.0}, 20, 2, (4.5, 5, 5)),  # 3..5 is three tokens
        ({3: 2.0, 5: 1.5}, {5: 3.0}, 20, 3, (5.0, 3, 5)),
        ({0: 9.0, 1: 9.0, 3: 1.0}, {6: 9.0, 4: 1.0}, 20, 30, (2.0, 3, 4)),  # only the context
        ({0: 9.0, 3: 1.0}, {6: 9.0, 4: 1.0}, 1, 30, (2.0, 3, 4)),  # the best of the context, not of the window
        ({5: 4.0, 2: 1.0}, {3: 4.5, 5: 1.0}, 20, 30, (5.5, 2, 3)),  # 5..3 would have 8.5
        ({4: 4.0, 2: 1.0}, {3: 4.5, 5: 1.0}, 20, 30, (5.5, 2, 3)),  # nor is 4..3, a span of no token, one
        ({5: 4.0}, {3: 4.0}, 1, 30, None),
    ],
)
def test_best_span(starts, ends, n_best, max_answer, expected):
    span = spans.best_span(logits(7, starts, ends), OFFSETS, n_best, max_answer)
    assert span == expected if expected else span[0] == -np.inf


def test_best_span_of_a_window_without_context():
    assert spans.best_span(logits(2, {0: 3.0}, {1: 3.0}), OFFSETS[:2], 20, 30)[0] == -np.inf


CONTEXT = "blue lake, deep"
LATE = OFFSETS[[0, 3, 4, 5, 6]]  # a second window of the same context, from its second word


@pytest.mark.parametrize(
    ("null", "no_answer", "text"),
    [
        ((0.0, 0.0), True, "deep"),
        ((9.0, 5.0), True, "deep"),  # the lowest of the windows counts, and as much as the span is not more
        ((9.0, 5.5), True, ""),
        ((9.0, 5.5), False, "deep"),
    ],
)
def test_answer_over_windows(null, no_answer, text):
    first_window = logits(7, {0: null[0], 2: 1.0}, {3: 2.0})  # blue lake: 3
    second_window = logits(5, {0: null[1], 3: 2.0}, {3: 3.0})  # deep: 5
    answer = spans.answer(CONTEXT, [first_window, second_window], [OFFSETS, LATE], 20, 30, no_answer)
    assert answer == (text, 5.0, min(null))


def test_answer_is_empty_where_no_span_can_be():
    answer = spans.answer(CONTEXT, [logits(7, {5: 4.0}, {2: 4.0})], [OFFSETS], 1, 30, False)
    assert answer == ("", -np.inf, 0.0)
