"""What `prunebert info` says of a run, fact by fact, from a result with a different value for every key."""

from pathlib import Path

import pytest

from prunebert.commands import info, info_facts, info_sweep
from tests.toys import RESULT

ROW = RESULT | {
    **{"metric": "f1", "score": 0.61, "metrics": {"accuracy": 0.72, "f1": 0.61}, "majority_score": 0.33},
    **{"majority": {"accuracy": 0.44, "f1": 0.33}, "prunable": "encoder_pooler", "sparsity": 0.5},
    **{"sparsity_encoder": 0.1, "sparsity_encoder_pooler": 0.2, "sparsity_encoder_pooler_embeddings": 0.3},
    **{"sparsity_model": 0.4, "peak_memory_bytes": 3 * 2**29, "steps": 30, "seconds": 75.4, "seconds_per_step": 0.02},
    **{"trained_parameters": 700, "trained_scores": 400, "model_parameters": 600},
}


def test_the_main_metric_comes_first_and_each_has_its_own_baseline():
    form = {"labels": ["no", "yes"], "regression": False, "span": False, "masked_lm": False}
    assert info._scores(ROW | {"form": form}) == [
        ("score", "f1 0.6100 (constant baseline 0.3300: always the commonest label)"),
        ("", "accuracy 0.7200 (constant baseline 0.4400)"),
        ("classes", ["no", "yes"]),
    ]
    (*_, (_, classes)) = info._scores(ROW | {"form": form | {"labels": list(range(25))}})
    assert classes == [*map(str, range(20)), "and 5 more"]


def test_every_denominator_has_its_own_fraction():
    fractions = [
        "0.100000 encoder matrices",
        "0.200000 + pooler",
        "0.300000 + word embeddings",
        "0.400000 whole model",
    ]
    assert info._sparsities(ROW, {}) == [("target", "sparsity 0.5 of encoder_pooler"), ("sparsity", fractions)]
    assert info._sparsities(ROW | {"sparsity": 0.0}, {})[0] == ("target", "sparsity none")
    assert info._sparsities(ROW, {"sparsity_effective": 0.45})[-1][1].startswith("0.450000 effective")


def test_scores_of_weights_are_no_weights():
    assert info._trained(ROW) == "300 of 600 weights (50.0%), 400 scores"
    assert info._trained(ROW | {"trained_scores": None}) == "700 parameters"


def test_costs_have_their_units_and_several_phases_are_named():
    cost = dict(info._costs(ROW))
    assert cost == {"time": "75 s, 0.0200 s a step, 30 steps", "memory": "1.50 GiB", "device": "cpu"}
    phases = {"head": {"steps": 10}, "prune": {"steps": 20}}
    assert dict(info._costs(ROW | {"phases": phases}))["time"].endswith("30 steps (head 10 steps, prune 20 steps)")
    assert dict(info._costs(ROW | {"phases": {"prune": {"steps": 30}}}))["time"].endswith("30 steps")
    assert dict(info._costs(ROW | {"peak_memory_bytes": None}))["memory"] == "unknown"


def test_the_line_of_a_run_has_its_measured_sparsity_and_constant_baseline():
    assert info.line(ROW, Path("/else/where")) == (
        "x on y: f1 0.6100 (constant baseline 0.3300), sparsity 0.2000 of encoder_pooler, 75 s, in /else/where"
    )


@pytest.mark.parametrize(
    ("asked", "removed", "expected"), [(0.0, 0.0, False), (0.5, 0.5, True), (0.5, 0.0, True), (0.0, 0.1, True)]
)
def test_a_run_removes_weights_if_any_were_to_be_removed_or_are(asked, removed, expected):
    assert info_facts.removes({"sparsity": asked, "sparsity_model": removed}) == expected


def test_files_that_are_missing_are_listed_as_damaged_and_the_record_is_not(tmp_path):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra/config.yaml").write_text("x")
    (tmp_path / "metrics.jsonl").write_text("12345")
    found = info._files(tmp_path, {"head.safetensors": "gone"})
    assert found == ["metrics.jsonl 5 B", "head.safetensors 0 B damaged"]


def test_words_that_have_a_column_or_change_no_result_make_no_column():
    command = "prunebert method=smp seed=1 task.name=a model.name=/b impl.threads=2 +method.score_lr=0.1 experiment=e"
    assert info_sweep._words({"command": command}) == {"method.score_lr": "0.1"}
    rows = [{"command": f"prunebert fit.lr={x} fit.clip=1"} for x in (1, 2)]
    assert [(column.title, column.cells) for column in info_sweep._swept_words(rows)] == [("fit.lr", ["1", "2"])]
