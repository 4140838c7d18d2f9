"""Test method=fixed_mask: another run's mask stays as it is, or shuffled; what is trained and where it starts."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from prunebert import distill
from prunebert.errors import BadInput
from prunebert.masks.shortest import shortest_sparsity
from prunebert.methods.fixed_mask import fixed_mask
from tests.runs.test_reuse import FIT, drawn, finish, play
from tests.toys import RESULT, write_result

SETTINGS = {"fit": FIT, "sparsity": 0.5, "seed": 3, "prunable": "encoder", "head": "linear", "distill": distill.none}
SETTINGS |= {"start": "pretrained", "train": "all", "shuffled": False}


@pytest.fixture
def source(net, tmp_path):
    """A finished run: half of the weights are kept, from 25 % to 75 % of a matrix."""
    matrices = list(net.prunable("encoder").values())
    shares = [0.25 if i % 2 else 0.75 for i in range(len(matrices))]
    counts = [int(share * W.numel()) for share, W in zip(shares, matrices, strict=True)]
    short = sum(W.numel() for W in matrices) // 2 - sum(counts)
    counts[0] += short
    masks = drawn(net, counts)
    return finish(tmp_path / "source", net, masks), masks


@pytest.mark.parametrize(("train", "phase"), [("all", "finetune"), ("head", "head")])
def test_the_mask_stays_and_only_what_is_asked_is_trained(net, task, impl, source, train, phase):
    run, masks = source
    before = {n: W.clone() for n, W in net.prunable("encoder").items()}
    assert play(fixed_mask(net, task, masks=run, **SETTINGS | {"train": train}), net, impl) == [phase]
    assert all(torch.equal(net.masks[n].bool(), mask) for n, mask in masks.items())
    moved = {n: not torch.equal(W, before[n]) for n, W in net.prunable("encoder").items()}
    assert set(moved.values()) == {train == "all"}


def test_a_shuffled_mask_keeps_each_matrixs_count_and_follows_the_seed(net, task, impl, source):
    run, masks = source

    def shuffled(seed):
        phase = next(fixed_mask(net, task, masks=run, **SETTINGS | {"shuffled": True, "seed": seed}))
        return phase.masks(1.0, True)

    first, again, other = shuffled(0), shuffled(0), shuffled(1)
    for n, mask in masks.items():
        assert int(first[n].sum()) == int(mask.sum()) and torch.equal(first[n], again[n])
        assert not torch.equal(first[n], mask) and not torch.equal(first[n], other[n])
        chance = int(mask.sum()) / mask.numel()  # of a kept weight to be kept in the shuffled copy
        common = int((first[n] & mask).sum()) / int(mask.sum())
        assert abs(common - chance) < 6 * (chance * (1 - chance) / int(mask.sum())) ** 0.5


def test_training_starts_from_the_weights_of_the_run_or_from_the_checkpoint(net, task, source):
    run, _ = source
    trained = {n: W.detach() + 1 for n, W in net.parameters_of("pretrained").items()}
    write_result(Path(run), RESULT | {"model": net.model.name, "weights_hash": net.model.weights_hash})
    save_file({n: W.contiguous() for n, W in trained.items()}, f"{run}/weights.safetensors")
    checkpoint = {n: W.clone() for n, W in net.parameters_of("pretrained").items()}
    next(fixed_mask(net, task, masks=run, **SETTINGS))
    assert all(torch.equal(W, checkpoint[n]) for n, W in net.parameters_of("pretrained").items())
    next(fixed_mask(net, task, masks=run, **SETTINGS | {"start": "run"}))
    assert all(torch.equal(W, trained[n]) for n, W in net.parameters_of("pretrained").items())


def test_what_has_no_mask_or_no_weights_is_refused(net, task, source):
    run, _ = source
    with pytest.raises(BadInput, match=r"method.masks=null: method=fixed_mask needs a finished run or a mask file"):
        next(fixed_mask(net, task, masks=None, **SETTINGS))
    with pytest.raises(BadInput, match=r"a mask file has no weights; .* set method.start=pretrained"):
        next(fixed_mask(net, task, masks=f"{run}/masks.safetensors", **SETTINGS | {"start": "run"}))
    with pytest.raises(BadInput, match=r"its sparsity is 0\.5\d*; ask for the same, sparsity=0\.5"):
        next(fixed_mask(net, task, masks=run, **SETTINGS | {"sparsity": 0.9}))


@pytest.mark.parametrize(
    ("removed", "size", "expected"), [(90, 100, 0.9), (123, 1000, 0.123), (12_345, 100_000, 0.12345), (1, 3, 0.33)]
)
def test_the_shortest_sparsity_names_a_count_to_within_one_weight(removed, size, expected):
    """With a digit less, 0.12 · 1,000 is 3 weights off, and 0.1234 or 0.1235 · 100,000 is 5 off."""
    assert shortest_sparsity(removed, size) == expected
