"""A sweep names the cells that failed, and lists each reason once."""

import re

import pytest

from prunebert.runs.failures import NAMED, Failure, Failures


def test_one_reason_of_every_cell_is_told_once_with_their_number(cli, toy, tmp_path):
    unswept = [w for w in toy if not w.startswith(("hydra", "task.max_length"))]
    words = ["-m", *unswept, "method=magnitude,random,dense", "seed=0,1"]
    words += ["hydra.sweep.dir=sweep", "hydra.sweep.subdir=${hydra.job.num}", "task.max_length=999"]
    status, printed = cli(*words)
    assert status == 1 and printed.count("task.max_length=999") == 2  # at once, and at the end
    assert "\n0: task.max_length=999: the model reads at most" in f"\n{printed}"
    assert "\n6 cells did not finish: task.max_length=999: the model reads at most" in printed
    assert "\n  0, 1, 2, 3, 4, 5\n" in printed
    logs = sorted((tmp_path / "sweep").glob("*/run.log"))
    assert len(logs) == 6 and all("ERROR task.max_length=999: " in log.read_text() for log in logs)
    status, printed = cli("info", "sweep")
    assert (
        status == 0
        and printed.count("task.max_length=999") == 1
        and "6 cells did not finish: task.max_length=999" in printed
    )
    status, printed = cli(*words, "dry=true")
    assert (
        status == 1
        and printed.count("task.max_length=999") == 2
        and "6 cells could not begin: task.max_length=999" in printed
    )


def test_each_reason_has_its_cells(cli, toy):
    words = ["-m", *[w for w in toy if not w.startswith("hydra")], "method=magnitude", "task.score=accuracy,one,two"]
    status, printed = cli(*words, "hydra.sweep.dir=sweep", "hydra.sweep.subdir=cell-${hydra.job.num}")
    assert status == 1 and "1 finished run " in printed
    for cell, score in (("cell-1", "one"), ("cell-2", "two")):
        assert printed.count(f"{cell}: task.score={score}") == 1
        assert re.search(rf"\n1 cell did not finish: task.score={score}: .*\n  {cell}\n", printed)


@pytest.mark.parametrize(("number", "more"), [(NAMED, ""), (NAMED + 7, ", and 7 more")])
def test_many_cells_are_counted(capsys, number, more):
    failures = Failures()
    for i in range(number):
        failures.add(Failure(str(i), "no space"))
    failures.show("did not finish")
    names = ", ".join(str(i) for i in range(NAMED))
    assert capsys.readouterr().out == f"{number} cells did not finish: no space\n  {names}{more}\n"
