"""`prunebert status DIR…`: every run below some folders, done, running, stopped, stale, failed or missing."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from prunebert.errors import BadInput
from prunebert.runs import artifacts, claim, discover
from prunebert.runs import sweep as runs_sweep
from prunebert.settings.overrides import folder_of
from prunebert.system.console import arguments, say, table_console

DOES = """Where every run below some folders stands:

  done      it has its result, or the same words have one in another directory here
  running   a process holds its lock
  stopped   it ended early with a checkpoint, by a signal
  stale     nobody works on it, and it left no word why: it was killed, or its machine went down
  failed    it ended with an error, the last line of its log
  missing   a cell of a sweep's grid that was never started

The same command goes on where a stopped or stale run has its last checkpoint."""
STATES = ("done", "running", "stopped", "stale", "failed", "missing", "unknown")
AGAIN = ("stopped", "stale", "failed", "missing")


@dataclass(frozen=True)
class Standing:
    """One run or missing cell. command: what does it, or goes on with it."""

    where: str
    state: str
    told: str
    command: str


def main(words: list[str]) -> None:
    """Print the table, or with --failed the commands of what is not done, one a line."""
    parser = arguments("status", DOES)
    parser.add_argument("dirs", metavar="DIR", nargs="+", type=Path, help="runs, sweeps, or folders of them")
    parser.add_argument("--failed", action="store_true", help="print the commands to run again, and nothing else")
    asked = parser.parse_intermixed_args(words)
    for root in asked.dirs:
        if not root.is_dir():
            raise BadInput(f"{root}: there is no such directory")
    found = standings(asked.dirs)
    if asked.failed:
        for one in found:
            if one.state in AGAIN:
                say(one.command)
        return
    show(found)


def standings(roots: list[Path]) -> list[Standing]:
    """Every run once, in the order of their directories; then what is missing of each sweep."""
    runs = list(dict.fromkeys(run for root in roots for run in discover.started_runs(root)))
    found = [_standing(run) for run in runs]
    started = [w for run in runs for w in runs_sweep.recorded_words(run)]
    done = {
        _what(w): one.where
        for run, one in zip(runs, found, strict=True)
        if one.state == "done"
        for w in runs_sweep.recorded_words(run)
    }
    for i, run in enumerate(runs):
        since = [done[_what(w)] for w in runs_sweep.recorded_words(run) if found[i].state in AGAIN and _what(w) in done]
        if since:
            found[i] = replace(found[i], state="done", told=f"again, in {since[0]}")
    for sweep in dict.fromkeys(s for root in roots for s in discover.sweeps(root)):
        try:
            for swept, cell in runs_sweep.never_started(sweep, started):
                place = sweep / folder_of(cell)
                found.append(Standing(str(sweep), "missing", " ".join(swept), _command(cell, place)))
        except BadInput as error:
            found.append(Standing(str(sweep), "unknown", f"whether cells are missing: {error}", ""))
    return found


def _what(words: list[str]) -> frozenset[str]:
    """A command line without the words that change no number."""
    return frozenset(runs_sweep.science(words) | {w for w in words if w.startswith("experiment=")})


def _standing(run: Path) -> Standing:
    try:
        command = _command([*discover.search(run), *discover.overrides(run)], run)
    except BadInput:
        command = f"# {run}: its command is not known"
    last, entry = discover.last_words(run), discover.last_entry(run)
    if artifacts.is_finished(run):
        try:
            row = artifacts.result(run)
            return Standing(str(run), "done", f"{row['metric']} {row['score']:.4f}", command)
        except (BadInput, KeyError) as error:
            return Standing(str(run), "failed", str(error), command)
    if claim.is_running(run):
        return Standing(str(run), "running", discover.progress(run) or last, command)
    if " ERROR " in entry:
        return Standing(str(run), "failed", last.partition(" ERROR ")[2] or last, command)
    state = "stopped" if "stopped by" in entry else "stale"
    return Standing(str(run), state, discover.progress(run) or last, command)


def _command(words: list[str], run: Path) -> str:
    """What does the run, in its directory; an experiment's own sweep is left out."""
    alone = ["hydra.mode=RUN"] if any(w.startswith("experiment=") for w in words) else []
    quoted = str(run).replace("'", "\\'")  # for Hydra's grammar; for the shell shlex quotes it again
    return "prunebert " + shlex.join([*words, *alone, f"hydra.run.dir='{quoted}'"])


def show(found: list[Standing]) -> None:
    """The table, and a line of sums."""
    table = Table()
    for column in ("run", "state", ""):
        table.add_column(column, overflow="fold")
    for one in found:
        table.add_row(escape(one.where), one.state, escape(one.told))
    table_console().print(table)
    counts = Counter(one.state for one in found)
    say(", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]) or "no run was started here")
    if any(one.state in AGAIN for one in found):
        say("`prunebert status DIR… --failed` prints the commands that are left to run")
