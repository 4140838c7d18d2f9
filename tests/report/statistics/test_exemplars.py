"""Votes, exemplars and what is due to chance, against scipy's mode and counting by hand."""

import itertools

import numpy as np
from scipy.stats import mode

from prunebert.analysis.predictions import CLASS, Answers, Rows
from prunebert.report.statistics import exemplars


def answers(codes, gold, text=()):
    rows = Rows(CLASS, ["v"] * len(gold), [str(i) for i in range(len(gold))], gold.tolist(), list(text))
    return [Answers(rows, np.array(row), np.array(row) == gold) for row in codes]


def test_a_vote_is_the_mode_and_a_tie_is_none():
    codes = np.random.default_rng(0).integers(4, size=(5, 500))
    vote = exemplars.vote(codes)
    counts = np.stack([(codes == code).sum(0) for code in range(4)])
    tied = (counts == counts.max(0)).sum(0) > 1
    assert vote.tied.tolist() == tied.tolist() and 0 < tied.sum() < 500
    expected = mode(codes, axis=0)
    assert (
        vote.codes[~tied].tolist() == expected.mode[~tied].tolist() and vote.counts.tolist() == expected.count.tolist()
    )


def test_exemplars_are_the_rows_on_which_the_votes_differ():
    gold = np.array([0, 1, 0, 1])
    dense = answers([[0, 1, 1, 1], [0, 1, 0, 1], [0, 0, 1, 1]], gold)  # votes 0 1 1 1
    pruned = answers([[1, 1, 0, 1], [1, 1, 0, 1], [0, 1, 1, 2], [0, 0, 0, 2]], gold)  # votes tie, 1, 0, tie
    numbers, found = exemplars.summary(pruned, dense)
    assert found.tolist() == [False, False, True, False]
    assert (numbers["exemplars"], numbers["share"], numbers["tied"]) == (1, 0.25, 2)
    assert (numbers["accuracy_dense"], numbers["accuracy_pruned"]) == (1 / 3, 3 / 4)
    assert numbers["accuracy_dense_rest"] == 8 / 9 and numbers["accuracy_pruned_rest"] == 7 / 12
    assert (numbers["seeds_pruned"], numbers["seeds_dense"], numbers["vote_seeds"]) == (4, 3, 1)
    lines = exemplars.listed(pruned, dense, found, ["no", "yes"]).to_dict("records")
    assert lines == [
        {
            **{"split": "v", "id": "2", "text": "", "label": "no", "dense_prediction": "yes", "dense_votes": 2},
            **{"pruned_prediction": "no", "pruned_votes": 3},
        }
    ]
    same, none = exemplars.summary(dense, dense)
    assert not none.any() and np.isnan(same["accuracy_dense"]) and same["accuracy_dense_rest"] == 9 / 12


def test_chance_is_what_votes_of_single_seeds_differ_by():
    """Of three dense seeds a half is one; then the mean is that of all pairs of seeds."""
    random = np.random.default_rng(1)
    dense, pruned = random.integers(2, size=(3, 40)), random.integers(2, size=(4, 40))
    found = exemplars.chance(pruned, dense)
    among = [(a != b).sum() for a, b in itertools.combinations(dense, 2)]
    against = [(a != b).sum() for a in pruned for b in dense]
    assert found == (1, np.mean(among), np.mean(against))


def test_halves_of_six_seeds_are_votes_of_three():
    dense = np.array([[0, 0], [0, 0], [0, 0], [1, 0], [1, 0], [1, 0]])
    # Of the ten splits into halves every one puts two or three zeros on one side: row 0 always differs.
    found = exemplars.chance(np.array([[1, 1], [1, 1], [1, 0]]), dense)
    assert found[:2] == (3, 1.0)
    assert found.pruned == 1.5  # row 1 against every half, row 0 against each second one
