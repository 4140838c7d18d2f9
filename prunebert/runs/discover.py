"""Find the runs and sweeps below a folder, finished or not, and read what Hydra and the log recorded of them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunebert.errors import BadInput
from prunebert.runs import artifacts, reading, seal, walk
from prunebert.settings import labels
from prunebert.system.names import in_order


def finish_time(root: Path) -> float:
    """Return when the run ended, in seconds since 1970: the time of its result file."""
    return (root / artifacts.RESULT).stat().st_mtime


def saved_bytes(root: Path, row: Mapping[str, Any]) -> float:
    """Return the size in bytes of the files that are needed to use a finished run's sub-network: masks, weights, head.

    Weights and head are there only if they were trained. NaN if the masks, or a file that the run wrote, are missing.

    Args:
        root: the run's directory.
        row: the run's verified result.
    """
    names = (artifacts.MASKS, artifacts.WEIGHTS, artifacts.HEAD)
    written = row.get("files", [artifacts.MASKS, *(name for name in names if (root / name).exists())])
    try:
        return float(sum((root / name).stat().st_size for name in names if name in written))
    except FileNotFoundError:
        return math.nan


def started_runs(root: Path) -> list[Path]:
    """List every directory below `root`, itself included, in which a run was started or which holds a result."""
    runs = {*artifacts.runs(root), *(folder for folder, _ in walk.holding(root, (artifacts.RESULT,)))}
    return sorted(runs, key=in_order)


def sweeps(root: Path) -> list[Path]:
    """List every directory below `root`, itself included, in which a sweep was started."""
    return sorted(folder for folder, _ in walk.holding(root, (artifacts.SWEEP,)))


def sweep(root: Path) -> dict[str, Any]:
    """Read a sweep's configuration, as Hydra recorded it. Raises BadInput if it cannot be read."""
    return reading.yaml_content(root / artifacts.SWEEP, dict)


def config(root: Path) -> dict[str, Any]:
    """Read the configuration of a run, as Hydra recorded it. Raises BadInput if it cannot be read."""
    return reading.yaml_content(root / artifacts.CONFIG / "config.yaml", dict)


def overrides(root: Path) -> list[str]:
    """Read the overrides of a run's command line, as Hydra recorded them. Raises BadInput if they cannot be read."""
    file = root / artifacts.CONFIG / "overrides.yaml"
    words = reading.yaml_content(file, list)
    if not all(isinstance(word, str) for word in words):
        raise BadInput(f"{file} is damaged: it is no list of text")
    return words


def search(root: Path) -> list[str]:
    """Return the override `hydra.searchpath=…` of a run in a list; an empty list if it had none."""
    try:
        record = reading.yaml_content(root / artifacts.CONFIG / "hydra.yaml", dict)
        return labels.search(record["hydra"]["overrides"]["hydra"])
    except (BadInput, KeyError, TypeError, AttributeError):
        return []


def last_words(root: Path) -> str:
    """Return the last line of a run's log, or a remark that it has no log."""
    return ["it left no log", *_log_lines(root)][-1]


def last_entry(root: Path) -> str:
    """Return the first line of the last entry in a run's log; empty if there is none. A traceback may follow it."""
    return next((line for line in reversed(_log_lines(root)) if re.match(r"\d\d:\d\d:\d\d [A-Z]+ ", line)), "")


def _log_lines(root: Path) -> list[str]:
    return reading.tail(root / artifacts.LOG)


def metrics_lines(root: Path, row: Mapping[str, Any]) -> list[str]:
    """Read and verify the lines of a finished run's metrics; [] if it has none. row: the run's verified result.

    Raises BadInput if the file is damaged.
    """
    file = seal.intact(root, artifacts.METRICS, row)
    return [] if file is None else reading.text(file).splitlines()


def progress(root: Path) -> str:
    """Return how far a run has come, by the last line of its metrics; empty if it has none."""
    for text in reversed(reading.tail(root / artifacts.METRICS)):
        try:
            line = reading.parsed_json(text)
            return f"phase {line['phase']}, step {line['step']:,} of {round(line['step'] / line['t']):,}"
        except (ValueError, KeyError, TypeError, ZeroDivisionError, OverflowError, RecursionError):
            continue
    return ""
