"""Where a sweep is: which cell of how many, the time left, and how to go on after an interruption."""

import time

import pytest
import yaml

from prunebert import experiment
from prunebert.runs import standing
from prunebert.system import signals

WORDS = ["-m", "method=smp,random", "seed=0,1,2", "task=rotten_tomatoes", "model=tiny", "sparsity=0.5"]


@pytest.fixture
def sweep(tmp_path):
    """A sweep's directory with its record: 2 methods × 3 seeds."""
    record = {"hydra": {"overrides": {"task": WORDS[1:], "hydra": []}, "sweeper": {"params": None}}}
    (tmp_path / "multirun.yaml").write_text(yaml.safe_dump(record))
    return tmp_path


@pytest.fixture(autouse=True)
def command(monkeypatch):
    command = standing.Command(list(WORDS))
    monkeypatch.setattr(standing, "COMMAND", command)
    return command


def cell(sweep, number=3):
    return standing.cell_of(
        sweep, ["method=smp", "seed=2", "task=rotten_tomatoes", "model=tiny", "sparsity=.5"], number
    )


def test_a_cell_is_named_by_what_varies(sweep):
    assert cell(sweep) == standing.Cell(3, 6, "method=smp seed=2")


def test_a_sweep_that_cannot_be_enumerated_has_no_total(tmp_path):
    found = standing.cell_of(tmp_path, ["seed=2", "impl=cpu", "method=smp"], 3)
    assert found == standing.Cell(3, None, "method=smp seed=2")
    assert found.line(1).startswith("cell 3: method=smp seed=2 · sweep: elapsed 00:00:")


def test_the_time_left_is_that_of_trained_cells(sweep, command, monkeypatch):
    """The first cell also imports torch; 4 of 6 cells remain, 20 seconds each, one or three at a time."""
    command.started = 100.0
    monkeypatch.setattr(standing.time, "monotonic", lambda: 170.0)
    assert "left" not in cell(sweep).line(1)
    command.seconds = [30.0, 18.0, 22.0]
    assert cell(sweep).line(1) == "cell 3 of 6: method=smp seed=2 · sweep: elapsed 00:01:10 · left 00:01:20"
    assert cell(sweep).line(3).endswith("left 00:00:40")


@pytest.mark.parametrize(("jobs", "left"), [(1, "00:01:20"), (3, "00:00:40"), (-1, "00:00:20")])
def test_minus_one_job_means_one_for_each_core(sweep, command, monkeypatch, caplog, jobs, left):
    """Of 4 remaining cells, 20 seconds each, all are trained at once on 4 cores. Only a worker names its cell."""
    monkeypatch.setattr(standing, "cores", lambda: 4)
    monkeypatch.setattr(standing.loading.LOADING, "prefix", "")
    command.seconds = [30.0, 18.0, 22.0]
    for in_worker, prefix in ((True, "[method=smp seed=2] "), (False, "")):
        monkeypatch.setattr(standing.signals, "in_worker_of_a_sweep", lambda in_worker=in_worker: in_worker)
        with caplog.at_level("INFO"):
            standing.begin_cell(sweep, ["method=smp", "seed=2", *WORDS[3:]], 3, jobs)
        assert caplog.records[-1].getMessage().endswith(f"left {left}") and standing.loading.LOADING.prefix == prefix


def test_one_cell_is_finished_and_two_are(sweep, capsys, command):
    for number, expected in ((1, "1 of 6 cells is finished"), (2, "2 of 6 cells are finished")):
        (sweep / f"cell{number}/.hydra").mkdir(parents=True)
        (sweep / f"cell{number}/result.json").write_text("{}")
        assert standing.of_sweep(sweep) == expected
    command.words = []  # a launcher's worker
    standing.report_stop(sweep)
    assert capsys.readouterr() == ("", "")


def test_only_cells_that_were_trained_count(command):
    standing.timed(lambda: False)
    assert command.seconds == []
    standing.timed(lambda: time.sleep(0.02) or True)
    assert len(command.seconds) == 1 and command.seconds[0] >= 0.02


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["method=smp", "rerun=true", "seed=1"], "method=smp seed=1"),
        (["++rerun=true", "method=smp"], "method=smp"),
        (["experiment=mine"], "experiment=mine rerun=false"),  # its file has rerun: true
    ],
)
def test_a_stopped_rerun_goes_on_without_rerun_which_would_clear_its_checkpoint(words, expected):
    assert standing.Command(words).go_on(rerun=True) == f"go on with: prunebert {expected}"
    assert standing.Command(words).go_on() == f"go on with: prunebert {' '.join(words)}"


def test_a_stopped_sweep_says_what_is_finished_and_how_to_go_on(sweep, capsys):
    standing.report_stop(None)
    assert capsys.readouterr() == ("", "")
    standing.report_stop(sweep)
    assert capsys.readouterr().err == (
        "prunebert: 0 of 6 cells are finished; go on with: prunebert -m method=smp,random seed=0,1,2 "
        "task=rotten_tomatoes model=tiny sparsity=0.5\n"
    )


def test_a_worker_has_no_command_to_go_on_with(monkeypatch):
    assert standing.Command().go_on() == "the same command goes on"
    monkeypatch.setattr(standing.distributed, "COUNT", 2)
    assert standing.Command(["method=smp"]).go_on() == "the same command goes on"  # torchrun's words are not known


def test_a_signal_in_a_cell_ends_the_sweep_with_its_standing(cli, tmp_path, monkeypatch):
    def stop(*arguments):
        raise signals.Stopped("SIGINT", "after step 1 of 2")

    monkeypatch.setattr(experiment, "carry_out", stop)
    status, printed = cli(*WORDS, "fit=smoke", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    lines = printed.strip().splitlines()
    assert status == 75 and "cell 1 of 6: method=smp seed=0" in lines[0]
    assert lines[1].startswith("prunebert: 0 of 6 cells are finished; go on with: prunebert -m method=smp,random seed=")
    assert len(lines) == 2
