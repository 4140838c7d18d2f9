"""The commands that repeat runs: each line's product has exactly the runs, and odd commands stay whole."""

import shlex
from itertools import product

import pandas as pd
import pytest

from prunebert.report.findings import repeat

from .conftest import runs as rows_of


def expanded(line):
    """Return the runs of a line, each as the set of its words."""
    words = [word for word in shlex.split(line, comments=True) if word not in ("prunebert", "-m")]
    axes = [[f"{word.partition('=')[0]}={value}" for value in word.partition("=")[2].split(",")] for word in words]
    return {frozenset(cell) for cell in product(*axes)}


def test_a_grid_is_one_line():
    grid = product(("smp", "gmp"), (0.5, 0.9), (0, 1))
    runs = [f"prunebert method={m} sparsity={s} seed={e} task=sst2" for m, s, e in grid]
    assert repeat.commands(runs) == ["prunebert -m method=smp,gmp sparsity=0.5,0.9 seed=0,1 task=sst2    # 8 runs"]
    assert repeat.commands(runs[:1]) == ["prunebert method=smp sparsity=0.5 seed=0 task=sst2    # 1 run"]


@pytest.mark.parametrize("left_out", [(), (0,), (3, 4), (1, 5, 9, 11), tuple(range(0, 12, 2))])
def test_of_any_part_of_a_grid_the_lines_have_exactly_its_runs(left_out):
    grid = list(product(("smp", "gmp", "l0"), ("0.5", "0.9"), ("0", "1")))
    cells = [cell for k, cell in enumerate(grid) if k not in left_out]
    runs = [f"prunebert seed={e} method={m} task=sst2 sparsity={s}" for m, s, e in cells]
    lines = repeat.commands(runs)
    found = [run for line in lines for run in expanded(line)]
    assert len(found) == len(set(found)) == len(runs)
    assert set(found) == {frozenset(shlex.split(run)[1:]) for run in runs}
    assert len(lines) < len(runs)


def test_a_path_with_the_seed_and_the_sparsity_of_its_run_is_one_for_all():
    runs = [
        f"""prunebert method=tamt seed={seed} sparsity={s} 'method.masks="masks/seed={seed}/sparsity={s}"'"""
        for seed in (1, 10)
        for s in (0.5, 0.9)
    ]
    (line,) = repeat.commands(runs)
    words = shlex.split(line, comments=True)
    assert 'method.masks="masks/seed=${seed}/sparsity=${sparsity}"' in words and "seed=1,10" in words


def test_what_is_no_plain_command_stays_as_it_is():
    odd = ["torchrun -m prunebert seed=0", "prunebert 'unclosed", "prunebert a=1 a=2", "rm\n-rf x"]
    assert repeat.commands(odd) == [*odd[:3], "rm -rf x"]
    lists = [f"prunebert seed={seed} 'fit.x=[{seed},2]'" for seed in (0, 1)]
    assert len(repeat.commands(lists)) == 2  # a list has commas of its own


def test_many_commands_are_cut_and_commits_are_counted(results_of):
    rows = [
        row | {"command": f"prunebert method=smp fit.lr=1e-{k} 'x=[{k},``]'", "git_commit": str(k % 8) * 40, "seed": k}
        for k in range(20)
        for row in rows_of(("smp", 0.9, [0.7]))
    ]
    found = repeat.repeat(results_of(rows))
    assert found.count("prunebert method") == repeat.MOST and "# 8 more commands: results.csv has that of each" in found
    assert "8 commits: `0000000` (3 runs)" in found and "2 more commits" in found
    assert "- The device of all runs: `cpu`." in found


def test_versions_are_listed():
    row = {"versions": {"torch": "2.13.0", "|": "`"}}
    runs = pd.DataFrame({"row": [row, {}], "git_commit": "", "device": ""})
    commit, device, versions = map(repeat.markdown, repeat.origins(runs))
    assert commit == "The commit of all runs: `installed package`." and device == "The device of all runs: `unknown`."
    assert versions == r"Versions: torch `2.13.0` and \| `` ` ``."
