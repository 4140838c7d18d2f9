"""After experiment=tune: write the best rates of each method to tuned.yaml, and print the command that uses them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from prunebert.runs import discover, files, tuning
from prunebert.runs.tuning import Tuned
from prunebert.settings import quoting
from prunebert.system.console import say, short
from prunebert.system.table import say_wrapped

FILE = "tuned.yaml"
GROUPS = ("task", "model", "fit")  # options that experiment=tune chooses
OWN = ("experiment", "seed", "tune", "tuned", "task.tuning_holdout", "hydra", "rerun", "dry")
LISTED = 3  # missing cells of a method


def finish(sweep: Path) -> None:
    """Write tuned.yaml into a tuning sweep that has ended, and print what was chosen and how to use it.

    A method of which a try has no result is left out. Without any method the file is removed.
    """
    found = tuning.of_sweep(sweep)
    chosen = [tuned for tuned in found if tuned.best]
    for tuned in found:
        for line in _lines(tuned):
            say_wrapped(line)
    if not chosen:
        (sweep / FILE).unlink(missing_ok=True)
        say("no rates were chosen; the same command goes on")
        return
    record = discover.sweep(sweep)["hydra"]
    files.write(sweep, FILE, encoded(found, str(short(sweep))).encode())
    say(f"the chosen rates: {short(sweep / FILE)}")
    say(f"use them: {quoting.command(_next_words(record, chosen, short(sweep / FILE)))}")


def encoded(found: list[Tuned], sweep: str) -> str:
    """Return tuned.yaml: of each method with a best try its rates, its mean score, and everything that was tried."""
    methods = {}
    for tuned in found:
        if best := tuned.best:
            tried = [{"rates": {**each.rates}, "mean": each.mean, "scores": each.scores} for each in tuned.tries]
            facts = {"metric": tuned.metric, "score": best.mean, "at_edge": tuned.at_edge(), "tried": tried}
            methods[tuned.method] = {"rates": {**best.rates}, **facts}
    head = f"# The best rates of each method in {sweep}, written by prunebert experiment=tune.\n"
    head += "# prunebert -m method=… tuned=THIS_FILE gives each method its own.\n"
    return head + yaml.safe_dump({"methods": methods}, sort_keys=False, allow_unicode=True)


def _lines(tuned: Tuned) -> list[str]:
    best = tuned.best
    if best is None:
        if tuned.refusal:
            return [f"{tuned.method}: no rates chosen: {tuned.refusal}"]
        more = f" and {len(tuned.missing) - LISTED} more" if len(tuned.missing) > LISTED else ""
        without = "; ".join(tuned.missing[:LISTED]) + more
        line = f"{tuned.method}: no rates chosen" + (f", without a result of {without}" if without else "")
        return [line, "a try that fails again, as one that diverges, must leave tune.try for all methods"]
    rates = " ".join(f"{key}={rate:g}" for key, rate in best.rates.items())
    line = f"{tuned.method}: {rates} ({tuned.metric} {best.mean:.4f}, the best of {len(tuned.tries)} tried)"
    edges = tuned.at_edge()
    return [f"{line}; {' and '.join(edges)} is at the edge of what was tried" if edges else line]


def _next_words(record: dict[str, Any], chosen: list[Tuned], file: Any) -> list[str]:
    """Return the command that trains the methods with their rates: the sweep's words without those of tuning.

    A typed rate is left out too. It was the middle of the tries, and on the command line it would win over the file.
    """
    typed = [str(word) for word in record["overrides"]["task"]]
    rates = {"method", *(key for tuned in chosen if tuned.best for key in tuned.best.rates)}
    named = [(word.lstrip("+~").partition("=")[0], word) for word in typed]
    kept = [word for key, word in named if key not in rates and not _is_own(key)]
    keys = {word.lstrip("+").partition("=")[0] for word in kept}
    options = record["runtime"]["choices"]
    groups = [f"{group}={options[group]}" for group in GROUPS if group not in keys]
    methods = f"method={','.join(tuned.method for tuned in chosen)}"
    return ["prunebert", "-m", methods, quoting.setting("tuned", os.fspath(file)), *groups, *kept]


def _is_own(key: str) -> bool:
    return any(key == own or key.startswith((f"{own}.", f"{own}/")) for own in OWN)
