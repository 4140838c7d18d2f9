"""Agreement and loyalty of predictions, against scikit-learn, scipy and arithmetic by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import cohen_kappa_score

from prunebert.analysis import agreement
from prunebert.analysis.predictions import LABELS, NUMBER, TEXT, WORD, Reader
from prunebert.errors import BadInput
from tests.toys import RESULT, write_result


def write(root, label, prediction, ids=None, splits="validation", **columns):
    root.mkdir(exist_ok=True)
    ids = [str(i) for i in range(len(label))] if ids is None else ids
    table = {"split": splits, "id": ids, "label": label, "prediction": prediction, **columns}
    pd.DataFrame(table).to_parquet(root / "predictions.parquet")
    write_result(root, RESULT)
    return root


@pytest.fixture
def three(tmp_path):
    """Three runs of three classes on 60 rows, the third in another order of its rows, and their logits."""
    random = np.random.default_rng(0)
    gold, logits = random.integers(3, size=60), random.normal(size=(3, 60, 3))
    logits += 2 * np.eye(3)[gold]
    reader, order = Reader(), random.permutation(60)
    orders = [np.arange(60), np.arange(60), order]
    ids = np.array([str(i) for i in range(60)])
    read = [
        reader.read(
            write(tmp_path / str(run), gold[o], logits[run].argmax(1)[o], ids=ids[o], scores=list(logits[run][o])),
            "accuracy",
        )
        for run, o in enumerate(orders)
    ]
    return read, logits, gold


def test_agreement_and_kappa_are_those_of_numpy_and_scikit_learn_in_any_order_of_the_rows(three):
    read, logits, gold = three
    labels = logits.argmax(2)
    square = agreement.squares([read[0], None, *read[1:]])
    assert np.isnan(square["agreement"][1]).all() and np.isnan(square["agreement"][:, 1]).all()
    for a, b in ((0, 1), (0, 2), (1, 2)):
        place = tuple({0: 0, 1: 2, 2: 3}[run] for run in (a, b))
        assert square["agreement"][place] == pytest.approx((labels[a] == labels[b]).mean())
        assert square["kappa"][place] == pytest.approx(cohen_kappa_score(labels[a], labels[b]))
        p, q = ((labels[run] == gold).mean() for run in (a, b))
        expected = p * q + (1 - p) * (1 - q) / 2  # an error is one of two other classes
        assert square["independent"][place] == pytest.approx(expected)
        beyond = ((labels[a] == labels[b]).mean() - expected) / (1 - expected)
        assert square["beyond_accuracy"][place] == pytest.approx(beyond)
    assert np.isnan(square["correlation"]).all()


def test_classifiers_with_independent_errors_agree_as_often_as_expected():
    """A million rows of four classes; the errors are drawn evenly from the three others."""
    random = np.random.default_rng(0)
    shifts = [np.where(random.random(10**6) < p, 0, random.integers(1, 4, 10**6)) for p in (0.9, 0.6)]
    assert agreement.independent(np.array([0.9, 0.6]), 4)[0, 1] == pytest.approx(
        (shifts[0] == shifts[1]).mean(), abs=2e-3
    )


def test_loyalty_is_that_of_scipy_and_means_are_over_the_dense_runs(three):
    read, logits, _ = three
    weights = np.exp(logits)
    probabilities = weights / weights.sum(2, keepdims=True)
    by_scipy = [(1 - jensenshannon(probabilities[0], probabilities[run], axis=1)).mean() for run in (1, 2)]
    labels = [(logits[0].argmax(1) == logits[run].argmax(1)).mean() for run in (1, 2)]
    assert agreement.probability_loyalty(read[0], read[1]) == pytest.approx(by_scipy[0], abs=1e-6)
    found = agreement.loyalty(read[0], read[1:])
    assert found[:2] == pytest.approx((np.mean(labels), np.mean(by_scipy)), abs=1e-6) and np.isnan(found.correlation)
    assert agreement.loyalty(read[0], [read[0]])[:2] == (1, 1)
    mean, pairs = agreement.ceiling([(0, read[0]), (1, read[1]), (1, read[2])])
    assert pairs == 2 and mean.labels == pytest.approx(np.mean(labels))  # two runs of seed 1 are no pair
    same, others = agreement.references(read[0].rows, 1, [(0, read[0]), (1, read[1]), (2, read[2])])
    assert same == [read[1]] and others == [read[0], read[2]]


def test_opposite_certainties_have_the_lowest_loyalty(tmp_path):
    reader = Reader()
    runs = [
        reader.read(write(tmp_path / str(c), [0], [c], scores=[[99.0 * (1 - c), 99.0 * c]]), "accuracy") for c in (0, 1)
    ]
    assert agreement.probability_loyalty(*runs) == pytest.approx(1 - np.log(2) ** 0.5)


def test_a_regression_has_a_correlation_and_nothing_else(tmp_path):
    random, reader = np.random.default_rng(1), Reader()
    values = [*random.normal(size=(2, 20)), np.full(20, 0.1)]
    runs = [reader.read(write(tmp_path / str(i), np.arange(20.0), v), "pearson") for i, v in enumerate(values)]
    assert runs[0].rows.kind == NUMBER
    square = agreement.squares(runs)
    expected = np.corrcoef(values[0], values[1])[0, 1]
    assert square["correlation"][0, 1] == pytest.approx(expected) and np.isnan(square["correlation"][2]).all()
    assert np.isnan(square["agreement"]).all()
    found = agreement.loyalty(runs[0], [runs[1]])
    assert found.correlation == pytest.approx(expected) and np.isnan(found.labels)


def test_runs_on_other_rows_are_not_compared(tmp_path):
    reader = Reader()
    others = {
        "same": ([0, 1, 1], None, "validation"),
        "label": ([0, 1, 0], None, "validation"),
        "ids": ([0, 1, 1], ["0", "1", "7"], "validation"),
        "split": ([0, 1, 1], None, "test"),
        "fewer": ([0, 1], None, "validation"),
    }
    runs = [
        reader.read(write(tmp_path / name, label, label, ids, split), "accuracy")
        for name, (label, ids, split) in others.items()
    ]
    again = reader.read(tmp_path / "same", "accuracy")
    assert np.isnan(agreement.squares(runs)["agreement"][0, 1:]).all()
    assert agreement.squares([runs[0], again])["agreement"].tolist() == [[1, 1], [1, 1]]
    with pytest.raises(ValueError, match="other rows"):
        agreement.label_loyalty(runs[0], runs[1])
    assert agreement.references(runs[0].rows, 0, [(0, runs[1])]) == ([], [])


def test_a_metric_of_one_split_counts_only_that_split(tmp_path):
    root = write(tmp_path / "a", [0, 0, 1], [0, 1, 1], splits=["matched", "matched", "mismatched"])
    read = Reader().read(root, "accuracy_matched")
    assert read.rows.split == ["matched"] * 2 and read.right.tolist() == [True, False]


def test_spans_sets_and_words_agree_where_answers_sets_and_labels_are_the_same(tmp_path):
    reader = Reader()

    def kinds(metric, golds, *predictions, **columns):
        runs = [
            reader.read(write(tmp_path / f"{metric}{i}", list(map(json.dumps, golds)), p, **columns), metric)
            for i, p in enumerate(predictions)
        ]
        square = agreement.squares(runs)
        numbers = [square[key][0, 1] for key in ("agreement", "kappa", "independent")]
        return runs[0].rows.kind, [run.right.tolist() for run in runs], numbers

    kind, right, numbers = kinds("exact", [["old man"], [], ["x"]], ["The old man!", "", "y"], ["old man", "a", "z"])
    # "a" is an article: as a normal form it is the empty answer, which is right where there is none
    assert kind == TEXT and right == [[True, True, False]] * 2
    assert numbers[0] == pytest.approx(2 / 3) and np.isnan(numbers[1:]).all()
    kind, right, numbers = kinds("micro_f1", [["a", "b"], []], ['["b", "a"]', "[]"], ['["a", "b"]', '["a"]'])
    assert kind == LABELS and right == [[True, True], [True, False]] and numbers[0] == 0.5
    golds, words = [["B", "O"], ["O"]], list(map(json.dumps, [["Rome", "is"], ["it"]]))
    kind, right, numbers = kinds("f1", golds, ['["B", "O"]', '["B"]'], ['["O", "O"]', '["B"]'], words=words)
    assert kind == WORD and right == [[True, True, False], [False, True, False]]
    assert numbers[0] == pytest.approx(2 / 3)
    assert numbers[1] == pytest.approx(cohen_kappa_score([1, 0, 1], [0, 0, 1]))
    assert numbers[2] == pytest.approx(2 / 3 * 1 / 3 + 1 / 3 * 2 / 3)  # two labels


def test_words_are_rows_with_their_places_and_masked_tokens_are_left_out(tmp_path):
    words = [json.dumps(["Rome", "is"])]
    read = Reader().read(write(tmp_path / "a", ['["B", "O"]'], ['["B", "B"]'], words=words), "f1")
    assert read.rows.id == ["0:0", "0:1"] and read.rows.text == ["Rome", "is"]
    assert Reader().read(write(tmp_path / "b", ["[5]", "[]"], ["[5]", "[]"]), "accuracy") is None


@pytest.mark.parametrize("damage", ["missing", "twice", "scores", "words", "text"])
def test_what_cannot_be_compared_is_bad_input_that_names_the_run(tmp_path, damage):
    changes = {
        "twice": {"ids": ["0", "0"]},
        "scores": {"scores": [[0.0, 1.0], [np.nan, 0.0]]},
        "words": {"label": ['["O"]'] * 2, "prediction": ['["O", "O"]', "[]"], "words": ['["a"]'] * 2},
        "text": {"label": ["no JSON"] * 2},
    }.get(damage, {})
    root = write(tmp_path / "run", **({"label": [0, 1], "prediction": [0, 1]} | changes))
    if damage == "missing":
        (root / "predictions.parquet").unlink()
    with pytest.raises(BadInput, match=r"run.*predictions\.parquet"):
        Reader().read(root, "f1" if damage == "words" else "accuracy")


def test_choices_of_different_numbers_have_probabilities_that_sum_to_one(tmp_path):
    """A row of two choices has no third; by hand, softmax of (0, ln 3) is (1/4, 3/4)."""
    scores = [[0.0, np.log(3)], [0.0, 0.0, 0.0]]
    read = Reader().read(write(tmp_path / "a", [1, 2], [1, 0], scores=scores, question=["q", "r"]), "accuracy")
    assert read.probabilities == pytest.approx(np.array([[0.25, 0.75, 0], [1 / 3] * 3]))
    assert read.classes == 3 and read.rows.text == ["q", "r"]
