"""A run that is older than a setting of its method counts as one that has the setting's default."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from prunebert.runs import artifacts
from prunebert.settings import signature


def filled(rows: Iterable[dict[str, Any]], directories: Iterable[Path | None]) -> list[dict[str, Any]]:
    """`rows` (result.json each), their `settings` with the defaults of what other runs of the method have besides.

    The default is that of the method's signature, as for identities; a setting that has none there stays away. A run
    without a directory is of the method that has its name here.
    """
    pairs = list(zip(rows, directories, strict=True))
    known: dict[str, set[str]] = {}
    for row, _ in pairs:
        known.setdefault(row["method"], set()).update(row["settings"])
    found = []
    for row, directory in pairs:
        lacking = known[row["method"]] - row["settings"].keys()
        usual = _defaults(row["method"], directory) if lacking else {}
        found.append(row | {"settings": {k: usual[k] for k in sorted(lacking & usual.keys())} | row["settings"]})
    return found


def _defaults(name: str, directory: Path | None) -> dict[str, Any]:
    """Of the method that the run's recorded configuration names; none where it names none."""
    config = yaml.safe_load(artifacts.config(directory)) if directory else {"method": _packaged(name)}
    method = config.get("method") if isinstance(config, dict) else None
    return signature.defaults(str(method.get("_target_"))) if isinstance(method, dict) else {}


@cache
def _packaged(name: str) -> Any:
    """conf/method/NAME.yaml, if there is one."""
    file = files("prunebert.conf") / "method" / f"{name}.yaml"
    return yaml.safe_load(file.read_text("utf-8")) if file.is_file() else None
