"""The tables of docs/results/collapse.md against results/collapse, and every run's command in the script."""

from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from tests.toys import script

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/results/collapse.md"
RESULTS = ROOT / "results/collapse"

why_table = script("why_table")


def test_the_pages_tables_agree_with_the_results():
    page = PAGE.read_text()
    assert why_table.fill_page(page, ROOT / "results") == page


def test_the_order_has_a_row_for_each_method_and_kind_of_embeddings():
    """Other budgets, heads and frozen weights are left out; the best at the highest sparsity comes first."""
    usual = {
        "steps": 300,
        "settings.fit.batch_size": 32,
        "distill": "none",
        "head": "linear",
        "model": "minilm",
        "seed": 0,
    }
    scores = {"settings.score_init": "magnitude", "settings.train_embeddings": False}
    trained = scores | {"settings.train_embeddings": True}
    here = [{"method": "movement", "score": 0.7, **scores}, {"method": "movement", "score": 0.6, **trained}]
    gains = enumerate((0.5, 0.52, 0.57))
    here += [{"method": "gmp", "score": x, "seed": k, "settings.train_embeddings": False} for k, x in gains]
    here += [{"method": "movement", "score": 0.1, **scores, "steps": 1000}]
    here += [{"method": "movement", "score": 0.1, **scores, "head": "layer_mix"}]
    here += [{"method": "gmp", "score": 0.1, "settings.train_embeddings": True}]
    there = [{"method": "random", "score": x, "seed": k} for k, x in enumerate((0.5, 0.7))]
    there += [{"method": "random", "score": 0.1, "settings.keep_pretrained": True}]
    there += [{"method": "soft_movement", "score": 0.9, "seed": seed} for seed in range(3)]
    there += [{"method": "gmp", "score": 0.4}]
    tables = (pd.DataFrame([usual | row | {"sparsity": s} for row in x for s in (0.9, 0.97)]) for x in (here, there))
    p = ttest_1samp([0.4, 0.38, 0.33], 0).pvalue
    p = "<0.01" if p < 0.01 else f"{p:.2f}"
    twice = {
        "| frozen | soft_movement": f"0.900 ± 0.000 (3) | {p}",
        r"| frozen | movement, scores from \|W\|": "0.700 (1) | ",
        "| frozen | gmp": "0.530 ± 0.036 (3) | ",
        r"| trained | movement, scores from \|W\|": "0.600 (1) | ",
        "| trained | random": "0.600 ± 0.141 (2) | ",
        "| trained | gmp": "0.400 (1) | ",
    }
    assert why_table.order_table(*tables).splitlines()[2:] == [f"{row} | {x} | {x} |" for row, x in twice.items()]


MADE_UP = f"""before
{why_table.RUNS}
| run | condition | score | note |
|---|---|---|---|
| `a` | none | ? | prose, 1 |
| `b` | some | 0.1 | |
{why_table.END}
between
{why_table.FIRST_CUT}
old
{why_table.END}
after"""
LOG = "12:00:00 phase ends\n12:00:01 movement: 0:0.500 0.01:0.600\n12:00:02 random: 0:0.500 0.01:0.700\n"


def made_up(*names):
    return pd.DataFrame({"directory": [f"out/{name}" for name in names], "score": [0.51, 0.7849][: len(names)]})


def test_scores_and_losses_are_filled_in_and_prose_stays():
    filled = why_table.fill(MADE_UP, made_up("a", "b"), LOG)
    assert "| `a` | none | 0.510 | prose, 1 |" in filled and "| `b` | some | 0.785 |" in filled
    assert (
        "| removed first | 0 % | 1 % |\n|" in filled and "| random | 0.500 | 0.700 |" in filled and "old" not in filled
    )
    assert filled.startswith("before") and filled.endswith("after")


@pytest.mark.parametrize(
    ("page", "names", "log", "message"),
    [
        (MADE_UP, ["a"], LOG, "no run is called b"),
        (MADE_UP.replace("| `b` | some | 0.1 | |\n", ""), ["a", "b"], LOG, "no row of b"),
        (MADE_UP.replace(why_table.FIRST_CUT, ""), ["a", "b"], LOG, "there must be one"),
        (MADE_UP, ["a", "b"], "nothing", "no losses"),
    ],
)
def test_what_is_missing_is_named(page, names, log, message):
    with pytest.raises(ValueError, match=message):
        why_table.fill(page, made_up(*names), log)
