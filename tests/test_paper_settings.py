"""Every value that conf/ composes, against the table paper_settings.csv.

The table was written from the papers and from their authors' code, not from conf/. A key without a row fails. Values
without a source in a paper are ours; they are pinned too.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from prunebert.settings import signature
from tests import merged

STEPS = re.compile(r"(\d+) of (\d+)")
OPTION = re.compile(r"<(\w+)>")
# In place of the defaults: a value that is written out, instead of taken from sparsity= or seed=, differs from these.
UNUSUAL = {"sparsity": 0.37, "seed": 11}
# `overlaps` only makes warnings (tests/settings/test_overlaps.py). A tracker changes no result.
UNPINNED = re.compile(r"(task|model)\.overlaps.*|tracking\..*")
Cell = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A row of the table: where it holds, the key, its value as written there, and the source."""

    where: dict[str, tuple[bool, set[str]]]  # group -> (whether one of these options, the options)
    key: str
    value: Any
    source: str

    def holds(self, cell: Cell) -> bool:
        """Whether the row is about a cell."""
        return all((cell.get(group) in names) == wanted for group, (wanted, names) in self.where.items())


def table() -> list[Row]:
    """The table's rows."""
    lines = (Path(__file__).parent / "paper_settings.csv").read_text().splitlines()
    rows = []
    for entry in csv.DictReader(line for line in lines if not line.startswith("#")):
        words = [re.fullmatch(r"([\w.]+)(!?=)(.+)", word) for word in entry["where"].split()]
        where = {word[1]: (word[2] == "=", set(word[3].split("|"))) for word in words}
        rows.append(Row(where, entry["key"], merged.number(entry["value"]), entry["source"]))
    return rows


ROWS = table()
OF_CELLS = [row for row in ROWS if "experiment" not in row.where]
OF_EXPERIMENTS = [row for row in ROWS if "experiment" in row.where]
METHODS, TASKS, MODELS, FITS = (merged.options(group) for group in ("method", "task", "model", "fit"))


def cells(method: str) -> Iterator[Cell]:
    """The combinations that can differ: each task and teacher of fit=paper, each task of a fit, each model of a fit."""
    yield from ({"fit": "paper", "task": t, "distill": d} for t in TASKS for d in merged.options("distill"))
    yield from ({"fit": f, "task": t} for f in FITS for t in TASKS)
    yield from ({"fit": f, "model": m} for f in FITS for m in MODELS)
    yield from ({"fit": f, "distill": "logits"} for f in FITS)
    yield from ({g: option} for g in ("corpus", "augment", "impl") for option in merged.options(g))
    if method == "tamt":
        yield from ({"fit": f, "method.objective": "kd"} for f in FITS)


def leaves(node: dict[str, Any], key: str = "") -> Iterator[tuple[str, Any]]:
    """Every dotted key with its value. A target's own defaults are values too, and hashes are one value."""
    node = signature.defaults(node["_target_"]) | node if "_target_" in node else node
    for name, value in node.items():
        path = f"{key}.{name}".removeprefix(".")
        if isinstance(value, dict) and name != "sha256":
            yield from leaves(value, path)
        else:
            yield path, value


def composed(cell: Cell) -> tuple[Cell, dict[str, Any]]:
    """The options of a cell, and every key of its configuration. A reference to a whole node stays as written."""
    config = merged.written(**cell)
    found = {}
    for key, value in leaves(config):
        if UNPINNED.fullmatch(key):
            continue
        found[key] = value
        if isinstance(value, str) and "${published" not in value:
            resolved = merged.resolved(value, config)
            found[key] = value if isinstance(resolved, dict) else resolved
    return cell | merged.chosen(**cell), found


@cache
def rows_by_key() -> dict[str, list[Row]]:
    """The rows of each key, the last one first."""
    found: dict[str, list[Row]] = {}
    for row in reversed(OF_CELLS):
        found.setdefault(row.key, []).append(row)
    return found


def expected(cell: Cell) -> dict[str, Row]:
    """The row that decides each key of a cell. A key with keys below it is no value itself."""
    found = {key: row for key, rows in rows_by_key().items() if (row := next((r for r in rows if r.holds(cell)), None))}
    above = {key[: dot.start()] for key in found for dot in re.finditer(r"\.", key)}
    return {key: row for key, row in found.items() if key not in above}


def agrees(row: Row, value: Any, cell: Cell, found: dict[str, Any]) -> bool:
    """Whether a composed value is a row's."""
    wanted = row.value
    if isinstance(wanted, str):
        if match := OPTION.fullmatch(wanted):
            wanted = cell[match[1]]
        elif (match := merged.REFERENCE.fullmatch(wanted)) and match[1] in found:
            wanted = found[match[1]]
        elif match := STEPS.fullmatch(wanted):
            return abs(value * int(match[2]) - int(match[1])) <= 0.5
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


def differences(cell: Cell, rows: dict[str, Row], ignored: Collection[str] = ()) -> Iterator[str]:
    """What is wrong in a cell: a key and its two values."""
    options, found = composed(cell)
    for key in found.keys() - rows.keys() - {*ignored}:
        yield f"{key}: no row of the table, composed {found[key]!r}"
    for key, row in rows.items():
        if key not in found:
            yield f"{key}: {row.value!r} ({row.source}), and no such key is composed"
        elif key not in ignored and not agrees(row, found[key], options, found):
            yield f"{key}: {row.value!r} ({row.source}), composed {found[key]!r}"


@cache
def compared(method: str) -> tuple[dict[str, list[str]], set[int]]:
    """Compare every cell of a method: what is wrong -> the cells, and the rows that decided a value (by their id)."""
    wrong: dict[str, list[str]] = {}
    deciding: set[int] = set()
    for cell in cells(method):
        cell = {"method": method, **cell}
        rows = expected(cell | merged.chosen(**cell))
        deciding |= {id(row) for row in rows.values()}
        for difference in differences({**UNUSUAL, **cell}, rows, ignored=UNUSUAL):
            wrong.setdefault(difference, []).append(" ".join(f"{group}={option}" for group, option in cell.items()))
    return wrong, deciding


@pytest.mark.parametrize("method", METHODS)
def test_every_cell_composes_the_values_of_the_table(method):
    wrong, _ = compared(method)
    assert not wrong, "\n".join(f"{what}\n    in {len(where)}: {where[0]}" for what, where in sorted(wrong.items()))


def test_every_row_decides_a_value_and_has_a_source():
    deciding = {row for method in METHODS for row in compared(method)[1]}
    assert [f"{row.where} {row.key}" for row in OF_CELLS if id(row) not in deciding] == []
    assert len(ROWS) > 450 and [row.key for row in ROWS if not row.source] == []


def test_what_a_command_line_leaves_out():
    """The options and values of `prunebert` without any word."""
    default = {"method": "smp", "task": "mnli", "model": "bert-base", "fit": "paper", "distill": "none"}
    default |= {"corpus": "wikitext", "augment": "none", "impl": "auto", "tracking": "none", "experiment": None}
    assert merged.chosen() == default
    assert list(differences({}, expected(default))) == []


@pytest.mark.parametrize("place", ["hub", "folder"])
def test_mnli_is_scored_by_its_matched_split(place):
    """The score is that of the first split, and mappings are equal in any order."""
    assert [*merged.config(task="mnli")["task"][place]["eval"]] == ["matched", "mismatched"]


ROWS_OF_DATA = {"mnli": 392_702, "qqp": 363_846, "squad": 88_524}  # SQuAD 1.1 in windows of 384 tokens, stride 128

ROWS_OF_DATA |= {"qnli": 104_743, "sst2": 67_349, "rte": 2_490, "stsb": 5_749, "mrpc": 3_668, "cola": 8_551}
PLATON = {("mnli", 8, 32), ("qqp", 10, 32), ("qnli", 10, 32), ("sst2", 6, 32), ("rte", 20, 16), ("stsb", 15, 16)}
PLATON |= {("mrpc", 10, 8), ("cola", 15, 32), ("squad", 10, 16)}  # task, epochs, batch


def test_the_totals_of_the_table_are_epochs_of_the_data():
    """12,000 of 73,632: MNLI has 6 epochs of ⌈392,702 / 32⌉ steps."""
    totals = {int(match[2]) for row in ROWS if (match := STEPS.fullmatch(str(row.value)))}
    budgets = {("mnli", 6, 32), ("mnli", 3, 32), ("qqp", 10, 32), ("qqp", 3, 32), ("squad", 10, 16), ("squad", 3, 16)}
    budgets |= {(t, e, b) for t, e, b in PLATON if t != "squad"}  # its SQuAD has the steps of movement's
    assert totals == {epochs * math.ceil(ROWS_OF_DATA[data] / batch) for data, epochs, batch in budgets}


@pytest.mark.parametrize("name", merged.options("experiment"))
def test_every_experiment_has_the_axes_of_its_table(name):
    _, defaults, values = merged.read(f"experiment/{name}")
    written = dict(leaves(values))
    chosen = {key.replace("override ", ""): option for entry in defaults[:-1] for key, option in entry.items()}
    cells = [{"experiment": name, "distill": d} for d in written.get("hydra.sweeper.params.distill", "none").split(",")]
    rows = [(cell, row) for cell in cells for row in OF_EXPERIMENTS if row.holds(cell)]
    assert chosen.keys() | written.keys() <= {row.key for _, row in rows}
    for cell, row in rows:
        found = dict(leaves(merged.config(**cell))) | written | chosen
        value, wanted = found.get(row.key), row.value
        if ".params." in row.key:  # in any order
            value, wanted = sorted(str(value).split(",")), sorted(str(wanted).split(","))
        assert value == wanted, row
