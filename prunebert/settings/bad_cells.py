"""Refuse a sweep, before its first cell, for a value that every one of its cells would refuse."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from prunebert.errors import BadInput
from prunebert.settings import checks, expansion, overrides
from prunebert.settings.hydra_part import hydra_references
from prunebert.settings.labels import search

REFERENCE = re.compile(r"\$\{([^{}]*)\}")  # ${seed}
MOST_CELLS = 1_000  # of those in which a value with references is tried; beyond it, the cells refuse it


def refuse_bad_cells(words: list[str], check: Callable[[dict[str, Any]], None] = checks.config) -> None:
    """Raise BadInput for a `group.key=value` of a sweep that every one of its cells would refuse.

    A value that is wrong in some cells and right in others is left to the cells. Tried are all values of the key's
    group, of what its references name, and of method, sparsity and prunable; of other keys only the first and the last.

    check: raises BadInput for a configuration that a cell would refuse.
    """
    pairs = overrides.values(words)
    values = {key: [v for k, v in pairs if k == key] for key, _ in pairs if not key.startswith("hydra")}
    inside = {key: given for key, given in values.items() if key.partition(".")[0] in checks.NODES and "." in key}
    for key, value in ((key, value) for key, given in inside.items() for value in given):
        group = "fit" if key.partition(".")[0] in checks.FITS else key.partition(".")[0]
        named = _parts_of_references(value)
        read = {group, "method", "sparsity", "prunable"}  # files of conf/ depend on the last three
        varied = {k: v for k, v in values.items() if k in read or (k != key and k.partition(".")[0] in named)}
        if math.prod(map(len, varied.values())) > MOST_CELLS:
            continue
        first_options = {k: v[0] for k, v in values.items() if k in checks.OPTION_GROUPS}
        ends = [{k: v[end] for k, v in inside.items()} | {key: value} for end in (0, -1)]  # of the other keys
        refusals = (
            _refusal(key, end | cell, first_options, search(words), check)
            for cell in (dict(zip(varied, cell, strict=True)) for cell in itertools.product(*varied.values()))
            for end in (ends if ends[0] != ends[1] else ends[:1])
        )
        if (reason := next(refusals)) is not None and all(refusals):
            raise BadInput(reason)


def _parts_of_references(value: Any) -> set[str]:
    """Return the names in the references of a value: task and name of "masks/${task.name}"."""
    return set(re.findall(r"\w+", " ".join(REFERENCE.findall(str(value)))))


def _refusal(
    key: str,
    given: dict[str, Any],
    first_options: dict[str, Any],
    words: list[str],
    check: Callable[[dict[str, Any]], None],
) -> str | None:
    """Why the value of `key` is refused in a cell; None if it is not, or if another value is.

    Args:
        key: the dotted key.
        given: the cell's values by dotted key, and the options of its groups.
        first_options: the options of the groups that `given` leaves out.
        words: further words for Hydra.
        check: see `refuse_bad_cells`.
    """
    options = first_options | {k: v for k, v in given.items() if k in checks.OPTION_GROUPS}
    try:
        fields = _with_values(
            [*words, *(f"{group}={option}" for group, option in options.items())],
            {k: v for k, v in given.items() if k not in options},
        )
        if fields is not None:
            check(fields)
    except BadInput as error:
        return str(error) if str(error).startswith(key) else None
    return None


def _with_values(options: list[str], given: dict[str, Any]) -> dict[str, Any] | None:
    """Return the configuration of some options with other values for dotted keys.

    None where Hydra refuses it, and for a value that refers to what only the cell knows, such as its number. Raises
    BadInput for a reference to nothing.
    """
    if any("${hydra:job." in str(value) for value in given.values()):
        return None
    try:
        config = _composed(tuple(options)).copy()
        with hydra_references(config):
            OmegaConf.set_struct(config, False)
            del config["hydra"]
            for key, value in given.items():
                expansion.refuse_key_of_reference(OmegaConf.to_container(config), key)
                OmegaConf.update(config, key, value)
            return overrides.container(config, [])
    except (HydraException, OmegaConfBaseException):
        return None  # Hydra reports it


@cache
def _composed(words: tuple[str, ...]) -> DictConfig:
    return overrides.compose(list(words), whole=True)
