"""The rates of one try of experiment=tune: the method's own rates, each times a factor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from prunebert.errors import BadInput, shown

DIGITS = 6  # significant digits of a rate


def rates_of_try(tune: dict[str, Any], value_of: Callable[[str], Any]) -> dict[str, float]:
    """Return {key: rate} of one try.

    Args:
        tune: the configuration's node `tune`, resolved: the number of the try, the keys of the method's rates, and for
            the first, second, … of them the factor of each try.
        value_of: the value of a dotted key in the method's own configuration; None where there is none.

    Raises BadInput for a try or a key that does not exist, for a rate that is no number above 0, and for bad factors.
    """
    keys = keys_of(tune)
    factors = _factors(tune.get("factors"), len(keys))
    number, tries = tune.get("try"), min(map(len, factors))
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < tries:
        raise BadInput(f"tune.try={shown(number)}: must be a whole number, at least 0 and at most {tries - 1}")
    rates = {}
    for key, factor in zip(keys, factors, strict=False):
        rate = value_of(key)
        if not _is_positive(rate):
            raise BadInput(f"tune.rates: {key} must be a number above 0 for this method, and it is {shown(rate)}")
        rates[key] = float(f"{rate * factor[number]:.{DIGITS}g}")
    return rates


def keys_of(tune: dict[str, Any]) -> list[str]:
    """Return the keys of the rates that are tuned, each once. Raises BadInput if there are none."""
    keys = tune.get("rates")
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) and "." in key for key in keys):
        raise BadInput(
            f"tune.rates={shown(keys)}: must be a list of the method's rates, such as [fit.lr] or [method.score_lr]"
        )
    return list(dict.fromkeys(keys))


def _factors(factors: Any, rates: int) -> list[list[float]]:
    if not isinstance(factors, list) or len(factors) < rates:
        raise BadInput(f"tune.factors={shown(factors)}: must have a list of factors for each of the {rates} rates")
    for listed in factors:
        if not isinstance(listed, list) or not listed or not all(map(_is_positive, listed)):
            raise BadInput(f"tune.factors: {shown(listed)} must be a list of numbers above 0")
    return factors[:rates]


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def read_of(settings: dict[str, Any], key: str) -> float | None:
    """Return the value of a rate's key in a run's recorded settings, which are those of its method.

    settings: as in result.json; the budgets that a method reads are in it, so fit.lr is settings["fit"]["lr"].
    """
    node: Any = settings
    for part in key.removeprefix("method.").split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return float(node) if _is_positive(node) else None
