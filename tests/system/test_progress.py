"""The progress of a phase."""

import io
import logging
import time

import pytest
from rich.console import Console

from prunebert.system import loading, progress
from prunebert.system.progress import Named, Progress, clock, terminal_handler


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "00:00:00"),
        (59.9, "00:00:59"),
        (3661, "01:01:01"),
        (86399, "23:59:59"),
        (108000, "30:00:00"),
        (4e5, "111:06:40"),
    ],
)
def test_hours_go_on_beyond_a_day(seconds, text):
    assert clock(seconds) == text


@pytest.mark.parametrize("width", [80, 140])
def test_a_bar_shows_both_times_at_every_width(monkeypatch, width):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=width, color_system=None)
    monkeypatch.setattr(progress, "console", lambda: console)
    with Progress("train-head", 22650) as bar:
        bar.show(12345, 0.6931, 0.9)
    last = next(line for line in reversed(screen.getvalue().splitlines()) if "12345" in line)
    assert "12345/22650" in last and "loss 0.6931 sparsity 0.90" in last
    assert "elapsed 0:00:00 · left " in last and "…" not in last
    assert ("━" in last) == (width > 100)


def test_plain_lines_come_now_and_then_and_at_the_end_and_estimate_from_this_process(monkeypatch, caplog):
    """A resumed phase: 40 of 100 steps were done before. Each step here takes a second, so 50 are left after ten."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO), Progress("prune", 100, first=40) as lines:
        for step in range(41, 101):
            now[0] += 1
            lines.show(step, 0.5, 0.25)
    assert [record.getMessage() for record in caplog.records[:2]] == [
        "prune: step 50/100  loss 0.5000  sparsity 0.2500  elapsed 00:00:10 · left 00:00:50",
        "prune: step 60/100  loss 0.5000  sparsity 0.2500  elapsed 00:00:20 · left 00:00:40",
    ]
    assert len(caplog.records) == 6
    caplog.clear()
    with caplog.at_level(logging.INFO), Progress("head", 3) as lines:
        for step in (1, 2, 3):
            lines.show(step, 0.5, 0.25)
    assert [record.getMessage().partition("  ")[0] for record in caplog.records] == ["head: step 3/3"]


def test_a_resumed_bar_begins_where_the_phase_stopped(monkeypatch):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=140, color_system=None)
    monkeypatch.setattr(progress, "console", lambda: console)
    with Progress("prune", 100, first=40):
        pass
    assert "40/100" in screen.getvalue()


def test_an_error_that_python_prints_at_the_end_is_not_printed_before():
    handler = terminal_handler()
    records = [logging.makeLogRecord({"msg": "x", "printed_at_exit": flag}) for flag in (True, False)]
    assert [bool(handler.filter(record)) for record in records] == [False, True]


def test_the_lines_of_a_worker_begin_with_its_cell(monkeypatch):
    monkeypatch.setattr(loading.LOADING, "prefix", "[method=smp seed=1] ")
    record = logging.makeLogRecord({"msg": "phase %s", "args": ("prune",)})
    assert Named("%(message)s").format(record) == "[method=smp seed=1] phase prune"
    assert record.getMessage() == "phase prune"  # run.log, which has the same record, belongs to one cell


def test_a_line_ends_the_report_on_what_is_loaded(monkeypatch, capsys):
    monkeypatch.setattr(loading, "PATIENCE", 0.1)
    loading.show("reading task=mnli")
    Named("%(message)s").format(logging.makeLogRecord({"msg": "phase prune"}))
    time.sleep(0.3)
    assert capsys.readouterr().err == ""
