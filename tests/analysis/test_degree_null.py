"""Random masks that keep all degrees: every mask with the given margins is equally likely, and no margin changes."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from prunebert.analysis import degree_null
from prunebert.analysis.chance import ANY, Draw
from prunebert.analysis.degree_null import Expected, Sampled


def enumerated(rows, columns):
    """Return all binary matrices with these sums, by brute force, as tuples of bytes."""
    choices = [list(itertools.combinations(range(len(columns)), r)) for r in rows]
    found = []
    for picked in itertools.product(*choices):
        matrix = np.zeros((len(rows), len(columns)), bool)
        for row, kept in enumerate(picked):
            matrix[row, list(kept)] = True
        if matrix.sum(0).tolist() == list(columns):
            found.append(matrix)
    return found


# rows, columns, and how many matrices have these sums: 90 for 4x4 with twos is counted in the literature, 3x3 has 3!
MARGINS = [
    ((2, 2, 2, 2), (2, 2, 2, 2), 90),
    ((1, 1, 1), (1, 1, 1), 6),
    ((3, 1, 2), (1, 2, 1, 2), None),
    ((1, 3, 2, 1), (3, 2, 2), None),
    ((4, 1, 1, 2, 0), (3, 2, 1, 1, 1), None),
]


@pytest.mark.parametrize(("rows", "columns", "number"), MARGINS, ids=str)
def test_every_mask_with_the_degrees_is_equally_likely(rows, columns, number):
    states = enumerated(rows, columns)
    assert number is None or len(states) == number
    assert 3 <= len(states) <= 90
    index = {state.tobytes(): i for i, state in enumerate(states)}
    state, random = states[0].copy(), np.random.default_rng(0)
    counts = np.zeros(len(states), int)
    for _ in range(25 * len(states)):
        for _ in range(4):
            degree_null.trade(state, random)
        counts[index[state.tobytes()]] += 1  # a KeyError: a degree has changed
    assert stats.chisquare(counts).pvalue > 0.001


def hubs(shape, density, spread, seed=0):
    """Return a mask whose rows and columns have unequal degrees."""
    random = np.random.default_rng(seed)
    p = np.outer(*(np.exp(spread * random.standard_normal(n)) for n in shape))
    return random.random(shape) < np.clip(p * density / p.mean(), 0, 0.95)


@pytest.mark.parametrize("shape", [(31, 64), (64, 31), (1, 9), (2, 2)], ids=str)
@pytest.mark.parametrize("density", [0.1, 0.7])
def test_no_degree_ever_changes(shape, density):
    mask = hubs(shape, density, 0.7)
    state, random = mask.copy(), np.random.default_rng(1)
    for _ in range(4):
        degree_null.trade(state, random)
        assert (state.sum(0) == mask.sum(0)).all() and (state.sum(1) == mask.sum(1)).all()
    drawn = degree_null.sample(np.packbits(mask), shape, ANY, (0, "x"))
    assert (drawn.rows == mask.sum(1)).all() and (drawn.columns == mask.sum(0)).all()
    assert len(drawn.packed) == degree_null.SAMPLES
    for bits in drawn.packed:
        one = np.unpackbits(bits, count=mask.size).reshape(shape)
        assert (one.sum(0) == mask.sum(0)).all() and (one.sum(1) == mask.sum(1)).all()


def test_a_pair_of_rows_trades_only_what_one_of_them_has():
    mask = np.array([[1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 1]], bool)
    random, first_rows = np.random.default_rng(0), set()
    for _ in range(200):
        state = mask.copy()
        degree_null.trade(state, random)
        assert state[:, 0].all() and not state[:, 3:5].any()
        first_rows.add(state[0].tobytes())
    assert len(first_rows) == math.comb(3, 2)  # two of the columns 1, 2 and 5


def test_settling_forgets_the_start():
    """Of a mask without hubs, d² n of n weights are common with an unrelated mask, as a hypergeometric draw gives."""
    mask = hubs((96, 128), 0.2, 0.0)
    shared = []
    for seed in range(12):
        state = mask.copy()
        assert degree_null.settle(state, np.random.default_rng(seed)) >= 2 * degree_null.WINDOW
        shared.append(int((state & mask).sum()))
    a, n = int(mask.sum()), mask.size
    chance = stats.hypergeom(n, a, a)
    assert abs(np.mean(shared) - chance.mean()) < 4 * chance.std() / math.sqrt(12) + 0.01 * a  # the rows' own degrees


def test_chance_given_the_degrees_of_two_masks_is_that_of_all_pairs():
    a, b = enumerated((2, 2, 2, 2), (2, 2, 2, 2))[7], enumerated((4, 1, 1, 2), (3, 2, 2, 1))[0]
    both = [np.array(enumerated(m.sum(1), m.sum(0))).reshape(-1, 16).astype(int) for m in (a, b)]
    overlaps = (both[0] @ both[1].T).ravel()  # every pair of masks once
    found = [
        degree_null.expected(
            *(degree_null.sample(np.packbits(m), (4, 4), ANY, (i, str(seed))) for i, m in enumerate((a, b)))
        )
        for seed in range(40)
    ]
    mean, sd = np.mean([f.mean for f in found]), overlaps.std()
    assert abs(mean - overlaps.mean()) < 4 * sd / math.sqrt(40 * degree_null.SAMPLES)
    assert np.mean([f.variance for f in found]) == pytest.approx(overlaps.var(), rel=0.25)
    # rows (2,2,2,2) and (4,1,1,2) allow 2+1+1+2, columns (2,2,2,2) and (3,2,2,1) allow 2+2+2+1
    assert {f.most for f in found} == {6}


def test_equal_masks_are_drawn_apart_and_the_same_seed_draws_the_same():
    mask = hubs((16, 32), 0.3, 0.5)
    first, again, other = (degree_null.sample(np.packbits(mask), mask.shape, ANY, (i, "q")) for i in (0, 0, 1))
    assert all((x == y).all() for x, y in zip(first.packed, again.packed, strict=True))
    assert not any((x == y).all() for x, y in zip(first.packed, other.packed, strict=True))


def test_blocks_stay_whole_and_groups_cannot_be_kept():
    blocks = hubs((12, 20), 0.3, 0.6)
    mask = np.kron(blocks, np.ones((4, 2), bool))
    draw = Draw((4, 2), None)
    for bits in degree_null.sample(np.packbits(mask), mask.shape, draw, (0, "x")).packed:
        one = np.unpackbits(bits, count=mask.size).reshape(mask.shape)
        assert (np.kron(one[::4, ::2], np.ones((4, 2), int)) == one).all()
        assert (one.sum(0) == mask.sum(0)).all() and (one.sum(1) == mask.sum(1)).all()
    assert degree_null.can_draw(draw) and degree_null.can_draw(ANY)
    assert not degree_null.can_draw(Draw((1, 1), (1, 4)))


def test_the_numbers_of_a_pair_add_up_its_matrices():
    found = degree_null.measures([Expected(10.0, 9.0, 30), Expected(5.0, 16.0, 15)], (50, 40), 30)
    # 15 by chance with the variance 25, at most 45: (30 - 15) / (45 - 15) and (30 - 15) / 5; Jaccard 15 / (90 - 15)
    assert found == {"expected_shared": 15, "sd": 5, "expected_jaccard": 0.2, "beyond_chance": 0.5, "z": 3}
    forced = degree_null.measures([Expected(4.0, 0.0, 4)], (4, 4), 4)
    assert forced["beyond_chance"] is forced["z"] is None and forced["expected_jaccard"] == 1
    empty = Sampled(np.zeros(2, int), np.zeros(2, int), [np.zeros(1, np.uint8)] * 2, 10)
    assert degree_null.measures([degree_null.expected(empty, empty)], (0, 0), 0)["expected_jaccard"] is None


@pytest.mark.slow
@pytest.mark.parametrize(("density", "spread"), [(0.1, 0.0), (0.1, 0.5), (0.03, 1.0)])
def test_a_matrix_of_bert_has_settled(density, spread):
    """Against the overlap after five times as many trades."""
    mask = hubs((768, 768), density, spread)
    state, random = mask.copy(), np.random.default_rng(1)
    trades = degree_null.settle(state, random)
    settled, later = int((state & mask).sum()), []
    for _ in range(20):
        for _ in range(trades // 2):
            degree_null.trade(state, random)
        later.append(int((state & mask).sum()))
    assert abs(settled - np.mean(later)) < 4 * np.std(later)
