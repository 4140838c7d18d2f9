"""Give each method a colour, a mark and a line style.

Any two methods differ clearly in colour, or in both mark and line style. This holds for normal vision, deuteranopia and
protanopia. "Clearly" is a distance of 20 in CIE Lab; tests/drawing/test_methods.py simulates both kinds of vision by
Machado, Oliveira & Fernandes (IEEE TVCG 15(6), 2009). Related methods have related hues.

The variants of a method share its colour, mark and line style. The fill of the mark distinguishes two of them. Three
and more are numbered where their lines end.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from itertools import product

Line = str | tuple[float, tuple[float, ...]]  # as matplotlib reads it
Look = tuple[str, str, Line]  # colour, mark, line style

METHODS: dict[str, Look] = {
    "dense": ("#784B87", "o", "-."),
    "random": ("#999999", "X", "-."),
    "fixed_mask": ("#2D69E1", "*", "--"),
    "magnitude": ("#3C69B4", "s", "-"),
    "imp": ("#00A5FF", "D", "--"),
    "gmp": ("#0FA5C3", "v", ":"),
    "gmp_star": ("#1E69F0", "P", "-"),
    "movement": ("#E18700", "^", "-"),
    "soft_movement": ("#B41E00", "<", "-"),
    "platon": ("#785A00", "s", ":"),
    "l0": ("#965A1E", ">", "--"),
    "sparsebert": ("#00694B", "P", ":"),
    "rigl": ("#3CA5D2", "X", "-."),
    "tamt": ("#2DB4A5", "p", ":"),
    "abp": ("#A52D78", "^", "--"),
    "smp": ("#FF4B87", "*", "-"),
    "masking": ("#C3004B", "v", "-."),
    "snip": ("#B4965A", "o", ":"),
    "sparse_transfer": ("#4BB400", "*", "-."),
    "obert": ("#A5A50F", "p", "--"),
    "cap": ("#695A4B", "D", "-"),
    "supertickets": ("#0F87E1", ">", ":"),
    "feature_extraction": ("#E16987", "<", "--"),
}
# Other methods: each mark has a line style of its own, so that two of the same colour differ in both.
OTHER_COLOURS = ("#D2875A", "#8796C3", "#6437FA")
OTHER_MARKS: tuple[tuple[str, Line], ...] = (
    ("d", (0, (6, 2, 1, 2, 1, 2))),
    ("H", (0, (10, 3))),
    ("8", (0, (10, 2, 3, 2))),
    ("h", (0, (2, 1))),
)
OTHERS: tuple[Look, ...] = tuple((colour, *mark) for mark, colour in product(OTHER_MARKS, OTHER_COLOURS))


def look(method: str) -> Look:
    """Return the colour, mark and line style of a method. They are the same in every report."""
    return METHODS.get(method) or OTHERS[_preferred(method)]


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """Return the look of each method of a figure.

    A method that prunebert does not know has the look that its name gives. If another such method has it already, the
    next free one is taken. Looks repeat only if there are more than 12 unknown methods.
    """
    methods = list(dict.fromkeys(methods))
    found = {method: METHODS[method] for method in methods if method in METHODS}
    for method in sorted(set(methods) - found.keys()):
        first = _preferred(method)
        candidates = (*OTHERS[first:], *OTHERS[:first])
        found[method] = next((other for other in candidates if other not in found.values()), candidates[0])
    return found


def _preferred(method: str) -> int:
    """Return the index of the look that an unknown method's name gives."""
    return zlib.crc32(method.encode("utf-8", "surrogatepass")) % len(OTHERS)
