"""Format p-values, in the same way on the page, in LaTeX and in the figures."""

from __future__ import annotations

import math

LEVEL = 0.05  # a corrected p below it separates two rows


def p_text(p: float) -> str:
    """Return a p-value with three decimals, as ".012"; beyond them "<0.001" or ">0.99".

    Just below `LEVEL` the text is "<0.05", because ".050" would hide on which side the value lies.

    Raises:
        ValueError: `p` is not a probability.
    """
    if math.isnan(p) or not 0 <= p <= 1:
        raise ValueError(f"p={p} is not a probability")
    if p < 0.001:
        return "<0.001"
    if p > 0.99:
        return ">0.99"
    if LEVEL - 0.0005 <= p < LEVEL:
        return f"<{LEVEL:g}"
    return f"{p:.3f}".removeprefix("0")
