"""Run every method on every form of task, through the command line with fit=smoke."""

import json

import pytest
from safetensors import safe_open

from prunebert.masks import maskfile
from tests.test_conf import options

PHASES = {
    "dense": ["finetune"],
    "random": ["finetune"],
    "fixed_mask": ["finetune"],
    "magnitude": ["finetune"],
    "masking": ["prune"],
    "imp": ["round-1", "round-2", "finetune"],
    "gmp": ["prune"],
    "gmp_star": ["teacher", "prune"],
    "movement": ["prune"],
    "platon": ["prune"],
    "soft_movement": ["prune"],
    "l0": ["prune"],
    "smp": ["prune"],
    "abp": ["prune"],
    "tamt": ["mask-training", "finetune"],
    "sparsebert": ["teacher", "prune"],
    "obert": ["teacher", "fisher-1", "train-2", "fisher-2", "train-3"],
    "snip": ["saliency", "finetune"],
    "rigl": ["prune"],
    "sparse_transfer": ["teacher", "prune", "finetune"],
}
FROZEN = {"smp", "abp", "masking"}  # the other methods write weights
EXTRA = {
    "imp": ["method.step=0.45"],
    "tamt": ["method.corpus.block=16"],
    "sparse_transfer": ["method.corpus.block=16"],
    "rigl": ["method.interval=1"],
}
FORMS = {
    "classification": ["task.label_words=[terrible,great]"],
    "pair": ["task.text=[sentence,second]", "task.label_words=[no,yes]"],
    "regression": [
        "task.text=[sentence,second]",
        "task.kind=regression",
        "task.label=number",
        "task.label_words=[yes]",
    ],
    "questions": [],
    "words": ["task.kind=tokens", "task.text=0", "task.label=1", "task.max_length=32"],
    "choices": [
        "task.text=sentence",
        "task.kind=choices",
        "task.choices=[second,third]",
        "task.label=position",
        "task.label_words=null",
    ],
}


def source(cli, words, method, sparsity):
    """Return the words that give a method another run's masks, if it cannot run without."""
    if method != "fixed_mask":
        return []
    words = [word for word in words if not word.startswith("hydra.run.dir")]
    status, printed = cli(*words, "method=random", f"sparsity={sparsity}", "hydra.run.dir=source")
    assert status == 0, printed
    return ["method.masks=source"]


def assert_last_line_states_the_masks(run, row):
    """The last line of metrics.jsonl has the sparsity that result.json has, and that masks.safetensors has."""
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    masks = maskfile.read(run / "masks.safetensors").masks
    size = sum(m.numel() for m in masks.values())
    assert last["sparsity"] == pytest.approx(1 - sum(int(m.sum()) for m in masks.values()) / size, abs=1e-12)
    assert last["sparsity"] == pytest.approx(row[f"sparsity_{row['prunable']}"], abs=1e-6)


def test_every_method_is_in_the_matrix():
    assert sorted(PHASES) == options("method")


@pytest.mark.parametrize("sparsity", [0.0, *(pytest.param(s, marks=pytest.mark.slow) for s in (0.3, 0.5, 0.97))])
@pytest.mark.parametrize("method", sorted(PHASES.keys() - {"dense"}))
def test_the_requested_sparsity_is_that_of_the_files(cli, toy, tmp_path, text, method, sparsity):
    step = ["method.step=0.5"] if method == "imp" else EXTRA.get(method, [])
    step = [*step, *source(cli, [*toy, *text], method, sparsity)]
    status, printed = cli(*toy, *text, f"method={method}", *step, f"sparsity={sparsity}")
    assert status == 0, printed
    row = json.loads((tmp_path / "run/result.json").read_text())
    masks = maskfile.read(tmp_path / "run/masks.safetensors").masks
    size = sum(m.numel() for m in masks.values())
    assert abs(size - sum(int(m.sum()) for m in masks.values()) - sparsity * size) <= 1
    assert abs(row[f"sparsity_{row['prunable']}"] - sparsity) * size <= 1


@pytest.mark.parametrize(
    "words",
    [
        ["method=soft_movement", "method.control=none", "method.score_lr=1"],
        ["method=l0", "method.control=none", "method.score_lr=3"],
        ["method=masking", "method.control=none", "method.score_lr=1"],
        ["method=abp", "method.control=paper", "method.gamma=0.5"],
        ["method=platon", "method.interval=3"],
        ["method=masking", "method.control=none", "method.score_lr=1", "fit.keep=best", "fit.eval_every=1"],
    ],
    ids=" ".join,
)
def test_the_last_line_states_masks_that_the_last_step_has_moved(cli, toy, tmp_path, words):
    status, printed = cli(*toy, *words, "sparsity=0.5", "fit.steps=4")
    assert status == 0, printed
    row = json.loads((tmp_path / "run/result.json").read_text())
    assert_last_line_states_the_masks(tmp_path / "run", row)


# Methods that a fast suite runs on every old form; the others run on questions alone, which have the longest way.
WITH_ALL_FORMS = ("dense", "smp", "abp", "sparsebert", "tamt")
CELLS = [
    pytest.param(
        method,
        form,
        marks=[]
        if form == "questions" or (form in ("pair", "regression") and method in WITH_ALL_FORMS)
        else [pytest.mark.slow],
    )
    for method in PHASES
    for form in FORMS
]


@pytest.mark.parametrize(("method", "form"), CELLS)
def test_a_method_runs_on_a_form_of_task(cli, toy, tmp_path, questions, text, method, form):
    words = [w for w in toy if not w.startswith(("task.label_words", "task.text"))]
    if form == "questions":
        words = [*questions, *(w for w in words if not w.startswith("task"))]
    elif form == "words":
        (tmp_path / "train.conll").write_text("the O\nfilm B-WORK\n\nan O\nactor B-PER\n\n" * 20)
        words = [*(w for w in words if not w.startswith("task")), "task=file", f"task.train={tmp_path}/train.conll"]
        words += ["method.head=linear"] * (method == "smp")  # label words are for labels of texts
    elif form == "classification":
        words += ["task.text=sentence"]
    new_head = ["method.head=linear"] if form == "choices" and method == "smp" else []
    extra = [*EXTRA.get(method, []), *new_head, *source(cli, [*words, *FORMS[form]], method, 0.9)]
    status, printed = cli(*words, *FORMS[form], *text, f"method={method}", *extra, "sparsity=0.9")
    assert status == 0, printed
    row = json.loads((tmp_path / "run/result.json").read_text())
    assert list(row["phases"]) == PHASES[method]
    assert_last_line_states_the_masks(tmp_path / "run", row)
    masks = maskfile.read(tmp_path / "run/masks.safetensors").masks
    size = sum(m.numel() for m in masks.values())
    removed = size - sum(int(m.sum()) for m in masks.values())
    if method == "dense":
        assert removed == 0
    else:  # of the method's own denominator, exact to one weight
        assert abs(removed - 0.9 * size) <= 1 and row[f"sparsity_{row['prunable']}"] == pytest.approx(removed / size)
    assert (tmp_path / "run/weights.safetensors").exists() == (method not in FROZEN)
    if method not in FROZEN:
        with safe_open(tmp_path / "run/weights.safetensors", "pt") as stored:
            assert set(masks) <= set(stored.keys())


@pytest.mark.slow
def test_one_sweep_trains_every_method_of_the_configuration(cli, toy, tmp_path):
    """On the embedded model and text: the toy model reads 64 tokens, and a row of text has 128."""
    names = [name for name in options("method") if name != "fixed_mask"]  # which needs a finished run
    words = [w for w in toy if not w.startswith(("hydra.run.dir", "model.name"))] + ["model=tiny", "corpus=imdb"]
    sweep = ["-m", f"method={','.join(names)}", "sparsity=0.7", "hydra.sweep.dir=sweep"]
    status, printed = cli(*words, *sweep)
    assert status == 0, printed
    found = {}
    for file in (tmp_path / "sweep").glob("*/result.json"):
        row, masks = json.loads(file.read_text()), maskfile.read(file.parent / "masks.safetensors").masks
        size = sum(m.numel() for m in masks.values())
        found[row["method"]] = size - sum(int(m.sum()) for m in masks.values()), size
    assert sorted(found) == names and found.pop("dense")[0] == 0
    assert all(abs(removed - 0.7 * size) <= 1 for removed, size in found.values()), found
