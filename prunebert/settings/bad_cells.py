"""Refuse a sweep, before its first cell, for a value that every one of its cells would refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prunebert.errors import BadInput
from prunebert.settings import checks, overrides
from prunebert.settings.labels import search


def refuse_bad_cells(words: list[str], check: Callable[[dict[str, Any]], None] = checks.config) -> None:
    """Raise BadInput for a `group.key=value` of a sweep that every one of its cells would refuse.

    A value that is wrong with some options of the group and right with others is left to the cells. check: raises
    BadInput for a configuration that a cell would refuse.
    """
    pairs = overrides.values(words)
    chosen = {key: [v for k, v in pairs if k == key] for key in checks.OPTION_GROUPS}
    inside = [(key, value) for key, value in pairs if key.partition(".")[0] in checks.NODES and "." in key]
    given_values = {key: [v for k, v in inside if k == key] for key, _ in inside}
    for key, value in inside:
        group = "fit" if key.partition(".")[0] in checks.FITS else key.partition(".")[0]
        others = {name: given[0] for name, given in chosen.items() if given}
        cells = [others | {group: option} for option in chosen.get(group) or []] or [others]
        ends = [{k: v[end] for k, v in given_values.items()} | {key: value} for end in (0, -1)]  # of the other keys
        refusals = [
            _refusal(key, given, [*search(words), *(f"{g}={o}" for g, o in cell.items())], check)
            for cell in cells
            for given in (ends if ends[0] != ends[1] else ends[:1])
        ]
        if refusals[0] is not None and all(refusals):
            raise BadInput(refusals[0])


def _refusal(
    key: str, given: dict[str, Any], options: list[str], check: Callable[[dict[str, Any]], None]
) -> str | None:
    """Why the value of `key` is refused beside some groups' options; None if it is not, or if another value is.

    given: the values of `key` and of the sweep's other keys that have one value, by dotted key.
    """
    try:
        fields = overrides.with_values(options, given)
        if fields is not None:
            check(fields)
    except BadInput as error:
        return str(error) if str(error).startswith(key) else None
    return None
