"""Plot what the first cut does to the loss: scripts/plot_first_cut.py results/collapse/first_cut.log OUT.png

There is a line for each ranking of the weights: the loss of the same training batches against the fraction removed.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter
from why_table import losses

from prunebert.drawing.methods import METHODS
from prunebert.drawing.theme import LIGHT

NAMES = {
    "movement": "lowest scores of movement",
    "reversed": "highest scores",
    "random": "random",
    "magnitude": "smallest |W|",
}
SIZE = (6.4, 3.6)  # inches
LINEAR = 0.01  # fractions up to this one have a linear scale, so that 0 is on it


def draw(log: str) -> Figure:
    """Return a figure of the losses in a run.log.

    Raises:
        ValueError: there are none.
    """
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    for name, values in losses(log).items():
        colour, mark, _ = METHODS["l0" if name == "reversed" else name]
        fractions, heights = [float(s) for s in values], [float(loss) for loss in values.values()]
        axes.plot(fractions, heights, color=colour, marker=mark, label=NAMES.get(name, name))
    axes.axhline(math.log(2), color="0.4", linestyle=":", linewidth=1, label="random guessing")
    axes.set_xscale("symlog", linthresh=LINEAR, linscale=0.3)
    axes.set_xlim(-LINEAR / 5, 0.6)
    axes.xaxis.set_major_locator(FixedLocator(fractions))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda s, _: f"{100 * s:g} %"))
    axes.minorticks_off()
    axes.set(xlabel="fraction removed first", ylabel="loss of 8 training batches")
    axes.set_title("After 30 steps of movement, with nothing removed so far", loc="left")
    axes.grid(color=LIGHT.grid)
    axes.legend()
    return figure


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    with rc_context(LIGHT.rc()):
        draw(Path(sys.argv[1]).read_text("utf-8")).savefig(sys.argv[2], dpi=150)
