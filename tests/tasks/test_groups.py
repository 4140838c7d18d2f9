"""Accuracy of groups of rows, against a confusion matrix made by hand; HANS's released layout."""

import json

import numpy as np
import pandas as pd
import pytest
from hydra.utils import instantiate

from prunebert.errors import BadInput
from prunebert.tasks import groups
from prunebert.tasks.batching import text_hash
from tests import merged
from tests.toys import rows

CLASSES = ["entailment", "non-entailment"]
# group, label, prediction: how many rows. McCoy et al. print the accuracy of each heuristic and label.
CONFUSION = {("a", 0, 0): 3, ("a", 0, 1): 1, ("a", 1, 0): 4, ("a", 1, 1): 1, ("b", 1, 1): 2}
EXPECTED = {
    "accuracy_a": 4 / 9,
    "accuracy_a_entailment": 3 / 4,
    "accuracy_a_non-entailment": 1 / 5,
    "accuracy_b": 1.0,
    "accuracy_b_non-entailment": 1.0,  # no row of b is entailed
}


def test_the_accuracy_of_each_group_and_of_each_class_in_it():
    rows = [cell for cell, count in CONFUSION.items() for _ in range(count)]
    group, label, prediction = (np.array(column) for column in zip(*rows, strict=True))
    assert groups.accuracies(group, prediction, label, CLASSES) == pytest.approx(EXPECTED)


def test_counts_are_those_of_each_groups_rows():
    columns = {"label": [0, 1, 1, 0], "prediction": [0, 0, 1, 1], "group": ["a", "a", "b", "a"]}
    table = pd.DataFrame(columns)
    assert groups.counts(table) == {"a": {"rows": 3, "right": 1}, "b": {"rows": 1, "right": 1}}
    assert groups.counts(table.drop(columns="group")) == {}


def test_names_of_groups_are_safe_in_a_column_and_differ():
    assert groups.names(pd.Series(["a b.c", "d", "a b.c"]), "g", "f.csv").tolist() == ["a_b_c", "d", "a_b_c"]
    with pytest.raises(BadInput, match=r"^task\.groups=g: some of a b, a\.b in f\.csv differ in punctuation only"):
        groups.names(pd.Series(["a b", "a.b"]), "g", "f.csv")
    with pytest.raises(BadInput, match=r"^task\.groups=g: f\.csv has 51 different values; at most 50"):
        groups.names(pd.Series(range(51)), "g", "f.csv")


def test_values_of_every_type_are_groups():
    """A missing value is the group of an empty text, a date has its time, and a whole float has no .0."""
    days = pd.Series(pd.to_datetime(["2020-01-02", None, "2020-01-02"]))
    assert groups.names(days, "g", "f").tolist() == ["2020-01-02_00_00_00", "_", "2020-01-02_00_00_00"]
    assert groups.names(pd.Series([1.0, np.nan, 2.5]), "g", "f").tolist() == ["1", "_", "2_5"]
    assert groups.names(pd.Series(["", None, "None"]), "g", "f").tolist() == ["_", "_", "None"]
    with pytest.raises(
        BadInput, match=r"^task\.groups=g: row 2 of f .* has a list of values, and a group is one value"
    ):
        groups.names(pd.Series(["a", ["b"]]), "g", "f")


@pytest.mark.parametrize(("named", "classes"), [(["a", "a_yes"], ["no", "yes"]), (["a", "a"], ["x y", "x.y"])])
def test_two_accuracies_of_one_name_are_refused(named, classes):
    """The group a_yes, and the rows of the class yes in the group a; two classes that differ in punctuation."""
    with pytest.raises(BadInput, match=r"^task\.groups: two of the groups .* the metric accuracy_a_(yes|x_y); rename"):
        groups.accuracies(np.array([*named, *named]), np.zeros(4, int), np.array([1, 1, 0, 0]), classes)


HEADER = "gold_label\tsentence1_binary_parse\tsentence1\tsentence2\tpairID\theuristic\tsubcase\ttemplate\n"


def released(folder):
    """Write both files of HANS's release, as the authors name and lay them out: 8 rows each, no quoting."""
    lines = [
        f'{CLASSES[i % 2]}\t( x )\tthe "film {i}\tthe plot\tex{i}\t{("lexical_overlap", "constituent")[i // 4]}\ts\tt\n'
        for i in range(8)
    ]
    for split in ("train", "evaluation"):
        (folder / f"heuristics_{split}_set.txt").write_text(HEADER + "".join(lines))
    return folder / "heuristics_evaluation_set.txt"


def hans(model, **changes):
    node = merged.config(task="hans")["task"] | {"max_length": 16, "hub": None} | changes
    return instantiate(node, _convert_="all")(tokenizer=model.tokenizer, positions=64)


def test_hans_reads_the_authors_release_as_a_folder_and_as_a_file(model, tmp_path):
    file = str(released(tmp_path))
    tasks = [hans(model, data_dir=str(tmp_path)), hans(model, train=file, eval=file)]
    assert tasks[0].facts()["fingerprint"] == tasks[1].facts()["fingerprint"]
    for task in tasks:
        assert task.rows["validation"].labels.tolist() == [0, 1] * 4 and task.score == "accuracy"
        outputs = {row: np.array([0.0, 1.0]) if row < 6 else np.array([1.0, 0.0]) for row in range(8)}
        found = task.metrics({"validation": task.predict("validation", outputs)})
        assert found == {
            "accuracy": 0.5,
            "accuracy_constituent": 0.5,
            "accuracy_constituent_entailment": 0.5,
            "accuracy_constituent_non-entailment": 0.5,
            "accuracy_lexical_overlap": 0.5,
            "accuracy_lexical_overlap_entailment": 0.0,
            "accuracy_lexical_overlap_non-entailment": 1.0,
        }
        assert task.baseline().keys() == found.keys()


def test_a_file_without_the_column_and_a_regression_are_refused(model, tmp_path):
    released(tmp_path)
    (tmp_path / "own.tsv").write_text("gold_label\tsentence1\tsentence2\nentailment\ta\tb\n")
    file = str(tmp_path / "own.tsv")
    with pytest.raises(BadInput, match=r"^task\.groups=heuristic: .*own\.tsv has no such column; it has gold_label, s"):
        hans(model, train=file, eval=file)
    assert hans(model, train=file, eval=file, groups=None).metric == "prunebert.metrics:Accuracy"
    with pytest.raises(BadInput, match=r"^task\.groups=heuristic: needs classes, and task\.kind=regression has none"):
        hans(model, data_dir=str(tmp_path), kind="regression", labels=None)


def test_paws_reads_the_authors_release(model, tmp_path):
    for name in ("train.tsv", "dev.tsv"):
        (tmp_path / name).write_text("id\tsentence1\tsentence2\tlabel\n1\ta film\ta plot\t1\n2\tit was\twas it\t0\n")
    node = merged.config(task="paws")["task"] | {"max_length": 16, "hub": None}
    for source in ({"data_dir": str(tmp_path)}, dict.fromkeys(("train", "eval"), str(tmp_path / "dev.tsv"))):
        task = instantiate(node | source, _convert_="all")(tokenizer=model.tokenizer, positions=64)
        assert task.rows["validation"].labels.tolist() == [1, 0]
        assert task.form().labels == ["not_duplicate", "duplicate"] == merged.config(task="qqp")["task"]["labels"]


def test_the_grouping_of_the_rows_is_recorded_beside_them(finished):
    """The accuracies of groups depend on it, so it is a part of the run's identity."""
    plain, grouped = (
        json.loads((finished("method=magnitude", "sparsity=0.6", *words) / "result.json").read_text())["data"]
        for words in ((), ("task.groups=position",))
    )
    assert "grouping" not in plain and plain["fingerprint"] == grouped["fingerprint"]
    assert grouped["grouping"]["validation"] == text_hash(rows(40, seed=1)["position"].astype(str).tolist())
    assert grouped["grouping"]["validation"] != text_hash(rows(40, seed=1)["position"].astype(str).tolist()[::-1])
