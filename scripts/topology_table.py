"""Fill the generated parts of docs/results/topology.md from the JSON file of scripts/topology_claims.py.

    python scripts/topology_table.py FILE.json docs/results/topology.md

These marks begin a part, and `<!-- end -->` ends it:
    <!-- topology runs -->            which runs were compared
    <!-- topology summary -->         the verdict of every statement, for each paper
    <!-- topology tests TABLE -->     the statements of one table, with their number and null model
    <!-- topology claims TABLE -->    the papers' rows of that table, with numbers, p and verdict
    <!-- topology all TABLE -->       the same numbers of every method at every sparsity
    <!-- topology shares agreement -->    how much of the weights that two seeds share each null model explains
    <!-- topology ratios embeddings -->    the embeddings' ratio at every sparsity
    <!-- topology overlaps tasks -->      the overlap of masks of one task and of two
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from results_table import replace_table

PAPERS = {"abp": "AbP", "smp": "SMP"}
MARK = re.compile(r"<!-- topology (\w+) ?(\w*) -->")


def fill(page: str, content: Mapping[str, Any]) -> str:
    """Return the page with each generated part replaced. Raises ValueError as `marks_of` does."""
    for mark in marks_of(page):
        rows = [row for row in content["answers"] if mark[2] in ("", row["table"])]
        page = replace_table(page, PARTS[mark[1]](content, rows), mark[0])
    return page


def marks_of(page: str) -> list[re.Match[str]]:
    """Return the marks of a page.

    Raises:
        ValueError: the page has no such mark, or one of an unknown part, twice, or without an end.
    """
    marks = list(MARK.finditer(page))
    if not marks:
        raise ValueError("the page has no mark <!-- topology … -->")
    for mark in marks:
        if mark[1] not in PARTS:
            raise ValueError(f"{mark[0]}: allowed are {', '.join(PARTS)}")
        replace_table(page, "", mark[0])
    return marks


def runs(content: Mapping[str, Any], _: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of the runs that were compared."""
    lists = {
        name: ", ".join(f"{x:g}" if isinstance(x, float) else str(x) for x in content[name])
        for name in ("methods", "tasks", "sparsities", "seeds")
    }
    left_out = "; ".join(f"{count} {reason}" for reason, count in content["left_out"].items())
    rows = [("model", content["model"]), ("prunable weights", content["prunable"]), *lists.items()]
    rows += [("runs", content["runs"]), ("runs on the masks of others", content["transferred"])]
    rows += [("runs that removed nothing", content["dense"])]
    rows += [("left out", left_out or "none")]
    commits = (f"`{commit[:7] or 'unknown'}` ({count} runs)" for commit, count in content["commits"].items())
    return _table(["what", "value"], [*rows, ("commits", ", ".join(commits))])


def summary(_: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table with a row for each statement and a column for each paper."""
    verdicts: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["role"] == "claim":
            verdicts.setdefault(row["statement"], {})[row["method"]] = row["verdict"]
    lines = [[statement, *(found.get(method, "") for method in PAPERS)] for statement, found in verdicts.items()]
    return _table(["statement", *PAPERS.values()], lines)


def tests(_: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of the statements of one table: their number and null model."""
    found = {row["name"]: [f"`{row['name']}`", row["statement"], row["unit"], row["null"]] for row in rows}
    return _table(["name", "statement", "number", "null model"], list(found.values()))


def claims(_: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of the papers' rows: source, numbers by task, p after Holm's correction, and the verdict."""
    lines = []
    for row in rows:
        if row["role"] != "claim":
            continue
        where = _ends(row) if row["sparsity"] is None else f" at {row['sparsity']:g}"
        numbers = _numbers(row) + (
            f"; {row['interval']}" if any(part["low"] is not None for part in row["parts"]) else ""
        )
        lines.append(
            [
                f"`{row['name']}`, {PAPERS.get(row['method'], row['method'])}{where}",
                row["source"],
                numbers,
                _p(row),
                _counts(row),
                f"**{row['verdict']}**: {row['because']}",
            ]
        )
    return _table(["statement", "source", "number (interval)", "p", "n", "verdict"], lines)


def every(_: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table with a row for each method and sparsity, and a column for each statement."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    cells: dict[tuple[str, float | None], dict[str, str]] = {}
    for row in sorted(rows, key=lambda row: (row["method"], row["sparsity"] or 0)):
        if not row["parts"] and row["because"].startswith("no runs"):
            continue
        cell = cells.setdefault((row["method"], row["sparsity"]), {})
        is_set = row["because"].startswith("the setting")
        cell[row["name"]] = "set" if is_set else f"{_span(row['parts'])} {row['verdict']}".strip()
    lines = [
        [method, "" if sparsity is None else f"{sparsity:g}", *(cell.get(name, "") for name in names)]
        for (method, sparsity), cell in cells.items()
    ]
    return _table(["method", "sparsity", *names], lines) if lines else "There are no such runs."


def shares(_: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of the encoder's weights that two seeds share, and what each null model adds to the one before.

    It has the rows for which all three null models were drawn. The four parts add up to the shared weights.
    """
    found: dict[tuple[str, float], dict[str, Mapping[str, float]]] = {}
    for row in rows:
        scope, _, null = row["name"].partition(", ")
        if scope == "encoder" and "shared" in row["facts"]:
            found.setdefault((row["method"], row["sparsity"]), {})[null] = row["facts"]
    lines = []
    for (method, sparsity), facts in sorted(found.items()):
        if len(facts) == 3:
            steps = [0.0, *(facts[null]["expected"] for null in ("total", "matrices", "degrees"))]
            steps.append(facts["total"]["shared"])
            added = [f"{100 * (b - a):.1f} %" for a, b in itertools.pairwise(steps)]
            lines.append([method, f"{sparsity:g}", f"{100 * steps[-1]:.1f} %", *added])
    head = [
        "method",
        "sparsity",
        "shared",
        "the total alone",
        "+ the matrices' counts",
        "+ the degrees",
        "+ the weights",
    ]
    return _table(head, lines) if lines else "There are no such runs."


def overlaps(_: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of mean overlaps beyond chance: same task, same seed, neither."""
    columns = ("same task, other seed", "other task, same seed", "other task, other seed")
    lines = [
        [row["method"], f"{row['sparsity']:g}", row["name"], *(_short(row["facts"][c]) for c in columns)]
        for row in sorted(rows, key=lambda row: (row["method"], row["sparsity"] or 0, row["name"]))
        if columns[0] in row["facts"]
    ]
    return _table(["method", "sparsity", "weights", *columns], lines) if lines else "There are no such runs."


def ratios(_: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of the embeddings' mean ratio at every sparsity, with a row for each method and task."""
    found: dict[tuple[str, str], dict[float, str]] = {}
    for row in rows:
        means = {part["task"]: part["number"] for part in row["parts"]} | row["facts"].get("between", {})
        for name, ratio in means.items():
            task, _, sparsity = name.rpartition(" at ")
            found.setdefault((row["method"], task), {})[float(sparsity)] = _short(ratio)
    sparsities = sorted({s for cells in found.values() for s in cells})
    lines = [[*key, *(cells.get(s, "") for s in sparsities)] for key, cells in sorted(found.items())]
    return _table(["method", "task", *(f"at {s:g}" for s in sparsities)], lines) if lines else "There are no such runs."


def _ends(row: Mapping[str, Any]) -> str:
    ends = list(dict.fromkeys(part["task"].rpartition(" at ")[2] for part in row["parts"]))
    return f" at {' and '.join(ends)}" if ends else ""


def _numbers(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{part['task']} {_number(part)}" for part in row["parts"])


def _number(part: Mapping[str, Any]) -> str:
    if part["number"] is None:
        return "–"
    interval = "" if part["low"] is None else f" ({_short(part['low'])} to {_short(part['high'])})"
    return f"{_short(part['number'])}{interval}"


def _span(parts: Sequence[Mapping[str, Any]]) -> str:
    """Return the smallest and the largest number of the tasks."""
    texts = [_short(x) for x in sorted(part["number"] for part in parts if part["number"] is not None)]
    return " to ".join(dict.fromkeys((texts[0], texts[-1]))) + "," if texts else ""


def _counts(row: Mapping[str, Any]) -> str:
    counts = row["n"] | {k: row["facts"][k] for k in ("pairs",) if k in row["facts"]}
    return ", ".join(f"{count} {name if count != 1 else name[:-1]}" for name, count in counts.items())


def _p(row: Mapping[str, Any]) -> str:
    """Return the p-value that belongs to the verdict, after Holm's correction."""
    p = row["p_opposite_holm"] if row["verdict"] == "no" else row["p_holm"]
    if p is None:
        return "–"
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.1 else f"{p:.2f}"


def _short(x: float) -> str:
    """Return three or four significant digits, at most four decimals, and no exponent."""
    if round(abs(x), 4) == 0:
        return "0"
    return f"{x:.4f}" if abs(x) < 0.1 else f"{x:.3f}" if abs(x) < 10 else f"{x:.1f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


PARTS = {
    "runs": runs,
    "summary": summary,
    "tests": tests,
    "claims": claims,
    "all": every,
    "shares": shares,
    "ratios": ratios,
    "overlaps": overlaps,
}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python scripts/topology_table.py FILE.json PAGE.MD")
    answers_file, page_file = map(Path, sys.argv[1:])
    answers = json.loads(answers_file.read_text("utf-8"))
    page_file.write_text(fill(page_file.read_text("utf-8"), answers), "utf-8")
