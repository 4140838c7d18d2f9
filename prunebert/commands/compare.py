"""`prunebert compare RUN RUN…`: measure how much the masks of every two finished runs share."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prunebert.analysis import comparison, degree_pairs
from prunebert.commands import compare_predictions
from prunebert.errors import BadInput, reason, visible
from prunebert.masks.pattern import NONE
from prunebert.runs import artifacts, files
from prunebert.system import outputs, table
from prunebert.system.console import arguments, counted, say
from prunebert.system.names import brief
from prunebert.system.table import Column

DESCRIPTION = """Measure how much the masks of every two finished runs share. The result is a table, compare.json and
compare.png.

Masks that cover different sets of matrices are compared on the matrices that both cover. A damaged run that was found
in a folder is left out and named; one that you name is refused.

Where two runs predicted the same rows, their predictions are compared too. If a dense run of the same task and model is
among the runs, the others' loyalty to it is shown.

Two blocks of masks (256 MiB each) are in memory at a time. 1,000 runs of model=tiny take about 1 GB of memory and
15 seconds of one core; 1,000 runs of BERT base take less than 2 GB, and the time grows with the size of the masks.

--degrees draws ten random masks for every mask. It keeps all masks in memory and takes about 20 seconds of one core for
each run of BERT base."""
MAX_ROWS = 60  # of the printed table; compare.json has all pairs
MAX_NAMED = 20  # runs that were left out and are named
MAX_NAME = 120  # characters of a run's name in the table
# The title of a column, its rank (see Column), and its value in a pair of compare.json.
MEASURES: list[tuple[str, int, Callable[[dict[str, Any]], float | None]]] = [
    ("Jaccard", 1, lambda pair: pair["jaccard"]),
    ("by\nchance", 3, lambda pair: pair["expected_jaccard"]),
    ("beyond\nchance", 0, lambda pair: pair["beyond_chance"]),
    ("… given the\nallocations", 2, lambda pair: pair["within"]["beyond_chance"]),
    ("layer\nallocations r", 4, lambda pair: pair["layer_budget_correlation"]),
]
# The same with --degrees: this column stands after "given the allocations".
GIVEN_DEGREES: tuple[str, int, Callable[[dict[str, Any]], float | None]] = (
    "… given the\ndegrees",
    0,
    lambda pair: (pair["degrees"] or {}).get("beyond_chance"),
)


def main(argv: list[str]) -> None:
    """Compare runs, print the table, and write compare.json and compare.png. Earlier files in DIR are replaced."""
    parser = arguments("compare", DESCRIPTION)
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", type=Path, help="directory of a run, or of a sweep for all its finished runs"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("compare"), help="folder for the two files, default: compare"
    )
    parser.add_argument(
        "--degrees",
        action="store_true",
        help="also compare with random masks that keep every row's and every column's number of weights",
    )
    table.add_wide(parser)
    options = parser.parse_intermixed_args(argv)
    out = options.out
    _refuse_unusable(out)
    found: set[Path] = set()  # in a folder, and not named
    named: set[Path] = set()
    runs: dict[Path, Path] = {}
    for root in options.runs:
        below = artifacts.finished_runs(root)
        is_named = below == [artifacts.resolve_pointer(root)]
        (named if is_named else found).update(run.resolve() for run in below)
        runs |= {run.resolve(): run for run in below}
    found_only = {run for path, run in runs.items() if path in found - named}
    result = comparison.comparison(list(runs.values()), found_only)
    if options.degrees:
        degree_pairs.add(result)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with files.replacing(out / "compare.json") as partial, partial.open("w", encoding="utf-8") as stream:
            stream.writelines(as_json(result))
        files.write(out, "compare.png", picture(result))
    except OSError as error:
        raise BadInput(f"--out={out} cannot be written to: {reason(error)}") from error
    show(result, options.wide)
    compare_predictions.show(result, options.wide)
    say(f"compare.json and compare.png are in {out}")


def _refuse_unusable(out: Path) -> None:
    """Refuse a folder that cannot be written to, or whose compare.json or compare.png is the user's own."""
    is_ours = outputs.begins_with('{"labels": [')

    def beside_ours(_: Path) -> bool:
        return (out / "compare.json").is_file() and is_ours(out / "compare.json")

    outputs.refuse_unusable(out, {"compare.json": is_ours, "compare.png": beside_ours})


def as_json(result: dict[str, Any]) -> Iterator[str]:
    """Yield the text of compare.json in pieces, because the whole text of many runs is large."""
    for number, (key, value) in enumerate(result.items()):
        yield f"{', ' if number else '{'}{json.dumps(key)}: "
        if isinstance(value, list):
            yield "["
            for index, item in enumerate(value):
                yield (", " if index else "") + json.dumps(item)
            yield "]"
        else:
            yield json.dumps(value)
    yield "}\n"


def picture(result: dict[str, Any]) -> bytes:
    """Return the content of compare.png."""
    from prunebert.commands import compare_figure

    return compare_figure.png(result)


def show(result: dict[str, Any], wide: bool = False) -> None:
    """Print a table of the pairs, largest overlap first, and what was left out.

    Args:
        result: of `comparison.comparison`.
        wide: print whole lines at any width.
    """
    pairs = sorted(result["pairs"], key=lambda p: -(p["beyond_chance"] or 0))
    names = [brief(visible(label), MAX_NAME) for label in result["labels"]]
    say(f"Overlap of the masks of {counted(len(names), 'run')}")
    shown = pairs[:MAX_ROWS]
    columns = [Column(key, [names[p[key]] for p in shown], shortest=16, from_middle=True) for key in "ab"]
    last = len(MEASURES) - 1
    for title, rank, measure in [*MEASURES[:last], *([GIVEN_DEGREES] if "degrees" in result else []), *MEASURES[last:]]:
        values = [measure(p) for p in shown]
        columns.append(Column(title, [x if x is None else f"{x:.4f}" for x in values], rank=rank, number=True))
    table.show(columns, wide=wide, more="--wide and compare.json show all")
    total = len(pairs) + result["pairs_not_listed"]
    if total > MAX_ROWS:
        say(f"with smaller overlap, {counted(total - MAX_ROWS, 'more pair')} in compare.json")
    if result["pairs_not_listed"]:
        say(
            f"pairs in compare.json lists the {len(pairs):,} pairs with the largest overlap; its square matrices have "
            f"all {total:,}"
        )
    if different := result["different_sets"]["pairs"]:
        a, b, only_a, only_b = result["different_sets"]["example"]
        say(
            f"{different} of {total} pairs cover different sets and are compared on the matrices that both "
            f"cover; matrices left out, for example: {only_a} of {names[a]}, {only_b} of {names[b]}"
        )
    patterns = Counter(run["pattern"] for run in result["runs"])
    if patterns.keys() - {NONE}:
        listed = ", ".join(f"{pattern} in {counted(number, 'run')}" for pattern, number in patterns.items())
        table.say_wrapped(
            f"pattern of the masks: {listed}; chance draws masks of these patterns. That changes z in compare.json, "
            "but not the overlap by chance"
        )
    if "degrees" in result:
        _say_degrees(result["degrees"])
    left_out = result["left_out"]
    if left_out:
        named = [visible(run) for run in left_out[:MAX_NAMED]]
        if len(left_out) > MAX_NAMED:
            named.append(f"{len(left_out) - MAX_NAMED} more, which compare.json names")
        table.say_wrapped(f"left out of the masks, because they removed nothing or everything: {', '.join(named)}")
    _name("left out, because it cannot be read", result["damaged"])


def _say_degrees(drawn: dict[str, Any]) -> None:
    """Explain the column "given the degrees", and name the runs without a number there."""
    table.say_wrapped(
        f"given the degrees: chance is the mean over {drawn['samples']} random pairs of masks that keep every row's "
        "and every column's number of weights; z and the standard deviation are in compare.json"
    )
    _name("no number given the degrees, because the mask has a pattern N:M", drawn["left_out"])


def _name(reason: str, runs: list[str]) -> None:
    for run in runs[:MAX_NAMED]:
        say(f"{reason}: {visible(run)}")
    if len(runs) > MAX_NAMED:
        say(f"{reason}: {len(runs) - MAX_NAMED} more, which compare.json names")
