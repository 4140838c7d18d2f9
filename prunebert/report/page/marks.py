"""Translate a method's look, as matplotlib names it, into the names that Plotly has for symbols and line styles."""

from __future__ import annotations

from typing import Any

from prunebert.report.figures import style

SYMBOLS = {
    **{"o": "circle", "x": "x-thin", "s": "square", "D": "diamond", "d": "diamond-tall", "p": "pentagon"},
    **{"v": "triangle-down", "^": "triangle-up", "<": "triangle-left", ">": "triangle-right"},
    **{"P": "cross", "X": "x", "h": "hexagon", "H": "hexagon2", "8": "octagon", "*": "star"},
    **{"1": "y-down", "2": "y-up", "3": "y-left", "4": "y-right", "+": "cross-thin", "|": "line-ns", "_": "line-ew"},
}
DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}


def look(method: str, variant: int) -> dict[str, str]:
    """Return the colour, symbol and line style of a method's row.

    Args:
        method: the method.
        variant: the number of the row among the method's rows, from 0.

    Raises:
        KeyError: Plotly has no symbol or no line style of that kind.
    """
    appearance: tuple[Any, ...] = style.look(method)
    colour, mark, *own_line = appearance
    lines = list(dict.fromkeys([*own_line, *DASHES]))
    return {"method": method, "colour": colour, "symbol": SYMBOLS[mark], "dash": dash(lines[variant % len(lines)])}


def dash(line: Any) -> str:
    """Return Plotly's name of a line style, or its list of lengths: (0, (3, 1)) is "3px,1px"."""
    return DASHES[line] if isinstance(line, str) else ",".join(f"{length:g}px" for length in line[1])
