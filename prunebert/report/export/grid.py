"""A table as data. `latex`, `markdown` and `spreadsheet` write it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MISSING = "–"
MARKS = {
    "best": (
        "Bold: the best mean, which the tests separate from every other row with the same “sparsity of”. Rows with "
        "fewer than three common seeds are tested over examples, which speaks only of these networks."
    ),
    "tied": "≈: the tests do not separate this row from the best mean.",
}


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str = MISSING  # the number as printed
    deviation: str = ""  # the standard deviation as printed
    mark: str = ""  # "best", "tied" or ""
    notes: tuple[str, ...] = ()  # what a note below the table says about the cell
    numbers: tuple[float | int | str | None, ...] = ()  # the same in full precision, one for each name of the column


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    names: tuple[str, ...] = ()  # its columns in a spreadsheet
    is_key: bool = False  # it names the row, so that every part of a split table repeats it


@dataclass(frozen=True)
class Row:
    """A row of a table."""

    name: str  # the method
    setting: str  # what distinguishes the method's rows, or ""
    cells: Sequence[Cell]
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Return the whole label of the row."""
        return f"{self.name} ({self.setting})" if self.setting else self.name


@dataclass(frozen=True)
class Grid:
    """A table with a caption."""

    name: str  # the words of its LaTeX label
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    remarks: Sequence[str] = ()  # sentences that belong to the table and that a caption has no room for
    origin: str = ""  # which of its runs are not at hand, see `origin.share`

    @property
    def marks(self) -> list[str]:
        """Return the sentences that explain the marks which occur, then the origin."""
        found = {cell.mark for row in self.rows for cell in row.cells}
        return [text for mark, text in MARKS.items() if mark in found] + [self.origin] * bool(self.origin)


@dataclass(frozen=True)
class Form:
    """How scores are printed."""

    decimals: int = 1  # of a score in percent

    def is_percent(self, metric: str) -> bool:
        """Return whether the metric is a fraction or a correlation, which papers print times 100."""
        return metric in PERCENT

    def number(self, value: float, metric: str, sign: str = "") -> str:
        """Format a score of the metric, or a difference of two with the sign "+".

        A metric in percent has `decimals` decimals. Another one has two more, so that 0.774 and 77.4 are as precise.
        """
        scaled, decimals = (100 * value, self.decimals) if self.is_percent(metric) else (value, self.decimals + 2)
        if abs(scaled) >= LARGEST:
            return f"{scaled:{sign}.3g}"
        text = f"{scaled:{sign}.{decimals}f}"
        return text if float(text) else f"{0:.{decimals}f}"  # never -0.0

    def score(self, mean: float, sd: float | None, n: int, metric: str, mark: str = "") -> Cell:
        """Return the cell of a mean over `n` seeds with its standard deviation, which one seed does not have."""
        has_deviation = n > 1 and sd is not None and sd == sd
        deviation = self.number(float(sd), metric) if sd is not None and has_deviation else ""
        shown = mark if mark in MARKS else ""
        return Cell(self.number(mean, metric), deviation, shown, (), (mean, sd if has_deviation else None, n))


PERCENT = {  # metrics that papers print times 100, and their names there
    "accuracy": "accuracy",
    "f1": "F1",
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "subset_accuracy": "exact-match accuracy",
    "exact_match": "exact match",
    "matthews": "Matthews correlation",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
}
NO_SCORE = Cell(numbers=(None, None, 0))
LARGEST = 1e5  # larger numbers are printed with an exponent


def score_column(title: str) -> Column:
    """Return a column of means."""
    return Column(title, (f"{title} mean", f"{title} sd", f"{title} seeds"))


def commonest(values: Iterable[str]) -> str:
    """Return the value that occurs most often, the first of several, or "" if there is none."""
    counts = Counter(values)
    return counts.most_common(1)[0][0] if counts else ""


def seeds(counts: Sequence[Sequence[int]], titles: Sequence[str] = ()) -> tuple[str, list[tuple[str, ...]]]:
    """Return the words of a caption such as "3 seeds (sst2: 5)", and the notes of each row that has another number.

    Args:
        counts: for each row, the numbers of seeds of its cells; 0 where a cell is missing.
        titles: of the columns; the words name those that have another number than most.
    """
    by_column = [[row[k] for row in counts if row[k]] for k in range(max(map(len, counts), default=0))]
    usual = [_commonest_number(column) for column in by_column]
    common = _commonest_number([n for n in usual if n])
    others = [f"{title}: {n}" for n, title in zip(usual, titles, strict=False) if n not in (0, common)]
    notes: list[tuple[str, ...]] = []
    for row in counts:
        differing = sorted({n for n, column_usual in zip(row, usual, strict=True) if n not in (0, column_usual)})
        notes.append((f"{' or '.join(map(str, differing))} seed{'s' * (differing != [1])}",) if differing else ())
    text = f"{common} seed{'s' * (common != 1)}" + f" ({', '.join(others)})" * bool(others)
    return text + ", unless noted" * any(notes), notes


def _commonest_number(numbers: Sequence[int]) -> int:
    return int(commonest(map(str, numbers)) or 0)
