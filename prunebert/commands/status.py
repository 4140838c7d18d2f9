"""`prunebert status DIR…`: list the runs below some folders and the state of each."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from prunebert.errors import BadInput, describe_os_error
from prunebert.runs import artifacts, claim, discover, reading
from prunebert.runs import sweep as runs_sweep
from prunebert.settings import quoting
from prunebert.system import table
from prunebert.system.console import arguments, say, short
from prunebert.system.countdown import track
from prunebert.system.table import Column

DESCRIPTION = """List every run below some folders with its state:

  done      it has a result, or a run with the same settings has one in another directory here
  running   a process holds its lock
  stopped   a signal ended it early, and it has a checkpoint
  stale     no process works on it and its log gives no reason: it was killed, or its machine went down
  failed    it ended with an error, which is the last line of its log; or its result is damaged
  missing   a cell of a sweep that was never started

The same command continues a stopped or stale run from its last checkpoint."""
STATES = ("done", "running", "stopped", "stale", "failed", "missing", "unknown")
UNFINISHED = ("stopped", "stale", "failed", "missing")


@dataclass(frozen=True)
class RunState:
    """The state of one run or missing cell."""

    directory: str  # of the run; for a missing cell of its sweep
    state: str  # one of STATES
    detail: str  # the score, the progress, the error, or the overrides of a missing cell
    command_line: str  # starts or continues the run; empty for the state "unknown"


def main(argv: list[str]) -> None:
    """Print the table, or with --failed the command lines of the unfinished runs."""
    parser = arguments("status", DESCRIPTION)
    parser.add_argument("dirs", metavar="DIR", nargs="+", type=Path, help="runs, sweeps, or folders of them")
    parser.add_argument(
        "--failed", action="store_true", help="print only the commands of the unfinished runs, one per line"
    )
    table.add_wide(parser)
    options = parser.parse_intermixed_args(argv)
    for root in options.dirs:
        if not reading.is_folder(root):
            raise BadInput(reading.no_folder(root))
    states = run_states(options.dirs)
    if options.failed:
        for run in states:
            if run.state in UNFINISHED:
                say(run.command_line)
        return
    show(states, options.wide)


def run_states(roots: list[Path]) -> list[RunState]:
    """Return the state of every run once, in the order of the directories, then those of each sweep's missing cells."""
    runs = list(dict.fromkeys(run for root in roots for run in discover.started_runs(root)))
    states, recorded_overrides = [], []  # of the latter at most one command line per run
    for run in track(runs, "reading runs"):
        states.append(_state(run))
        recorded_overrides.append(runs_sweep.recorded_words(run))
    finished = {
        _settings(overrides): run.directory
        for run, recorded in zip(states, recorded_overrides, strict=True)
        if run.state == "done"
        for overrides in recorded
    }
    for i, recorded in enumerate(recorded_overrides):
        if states[i].state in UNFINISHED:
            repeated = [finished[_settings(overrides)] for overrides in recorded if _settings(overrides) in finished]
            if repeated:
                states[i] = replace(states[i], state="done", detail=f"repeated in {repeated[0]}")
    started = [overrides for recorded in recorded_overrides for overrides in recorded]
    for sweep in track(dict.fromkeys(s for root in roots for s in discover.sweeps(root)), "reading sweeps"):
        try:
            for missing in runs_sweep.never_started(sweep, started):
                command_line = _command_line(missing.command, missing.directory)
                states.append(RunState(str(sweep), "missing", " ".join(missing.varying), command_line))
        except BadInput as error:
            states.append(RunState(str(sweep), "unknown", f"cannot list missing cells: {error}", ""))
    return states


def _settings(overrides: list[str]) -> frozenset[str]:
    """Return the overrides that can change a result."""
    return frozenset(runs_sweep.science(overrides) | {w for w in overrides if w.startswith("experiment=")})


def _state(run: Path) -> RunState:
    """Return the state of a run; "unknown" with the reason if a file or folder cannot be read, or vanishes."""
    try:
        return _run_state(run)
    except OSError as error:
        return RunState(str(run), "unknown", describe_os_error(error), "")


def _score(run: Path) -> str:
    """Return a finished run's metric and score. Raises BadInput if its result is damaged."""
    row = artifacts.result(run)
    metric, score = row.get("metric"), row.get("score")
    if not isinstance(metric, str) or not isinstance(score, int | float) or isinstance(score, bool):
        raise BadInput(f"{run}/{artifacts.RESULT} is damaged: it has no metric or no score")
    return f"{metric} {score:.4f}"


def _run_state(run: Path) -> RunState:
    try:
        command_line = _command_line([*discover.search(run), *discover.overrides(run)], run)
    except BadInput:
        command_line = f"# {run}: its command is not recorded"
    last_line, last_entry = discover.last_words(run), discover.last_entry(run)
    if artifacts.is_finished(run):
        try:
            return RunState(str(run), "done", _score(run), command_line)
        except BadInput as error:
            return RunState(str(run), "failed", str(error), command_line)
    if claim.is_running(run):
        return RunState(str(run), "running", discover.progress(run) or last_line, command_line)
    if " ERROR " in last_entry:
        return RunState(str(run), "failed", last_line.partition(" ERROR ")[2] or last_line, command_line)
    state = "stopped" if "stopped by" in last_entry else "stale"
    return RunState(str(run), state, discover.progress(run) or last_line, command_line)


def _command_line(overrides: list[str], run: Path) -> str:
    """Return the command line that does the run in its directory, without the sweep of an experiment."""
    mode = ["hydra.mode=RUN"] if any(w.startswith("experiment=") for w in overrides) else []
    return quoting.command(["prunebert", *overrides, *mode, quoting.setting("hydra.run.dir", str(run))])


def show(states: list[RunState], wide: bool = False) -> None:
    """Print the table, with the directory of all runs above it, and the number of runs in each state.

    Args:
        states: of the runs.
        wide: print whole lines at any width.
    """
    if states:
        folder = os.path.commonpath([os.path.abspath(run.directory) for run in states])
        if len({run.directory for run in states}) == 1 and all(run.state != "missing" for run in states):
            folder = os.path.dirname(folder)
        names = [os.path.relpath(run.directory, folder) for run in states]
        say(f"in {short(Path(folder))}:")
        columns = [
            Column("run", [None if name == "." else name for name in names], shortest=20, from_middle=True),
            Column("state", [run.state for run in states]),
            Column("detail", [run.detail for run in states], shortest=20),
        ]
        table.show(columns, wide=wide, more="--wide shows all")
    counts = Counter(run.state for run in states)
    say(", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]) or "no run was started here")
    if any(run.state in UNFINISHED for run in states):
        table.say_wrapped("`prunebert status DIR… --failed` prints the commands of the unfinished runs")
