"""Turn a figure into the bytes of a PNG file."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

from matplotlib import rc_context
from matplotlib.figure import Figure

from prunebert.drawing.theme import LIGHT


def png(draw: Callable[[], Figure]) -> bytes:
    """Return the picture that `draw` makes, in the light theme. A letter that no font has is drawn as a box."""
    with rc_context(LIGHT.rc()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        stream = io.BytesIO()
        draw().savefig(stream, format="png")
        return stream.getvalue()
