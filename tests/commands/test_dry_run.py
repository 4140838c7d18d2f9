"""dry=true: what it counts is what the result of the same command says."""

from functools import partial

import pytest
from hydra.utils import instantiate

from prunebert import distill
from prunebert.choices import HEADS
from prunebert.commands import cost, dry_run
from prunebert.fit import Fit
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import artifacts
from prunebert.schedules import Cubic
from prunebert.settings import overrides
from prunebert.training.loop import train
from tests.toys import save_model

FIT = Fit(epochs=1, steps=2, batch_size=4, lr=1e-3, head_lr=1e-3)
KD = partial(
    distill.tinybert, fit=FIT, attention=1.0, hidden=1.0, logits=1.0, temperature=1.0, teacher=None, shared=None
)
METHODS = {  # the settings beside the default ones
    "dense": {},
    "random": {"distill": KD},
    "magnitude": {"keep_pretrained": True},
    "masking": {"distill": KD},
    "imp": {"step": 0.45},  # two rounds
    "gmp": {"train_embeddings": False},
    "gmp_star": {},
    "movement": {"distill": KD},
    "platon": {},
    "soft_movement": {"prunable": "encoder_pooler"},  # its penalty reaches scores that no head reads
    "l0": {},
    "smp": {},
    "abp": {"ablation": "shuffle"},
    "tamt": {},
    "sparsebert": {"distill": KD},
}
WORDS = [
    *("task=rte", "model=tiny", "fit=smoke", "sparsity=0.9", "fit.steps=2", "teacher_fit.steps=2", "mask_fit.steps=2"),
    *("fit.batch_size=4", "teacher_fit.batch_size=4", "mask_fit.batch_size=4"),
]


@pytest.fixture(scope="module")
def built(text):
    """Return a function that makes a method with settings of its own, from its yaml."""
    made = {}

    def method(name, settings):
        if name not in made:
            extra = [*text, "method.corpus.block=16"] if name == "tamt" else []
            made[name] = overrides.checked([f"method={name}", *WORDS, *extra])[0]["method"]
        return partial(instantiate(made[name], _convert_="all"), **settings)

    return method


def counted(method, model, task, impl):
    """Return (name, steps, parameters, scores) of each phase, as dry=true plans it and as training leaves it."""
    plans = dry_run.planned(method, SubNetwork(model, 0), task, 0)
    planned = [(p.phase.name, p.phase.planned, p.parameters, p.scores) for p in plans]
    net, trained = SubNetwork(model, 0), []
    for phase in method(net, task):
        done = train(net, phase, seed=0, impl=impl, record=lambda line: None, score=lambda: 0.0)
        trained.append((phase.name, done.steps, done.parameters, done.scores))
    return planned, trained


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", METHODS)
def test_a_phase_counts_what_training_it_counts(built, model, task, impl, name, head):
    planned, trained = counted(built(name, METHODS[name] | {"head": head}), model, task, impl)
    assert planned == trained and all(parameters > 0 for _, _, parameters, _ in planned)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("tamt", {"objective": "kd"}),
        ("tamt", {"objective": "mlm_kd", "mask_steps": 1}),
        (
            "smp",
            {
                "head": "linear",
                "distill": partial(distill.hidden_cosine, fit=FIT, weight=1.0, teacher=None, shared=None),
            },
        ),
        ("smp", {"penalty": 0.0, "prunable": "encoder_pooler_embeddings"}),
        ("l0", {"control": "none", "penalty": 0.0, "prunable": "encoder_pooler_embeddings"}),
        ("random", {"masks": ("method=magnitude", "sparsity=0.9", "prunable=encoder"), "keep_pretrained": True}),
    ],
    ids=["kd", "mlm_kd", "hidden_cosine", "smp without penalty", "l0 without penalty", "masks of a run"],
)
def test_other_settings_count_alike(built, finished, model, task, impl, name, settings):
    if "masks" in settings:
        settings = settings | {"masks": str(finished(*settings["masks"]))}
    planned, trained = counted(built(name, settings), model, task, impl)
    assert planned == trained


def test_abps_numbers_by_hand(built, model, task):
    """2 layers of width 32, 64 within; the checkpoint has no pooler, and AbP's head reads none."""
    plan, paper = (
        next(dry_run.planned(built("abp", {"head": "layer_mix", "control": control}), SubNetwork(model, 0), task, 0))
        for control in ("schedule", "paper")
    )
    scores = 2 * (4 * 32 * 32 + 2 * 32 * 64) + len(model.tokenizer) * 32  # with the word embeddings
    head = 2 + (32 * 32 + 32) + (32 * 2 + 2)  # the mix, the hidden layer, the outputs
    assert (plan.parameters, plan.scores) == (paper.parameters, paper.scores) == (scores + head, scores)
    assert (plan.steps, paper.steps) == ("2 steps", "at most 2 steps")  # Algorithm 1 ends where the target is met


def test_the_command_prints_the_numbers_of_the_result(finished, cli, toy, tmp_path):
    words = ("method=abp", "sparsity=0.5", "method.control=schedule")
    row = artifacts.result(finished(*words))
    status, printed = cli(*toy, *words, "dry=true")
    assert status == 0 and "at most 2 steps" not in printed, printed
    early = cli(*toy, "method=abp", "method.control=paper", "dry=true")[1]
    assert "seed=0: at most 2 steps, to do prune: at most 2 steps of" in " ".join(early.split())
    printed = " ".join(printed.split())
    assert f"seed=0: {row['steps']} steps, to do prune: {row['phases']['prune']['steps']} steps of" in printed
    assert f" {row['trained_parameters']:,} parameters trained, {row['trained_scores']:,} of them scores" in printed


def test_a_stored_teacher_is_no_phase(cli, toy, tmp_path, monkeypatch):
    """Neither of a run alone, nor of the second cell of a dry sweep: its first cell stores it."""
    monkeypatch.setattr(cost, "TOTAL", cost.Total())
    words = ["method=smp", "distill=logits", "distill.shared=teachers", "dry=true"]
    status, printed = cli("-m", *[w for w in toy if not w.startswith("hydra")], *words, "sparsity=0.5,0.9")
    assert status == 0 and printed.count("teacher: 2 steps") == 1 and "6 steps of training" in " ".join(printed.split())
    assert "untrained" not in printed and not (tmp_path / "teachers").exists()
    (teacher,) = cost.TOTAL.teachers
    assert cli(*toy, *words[:-1])[0] == 0 and teacher.exists()
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    monkeypatch.setattr(cost, "TOTAL", cost.Total())
    status, printed = cli(*toy, *words, "sparsity=0.5", "hydra.run.dir=other")
    assert status == 0 and "2 steps, to do" in printed and "teacher" not in printed.replace("teachers", "")
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_the_last_step_decides_what_is_trained(built, tmp_path, task, impl):
    """The penalty reaches the pooler's scores, which no head reads, once the steering begins."""
    other = models.load(str(save_model(tmp_path / "with_pooler", masked_lm=False)))
    settings = {"prunable": "encoder_pooler", "head": "layer_mix", "tau": Cubic(0.1, start=0.6, end=1.0)}
    planned, trained = counted(built("soft_movement", settings), other, task, impl)
    assert planned == trained and planned[0][3] == 2 * (4 * 32 * 32 + 2 * 32 * 64) + 32 * 32


def test_every_key_that_a_sweep_varies_is_in_the_lines(cli, toy):
    """Also a key of the method or of another group. A key with one value is not."""
    words = ["-m", *[w for w in toy if not w.startswith("hydra")], "method=random", "sparsity=0.5", "dry=true"]
    swept = {"method.allocation": ["uniform", "erk"], "method.pattern": ["none", "2x2"]}
    status, printed = cli(*words, *(f"{key}={','.join(values)}" for key, values in swept.items()), "fit.lr=1e-3")
    text = " ".join(printed.split())
    assert status == 0 and text.count(" sparsity=0.5 method.allocation=") == 4 and "fit.lr" not in text
    for allocation in swept["method.allocation"]:
        for pattern in swept["method.pattern"]:
            cell = f" method.allocation={allocation} method.pattern={pattern} seed=0: 2 steps, to do"
            assert text.count(cell) == 1, printed
