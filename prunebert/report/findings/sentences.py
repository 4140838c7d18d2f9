"""Say in at most five sentences what runs show. Each sentence has one question, and is left out where the runs lack it.

1. Which row has the best mean at the main sparsity, and what do the tests support?
2. How does this change with the sparsity?
3. Which rows does the test over seeds place above or below the baseline?
4. Which rows are no better than the constant baseline?
5. How large are the deviations over seeds, beside the gaps between neighbours?

All tests are the report's. "Significant" is only said of the test over seeds.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pandas as pd

from prunebert.report.findings import against
from prunebert.report.findings.results import Results
from prunebert.report.findings.text import BEGIN, listed, word
from prunebert.report.statistics import marks
from prunebert.report.statistics.ranking import Entry
from prunebert.system.console import counted

MOST = 5  # sentences
LARGEST = 1e5  # larger scores are printed with an exponent
SHARED = 3  # leaders that are named; of more, their number is given


def sentences(results: Results) -> list[str]:
    """Return at most five sentences. Names in them are marked: `text.markdown` and `text.plain` show them.

    Args:
        results: the runs with their tests.
    """
    if not results.compares:
        return []
    questions = (best, by_sparsity, against.baseline, against.constant, over_seeds)
    return [sentence for question in questions if (sentence := question(results))][:MOST]


def best(results: Results) -> str:
    """Return which row has the best mean at the main sparsity, beside dense and the constant baseline."""
    if results.sparsity is None or not len(rows := results.ranked(results.sparsity)):
        return ""
    overall, leaders = results.overall, results.leaders(results.sparsity)
    of_mean = "mean " if len(overall.tables) > 1 or rows["n"].max() > 1 else ""
    metric = f"{of_mean}{word(overall.metric)}{_on_tasks(results)}"
    first, beside = rows.iloc[0], _beside(results)
    where, value = f"At sparsity {results.sparsity:g}, ", _mean(first)
    if len(rows) == 1:
        return f"{where}{results.name(first['label'])} has {'a ' if of_mean else 'the '}{metric} of {value}{beside}."
    superlative = "best" if overall.sign > 0 else "lowest"
    if len(leaders) == len(rows):
        all_rows = "both rows" if len(rows) == 2 else f"all {len(rows)} rows"
        return f"{where}{all_rows} have the same {metric}, {value}{beside}."
    if len(leaders) > 1:
        return f"{where}{_named(results, leaders)} share the {superlative} {metric}, {value}{beside}."
    verdict = _verdict(results, str(first["label"]), len(rows) - 1)
    return f"{where}{results.name(first['label'])} has the {superlative} {metric}, {value}{beside}{verdict}."


def _on_tasks(results: Results) -> str:
    tables = results.overall.tables
    if len(tables) > 1:
        return f" on {counted(len(tables), 'task')}"
    return f" on {results.title(tables[0])}" if len(results.tables) > 1 else ""


def _mean(row: pd.Series, with_seeds: bool = True) -> str:
    """Return "0.870 ± 0.010 with 3 seeds"."""
    has_deviation = row["n"] > 1 and not math.isnan(row["sd"])
    spread = f" ± {score(row['sd'])}" if has_deviation else ""
    seeds = f" with {counted(int(row['n']), 'seed')}" if row["n"] else " without a seed that all tasks have"
    return score(row["mean"]) + spread + (seeds if with_seeds else "")


def score(value: float) -> str:
    """Return a score with three decimals; never "-0.000"."""
    text = f"{value:.3f}" if abs(value) < LARGEST else f"{value:.3g}"
    return text.removeprefix("-") if not float(text) else text


def _beside(results: Results) -> str:
    """Return " (`dense`: 0.940 ± 0.010, constant baseline: 0.500)", as far as the runs have it."""
    dense, constant = results.dense, results.overall.constant
    texts = [] if dense is None else [f"{results.name(dense['label'])}: {_mean(dense, with_seeds=False)}"]
    texts += [] if math.isnan(constant) else [f"constant baseline: {score(constant)}"]
    return f" ({', '.join(texts)})" if texts else ""


def _verdict(results: Results, leader: str, rivals: int) -> str:
    """Return from how many rows the tests separate the row with the best mean."""
    tables = results.overall.tables
    if len(tables) > 1:
        if results.main is None:
            return ""
        row = next(row for row in results.main.rows if row.label == leader)
        entries: list[Entry] = [row.cells[table] for table in tables if table in row.cells]
        separated = sum(entry.mark == marks.BEST for entry in entries)
        tests = "the tests (over seeds, else over examples)"
        if not separated:
            return f"; on no task do {tests} separate it from every other row"
        return f"; {tests} separate it from every other row on {separated} of {counted(len(tables), 'task')}"
    runs = results.runs[results.runs["table"] == tables[0]]
    rows = set(results.ranked(results.sparsity or 0)["label"]) - {leader}
    found = [mark for (label, s), mark in marks.marks_of(runs).items() if label in rows and s == results.sparsity]
    count = {kind: sum(m.mark == marks.WORSE and m.rests_on == kind for m in found) for kind in ("seeds", "examples")}
    if found and all(mark.rests_on == marks.UNTESTED for mark in found):
        return "; no test of its lead was possible"
    if not any(count.values()):
        if rivals == 1:
            return "; the tests do not separate it from the other row"
        return f"; the tests separate it from none of the {rivals} other rows"
    if not count["examples"]:
        return f"; the test over seeds separates it from {_part(count['seeds'], rivals)}"
    if not count["seeds"]:
        return f"; only the test over examples separates it from {_part(count['examples'], rivals)}"
    more = f"the test over examples from {count['examples']} more"
    return f"; the test over seeds separates it from {_part(count['seeds'], rivals)}, {more}"


def _part(count: int, of: int) -> str:
    if count < of:
        return f"{count} of the {of} other rows"
    return f"all {of} other rows" if of > 1 else "the other row"


def by_sparsity(results: Results) -> str:
    """Return which row has the best mean at the lowest and at the highest sparsity, and what the best row loses."""
    ends, loss = _ends(results), _loss(results)
    leader = results.name(results.leaders(results.sparsity)["label"].iloc[0]) if loss and results.sparsity else ""
    if loss and ends.startswith(leader) and ends.count(BEGIN) == 1:
        loss = loss.replace(leader, "it")
    clauses = [clause for clause in (ends, loss) if clause]
    if not ends and loss:
        clauses = [loss[0].upper() + loss[1:]]
    return f"{'; '.join(clauses)}." if clauses else ""


def _ends(results: Results) -> str:
    sparsities = [r.sparsity for r in results.rankings if len(results.ranked(r.sparsity)) > 1]
    if len(sparsities) < 2:
        return ""
    low, high = sparsities[0], sparsities[-1]
    leaders = [results.leaders(sparsity) for sparsity in (low, high)]
    if any(len(led) == len(results.ranked(s)) for led, s in zip(leaders, (low, high), strict=True)):
        return ""  # all rows are equal there
    names = [_named(results, led) for led in leaders]
    verbs = ["has" if len(led) == 1 else "share" for led in leaders]
    superlative = "best" if results.overall.sign > 0 else "lowest"
    if names[0] == names[1]:
        return f"{names[0]} {verbs[0]} the {superlative} mean both at {low:g} and at {high:g}"
    return f"{names[0]} {verbs[0]} the {superlative} mean at {low:g}, and {names[1]} at {high:g}"


def _loss(results: Results) -> str:
    """Return at which sparsities the best row of the main sparsity loses less than a point against dense."""
    dense = results.dense
    if dense is None or results.sparsity is None or not results.overall.has_points:
        return ""
    leaders = results.leaders(results.sparsity)
    if len(leaders) != 1:
        return ""
    label = leaders["label"].iloc[0]
    means = results.overall.means
    rows = means[(means["label"] == label) & (means["sparsity"] > 0)].sort_values("sparsity")
    losses = {float(r.sparsity): 100 * (dense["mean"] - r.mean) for r in rows.itertuples()}
    little = [f"{s:g}" for s, loss in losses.items() if loss < 1]
    much = [f"{loss:.1f} points at {s:g}" for s, loss in losses.items() if loss >= 1]
    ends = " and ".join([much[0], *much[1:][-1:]]) if much else ""
    subject = f"{results.name(label)} loses"
    if not much:
        everywhere = f"at {little[0]}" if len(little) == 1 else f"at all {len(little)} sparsities"
        gains = [-loss for loss in losses.values()]
        if min(gains) >= 0.05:  # what one decimal shows
            by = f"{min(gains):.1f}" + (f" to {max(gains):.1f}" if len(gains) > 1 else "")
            return f"{results.name(label)} is {by} points above {results.name(dense['label'])} {everywhere}"
        return f"{subject} less than a point against {results.name(dense['label'])} {everywhere}"
    within = f"less than a point at {listed(little, most=6)}, and " if little else ""
    return f"against {results.name(dense['label'])}, {subject} {within}{ends}"


def over_seeds(results: Results) -> str:
    """Return the largest standard deviation over seeds, beside the median gap between neighbours of the ranking."""
    if results.main is None:
        return ""
    tables = results.overall.tables
    found: list[tuple[float, str, str]] = []
    gaps: list[float] = []
    for table in tables:
        entries = [(row.label, row.cells[table]) for row in results.main.rows if table in row.cells]
        rivals = [(label, e) for label, e in entries if e.mark not in ("reference", "other denominator")]
        found += [(e.sd, label, table) for label, e in rivals if e.n > 1 and not math.isnan(e.sd)]
        means = sorted(e.mean for _, e in rivals)
        gaps += [high - low for low, high in pairwise(means)]
    if not found or not gaps:
        return ""
    sd, label, table = max(found, key=lambda each: each[0])
    where = f" on {results.title(table)}" if len(tables) > 1 else ""
    gap = float(pd.Series(gaps).median())
    each = "neighbours in the ranking" if len(tables) == 1 else "neighbours in the ranking of a task"
    apart = "the two rows" if len(tables) == len(gaps) == 1 else each
    middle = "" if len(gaps) == 1 else " (median)"
    return (
        f"At {results.main.sparsity:g}, the largest standard deviation over seeds is {_size(sd)} "
        f"({results.name(label)}{where}), while {apart} are {_size(gap)} apart{middle}."
    )


def _size(value: float) -> str:
    return "less than 0.001" if 0 < value < 0.0005 else score(value)


def _named(results: Results, rows: pd.DataFrame) -> str:
    labels = [str(label) for label in rows["label"]]
    return listed([results.name(label) for label in labels]) if len(labels) <= SHARED else f"{len(labels)} rows"
