"""The tables of docs/results/collapse.md against results/collapse, and every run's command in the script."""

import re
from pathlib import Path

import pandas as pd
import pytest

from tests.toys import script

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/results/collapse.md"
RESULTS = ROOT / "results/collapse"

why_table = script("why_table")


def test_the_pages_tables_agree_with_the_results():
    page = PAGE.read_text()
    results, log = pd.read_csv(RESULTS / "results.csv"), (RESULTS / "first_cut.log").read_text()
    assert why_table.fill(page, results, log) == page


def test_every_run_of_the_results_has_its_command_in_the_script():
    commands = re.findall(r"^(?:run|own) (\S+) (.+)$", (ROOT / "scripts/why_movement_collapses.sh").read_text(), re.M)
    words = {name: set(line.split()) for name, line in commands}
    for directory, command in pd.read_csv(RESULTS / "results.csv")[["directory", "command"]].itertuples(index=False):
        for word in words[Path(directory).name]:
            assert "$" in word or word in command.replace("'", "").split(), (directory, word)


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
