"""Draw the scores of transferred masks, source × target, beside the overlap of the same masks."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from prunebert.analysis.transfer import Cell, Matrix, Target
from prunebert.drawing import scales
from prunebert.drawing.labels import POINTS, add_title, fit
from prunebert.drawing.theme import WIDTH, Theme
from prunebert.errors import visible
from prunebert.system.names import brief

SIZE = 7.0  # of the font of labels in points
TEXT = 6.0  # of the numbers in cells
ROW = 0.3  # inches, the height of a row
NAME = 1.75  # inches beside a panel, for the rows' names
LINES = 2  # of a row's name
ABOVE = 0.9  # inches above and below the panels
MAX_ROWS = 40  # of a figure; more have their numbers in the table alone
SHARES = "Blues"
LEAST_RANGE = 0.05  # of the scores that a column's colours span


def rows_of(matrix: Matrix) -> list[tuple[str, dict[Target, Cell]]]:
    """Return the rows of the score panel: dense, each source and its shuffled masks, and the constant baseline."""
    rows = [("dense", dict(matrix.dense))]
    for source in matrix.sources:
        for name, scores in ((source, matrix.scores), ("shuffled", matrix.shuffled)):
            rows.append((name, {target: cell for (of, target), cell in scores.items() if of == source}))
    return [*rows, ("constant baseline", {target: Cell(x, None, 1) for target, x in matrix.constants.items()})]


def shares(matrix: Matrix) -> np.ndarray:
    """Return each score's place between the column's lowest (0) and highest (1), in the order of `rows_of`.

    A column with a smaller range than `LEAST_RANGE` has lighter colours, because its differences are small.
    """
    rows = rows_of(matrix)
    values = np.array([[of[t].mean if t in of else np.nan for t in matrix.targets] for _, of in rows], dtype=float)
    low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    return (values - low) / np.maximum(high - low, LEAST_RANGE)


def draw_transfer(matrix: Matrix, overlap: np.ndarray | None, *, theme: Theme) -> Figure:
    """Draw two panels: the scores, and the overlap of the masks.

    Args:
        matrix: see `analysis.transfer.matrices`.
        overlap: sources × sources, see `analysis.transfer.overlaps`; None draws the scores alone.
        theme: the figure's colours.
    """
    rows = rows_of(matrix)
    panels = 1 if overlap is None else 2
    figure = Figure(figsize=(WIDTH, ROW * len(rows) + ABOVE))
    grid = figure.subplots(1, panels, squeeze=False)[0]
    _scores(grid[0], matrix, rows, WIDTH / panels - NAME, theme)
    if overlap is not None:
        _overlap(grid[1], matrix.sources, overlap, theme)
    figure.set_figheight(figure.get_figheight() + add_title(figure, f"Transfer: {matrix.way}"))
    return figure


def _scores(axes: Axes, matrix: Matrix, rows: list[tuple[str, dict[Target, Cell]]], room: float, theme: Theme) -> None:
    image = axes.imshow(shares(matrix), vmin=0, vmax=1, cmap=SHARES, aspect="auto")
    width = room / len(matrix.targets) * POINTS
    texts = [[_text(of[t], width) if t in of else "" for t in matrix.targets] for _, of in rows]
    _write(axes, image, texts, theme)
    names = [fit(visible(name), (NAME - 0.2) * POINTS, SIZE, LINES) for name, _ in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=SIZE)
    labels = [fit(visible(f"{t.name} {t.metric}"), width, SIZE, 3) for t in matrix.targets]
    axes.set_xticks(range(len(labels)), labels, fontsize=SIZE)
    axes.set_title("scores on the targets\n(darker: higher in its column)", fontsize=SIZE + 1)
    axes.spines[:].set_visible(False)


def _write(axes: Axes, image: AxesImage, texts: list[list[str]], theme: Theme) -> None:
    """Write the texts into the cells; an empty one becomes a dash, on paper."""
    scales.write_values(axes, image, texts, TEXT)
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            if not text:
                axes.text(column, row, "–", ha="center", va="center", fontsize=TEXT, color=theme.ink)


def _text(cell: Cell, width: float) -> str:
    """Return the mean, with the standard deviation below it where that has room."""
    mean = f"{cell.mean:z.3f}"
    return mean if cell.sd is None or width < 8 * TEXT / 2 else f"{mean}\n± {cell.sd:.3f}"


def _overlap(axes: Axes, sources: list[str], overlap: np.ndarray, theme: Theme) -> None:
    limits = scales.OVERLAP_LIMITS
    image = axes.imshow(overlap, vmin=limits[0], vmax=limits[1], cmap=scales.OVERLAP_MAP, aspect="auto")
    texts = [["" if x != x else f"{round(x, 2) + 0:.2f}" for x in line] for line in overlap]
    _write(axes, image, texts, theme)
    names = [fit(f"{i}: {visible(brief(s, 60))}", (NAME - 0.2) * POINTS, SIZE, LINES) for i, s in enumerate(sources, 1)]
    axes.set_yticks(range(len(sources)), names, fontsize=SIZE)
    axes.set_xticks(range(len(sources)), [str(i) for i in range(1, len(sources) + 1)], fontsize=SIZE)
    axes.set_title("overlap beyond chance", fontsize=SIZE + 1)
    axes.spines[:].set_visible(False)
