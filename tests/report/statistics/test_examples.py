"""Test the scores of single examples for each form of task, against values computed by hand."""

import json

import pandas as pd
import pytest

from prunebert.errors import BadInput
from prunebert.report.statistics.examples import Reader, example_scores, unit
from tests.toys import RESULT, write_result


def write_predictions(root, labels, predictions, splits="validation", ids=None):
    root.mkdir(exist_ok=True)
    ids = ids or [str(i) for i in range(len(labels))]
    table = {"split": splits, "id": ids, "label": labels, "prediction": predictions}
    pd.DataFrame(table).to_parquet(root / "predictions.parquet")
    write_result(root, RESULT)
    return root


def test_classes_are_right_or_wrong(tmp_path):
    root = write_predictions(tmp_path, [0, 1, 2], [0, 2, 2])
    assert example_scores(root, "matthews").to_dict() == {
        ("validation", "0"): 1.0,
        ("validation", "1"): 0.0,
        ("validation", "2"): 1.0,
    }
    assert unit("f1", "mrpc") == "right or wrong"


def test_a_metric_of_one_split_counts_only_that_split(tmp_path):
    root = write_predictions(tmp_path, [0, 0, 0], [0, 1, 1], ["matched", "matched", "mismatched"])
    assert example_scores(root, "accuracy_matched").tolist() == [1, 0]
    assert example_scores(root, "accuracy_mismatched").tolist() == [0] and len(example_scores(root, "accuracy")) == 3


def test_a_regression_scores_minus_its_error(tmp_path):
    root = write_predictions(tmp_path, [1.0, 4.0], [1.5, 2.0])
    assert example_scores(root, "spearman").tolist() == [-0.5, -2.0] and unit("pearson", "stsb") == "absolute error"


def test_graded_labels_make_a_regression_whatever_the_metric_and_so_does_a_correlation_of_whole_numbers(tmp_path):
    assert example_scores(write_predictions(tmp_path, [1.0, 2.5], [1.5, 2.5]), "accuracy").tolist() == [-0.5, 0]
    assert example_scores(write_predictions(tmp_path, [1, 4], [3.0, 4.0]), "pearson").tolist() == [-2, 0]


def test_what_is_compared_has_the_name_of_the_metric():
    names = [("exact", "squad_v2"), ("f1", "squad"), ("f1", "mrpc"), ("accuracy", "mlm"), ("spearman", "stsb")]
    assert [unit(*name) for name in names] == [
        *("exact match", "F1 of the answer", "right or wrong"),
        *("share of a block's hidden tokens predicted correctly", "absolute error"),
    ]


def test_a_question_has_an_exact_match_and_an_f1(tmp_path):
    golds = [["the old man", "a man"], ["Paris"], ["x y"]]
    root = write_predictions(tmp_path, [json.dumps(g) for g in golds], ["old man", "paris!", "z"])
    assert example_scores(root, "exact").tolist() == [1, 1, 0]
    assert example_scores(root, "f1").tolist() == [1, 1, 0]
    root = write_predictions(tmp_path, [json.dumps(["old grey man"])], ["old man"])
    assert example_scores(root, "f1").tolist() == [pytest.approx(0.8)] and unit("f1", "squad") == "F1 of the answer"


def test_a_question_without_an_answer_requires_an_empty_prediction(tmp_path):
    root = write_predictions(tmp_path, ["[]", "[]", '["a b"]'], ["", "b", "b"])
    assert example_scores(root, "f1").tolist() == [1, 0, 1]  # "a" is an article


def test_a_block_scores_its_share_of_correct_tokens(tmp_path):
    root = write_predictions(tmp_path, ["[5, 6]", "[7]", "[]"], ["[5, 9]", "[7]", "[]"])
    assert example_scores(root, "accuracy").tolist() == [0.5, 1.0]


@pytest.mark.parametrize("damage", ["missing", "bytes", "columns", "twice", "not JSON", "empty"])
def test_unreadable_predictions_are_bad_input(tmp_path, damage):
    root = write_predictions(tmp_path, ["[1", "2"], ["x", "y"], ids=["0", "0"] if damage == "twice" else None)
    file = root / "predictions.parquet"
    if damage == "missing":
        file.unlink()
    if damage == "bytes":
        file.write_bytes(b"PAR1 no")
    if damage == "columns":
        pd.DataFrame({"split": ["a"]}).to_parquet(file)
    if damage == "empty":
        write_predictions(tmp_path, [], [])
    with pytest.raises(BadInput, match=r"predictions\.parquet"):
        example_scores(root, "f1")


def test_runs_read_one_after_another_score_as_when_read_alone(tmp_path):
    """A reader keeps the last run's examples; it must notice other labels, ids, splits, orders and metrics."""
    runs = [
        write_predictions(tmp_path / "a", [0, 1, 2], [0, 2, 2]),
        write_predictions(tmp_path / "b", [0, 1, 2], [2, 1, 2]),
        write_predictions(tmp_path / "c", [0, 1, 1], [2, 1, 2]),
        write_predictions(tmp_path / "d", [0, 1, 2], [2, 1, 2], ids=["2", "1", "0"]),
        write_predictions(tmp_path / "e", [0, 1, 2], [0, 1, 0], splits=["matched", "matched", "mismatched"]),
        write_predictions(tmp_path / "f", ['["a"]', "[]"], ["a", "b"]),
    ]
    reader = Reader()
    for root, metric in [(r, m) for r in runs for m in ("accuracy_matched", "accuracy_mismatched", "exact")]:
        pd.testing.assert_series_equal(
            reader.read(root, metric).scores, example_scores(root, metric), check_names=False
        )
        assert reader.read_and_keep(root, metric) is reader.read_and_keep(root, metric)
    assert reader.read(runs[1], "accuracy").scores.tolist() == [0, 1, 1]  # by hand
    assert reader.read(runs[2], "accuracy").scores.tolist() == [0, 1, 0]
    assert reader.read(runs[4], "accuracy_mismatched").scores.to_dict() == {("mismatched", "2"): 0.0}


def test_a_sentence_is_right_if_all_its_entities_are(tmp_path):
    """Its labels may differ where its entities do not: I-PER and B-PER after O. For accuracy all labels count."""
    golds = [["O", "B-PER"], ["B-LOC", "I-LOC"], ["B-LOC"]]
    predicted = [["O", "I-PER"], ["B-LOC", "O"], ["B-LOC"]]
    root = write_predictions(tmp_path, *([json.dumps(x) for x in side] for side in (golds, predicted)))
    table = pd.read_parquet(root / "predictions.parquet")
    table.assign(words=[json.dumps(["w"] * len(g)) for g in golds]).to_parquet(root / "predictions.parquet")
    assert example_scores(root, "f1").tolist() == [1, 0, 1]
    assert example_scores(root, "accuracy").tolist() == [0, 0, 1]
