"""The progress of a long command: silent for a second, then plain lines in a pipe and a bar on a terminal."""

import io
from itertools import count

import pytest
from rich.console import Console

from prunebert.system import countdown, loading
from prunebert.system.countdown import Countdown, track


@pytest.fixture
def clock(monkeypatch):
    """Time goes on by half a second whenever it is read."""
    ticks = count(0, 0.5)
    monkeypatch.setattr(countdown.time, "monotonic", lambda: next(ticks))


def test_a_short_task_is_silent(capsys):
    assert list(track(range(5), "reading")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")


def test_a_pipe_gets_a_line_now_and_then_on_standard_error(capsys, clock):
    assert list(track(range(50), "reading", unit="runs")) == list(range(50))
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and len(lines) == 2
    assert lines[0] == "reading: 20 of 50 runs · elapsed 00:00:10 · left 00:00:15"


def test_items_that_are_numbers_of_steps_are_added_up(capsys, clock):
    list(track(iter([5] * 25), "comparing", total=125, unit="pairs", by_item=False))
    assert capsys.readouterr().err.startswith("comparing: 100 of 125 pairs · elapsed ")


def test_an_unknown_number_of_steps_has_no_end(capsys, clock):
    list(track(iter(range(30)), "looking"))
    assert capsys.readouterr().err == "looking: 20 · elapsed 00:00:10\n"


def test_no_bar_is_drawn_beside_another(clock):
    """A phase's bar stays alone on the terminal while its evaluation counts rows."""
    screen = io.StringIO()
    with loading.beside_a_bar(), Countdown("evaluating", 10) as task:
        task.console = Console(file=screen, force_terminal=True, width=80)
        for _ in range(10):
            task.advance()
    assert screen.getvalue() == ""


def test_only_the_outermost_task_is_shown(capsys, clock):
    with Countdown("outer", 2):
        list(track(range(100), "inner"))
    assert capsys.readouterr().err == "" and Countdown.shown is None


def test_a_terminal_gets_a_bar_that_goes_away(clock):
    screen = io.StringIO()
    with Countdown("reading", 10) as task:
        task.console = Console(file=screen, force_terminal=True, width=80)
        for _ in range(10):
            task.advance()
    assert "reading" in screen.getvalue() and "10/10" in screen.getvalue()
