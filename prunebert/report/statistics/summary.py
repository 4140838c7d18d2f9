"""Say in sentences which row is best over several tables, and what the tests support."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from scipy import stats

from prunebert.report.statistics import marks
from prunebert.report.statistics.format import LEVEL, p_text
from prunebert.report.statistics.friedman import MIN_TASKS, critical_difference, friedman
from prunebert.system.console import counted

NAMED = 8  # rows in a sentence


@dataclass(frozen=True)
class Competition:
    """The rows that compete at one sparsity."""

    means: pd.DataFrame  # label × table, higher is better; NaN where a row lacks the table
    ranks: pd.DataFrame  # label × table, of the rows that have every table; 1 is the best; one table of each task
    tasks: pd.DataFrame  # by table: its task and its model
    cells: pd.DataFrame  # their cells, see `cells.cells`, with the column `table`
    rests_on: Mapping[tuple[str, str], str]  # the test behind a mark, by table and label, see `marks.Mark`
    elsewhere: list[str]  # denominators of the rows that do not compete
    patterns: list[str]  # of the masks of the rows that compete


def describe(competition: Competition) -> list[str]:
    """Return the sentences in the order in which a reader needs them."""
    return [
        *_best(competition),
        *_tests(competition),
        *_incomplete(competition),
        *(
            f"Rows whose sparsity is a fraction of other matrices ({matrices}) do not compete."
            for matrices in competition.elsewhere
        ),
        *_patterns(competition),
        *_over_tasks(competition),
    ]


def winners(means: pd.DataFrame) -> pd.DataFrame:
    """Return where each table has its best mean, label × table. A table whose rows all have the same mean has none.

    Args:
        means: label × table, higher is better; NaN where a row lacks the table.
    """
    return (means >= means.max() - 1e-12) & (means.max() - means.min() > 1e-12)


def _best(competition: Competition) -> list[str]:
    """Return which row has the best mean in how many tables, and in how many the tests support it."""
    means = competition.means
    contested = [name for name in means if means[name].count() > 1]
    if not contested:
        return ["No table has two rows to compare."]
    wins = winners(means).sum(axis=1)
    supported = competition.cells[competition.cells["mark"] == marks.BEST].groupby("label").size()
    supported = supported.reindex([label for label in means.index if label in supported.index])
    if not wins.any():
        return ["All rows have the same mean."]
    leaders = wins[wins == wins.max()].index
    if len(contested) == 1:
        return _best_of_one([str(label) for label in leaders], len(supported) > 0)
    of = counted(len(contested), "table")
    if len(leaders) > 1:
        most = f"{_named(list(leaders))} each have the best mean in {wins.max()} of {of}."
    else:
        most = f"{leaders[0]} has the best mean in {wins.max()} of {of}."
    separated = [
        f"{label} in {count}" for label, count in supported.sort_values(ascending=False, kind="stable").items()
    ]
    if not separated:
        return [most, "The tests separate the best mean from all its rivals in no table."]
    return [most, f"The tests separate the best mean from all its rivals for {_named(separated)} of {of}."]


def _best_of_one(leaders: list[str], supported: bool) -> list[str]:
    """Return the same for a single table. leaders: the rows with the best mean."""
    verb = "have" if len(leaders) > 1 else "has"
    verdict = "separate it from every other row" if supported else "do not separate it from all other rows"
    return [f"{_named(leaders)} {verb} the best mean.", f"The tests {verdict}."]


def _tests(competition: Competition) -> list[str]:
    """Return which tests the marks rest on."""
    found = Counter(competition.rests_on.values())
    lines = []
    if "seeds" in found:
        lines.append("Marks rest on the paired t-test over seeds where two rows share at least three seeds.")
    if "examples" in found:
        where = "Elsewhere they" if "seeds" in found else "Marks"
        why = "because the test over seeds needs three common seeds whose differences vary"
        lines.append(
            f"{where} rest on the test over examples, {why}. It speaks only of these trained networks: new seeds may "
            "give another order."
        )
    if untested := found[marks.UNTESTED]:
        lines.append(f"{counted(untested, 'comparison')} could not be tested; these cells count as not separated.")
    if lines:
        lines.append("The p-values of each table are corrected together by Holm's method.")
    return lines


def _incomplete(competition: Competition) -> list[str]:
    missing = [str(label) for label in competition.means.index if label not in competition.ranks.index]
    if not missing:
        return []
    verb, has = ("lacks", "has") if len(missing) == 1 else ("lack", "have")
    return [f"{_named(missing)} {verb} at least one table and {has} no rank."]


def _patterns(competition: Competition) -> list[str]:
    """Return that the rows differ in the pattern of their masks; nothing if they do not."""
    if len(competition.patterns) < 2:
        return []
    return [
        f"The masks of these rows have different patterns ({_named(competition.patterns)}). A pattern leaves fewer "
        "masks to choose from, so a lower score may come from the pattern."
    ]


def _over_tasks(competition: Competition) -> list[str]:
    """Return Friedman's test with its post-hoc test, for each model, or why there are too few tasks.

    Tables of one model are independent if their tasks are; the competition has one table of each task and model.
    Tables of several models are not put into one test, because they share the tasks.
    """
    ranks = competition.ranks
    if len(ranks) < 2:
        return ["Fewer than two rows have every table, so their ranks are not tested."]
    models = competition.tasks["model"]
    lines = []
    if models.nunique() > 1:
        lines.append("Tables of different models share their tasks, so the ranks are tested for each model alone.")
    for model in models.unique():
        by_task = ranks[[name for name in ranks if models[name] == model]].T
        blocks = pd.DataFrame(stats.rankdata(by_task.round(9), axis=1), by_task.index, by_task.columns)
        name = str(model).rstrip("/").rpartition("/")[2]
        lines += _test_ranks(blocks, f"On {name}: " if models.nunique() > 1 else "")
    return list(dict.fromkeys(lines))


def _test_ranks(ranks: pd.DataFrame, prefix: str) -> list[str]:
    """Return the sentences on one model's ranks, tasks × rows."""
    tasks, rows = ranks.shape
    if tasks < MIN_TASKS:
        few = f"{counted(tasks, 'task')} with {counted(rows, 'row')} {'is' if tasks == 1 else 'are'} too few"
        return [f"{prefix}{few} to test ranks; Friedman's test needs {MIN_TASKS} tasks."]
    p = friedman(ranks.to_numpy())
    tested = (
        f"{prefix}Friedman's test on the ranks of {counted(rows, 'row')} on {counted(tasks, 'task')}: p {_equal(p)}."
    )
    if p >= LEVEL:
        return [f"{tested} The ranks do not differ more than chance allows."]
    distance = critical_difference(rows, tasks)
    means = ranks.mean().sort_values(kind="stable")
    separated = [str(label) for label in means.index if means[label] - means.iloc[0] >= distance]
    verdict = (
        f"separates {means.index[0]} from {_named(separated)}"
        if separated
        else (f"does not separate {means.index[0]}, which has the best mean rank, from any other row")
    )
    return [tested, f"{prefix}Nemenyi's test {verdict}: the critical difference of mean ranks is {distance:.2f}."]


def _equal(p: float) -> str:
    text = p_text(p)
    return text if text[0] in "<>" else f"= {text}"


def _named(names: list[str]) -> str:
    """Join names for a sentence, and count those beyond the first ones."""
    if len(names) > NAMED:
        names = [*names[:NAMED], f"{len(names) - NAMED} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
