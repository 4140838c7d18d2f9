"""`prunebert report DIR…`: from finished runs to report.html, results.csv and .parquet, tables.tex and the figures."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from pathlib import Path

import pandas as pd

from prunebert import __version__
from prunebert.errors import BadInput
from prunebert.report import cells, collect, differences, latex, page, sections
from prunebert.report.collect import Collected, Trouble
from prunebert.runs import artifacts
from prunebert.system.console import arguments, counted, say, short

DOES = "From finished runs to report.html, results.csv and .parquet, tables.tex and the figures."
DIRS = "runs, sweeps, or folders of them; results.csv or results.parquet of an earlier report"


def main(words: list[str]) -> None:
    """Read the command's words, write the report, say where it is."""
    parser = arguments("report", DOES)
    parser.add_argument("dirs", nargs="+", type=Path, metavar="DIR", help=DIRS)
    parser.add_argument(
        "--out", type=Path, help="where it goes; the default is report/ in the first DIR, or beside it if it is a file"
    )
    parser.add_argument("--baseline", metavar="METHOD", help="compare with it; the default is magnitude, if there")
    asked = parser.parse_intermixed_args(words)
    file = write(asked.dirs, asked.out, asked.baseline)
    say(f"report: {short(file)}")


def write(dirs: list[Path], out: Path | None = None, baseline: str | None = None) -> Path:
    """Everything, into `out` (default: report/ in the first of `dirs`, or beside that file); report.html's path.

    Raises BadInput for what is no directory and no results table, no finished run at all, an unknown baseline, or where
    nothing can be written.
    """
    collected = collect.collect(dirs)
    runs, troubles = collected.runs, list(collected.troubles)
    method = differences.baseline(runs, baseline)
    out = artifacts.report_folder(dirs[0] if dirs[0].is_dir() else dirs[0].parent) if out is None else out
    try:
        (out / "figures").mkdir(parents=True, exist_ok=True)
        draw = partial(page.drawn, folder=out / "figures")
        found, text = [], [latex.HEAD]
        for name, rows in runs.groupby("table", sort=False):
            gaps = differences.differences(rows, method)
            found.append(sections.of_table(str(name), rows, gaps, method, draw, troubles))
            text += _tex(str(name), rows, gaps, method)
        whole = [sections.of_troubles(collected, troubles), *found, sections.of_methods()]
        html = page.html("prunebert report", _summary(collected, dirs), _trouble(troubles), whole)
        table = flat(runs)
        table.to_csv(out / "results.csv", index=False)
        table.to_parquet(out / "results.parquet", index=False)
        (out / "tables.tex").write_text("\n".join(text), "utf-8")
        (out / "report.html").write_text(html, "utf-8")
    except OSError as error:
        raise BadInput(f"--out={out} cannot be written to: {error.strerror}") from error
    return out / "report.html"


def flat(runs: pd.DataFrame) -> pd.DataFrame:
    """A row a run: what the report made of it, then all of its result.json, nested names dotted; lists, and values that
    are of several types in different runs, as JSON."""
    facts = pd.json_normalize(runs["row"].tolist()).set_index(runs.index)
    for column in facts:
        values = facts[column][facts[column].map(lambda v: isinstance(v, list) or pd.notna(v))]
        kinds = {type(v) for v in values}
        if list in kinds or not (kinds <= {int, float} or len(kinds) < 2):
            facts[column] = values.map(lambda v: v if isinstance(v, str) else json.dumps(v)).reindex(facts.index)
    ours = runs[["table", "label", "of", "measured"]].assign(directory=runs["directory"].map(str))
    return pd.concat([ours, facts], axis=1)


def _tex(name: str, runs: pd.DataFrame, gaps: pd.DataFrame, baseline: str | None) -> list[str]:
    """A table method × sparsity for each metric, and the differences."""
    main = runs["metric"].iloc[0]
    parts = []
    for metric in (main, *sorted({m for each in runs["metrics"] for m in each} - {main})):
        found = cells.cells(runs, None if metric == main else metric)
        lower = metric in cells.LOWER_IS_BETTER
        parts.append(latex.scores(found, table=name, metric=metric, lower_is_better=lower))
    if len(gaps):
        parts.append(latex.differences(gaps, table=name, metric=main, method=str(baseline)))
    return parts


def _summary(collected: Collected, dirs: list[Path]) -> list[str]:
    runs = collected.runs
    kinds = (("methods", "method"), ("tasks with models", "table"), ("sparsities", "sparsity"), ("seeds", "seed"))
    counts = ", ".join(f"{name} {runs[column].nunique()}" for name, column in kinds)
    made = pd.Timestamp.now().strftime("%Y-%m-%d %H:%M")
    return [
        f"{counted(collected.finished, 'finished run')} from {', '.join(map(str, dirs))}: {counts}.",
        f"Written by prunebert {__version__} on {made}. Beside this page: results.csv and results.parquet "
        "(a row a run), tables.tex, figures/.",
    ]


def _trouble(troubles: list[Trouble]) -> str:
    """The first thing a reader sees."""
    return "; ".join(f"{count} {kind}" for kind, count in Counter(t.kind for t in troubles).items())
