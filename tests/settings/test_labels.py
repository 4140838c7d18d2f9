"""What a run's row says of the command, by hand."""

import shlex

import pytest

from prunebert.settings import labels

CHOICES = {"method": "smp", "task": "rte", "fit": "paper", "distill": "logits", "augment": "mlm"}
TASK = {"name": "rte", "train": None}


def test_a_row_records_what_the_method_reads():
    """A method without a teacher or prunable weights has none, whatever the command line chose."""
    words = ["method=smp", "task=rte", "task.data_dir=my data/$x"]
    method = {"_target_": "a.b", "_partial_": True, "prunable": "encoder_pooler", "distill": {"weight": 0.5}, "tau": 1}
    fields = {"method": method, "task": TASK, "sparsity": 0.9, "prunable": "paper"}
    row = labels.labels(fields, CHOICES, words, pruned=True)
    assert {key: row[key] for key in CHOICES} == CHOICES
    assert (row["sparsity"], row["prunable"]) == (0.9, "encoder_pooler")
    assert row["settings"] == {"prunable": "encoder_pooler", "distill": {"weight": 0.5}, "tau": 1}
    assert shlex.split(row["command"]) == ["prunebert", *words]
    plain = labels.labels(fields | {"method": {"_target_": "a.b", "tau": 1}}, CHOICES, words, pruned=False)
    assert (plain["distill"], plain["sparsity"], plain["prunable"]) == ("none", 0.0, "encoder")


@pytest.mark.parametrize(
    ("method", "as_written", "pruned"),
    [
        ({"prunable": "encoder"}, "", True),
        ({"sparsity": 0.5}, "", True),
        ({"schedule": {"final": 0.5}}, "{'schedule': {'final': '${sparsity}'}}", True),
        ({"schedule": {"final": 0.5}}, "{'schedule': {'final': 0.5}}", False),
        ({"head": "linear"}, "{'head': 'linear'}", False),
    ],
)
def test_a_method_removes_weights_where_it_names_them_or_the_sparsity(method, as_written, pruned):
    assert labels.prunes(method, as_written) == pruned
