"""Every method that ranks, under every allocation and pattern: exact counts, and masks that have the pattern.

The methods are read from conf/, so a new one is covered. A phase is trained for one step.
"""

from contextlib import nullcontext

import pytest
import torch
from hydra.utils import instantiate

from prunebert.errors import BadInput
from prunebert.masks import pattern as patterns
from prunebert.masks.allocation import erk
from prunebert.masks.top_v import count_kept
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.tasks.text import text_task
from prunebert.training.loop import train
from tests import merged
from tests.toys import TASK

ONE_STEP = {"fit.steps": 1, "fit.batch_size": 4, "teacher_fit.steps": 1, "mask_fit.steps": 1, "mask_fit.batch_size": 2}
KINDS = ("query", "key", "value", "attention-output", "intermediate", "output")
RANKING = [m for m in merged.options("method") if "allocation" in merged.written(method=m)["method"]]
SPARSITY = 0.75
# Where the sparsity or the masks do not come from a ranking alone. `{}`: the method as it is.
SETTINGS = {
    "soft_movement": {"method.tau.end": 0.5},
    "l0": {"method.schedule.end": 0.5},
    "imp": {"method.step": 0.5},
    "tamt": {"method.corpus.block": 16},
}

REFUSED = {("rigl", "score"): "no scores that train", ("rigl", "2:4"): "allowed are none and RxC"}


def slow(word):
    return pytest.param(word, marks=pytest.mark.slow)


def refusal(method, word):
    """The context in which a method must refuse a word, or one in which it must not."""
    return pytest.raises(BadInput, match=REFUSED[method, word]) if (method, word) in REFUSED else nullcontext()


@pytest.fixture(scope="module")
def loaded(model_folder, data_folder):
    """The model and the task, which all cases share. Their training changes the weights, and no count."""
    model = models.load(str(model_folder))
    files = {"train": str(data_folder / "train.csv"), "eval": str(data_folder / "eval.csv")}
    return model, text_task(
        tokenizer=model.tokenizer, positions=64, **TASK, **files, metric="prunebert.metrics:Accuracy"
    )


@pytest.fixture
def net(loaded):
    return SubNetwork(loaded[0], seed=0)


@pytest.fixture
def masks_of(loaded, net, impl, text):
    def call(method, sparsity, **settings):
        changes = {"prunable": "encoder", "sparsity": sparsity, "method.head": "linear", **ONE_STEP}
        changes |= SETTINGS.get(method, {}) | settings | dict(word.split("=", 1) for word in text)
        config = merged.config(method=method, task="rotten_tomatoes", model="tiny", fit="quick", **changes)
        for i, phase in enumerate(instantiate(config["method"], _convert_="all")(net, loaded[1])):
            train(net, phase, seed=i, impl=impl, record=lambda line: None, score=lambda: 0.0)
        return net.masks

    return call


@pytest.fixture
def file(tmp_path):
    (tmp_path / "shares.yaml").write_text(
        "".join(f"{kind}: {s}\n" for kind, s in zip(KINDS, (0.5, 0.5, 1, 1, 0.75, 0.75), strict=True))
    )
    return str(tmp_path / "shares.yaml")


@pytest.mark.parametrize("allocation", [slow("erk"), slow("uniform"), slow("file")])
@pytest.mark.parametrize("method", RANKING)
def test_every_matrix_keeps_what_its_allocation_says(masks_of, net, file, method, allocation):
    word = file if allocation == "file" else allocation
    M = masks_of(method, SPARSITY, **{"method.allocation": word})
    shapes = {n: tuple(m.shape) for n, m in M.items()}
    given = dict(zip(KINDS, (0.5, 0.5, 1, 1, 0.75, 0.75), strict=True))
    expected = {
        "uniform": dict.fromkeys(M, SPARSITY),
        "erk": erk(shapes, SPARSITY),
        "file": {n: given[net.place(n)[1]] for n in M},
    }[allocation]
    assert len(M) == 12 and all(abs(count_kept({n: m}) - m.numel() * (1 - expected[n])) < 1 for n, m in M.items())
    assert sum(m.numel() for m in M.values()) * SPARSITY == sum(m.numel() for m in M.values()) - count_kept(M)


@pytest.mark.parametrize("allocation", [slow("global"), slow("score")])
@pytest.mark.parametrize("method", RANKING)
def test_the_whole_has_the_sparsity(masks_of, method, allocation):
    with refusal(method, allocation):
        M = masks_of(method, SPARSITY, **{"method.allocation": allocation})
        size = sum(m.numel() for m in M.values())
        assert size - count_kept(M) == SPARSITY * size


@pytest.mark.parametrize("pattern", ["2:4", slow("4x4")])
@pytest.mark.parametrize("method", RANKING)
def test_masks_have_the_pattern(masks_of, method, pattern):
    s = patterns.sparsity_of(pattern, SPARSITY)
    with refusal(method, pattern):
        M = masks_of(method, s, **{"method.pattern": pattern})
    if (method, pattern) in REFUSED:
        return
    size = sum(m.numel() for m in M.values())
    assert size - count_kept(M) == s * size
    for m in M.values():
        if pattern == "2:4":
            assert torch.equal(m.view(-1, 4).sum(1), torch.full((m.numel() // 4,), 2))
        else:
            blocks = m.unflatten(1, (-1, 4)).unflatten(0, (-1, 4)).transpose(1, 2).flatten(2).sum(-1)
            assert ((blocks == 0) | (blocks == 16)).all()


@pytest.mark.parametrize(
    "method", [m if m in ("gmp", "l0", "masking", "obert") else slow(m) for m in RANKING if m != "rigl"]
)
def test_what_a_checkpoint_has_removed_stays_removed(masks_of, net, method):
    """Half of each matrix is given as removed. RigL's own allocation cannot follow, and its tests have its masks."""
    generator = torch.Generator().manual_seed(5)
    net.given = {n: torch.rand(W.shape, generator=generator) < 0.5 for n, W in net.prunable().items()}
    net.masks = dict(net.given)
    M = masks_of(method, SPARSITY, **{"method.allocation": "global"})
    size = sum(m.numel() for m in M.values())
    assert not any((M[n] & ~given).any() for n, given in net.given.items())
    assert size - count_kept(M) == SPARSITY * size
