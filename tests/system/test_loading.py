"""The report on what is being loaded: at once before a slow import, one line on a terminal, plain lines elsewhere."""

import os
import pty
import subprocess
import sys
import time

import pytest

from prunebert.system import loading

# A stand-in for a torch whose import takes as long as on a busy machine.
SLOW_TORCH = "import time\ntime.sleep(3)\nraise ImportError('no torch here')\n"


@pytest.fixture
def report(monkeypatch):
    monkeypatch.setattr(loading, "PATIENCE", 0.05)
    report = loading.Loading()
    yield report
    report.clear()


@pytest.mark.parametrize(
    "words",
    [
        ["method=magnitude", "task=rotten_tomatoes", "model=tiny"],
        ["-m", "method=magnitude,random", "task=rotten_tomatoes", "model=tiny"],
    ],
)
def test_a_run_and_a_sweep_speak_before_torch_is_imported(tmp_path, words):
    """The first byte comes before the import of torch ends, and names what is loaded."""
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow/torch.py").write_text(SLOW_TORCH)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "slow")}
    command = [sys.executable, "-m", "prunebert", *words]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **streams) as process:
        lines = iter(process.stderr.readline, "")
        before = ("composing the sweep …", "prunebert: this sweep has 1 seed;")  # the first on a busy machine
        first = next(line for line in lines if not line.startswith(before))
        time_of_first = time.monotonic()
        assert first == "loading torch and transformers …\n"
        process.stderr.read()
        assert time.monotonic() - time_of_first > 1.5  # the import was still to come
        process.wait()


def test_a_pipe_gets_only_what_takes_long(report, capsys):
    report.show("loading model=tiny")
    report.show("reading task=mnli")
    time.sleep(0.3)
    report.clear()
    assert capsys.readouterr() == ("", "reading task=mnli …\n")


def test_what_comes_at_once_waits_for_nothing(report, capsys):
    report.show("loading torch", at_once=True)
    assert capsys.readouterr() == ("", "loading torch …\n")


def test_nothing_is_reported_beside_a_bar(report, capsys):
    with report.beside_a_bar():
        report.show("loading torch", at_once=True)
    assert capsys.readouterr().err == ""


def test_control_characters_are_escaped(report, capsys):
    report.show("reading task=\x1b[2J", at_once=True)
    assert capsys.readouterr().err == "reading task=\\x1b[2J …\n"


def test_the_watcher_finds_no_module(capsys):
    watcher = loading.Watcher()
    assert watcher.find_spec("json") is None and capsys.readouterr().err == ""
    assert watcher.find_spec("torch") is None
    assert capsys.readouterr().err == "loading torch and transformers …\n"


def test_a_terminal_has_one_line_that_is_replaced(tmp_path):
    """A terminal of 20 columns: the line is cut, and erased before another is printed."""
    code = (
        "from prunebert.system import loading; from prunebert.system.console import say\n"
        "loading.show('loading a model with a long name'); loading.show('reading'); say('done')"
    )
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "20"}
    done = subprocess.run([sys.executable, "-c", code], stdout=theirs, stderr=theirs, env=environment, timeout=60)
    os.close(theirs)
    printed = os.read(ours, 4096).decode()
    os.close(ours)
    assert done.returncode == 0
    assert printed == "loading a model wit\r\r\x1b[2Kreading …\r\r\x1b[2Kdone\r\n"
