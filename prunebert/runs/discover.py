"""Traces: which runs and sweeps lie below a folder, finished or not, and what they were asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from prunebert.errors import BadInput
from prunebert.runs import artifacts
from prunebert.settings import labels


def finish_time(root: Path) -> float:
    """When the run ended, in seconds since 1970, as its file system has it."""
    return (root / artifacts.RESULT).stat().st_mtime


def started_runs(root: Path) -> list[Path]:
    """Every directory below `root`, itself included, in which a run was started or which holds a result."""
    return sorted({*artifacts.runs(root), *(p.parent for p in root.rglob(artifacts.RESULT))})


def sweeps(root: Path) -> list[Path]:
    """Every directory below `root`, itself included, in which a sweep was started."""
    return sorted(p.parent for p in root.rglob(artifacts.SWEEP))


def sweep(root: Path) -> dict[str, Any]:
    """A sweep's configuration, as Hydra recorded it. Raises BadInput if it cannot be read."""
    return _yaml(root / artifacts.SWEEP, dict)


def overrides(root: Path) -> list[str]:
    """The words of a run's command line. Raises BadInput if Hydra's record of them cannot be read."""
    return _yaml(root / artifacts.CONFIG / "overrides.yaml", list)


def search(root: Path) -> list[str]:
    """The word that says where code of one's own is found, if the run was started with one."""
    try:
        return labels.search(_yaml(root / artifacts.CONFIG / "hydra.yaml", dict)["hydra"]["overrides"]["hydra"])
    except (BadInput, KeyError, TypeError):
        return []


def _yaml(file: Path, kind: type) -> Any:
    import yaml

    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadInput(f"{file} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, kind):
        raise BadInput(f"{file} is damaged: it holds no {kind.__name__}")
    return found


def last_words(root: Path) -> str:
    """The last line of a run's log, or that there is none."""
    return ["it left no log", *_log(root)][-1]


def last_entry(root: Path) -> str:
    """The first line of a run's last entry in its log, which a traceback may follow; empty if there is none."""
    return next((line for line in reversed(_log(root)) if re.match(r"\d\d:\d\d:\d\d [A-Z]+ ", line)), "")


def _log(root: Path) -> list[str]:
    file = root / artifacts.LOG
    return file.read_text("utf-8", errors="replace").splitlines() if file.is_file() else []


def progress(root: Path) -> str:
    """How far a run has come, by the last line of its metrics; empty if it has none."""
    file = root / artifacts.METRICS
    lines = file.read_text("utf-8", errors="replace").splitlines() if file.is_file() else []
    for text in reversed(lines):
        try:
            line = json.loads(text)
            return f"phase {line['phase']}, step {line['step']:,} of {round(line['step'] / line['t']):,}"
        except (ValueError, KeyError, TypeError, ZeroDivisionError):
            continue
    return ""
