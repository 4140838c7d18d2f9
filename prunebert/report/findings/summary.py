"""Write summary.md: the findings, one table, the limits and the commands, to be pasted into a README or an issue."""

from __future__ import annotations

from dataclasses import replace

from prunebert import __version__
from prunebert.report import folder, origin
from prunebert.report.export import scores
from prunebert.report.export.grid import Form
from prunebert.report.export.plain import to_markdown
from prunebert.report.findings import limits, repeat, sentences, text
from prunebert.report.findings.results import Results
from prunebert.report.page import study
from prunebert.report.statistics import ranking

LONGEST = 4000  # characters of the first sentence
NOTE = f"{folder.SUMMARY_BEGINS} The next report in this folder writes this file anew. -->"


def document(results: Results, figure: str) -> str:
    """Return the text of summary.md.

    Args:
        results: the runs with their tests.
        figure: the name of the figure in figures/, without its ending; "" if there is none.
    """
    lead = text.markdown(text.word(study.sentence(results.runs), LONGEST))
    parts = [NOTE, "# What these runs show", f"{lead} Written by prunebert {__version__}."]
    parts += [text.markdown(text.word(note, LONGEST))] if (note := origin.sentence(results.runs)) else []
    parts += [f"![Score against sparsity](figures/{figure}.png)"] if figure else []
    if found := findings(results):
        parts += ["## What was found", found]
    if scored := table(results):
        parts += ["## Scores", scored]
    parts += ["## What these runs cannot say", limitations(results), "## Repeat", repeat.repeat(results)]
    return "\n\n".join(parts) + "\n"


def findings(results: Results) -> str:
    """Return the sentences as a Markdown list; "" if there are none."""
    return _listed(sentences.sentences(results))


def limitations(results: Results) -> str:
    """Return what the runs cannot show as a Markdown list."""
    return _listed(limits.limits(results))


def table(results: Results) -> str:
    """Return the table of scores in Markdown; "" of runs that may not be compared.

    A sentence below it says which runs are not at hand. If none is, the document begins with this.

    One task gives the table method × sparsity. Several give methods × tasks at the main sparsity, or of several tasks
    where nothing was pruned a table for each.
    """
    if not results.compares:
        return ""
    form = Form()
    if len(results.tables) > 1 and results.sparsity is not None:
        main = results.main or ranking.rank(results.runs, results.sparsity)
        grids = [scores.by_task(main, results.runs, form)]
    else:
        grids = [scores.by_sparsity(runs, str(runs["metric"].iloc[0]), form) for _, runs in results.tables]
    if origin.sentence(results.runs):
        grids = [replace(grid, origin="") for grid in grids]
    return "\n\n".join(map(to_markdown, grids))


def _listed(lines: list[str]) -> str:
    return "\n".join(f"- {text.markdown(line)}" for line in lines)
