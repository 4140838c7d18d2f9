"""Ranges of the values in a configuration. An annotation states them in words: `Annotated[float, "at least 0"]`.

An annotation also says when a key is read at all, where that depends on another key of the same function:
`Annotated[float, "read with control=none"]`, "read with budget" or "read without masks". A key that is null, false, 0
or empty counts as not given (`settings/unused.py`).

`settings/values.py` reads the words out of the source, so a wrong value is refused before torch is imported. NaN is
outside of every range. Infinity is inside only where the words say "infinity included".
"""

from __future__ import annotations

import dataclasses
import math
import operator
import re
import sys
from functools import cache
from typing import Annotated, Any, get_args, get_type_hints

from prunebert.errors import BadInput, shown

# float32 holds these numbers, and so their products with weights and gradients of usual size stay finite.
Finite = Annotated[float, "at least -1e30 and at most 1e30"]
NonNegative = Annotated[float, "at least 0 and at most 1e30"]
Positive = Annotated[float, "above 0, and for float32 at least 1e-30 and at most 1e30"]
# Parts of a whole.
Fraction = Annotated[float, "at least 0 and below 1"]
Share = Annotated[float, "above 0 and at most 1"]
Part = Annotated[float, "above 0 and at most 1000000000"]  # a fraction below 1, or a number of rows
Probability = Annotated[float, "at least 0 and at most 1"]
# Whole numbers. A run of 10⁹ steps takes years.
Count = Annotated[int, "at least 1 and at most 1000000000"]
CountOrZero = Annotated[int, "at least 0 and at most 1000000000"]
# 2⁶⁴ - 2³²: a crc32 is added to the seed, and torch takes seeds below 2⁶⁴.
Seed = Annotated[int, "at least 0 and at most 18446744069414584320"]
# A name, or a path. An empty one is a shell variable that was not set.
Text = Annotated[str, "not empty"]

LIMIT = re.compile(r"(above|at least|below|at most) (-?\d[\d.e+-]*)")
OPERATORS = {"above": operator.gt, "at least": operator.ge, "below": operator.lt, "at most": operator.le}
INFINITY = "infinity included"
REASON = "for float32"  # why there is a limit beside the one that is meant
SMALLEST, LARGEST = 1e-30, 1e3  # a limit beyond these only keeps a number finite


@dataclasses.dataclass(frozen=True)
class Range:
    """The values that some words allow."""

    words: str
    limits: tuple[tuple[str, int | float], ...]  # (a key of OPERATORS, a number)

    def holds(self, value: Any) -> bool:
        """Return whether a number or text is inside."""
        if isinstance(value, str):
            return self.words != "not empty" or bool(value.strip())
        if not is_finite(value) and not (INFINITY in self.words and value == math.inf):
            return False
        return all(OPERATORS[name](value, limit) for name, limit in self.limits)


def is_finite(value: int | float) -> bool:
    """Return whether a number is neither NaN nor infinite, also as a float. Whole numbers may be too large for one."""
    return abs(value) <= sys.float_info.max


@cache
def parse(words: str) -> Range | None:
    """Return the range that the words of an annotation describe; None where they describe none."""
    if words == "not empty":
        return Range(words, ())
    limits = tuple((name, number(text)) for name, text in LIMIT.findall(words))
    rest = LIMIT.sub("", words).replace(INFINITY, "").replace(REASON, "")
    return Range(words, limits) if limits and not re.sub(r",|\band\b|\s", "", rest) else None


def usual(words: str) -> str:
    """Return the words of a range without the limits that only keep numbers finite, such as 1e30."""
    range_ = parse(words)
    if range_ is None or words == "not empty":
        return ""
    limits = [
        f"{name} {limit:g}" for name, limit in range_.limits if abs(limit) < LARGEST and not 0 < abs(limit) <= SMALLEST
    ]
    return " and ".join(limits)


def number(text: str) -> int | float:
    """Return a number as the words of a range write it."""
    return int(text) if text.lstrip("-").isdigit() else float(text)


def check_fields(instance: Any, path: str) -> None:
    """Raise BadInput for the first field of a dataclass that is outside of the range of its annotation.

    path: the dotted key of the instance in a configuration, for the message.
    """
    for name, range_ in field_ranges(type(instance)).items():
        value = getattr(instance, name)
        if value is not None and not range_.holds(value):
            raise BadInput(f"{path}.{name}={shown(value)}: must be {range_.words}")


def field_ranges(kind: type) -> dict[str, Range]:
    """Return the ranges of a dataclass's fields, those of `X | None` included."""
    ranges = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        for part in (hint, *get_args(hint)):
            for words in getattr(part, "__metadata__", ()):
                if isinstance(words, str) and (range_ := parse(words)):
                    ranges[name] = range_
    return ranges
