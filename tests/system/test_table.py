"""A table has one line for each row at any width; what has no room is named, and numbers stay whole."""

import random
import re

import pytest
from rich.cells import cell_len

from prunebert.errors import visible
from prunebert.system import table
from prunebert.system.table import Column, arrange

LONG = "movement_pruning_with_a_very_long_name_{}_and_an_end_{}"
WIDTHS = [60, 80, 100, 200]


def columns(rows: int, name: str = "run-{}", metrics: int = 1) -> list[Column]:
    """A table as a sweep's: names, seeds of three digits, metrics with missing values, directories."""
    number = random.Random(0)
    scores = [
        [None if number.random() < 0.2 else f"{number.random():.4f}" for _ in range(rows)] for _ in range(metrics)
    ]
    return [
        Column("method", [name.format(i, i) for i in range(rows)], shortest=12, from_middle=True),
        Column("task", ["rotten_tomatoes"] * rows, shared=True),
        Column("seed", [100 + i for i in range(rows)], number=True),
        *(Column(f"score {i}", cells, number=True, rank=i) for i, cells in enumerate(scores)),
        Column("steps in\nall phases", [f"{10**9 + i:,}" for i in range(rows)], number=True, rank=20),
        Column("directory", [f"cell-{name.format(i, i)}" for i in range(rows)], rank=30),
    ]


@pytest.mark.parametrize(
    "name", ["run-{}", LONG, "电影评论情感分析很长的名字{}以及结尾{}", "é\u0301ü-{}-" + "ü" * 60 + "{}"]
)
@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("metrics", [1, 4])
def test_every_row_is_one_line_that_fits(name, rows, width, metrics):
    given = columns(rows, name, metrics)
    layout = arrange(given, width)
    lines = layout.lines()
    height = 2 if any("\n" in c.title for c in layout.columns) else 1
    assert len(lines) == height + 1 + rows and max(map(cell_len, lines)) <= width and layout.width <= width
    titles = [c.name for c in layout.columns]
    assert [c.name for c in given if c.name not in (*titles, "task")] == layout.left_out
    assert layout.shared == ["task rotten_tomatoes"]
    for number, line in enumerate(lines[height + 1 :]):
        for column in given:
            if column.name in titles and column.number:
                assert str("–" if column.cells[number] is None else column.cells[number]) in line.split()
    names = layout.columns[0].cells
    assert len(set(names)) == rows  # shortened names still tell the rows apart
    assert ("method" in layout.shortened) == (list(names) != given[0].cells)


def test_the_lowest_ranks_get_room_first_and_a_wide_column_takes_that_of_no_other():
    wide = Column("directory", ["d" * 70], rank=1)
    narrow = [Column("a", ["123456"], rank=3), Column("b", ["123456"], rank=2)]
    left_out = {
        width: arrange([Column("x", ["123456"]), wide, *narrow], width).left_out for width in (94, 93, 85, 77, 21, 9)
    }
    assert left_out == {
        94: [],
        93: ["a"],
        85: ["a", "b"],
        77: ["directory"],
        21: ["directory", "a"],
        9: ["directory", "a", "b"],
    }


def test_columns_without_a_limit_are_never_cut_however_narrow():
    layout = arrange(columns(3), 10)
    assert [c.name for c in layout.columns] == ["method", "seed", "score 0"] and layout.width > 10
    assert all(re.search(r"0\.\d{4}|–", line) for line in layout.lines()[2:])


def test_rows_that_agree_give_one_line_and_a_missing_value_agrees_with_all():
    same = [Column("model", [None, "tiny", "tiny"], shared=True), Column("seed", [None] * 3, shared=True)]
    varied = [Column("task", ["a", None, "b"], shared=True), Column("x", [1, 2, 3])]
    layout = arrange([*same, *varied], 80)
    assert layout.shared == ["model tiny"] and [c.title for c in layout.columns] == ["task", "x"]
    assert layout.lines("-") == ["task  x", "----  -", "a     1", "–     2", "b     3"]


def test_a_pipe_has_no_limit_but_columns(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert table.width() is None
    table.show(columns(2, LONG))
    whole = capsys.readouterr().out
    assert LONG.format(1, 1) in whole and "not shown" not in whole and "shortened" not in whole
    monkeypatch.setenv("COLUMNS", "60")
    table.show(columns(2, LONG), more="--wide shows all")
    narrow = capsys.readouterr().out
    assert max(map(len, narrow.splitlines())) <= 60
    assert "not shown: directory; shortened: method (--wide shows all)" in " ".join(narrow.split())
    table.show(columns(2, LONG), wide=True)
    assert capsys.readouterr().out == whole
    for nonsense in ("", "0", "wide"):
        monkeypatch.setenv("COLUMNS", nonsense)
        assert table.width() is None


def test_facts_are_wrapped_between_words_beside_their_names(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    table.say_facts([("trained", "one two three four five six"), ("in", "a/path/that/is/never/broken/anywhere")])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "trained  one two three four",
        "         five six",
        "in       a/path/that/is/never/broken/anywhere",
    ]
    table.say_wrapped("  dry run of one two three four five")
    assert capsys.readouterr().out.splitlines() == ["  dry run of one two three", "  four five"]


def test_a_long_text_is_cut_and_control_characters_are_shown(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    table.show([Column("r\x1b[0m", ["r" * 3000, "a\nb"]), Column("state", ["done", "[bold]x"])])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and max(map(len, lines)) <= table.LONGEST_CELL + 9
    assert lines[0].startswith(visible("r\x1b[0m")) and lines[3].split() == [r"a\nb", "[bold]x"]
