"""The tables of a page share the maps, and each has at least one."""

import pytest

from prunebert.report.page.mapped import choose_sparsities, not_mapped

EIGHT = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99]
# by number of tables: by hand, positions round(i * 7 / (n - 1)) of n = 6 // tables
CHOSEN = {1: [0.5, 0.6, 0.8, 0.9, 0.97, 0.99], 2: [0.5, 0.9, 0.99], 3: [0.5, 0.99], 4: [0.9], 50: [0.9]}


@pytest.mark.parametrize("tables", CHOSEN)
def test_sparsities_are_spread_from_the_first_to_the_last(tables):
    assert choose_sparsities(EIGHT, tables) == CHOSEN[tables]


def test_few_sparsities_are_all_drawn_and_none_is_none():
    assert choose_sparsities(EIGHT[:3], 2) == EIGHT[:3] and choose_sparsities([], 9) == []


def test_the_page_names_those_left_out():
    assert "not drawn at 0.5, 0.97." in not_mapped([0.5, 0.97])
