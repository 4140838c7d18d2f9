"""Words of earlier versions. Runs that have them are still found, read and compared.

Earlier, `allocation` was `scope` for the methods below, and "uniform" was "local". The random method had the run in
`budget`, and `allocation_by` was `budget_by`.
"""

from __future__ import annotations

from typing import Any

from prunebert.choices import ALLOCATIONS

HAD_SCOPE = {
    f"prunebert.methods.{name}"
    for name in ("gradual.gmp", "imp.imp", "magnitude.one_shot", "movement.hard", "random.random")
}
RANDOM = "prunebert.methods.random.random"

RENAMED = {
    "method.scope": "method.allocation, and local is uniform",
    "method.budget": "method.allocation",
    "method.budget_by": "method.allocation_by",
}


def hint(key: str) -> str:
    """Return "; it is now …" for a key of an earlier version, else an empty string."""
    return f"; it is now {RENAMED[key]}" if key in RENAMED else ""


def in_earlier_words(node: dict[str, Any]) -> dict[str, Any]:
    """Return a method's node as an earlier version would have it, for identities that do not change."""
    if "allocation" not in node:
        return node
    target, allocation = node.get("_target_"), node["allocation"]
    rest = {key: value for key, value in node.items() if key not in ("allocation", "allocation_by")}
    word = "local" if allocation == "uniform" else allocation
    if target == RANDOM:
        is_run = allocation not in ALLOCATIONS
        by = {"budget": allocation if is_run else None, "budget_by": node.get("allocation_by", "matrix")}
        return rest | by | {"scope": "local" if is_run else word}
    return rest | {"scope" if target in HAD_SCOPE else "allocation": word}


def in_current_words(settings: dict[str, Any]) -> dict[str, Any]:
    """Return a method's settings, as a run of any version records them, in the words of this version."""
    current = {key: value for key, value in settings.items() if key not in ("scope", "budget", "budget_by")}
    if (allocation := settings.get("budget") or settings.get("scope") or settings.get("allocation")) is not None:
        current["allocation"] = "uniform" if allocation == "local" else allocation
    if "budget_by" in settings:
        current["allocation_by"] = settings["budget_by"]
    return current
