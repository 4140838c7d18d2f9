"""Find the runs and sweeps below a folder, finished or not, and read what Hydra and the log recorded of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from prunebert.errors import BadInput
from prunebert.runs import artifacts
from prunebert.settings import labels


def finish_time(root: Path) -> float:
    """Return when the run ended, in seconds since 1970: the time of its result file."""
    return (root / artifacts.RESULT).stat().st_mtime


def started_runs(root: Path) -> list[Path]:
    """List every directory below `root`, itself included, in which a run was started or which holds a result."""
    return sorted({*artifacts.runs(root), *(p.parent for p in root.rglob(artifacts.RESULT))})


def sweeps(root: Path) -> list[Path]:
    """List every directory below `root`, itself included, in which a sweep was started."""
    return sorted(p.parent for p in root.rglob(artifacts.SWEEP))


def sweep(root: Path) -> dict[str, Any]:
    """Read a sweep's configuration, as Hydra recorded it. Raises BadInput if it cannot be read."""
    return _yaml(root / artifacts.SWEEP, dict)


def overrides(root: Path) -> list[str]:
    """Read the overrides of a run's command line, as Hydra recorded them. Raises BadInput if they cannot be read."""
    return _yaml(root / artifacts.CONFIG / "overrides.yaml", list)


def search(root: Path) -> list[str]:
    """Return the override `hydra.searchpath=…` of a run in a list; an empty list if it had none."""
    try:
        return labels.search(_yaml(root / artifacts.CONFIG / "hydra.yaml", dict)["hydra"]["overrides"]["hydra"])
    except (BadInput, KeyError, TypeError):
        return []


def _yaml(file: Path, expected: type) -> Any:
    import yaml

    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadInput(f"{file} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, expected):
        raise BadInput(f"{file} is damaged: it holds no {expected.__name__}")
    return content


def last_words(root: Path) -> str:
    """Return the last line of a run's log, or a remark that it has no log."""
    return ["it left no log", *_log_lines(root)][-1]


def last_entry(root: Path) -> str:
    """Return the first line of the last entry in a run's log; empty if there is none. A traceback may follow it."""
    return next((line for line in reversed(_log_lines(root)) if re.match(r"\d\d:\d\d:\d\d [A-Z]+ ", line)), "")


def _log_lines(root: Path) -> list[str]:
    file = root / artifacts.LOG
    return file.read_text("utf-8", errors="replace").splitlines() if file.is_file() else []


def progress(root: Path) -> str:
    """Return how far a run has come, by the last line of its metrics; empty if it has none."""
    file = root / artifacts.METRICS
    lines = file.read_text("utf-8", errors="replace").splitlines() if file.is_file() else []
    for text in reversed(lines):
        try:
            line = json.loads(text)
            return f"phase {line['phase']}, step {line['step']:,} of {round(line['step'] / line['t']):,}"
        except (ValueError, KeyError, TypeError, ZeroDivisionError):
            continue
    return ""
