"""Show what the runs predict, compared: loyalty to the dense run, agreement of every two rows, and exemplars."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from prunebert.analysis.predictions import CLASS, LABELS, NUMBER, TEXT, WORD
from prunebert.report.cells import format_mean
from prunebert.report.figures import maps
from prunebert.report.folder import EXEMPLARS
from prunebert.report.page.drawings import Draw, drawing
from prunebert.report.page.mapped import choose_sparsities
from prunebert.report.page.page import Part, Section
from prunebert.report.page.study import Study, nearest
from prunebert.report.page.tables import Cell, Table, number, without_constants
from prunebert.report.statistics.exemplars import MIN_SEEDS
from prunebert.report.statistics.function import Agreement, Function, measure
from prunebert.system.console import counted
from prunebert.system.countdown import Countdown

TEXT_OF_SECTION = (
    "Two networks of the same accuracy may answer differently. These numbers compare the stored predictions row by row."
)
UNITS = {
    CLASS: "rows with the same class",
    LABELS: "rows with the same set of labels",
    WORD: "words with the same label",
    TEXT: "questions with the same answer in SQuAD's normal form",
}
NO_DENSE = (
    "None of these runs is dense, so there is no loyalty and there are no exemplars. Add `method=dense` with the same "
    "task and model."
)
MAX_PAIRS = 60  # lines of the table of every two rows


def section(asked: Study, draw: Draw) -> Section:
    """Return the section with a part for each table of which two runs or more have predictions."""
    parts: list[Part] = []
    for name, runs in asked.tables:
        found = asked.functions.get(name)
        if found is None or (found.runs < 2 and not found.has_tokens):
            continue
        inner = _parts(name, found, sorted({*_pruned(runs)["sparsity"]}), draw)
        parts.append(Part(heading=name, parts=inner) if not parts else Part(folded=name, parts=inner))
    return Section("What the networks predict", "function", [Part(text=TEXT_OF_SECTION), *parts] if parts else [])


def measured(tables: list[tuple[str, pd.DataFrame]], unreadable: dict[Path, str]) -> dict[str, Function]:
    """Read the predictions of all tables and compare them, with a progress bar.

    Args:
        tables: the runs of each table, by name.
        unreadable: why predictions cannot be read is added here, by the run's directory.
    """
    found = {}
    with Countdown(
        "comparing predictions", sum(int(runs["has_files"].sum()) for _, runs in tables), "runs"
    ) as countdown:
        for name, runs in tables:
            sparsities = choose_sparsities(sorted({*_pruned(runs)["sparsity"]}), len(tables))
            found[name] = measure(runs, sparsities, unreadable, countdown.advance)
    return found


def _pruned(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[(runs["sparsity"] > 0) & runs["has_files"]]


def _parts(name: str, found: Function, sparsities: list[float], draw: Draw) -> list[Part]:
    if found.has_tokens:
        return [Part(text="Predictions of masked tokens are not compared.")]
    inner = []
    if len(found.loyalty):
        inner.append(Part(heading="Loyalty to the dense run", table=loyalty(found)))
    elif not found.dense:
        inner.append(Part(text=NO_DENSE))
    if found.agreements:
        inner.append(_agreement(name, found, sparsities, draw))
    if found.dense and found.kind != NUMBER:
        inner.append(_exemplars(found))
    return inner


def loyalty(found: Function) -> Table:
    """Return a row for each row and sparsity with means over the runs, then the dense rows' own seeds."""
    names = {"labels": "label loyalty", "probabilities": "probability loyalty", "correlation": "correlation"}
    shown = [key for key in names if found.loyalty[key].notna().any()]
    columns = ["method", "sparsity", "dense run", *(names[key] for key in shown)]
    columns += [f"{names[key]}, other seeds" for key in shown]
    rows = []
    grouped = found.loyalty.sort_values("order", kind="stable").groupby(["label", "sparsity"], sort=False)
    for (label, sparsity), runs in grouped:
        means = [_mean(runs[key]) for prefix in ("", "others_") for key in (f"{prefix}{each}" for each in shown)]
        rows.append([Cell(label, kind="name"), number(sparsity, "{:g}"), Cell(runs["dense"].iloc[0]), *means])
    for label, (mean, pairs) in found.ceilings.items():
        values = [number(getattr(mean, key)) for key in shown]
        if pairs:
            line = [Cell(f"{label}, {counted(pairs, 'pair')} of seeds", kind="name"), number(0, "{:g}"), Cell(label)]
            rows.append([*line, *[number(None)] * len(shown), *values])
    note = f"Label loyalty: the fraction of {UNITS[found.kind]}. " if found.kind != NUMBER else ""
    note += (
        "Probability loyalty: the mean of 1 - √(Jensen-Shannon divergence in nats). "
        if "probabilities" in shown
        else ""
    )
    note += "Correlation: Pearson's, of the predicted numbers. " if found.kind == NUMBER else ""
    same = int(found.loyalty["same_seed"].sum())
    note += (
        f"{same} of {counted(len(found.loyalty), 'run')} are compared with the dense run of the same seed. A run "
        "without one has the mean over the dense seeds. “Other seeds” compares with dense runs of other seeds only. "
        "Its ceiling is the last row, dense runs against each other."
    )
    return without_constants(Table(columns, rows, note), ("dense run",))


def _mean(values: pd.Series) -> Cell:
    kept = values.dropna()
    return Cell(format_mean(kept.mean(), kept.std(), len(kept)), kept.mean()) if len(kept) else number(None)


def _agreement(name: str, found: Function, sparsities: list[float], draw: Draw) -> Part:
    """Return a matrix and a table for each sparsity, one of which is shown."""
    parts = [_at_sparsity(name, each, found.kind, draw) for each in found.agreements]
    chosen = nearest([each.sparsity for each in found.agreements])
    text = "Agreement of every two methods. Each number is a mean over all pairs of different runs of the two."
    if left_out := sorted({*sparsities} - {each.sparsity for each in found.agreements}):
        text += f" Not compared, because a page shows a few sparsities only: {', '.join(f'{x:g}' for x in left_out)}."
    return Part(heading="Agreement", parts=[Part(text=text, parts=parts, choice="Sparsity", chosen=chosen)])


def _at_sparsity(name: str, each: Agreement, kind: str, draw: Draw) -> Part:
    labels = each.runs["short_label"].tolist()
    look = _look(kind)
    names, values = maps.over_seeds(labels, each.squares[look.measure])
    title = f"{name}, sparsity {each.sparsity:g}"
    draw_it = partial(
        maps.draw_overlap, names, values, table=title, diagonal="other seeds of the same method", look=look
    )
    figure = drawing(f"agreement {name} {each.sparsity:g}", f"{title}: {look.caption}", draw_it)
    return Part(
        f"{each.sparsity:g}",
        parts=[Part(figure=draw(figure)), Part(folded="Every two methods", table=pairs(each, kind))],
    )


def _look(kind: str) -> maps.Look:
    if kind == NUMBER:
        caption = "Pearson's correlation of the predicted numbers of every two methods."
        return maps.Look("correlation", "correlation of predictions", "Pearson's correlation", caption)
    if kind in (CLASS, WORD):
        caption = (
            "agreement of every two methods beyond what their accuracies give: 0 for independent errors, 1 for "
            " the same predictions, below 0 for less agreement."
        )
        return maps.Look("beyond_accuracy", "agreement of predictions", "agreement beyond accuracy", caption)
    caption = f"the fraction of {UNITS[kind]}, of every two methods."
    return maps.Look("agreement", "agreement of predictions", "agreement", caption)


def pairs(each: Agreement, kind: str) -> Table:
    """Return a line for every two rows with the means over their pairs of runs, the most alike first."""
    titles = {
        "agreement": "agreement",
        "independent": "if independent",
        "beyond_accuracy": "beyond accuracy",
        "kappa": "Cohen's κ",
        "correlation": "correlation",
    }
    labels = each.runs["short_label"].tolist()
    shown = [measure for measure in titles if not np.isnan(each.squares[measure]).all()]
    names = list(dict.fromkeys(labels))
    means = {measure: maps.over_seeds(labels, each.squares[measure])[1] for measure in shown}
    lines = []
    for i, ours in enumerate(names):
        for j in range(i, len(names)):
            numbers = [number(means[measure][i, j]) for measure in shown]
            if not all(np.isnan(means[measure][i, j]) for measure in shown):
                other = "other seeds" if i == j else names[j]
                lines.append([Cell(ours, kind="name"), Cell(other, kind="name"), *numbers])
    lines.sort(key=lambda line: -(line[2].sort or 0))
    note = "" if kind == NUMBER else f"Agreement: the fraction of {UNITS[kind]}. "
    if "independent" in shown:
        note += (
            "If independent: the agreement of two classifiers of these accuracies with independent errors, each error "
            "equally often on each other class. Beyond accuracy: (agreement - independent) / (1 - independent). "
        )
    if len(lines) > MAX_PAIRS:
        note += f"The {MAX_PAIRS} pairs with the largest agreement of {len(lines)}."
    return Table(["method", "with", *(titles[measure] for measure in shown)], lines[:MAX_PAIRS], note.strip())


def _exemplars(found: Function) -> Part:
    heading = "Pruning-identified exemplars"
    if not len(found.exemplars):
        text = (
            f"Exemplars need {MIN_SEEDS} seeds of a pruned row and {MIN_SEEDS} of its dense row. No row here has them."
        )
        return Part(heading=heading, parts=[Part(text=text)])
    return Part(heading=heading, table=exemplars(found.exemplars))


def exemplars(cells: pd.DataFrame) -> Table:
    """Return a row for each row and sparsity. cells: see `statistics.exemplars.summary`."""
    columns = ["method", "sparsity", "dense run", "exemplars", "share", "tied rows", "accuracy on them, dense"]
    columns += ["accuracy on them, pruned", "accuracy elsewhere, dense", "accuracy elsewhere, pruned"]
    columns += ["seeds", "seeds of a vote", "pruned against dense", "dense against dense"]
    rows = []
    for cell in cells.sort_values("order", kind="stable").to_dict("records"):
        line = [Cell(cell["label"], kind="name"), number(cell["sparsity"], "{:g}"), Cell(cell["dense"])]
        line += [number(cell["exemplars"], "{:,d}"), number(cell["share"], "{:.1%}"), number(cell["tied"], "{:,d}")]
        line += [number(cell[f"accuracy_{side}{rest}"]) for rest in ("", "_rest") for side in ("dense", "pruned")]
        line += [Cell(f"{cell['seeds_pruned']} against {cell['seeds_dense']}"), number(cell["vote_seeds"], "{:d}")]
        rows.append([*line, number(cell["at_equal_seeds"], "{:,.1f}"), number(cell["by_chance"], "{:,.1f}")])
    note = (
        f"An exemplar is one of {cells['rows'].iloc[0]:,} rows whose most frequent prediction over the seeds differs "
        f"between pruned and dense. {EXEMPLARS} lists them. A tied vote has no most frequent prediction. Accuracies "
        "are means over the seeds. The last two columns show what is due to chance. They count the rows on which two "
        "votes of fewer seeds differ, pruned against dense and dense against dense."
    )
    return without_constants(Table(columns, rows, note), ("dense run", "seeds", "seeds of a vote", "tied rows"))
