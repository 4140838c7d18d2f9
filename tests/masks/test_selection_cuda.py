"""The kernels against the stable sort they must agree with, ties included.

Without a GPU, Triton interprets the kernels if it is installed (pip install triton): see conftest.py.
"""

import numpy as np
import pytest
import torch

from prunebert.masks.selection import KERNELS_SINCE, by_sorting

if tuple(int(x) for x in torch.__version__.split(".")[:2]) < KERNELS_SINCE:
    pytest.skip("with this torch, masks are sorted instead", allow_module_level=True)
selection_cuda = pytest.importorskip("prunebert.masks.selection_cuda", exc_type=ImportError)
penalty_cuda = pytest.importorskip("prunebert.masks.penalty_cuda", exc_type=ImportError)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DRAW = np.random.default_rng(3)
SIZES = [1, 7, 300, 1100]
SHAPES = {
    "normal": lambda n: DRAW.normal(size=n),
    "ties": lambda n: DRAW.normal(size=n).round(),
    "equal": lambda n: np.full(n, 0.25),
    "both zeros": lambda n: DRAW.choice([0.0, -0.0, 1.0, -1.0], n),
    "subnormal": lambda n: DRAW.integers(-3, 3, n) * 1e-45,
    "infinite": lambda n: DRAW.choice([-np.inf, np.inf, 0.5], n),
    "one byte apart": lambda n: 1 + DRAW.integers(0, 300, n) * 2.0**-23,
    "NaN": lambda n: np.where(DRAW.random(n) < 0.1, np.nan, DRAW.normal(size=n)),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Run several programs per tensor."""
    monkeypatch.setattr(selection_cuda, "BLOCK", 512)


def scores(kind, size):
    return torch.from_numpy(SHAPES[kind](size).astype(np.float32)).to(DEVICE)


@pytest.mark.parametrize("kind", SHAPES)
def test_the_kernels_are_a_stable_sort(kind):
    """Every tensor alone and all together, keeping none, few, some, most and all."""
    parts = [scores(kind, n) for n in SIZES]
    groups = [[x] for x in parts] + [parts]
    for fractions in ((0.0, 1.0, 0.1, 0.97, 0.5), (1.0, 0.5, 0.97, 0.1, 0.1), (0.5, 0.0, 0.5, 0.0, 1.0)):
        counts = [round(f * sum(x.numel() for x in group)) for f, group in zip(fractions, groups, strict=True)]
        masks, largest, _ = selection_cuda.select(groups, counts)
        for group, count, result, removed in zip(groups, counts, masks, largest, strict=True):
            expected, below = by_sorting(group, count)
            assert all(torch.equal(a, b) for a, b in zip(result, expected, strict=True)), (count, len(group))
            assert torch.equal(removed, below) or (removed.isnan() and below.isnan())


def test_counts_may_be_on_the_device():
    parts = [scores("ties", n) for n in SIZES]
    counts = torch.tensor([1, 0, 150, 1100], device=DEVICE)
    masks, _, _ = selection_cuda.select([[x] for x in parts], counts)
    assert [int(mask.sum()) for (mask,) in masks] == counts.tolist()


def test_masks_are_views_of_one_row():
    """History relies on it to read them without a copy."""
    (masks,), _, _ = selection_cuda.select([[scores("normal", n) for n in SIZES]], [100])
    assert [m.storage_offset() for m in masks] == [0, *np.cumsum(SIZES)[:-1].tolist()]


def test_a_window_around_the_last_cut_changes_no_mask():
    """Over steps of scores that drift, jump and shrink, with a count that follows a schedule."""
    x, windows = [DRAW.normal(size=n) for n in (1100, 300)], None
    for step in range(22):
        x = [v + 0.01 * DRAW.normal(size=v.shape) + (step == 12) for v in x]
        x = [np.round(0.5 * v, 2) if step == 20 else v for v in x]
        parts = [torch.from_numpy(v.astype(np.float32)).to(DEVICE) for v in x]
        groups = [[parts[0]], parts]
        counts = [round((0.9 - 0.02 * step) * sum(p.numel() for p in group)) for group in groups]
        masks, largest, windows = selection_cuda.select(groups, counts, windows)
        for group, count, result, removed in zip(groups, counts, masks, largest, strict=True):
            expected, below = by_sorting(group, count)
            assert all(torch.equal(a, b) for a, b in zip(result, expected, strict=True)) and removed == below
    hits = windows[3].tolist()
    assert all(8 < h < 22 for h in hits), hits  # the first step has no window, and the jump misses it
    (alone,), _, other = selection_cuda.select([groups[0]], [100], windows)  # another number of groups: no window
    assert int(alone[0].sum()) == 100 and other.shape == (5, 1) and other[3].item() == 0


@pytest.mark.parametrize("force", [3.0, torch.tensor(-2.0)])
def test_sums_of_sigmas_and_the_penalty_agree_with_autograd(force):
    S = [scores("normal", n).reshape(-1, 1).requires_grad_(True) for n in SIZES]
    S[0].grad = torch.ones_like(S[0])
    expected = [torch.sigmoid(s.double() - 0.3).mean() for s in S]
    gradients = torch.autograd.grad(float(force) * torch.stack(expected).mean(), S)
    means = penalty_cuda.means(S, above=0.3, force=force if isinstance(force, float) else force.to(DEVICE))
    torch.testing.assert_close(means, torch.stack(expected).detach(), rtol=1e-6, atol=0)
    for k, (s, g) in enumerate(zip(S, gradients, strict=True)):
        torch.testing.assert_close(s.grad, g + (k == 0), rtol=1e-5, atol=1e-9)
    halved = penalty_cuda.means([s.detach() for s in S], temperature=2.0)
    torch.testing.assert_close(halved, torch.stack([torch.sigmoid(s.double() / 2).mean() for s in S]).detach())
