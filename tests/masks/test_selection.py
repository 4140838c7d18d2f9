"""`select`, on tensors large enough for its bounds to be narrow."""

import math

import numpy as np
import pytest
import torch

from prunebert.errors import Diverged
from prunebert.masks import chunks, selection
from prunebert.masks.selection import Window, by_sorting, select
from prunebert.masks.top_v import TopV, keep_top, top

DRAW = np.random.default_rng(3)
LARGE = {
    "normal": DRAW.normal(size=60_000),
    "periodic": np.tile(np.arange(39.0), 1500),  # an evenly spaced sample has one value
    "steps": np.floor(DRAW.normal(size=60_001) * 3),
    "one value": np.zeros(50_000),
    "two values": np.where(np.arange(50_000) % 7, 0.0, 0.02),
    "infinite": np.where(DRAW.random(60_000) < 0.4, -np.inf, DRAW.normal(size=60_000)),
    "ascending": np.arange(50_000.0),
    "few large": np.where(np.arange(64_000) % 641 == 1, 1e30, DRAW.normal(size=64_000)),
}


@pytest.mark.parametrize("piece", [1000, 2**17])
@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("share", [0.0, 1e-4, 0.03, 0.1, 0.5, 0.9, 1.0])
def test_select_is_a_stable_sort(monkeypatch, name, share, piece):
    monkeypatch.setattr(chunks, "SIZE", piece)
    x = LARGE[name].astype(np.float32)
    count = round(share * len(x))
    order = np.argsort(-x, kind="stable")
    expected = np.zeros(len(x), dtype=bool)
    expected[order[:count]] = True
    parts = [torch.from_numpy(part) for part in np.split(x, [7, len(x) // 3])]
    masks, largest = select(parts, count)
    assert np.array_equal(np.concatenate([m.numpy() for m in masks]), expected)
    assert largest == (x[order[count]] if count < len(x) else -math.inf)
    assert torch.equal(top(torch.from_numpy(x), count), torch.from_numpy(expected))


def test_nan_that_leaves_no_cut_in_the_window_raises():
    """Scores with a window are not searched for NaN; a training step excludes it. Without a cut, select raises."""
    for fill in (15_000, 20_000):
        x = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
        window = Window()
        select([x], 5_000, window)
        assert window.is_set()
        x[:fill] = math.nan
        with pytest.raises(Diverged, match="NaN"):
            select([x], 10_000, window)


def test_a_shift_without_a_cut_reads_no_value():
    x = torch.ones(3, device="meta")  # reading a value of it raises
    TopV("global").shift({"a": x}, x.sum())
    Window().shift(x.sum())


def test_bounds_that_miss_the_cut_change_no_mask(monkeypatch):
    x = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    right = top(x, 700)
    for wrong in ((2.0, 3.0), (-3.0, -2.0), (math.inf, math.inf), (-math.inf, -math.inf)):
        monkeypatch.setattr(selection, "_bounds", lambda *arguments, wrong=wrong: wrong)
        assert torch.equal(top(x, 700), right)


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("share", [0.0, 1e-4, 0.1, 0.5, 1.0])
def test_sorting_gives_the_same_masks(name, share):
    parts = [torch.from_numpy(part) for part in np.split(LARGE[name].astype(np.float32), [7, 900])]
    count = round(share * len(LARGE[name]))
    masks, largest = select(parts, count)
    sorted_masks, sorted_largest = by_sorting(parts, count)
    assert all(map(torch.equal, masks, sorted_masks)) and largest == float(sorted_largest)
    assert isinstance(sorted_largest, torch.Tensor) and sorted_largest.ndim == 0


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize("kind", ["drifting", "jumping", "shrinking", "collapsing", "ties", "infinite"])
def test_the_last_cut_changes_no_mask(kind, scope):
    """40 steps of moving scores, against a ranking without memory. Some windows hit and some miss."""
    draw, rank, hits = np.random.default_rng(5), TopV(scope), 0
    x = {"a": draw.normal(size=(90, 60)), "b": draw.normal(size=7000)}
    for step in range(40):
        moves = {n: draw.normal(size=v.shape) for n, v in x.items()}
        if kind in ("shrinking", "collapsing"):
            x = {n: v * (0.98 if kind == "shrinking" else 0.7) for n, v in x.items()}
        elif kind == "jumping":
            x = {n: v + (step % 7 == 3) for n, v in x.items()}
        else:
            x = {n: v + 0.01 * moves[n] for n, v in x.items()}
        seen = {n: np.round(v, 1) if kind == "ties" else v for n, v in x.items()}
        if kind == "infinite":
            seen = {n: np.where(v < -0.2, -np.inf, v) for n, v in seen.items()}
        S = {n: torch.from_numpy(v.astype(np.float32)) for n, v in seen.items()}
        s = 0.7 + step / 200
        M = rank(S, s)
        hits += step < 39 and sum(window.is_set() for window in rank._selection.windows.values())
        assert all(torch.equal(M[n], m) for n, m in keep_top(S, s, scope).items())
    assert hits < 3 if kind == "collapsing" else hits > 20  # no window is kept when the cut moves too far


def test_a_window_moves_with_the_scores(monkeypatch):
    """As AbP needs it, which shifts its scores at every step: no new sample is drawn."""
    S = {"a": torch.randn(200, 100, generator=torch.Generator().manual_seed(0))}
    rank = TopV("global")
    M, largest = rank.cut(S, 0.9)
    monkeypatch.delattr(selection, "_bounds")
    rank.shift(S, largest)
    assert torch.equal(rank.cut(S, 0.9)[0]["a"], M["a"])
