"""Break texts into lines that fit into a width, measured in the figures' own font.

Letters differ in width, so a count of letters says little: 40 letters may take 100 or 300 points.
"""

from __future__ import annotations

import warnings
from functools import cache
from itertools import accumulate

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from prunebert.system.names import brief

POINTS = 72  # of an inch
HINTING = 1.06  # a letter on a screen's pixels may be wider than its outline
SHORTEST = 12  # letters of a text that is shortened
ROUNDING = 1e-9  # points
EM = 100.0  # points of the font in which letters are measured


@cache
def _width_in_ems(letter: str) -> float:
    if letter == " ":  # alone it has no outline
        return _width_in_ems("n n") - 2 * _width_in_ems("n")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # it is drawn as a box, which has a width too
        return text_to_path.get_text_width_height_descent(letter, FontProperties(size=EM), ismath=False)[0] / EM


def text_width(text: str, size: float) -> float:
    """Return the width of one line in points, or slightly more.

    Args:
        text: the line.
        size: of the font in points.
    """
    return sum(map(_width_in_ems, text)) * size * HINTING


def fit(text: str, width: float, size: float, lines: int = 4) -> str:
    """Break a text into lines that fit. A text that needs more lines is shortened, and a hash keeps it unique.

    Args:
        text: one line.
        width: of the lines in points.
        size: of the font in points.
        lines: the largest number of lines.
    """
    length = len(text)
    ends = list(accumulate(0.0 if letter == " " else _width_in_ems(letter) for letter in text))
    # A line holds no more letters than its width: lengths that cannot fit are skipped without breaking the text.
    while length > SHORTEST and _is_wider(ends[length - SHORTEST], size, lines * width):
        length = _shorter(length)
    while True:
        broken = _break(brief(text, length), width, size)
        if len(broken) <= lines or length <= SHORTEST:
            return "\n".join(broken)
        length = _shorter(length)


def _shorter(length: int) -> int:
    return max(SHORTEST, length * 9 // 10)


def _is_wider(ems: float, size: float, width: float) -> bool:
    return ems * size * HINTING > width + ROUNDING


def _break(text: str, width: float, size: float) -> list[str]:
    """Break at spaces; a word that is wider than a line is broken between letters."""
    lines, used = [""], 0.0  # the width of the last line in ems
    for word in text.split():
        gap = " " if lines[-1] else ""
        joined = sum(map(_width_in_ems, gap + word), used)
        if not _is_wider(joined, size, width):
            lines[-1] += gap + word
            used = joined
            continue
        if lines[-1]:
            lines.append("")
            used = 0.0
        for letter in word:
            if lines[-1] and _is_wider(used + _width_in_ems(letter), size, width):
                lines.append("")
                used = 0.0
            lines[-1] += letter
            used += _width_in_ems(letter)
    return lines


def add_title(figure: Figure, text: str, size: float = 9) -> float:
    """Write a title at the figure's upper left, and return its height in inches. The figure has its width already."""
    title = fit(text, figure.get_figwidth() * POINTS - 2 * size, size)
    figure.suptitle(title, x=0.01, ha="left", fontsize=size)
    return (title.count("\n") + 1) * 1.3 * size / POINTS + 0.05
