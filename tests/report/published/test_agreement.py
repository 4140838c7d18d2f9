"""Test which settings a published number belongs to: changing any one removes it or finds the number of the change."""

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra

from prunebert.report.published import agreement
from prunebert.report.published import numbers as published
from prunebert.settings import overrides
from tests.report.published.papers import RECORDS, beside, cell, paper

WHOLE = "encoder_pooler_embeddings"
PRUNE_OFA = {"pruner.distill.weight": 0.5, "pruner.distill.temperature": 2.0}
PRUNE_OFA |= {"pruner.fit.steps": 100_000, "pruner.schedule.end": 0.5}
RETRAINED = {"keep_pretrained": True, "head": "layer_mix"}
# A cell with a published number for every method that has one: task, sparsity, words, changes.
CELLS = {
    "dense": ("mnli", 0.0, (), {}),
    "random": ("rte", 0.6, (), {"denominator": "encoder_pooler"}),
    "magnitude": ("sst2", 0.5, (), {"denominator": WHOLE, "settings": RETRAINED}),
    "imp": ("sst2", 0.6, (), {}),
    "gmp": ("mnli", 0.9, ("distill=logits",), {}),
    "gmp_star": ("squad", 0.9, ("distill=logits",), {}),
    "movement": ("mnli", 0.9, ("distill=logits",), {}),
    "soft_movement": ("mnli", 0.9, ("distill=logits",), {}),
    "l0": ("mnli", 0.9, ("distill=logits",), {}),
    "sparsebert": ("qnli", 0.95, ("distill=tinybert",), {"augment": "mlm"}),
    "obert": ("mnli", 0.9, ("distill=logits",), {}),
    "abp": ("sst2", 0.5, (), {}),
    "smp": ("mnli", 0.9, ("distill=logits",), {}),
    "sparse_transfer": ("mnli", 0.9, ("distill=logits",), {"settings": PRUNE_OFA}),
}
NO_EFFECT = {
    "fit.eval_every",
    "distill.fit.eval_every",
    "distill.shared",
    "distill.cached",
    "distill.teacher",
    "memory",
}
# Of a method inside the method. Its teacher is the pre-trained network, and Prune-OFA sets steps.
NO_EFFECT |= {"pruner.fit.eval_every", "pruner.fit.epochs", "pruner.distill.fit.eval_every"}
NO_EFFECT |= {"pruner.distill.cached", "pruner.distill.shared"}
EACH_RUNS_OWN = {"prunable", "seed", "sparsity", "schedule.final"}  # compared as denominator and sparsity, or the run's


def leaves(node, path=""):
    """Yield every dotted key of nested settings with its value."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")
        elif key != "_partial_":
            yield f"{path}{key}", value


def others(key, value):
    """Return other values for a setting."""
    if key.endswith("_target_"):
        return ["prunebert.schedules.Linear" if "schedules" in value else "prunebert.distill.hidden_cosine"]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value * 2 + 0.125]
    choices = {"allocation": ["uniform", "global", "score"], "ablation": ["shuffle", "reinit"]}
    return [other for other in choices.get(key, ["another"]) if other != value]


@pytest.mark.parametrize("method", CELLS)
def test_changing_any_setting_removes_the_number_or_finds_that_of_the_change(method):
    task, sparsity, words, changes = CELLS[method]
    plain = beside(method, task, sparsity, *words, **changes)
    assert plain
    without_effect = NO_EFFECT - ({"fit.eval_every"} if method == "smp" else set())  # SMP keeps the best evaluation's
    walked = 0
    for key, value in leaves(paper(f"method={method}", f"task={task}", f"sparsity={sparsity}", *words)):
        if key in EACH_RUNS_OWN:
            continue
        for other in others(key, value):
            settings = changes.get("settings", {}) | {key: other}
            found = beside(method, task, sparsity, *words, **changes | {"settings": settings})
            word = f"{key}={str(other).lower() if isinstance(other, bool) else other}"
            if key in without_effect:
                assert found == plain, key
            else:
                assert all(word in variant.split(";") for _, variant, _ in found), (key, found)
            walked += 1
    assert walked >= len(paper(f"method={method}", f"task={task}", *words)) + 8  # the budget has more keys than one


def test_every_method_with_a_published_number_is_walked():
    known = {point["method"] for point in RECORDS} & {*agreement._options("method")}
    assert known == set(CELLS) and len(known) >= 11


def test_the_numbers_of_ablations_stand_beside_their_own_runs():
    sst2, mnli = ("abp", "sst2", 0.5), ("smp", "mnli", 0.9)
    assert beside(*sst2) == [("AbP Supp. Table 2", "", 0.856)]
    assert beside(*sst2, settings={"recovery": False}) == [("AbP Table 4", "recovery=false", 0.815)]  # .856 - .041
    assert beside(*sst2, settings={"ablation": "shuffle"}) == [("AbP Table 3", "ablation=shuffle", 0.808)]
    assert beside(*sst2, settings={"ablation": "reinit"}) == [("AbP Table 3", "ablation=reinit", 0.491)]
    assert beside(*sst2, settings={"ablation": "shuffle", "recovery": False}) == []
    imp = {"denominator": WHOLE, "settings": RETRAINED}
    assert [score for *_, score in beside("imp", "sst2", 0.5, **imp)] == [0.825]
    expected = {"score": [0.825, 0.825], "uniform": [0.82, 0.82], "global": [0.81]}
    for allocation, scores in expected.items():
        found = beside(*mnli, settings={"allocation": allocation}, metric="accuracy_matched")
        assert [score for *_, score in found] == scores
    obert = ("obert", "squad", 0.9, "distill=logits")
    assert [s for *_, s in beside(*obert, metric="f1")] == [0.8831]
    assert [s for *_, s in beside(*obert, settings={"fit.epochs": 10}, metric="f1")] == [0.8798]
    local = {"allocation": "uniform"}
    assert [s for *_, s in beside(*mnli, settings=local | {"head": "linear"})] == [0.817]
    assert [s for *_, s in beside(*mnli, settings=local | {"penalty": 0.0})] == [0.801]
    assert [s for *_, s in beside("smp", "rte", 0.2)] == [0.723]
    assert [s for *_, s in beside("smp", "rte", 0.2, settings=local)] == [0.723]  # the better of the two
    movement = ("movement", "squad", 0.97)
    assert [s for *_, s in beside(*movement, settings={"allocation": "global"}, metric="f1")] == [0.78613]
    assert beside(*movement, settings={"allocation": "global", "train_embeddings": True}) == []


@pytest.mark.parametrize(
    ("run", "settings"),
    [
        (("imp", "sst2", 0.6), {"allocation": "uniform"}),
        (("imp", "sst2", 0.6), {"keep_pretrained": True}),
        (("smp", "mnli", 0.9), {"head": "linear"}),
        (("smp", "squad", 0.97), {}),  # its number belongs to 20 epochs and 22,650 pruning steps
        (("dense", "mnli", 0.0), {"fit.steps": 2}),
    ],
    ids=str,
)
def test_no_number_of_the_plain_method_stands_beside_another_setting(run, settings):
    assert beside(*run, settings=settings) == [] and published.closest(cell(*run, settings=settings), RECORDS)


def test_all_that_a_result_records_beside_its_settings_counts():
    run = ("smp", "mnli", 0.9)
    plain = beside(*run)
    assert beside(*run, row={"form": {"max_length": 128, "label_words": ["Yes", "Maybe", "No"]}}) == plain != []
    form = {"max_length": 128, "name": "mine", "outputs": 3, "span": False, "padding": "longest"}
    assert beside(*run, row={"form": form}) == plain  # a label, and what follows from the task
    for changes in (
        {"row": {"form": {"max_length": 64}}},
        {"row": {"form": {"label_words": ["No", "Maybe", "Yes"]}}},
        {"row": {"architecture": {"hidden_act": "relu"}}},
        {"augment": "mlm"},
        {"denominator": "encoder_pooler"},
        {"model": "bert-large-uncased"},
        {"distill": "hidden_cosine"},
        {"sparsity": 0.91},
    ):
        assert beside(*run, **changes) == [], changes


def test_no_published_number_of_unstructured_masks_stands_beside_a_pattern():
    """No paper's number in the table has a pattern."""
    assert beside("gmp", "mnli", 0.9, "distill=logits")
    assert not beside("gmp", "mnli", 0.9, "distill=logits", settings={"pattern": "4x4"})


def test_a_budgets_keys_that_are_not_read_do_not_count():
    steps = {"fit.steps": 9, "fit.epochs": 7}
    (near, *_) = published.closest(cell("imp", "sst2", 0.6, settings=steps), RECORDS)
    assert near["differing"] == {"fit.steps": ("unset", "9")}
    pretrained = ("movement", "mnli", 0.9, "distill=logits")
    assert beside(*pretrained, settings={"distill.teacher": "runs/teacher"}) == beside(*pretrained) != []
    assert beside(*pretrained, settings={"distill.teacher": "pretrained"}) == []


def test_an_old_run_without_some_settings_has_the_signatures_defaults():
    run = cell("movement", "mnli", 0.9, "distill=logits")
    settings = run["row"][0]["settings"]
    del settings["train_embeddings"], settings["fit"]["keep"], settings["distill"]["shared"]
    assert published.comparisons(run, RECORDS)
    del settings["allocation"]  # it has no default
    assert not published.comparisons(run, RECORDS)


def test_a_method_of_ones_own_has_no_published_number(tmp_path):
    assert beside("smp", "mnli", 0.9, method="obert") == []
    (tmp_path / ".hydra").mkdir()
    for target, numbers in (("mine.smp", False), ("prunebert.methods.smp.smp", True)):
        (tmp_path / ".hydra/config.yaml").write_text(f"method: {{_target_: {target}}}")
        assert bool(beside("smp", "mnli", 0.9, has_files=True, directory=tmp_path)) == numbers
    (tmp_path / ".hydra/config.yaml").write_text("{")  # the name decides
    assert beside("smp", "mnli", 0.9, has_files=True, directory=tmp_path)
    assert beside("smp", "mnli", 0.9, settings={"schedule._target_": "prunebert.earlier.Cubic"}) == []


def test_the_papers_settings_are_never_the_users(tmp_path):
    (tmp_path / "config.yaml").write_text("defaults: [method: smp]")
    (tmp_path / "method").mkdir()
    (tmp_path / "method/smp.yaml").write_text("penalty: 1.0")
    with hydra.initialize_config_dir(str(tmp_path), version_base="1.3"):
        before = GlobalHydra.instance().hydra
        assert overrides.packaged(["method=smp"])["method"]["penalty"] == 400.0
        assert GlobalHydra.instance().hydra is before
        assert overrides.compose([])["method"] == {"penalty": 1.0}


@pytest.mark.parametrize("sparsity", [0.9, 0.97])
def test_numbers_of_a_method_inside_a_method_stand_beside_runs_with_it(sparsity):
    """Upstream oBERT prunes with obert, whose keys are not those of the default pruner. Prune-OFA is at 90 % alone."""
    words = ("distill=logits", "method@method.pruner=obert")
    upstream = ("sparse_transfer", "mnli", sparsity, *words)
    score = {0.9: 0.834, 0.97: 0.8091}[sparsity]
    assert beside(*upstream) == [("oBERT README", "pruner=prunebert.methods.obert.obert", score)]
    assert beside(*upstream, settings={"pruner.distill.cached": True}) != []  # as at the outer level
    assert beside(*upstream, settings={"pruner.block": 1}) == []
    default = ("sparse_transfer", "mnli", sparsity, "distill=logits")
    assert beside(*default) == []
    found = beside(*default, settings=PRUNE_OFA)
    assert [s for *_, s in found] == ([0.8145, 0.8243] if sparsity == 0.9 else [])
