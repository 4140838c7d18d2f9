"""Print what the predictions of compared runs have in common: agreement of every two, and loyalty to the dense run."""

from __future__ import annotations

from typing import Any

from prunebert.errors import visible
from prunebert.system import table
from prunebert.system.console import counted, say
from prunebert.system.names import brief
from prunebert.system.table import Column

# The title of a column and its rank (see Column), by its square matrix in compare.json.
MEASURES = {
    "agreement": ("same\nprediction", 0),
    "independent": ("if\nindependent", 2),
    "beyond_accuracy": ("beyond\naccuracy", 0),
    "kappa": ("Cohen's\nκ", 3),
    "correlation": ("corre-\nlation", 0),
}
LOYALTY = {"labels": "label\nloyalty", "probabilities": "probability\nloyalty", "correlation": "correlation"}
MAX_ROWS = 30  # of each table; compare.json has all
MAX_NAMED = 5  # runs without predictions
MAX_NAME = 120  # characters of a run's name


def show(result: dict[str, Any], wide: bool = False) -> None:
    """Print both tables; nothing where no two runs have predictions of the same rows.

    Args:
        result: of `comparison.comparison`.
        wide: print whole lines at any width.
    """
    names = [brief(visible(label), MAX_NAME) for label in result["labels"]]
    _agreement(result, names, wide)
    _loyalty(result, names, wide)
    reasons = result["without_predictions"]
    for reason in reasons[:MAX_NAMED]:
        say(f"not in the comparison of predictions: {visible(reason)}")
    if len(reasons) > MAX_NAMED:
        say(f"not in the comparison of predictions: {len(reasons) - MAX_NAMED} more, which compare.json names")


def _agreement(result: dict[str, Any], names: list[str], wide: bool) -> None:
    squares = result["predictions"]
    main = squares.get("agreement") or squares.get("correlation") or []
    also = squares.get("correlation", [])
    pairs = [
        (i, j)
        for i in range(len(main))
        for j in range(i + 1, len(main))
        if main[i][j] is not None or (also and also[i][j] is not None)
    ]
    if not pairs:
        return
    pairs.sort(key=lambda pair: -max(s[pair[0]][pair[1]] or 0 for s in (main, also) if s))
    shown = pairs[:MAX_ROWS]
    say(f"Predictions of every two runs on the same rows: {counted(len(pairs), 'pair')}")
    columns = [
        Column(key, [names[pair[k]] for pair in shown], shortest=16, from_middle=True) for k, key in enumerate("ab")
    ]
    shown_squares = {title: (squares[key], rank) for key, (title, rank) in MEASURES.items() if key in squares}
    shown_squares["masks, beyond\nchance"] = (result["beyond_chance"], 1)
    for title, (square, rank) in shown_squares.items():
        values = [square[i][j] for i, j in shown]
        columns.append(Column(title, [x if x is None else f"{x:.4f}" for x in values], rank=rank, number=True))
    table.show(columns, wide=wide, more="--wide and compare.json show all")
    if len(pairs) > MAX_ROWS:
        say(f"with less agreement, {counted(len(pairs) - MAX_ROWS, 'more pair')} in compare.json")


def _loyalty(result: dict[str, Any], names: list[str], wide: bool) -> None:
    found = [(name, each) for name, each in zip(names, result["loyalty"], strict=True) if each]
    if not found:
        if result["predictions"]:
            table.say_wrapped(
                "loyalty to the dense run: none, because no dense run of this task and model is among the runs"
            )
        return
    shown = found[:MAX_ROWS]
    say("Loyalty to the dense run")
    columns = [Column("run", [name for name, _ in shown], shortest=16, from_middle=True)]
    seeds = ["the same" if each["same_seed"] else f"mean of {each['dense']}" for _, each in shown]
    columns.append(Column("dense\nseed", seeds))
    for key, title in LOYALTY.items():
        values = [each[key] for _, each in shown]
        if any(value is not None for value in values):
            texts = [value if value is None else f"{value:.4f}" for value in values]
            columns.append(Column(title, texts, number=True))
    table.show(columns, wide=wide, more="--wide and compare.json show all")
    if len(found) > MAX_ROWS:
        say(f"loyalty of {counted(len(found) - MAX_ROWS, 'more run')} in compare.json")
    if ceiling := result["dense_loyalty"]:
        numbers = [
            f"{title.replace(chr(10), ' ')} {ceiling[key]:.4f}" for key, title in LOYALTY.items() if ceiling[key]
        ]
        table.say_wrapped(
            f"dense runs of other seeds with each other: {', '.join(numbers)} ({counted(ceiling['pairs'], 'pair')})"
        )
