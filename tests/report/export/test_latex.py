"""LaTeX tables: what fits, how a wide one is split, labels, marks and notes."""

import re

import pytest

from prunebert.errors import BadInput
from prunebert.report.export.fit import WIDTHS, Layout, Style, content_width, room
from prunebert.report.export.grid import Cell, Column, Form, Grid, Row
from prunebert.report.export.latex import to_latex, unique_labels


def grid(rows, columns=2, **changes):
    titles = [Column("sparsity", is_key=True), *(Column(f"task{k}") for k in range(columns))]
    return Grid("name", "A caption.", titles, rows, **changes)


def row(name, setting="", notes=(), columns=2, **changes):
    return Row(name, setting, [Cell("0.5"), *(Cell("77.4", "0.5", **changes) for _ in range(columns))], notes)


def test_a_table_has_what_a_paper_needs():
    text = to_latex(grid([row("my_method", mark="best"), row("smp", mark="tied")]), Style(), "tab:x")
    for part in (r"\centering", r"\caption{A caption.}", r"\label{tab:x}", r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(part) == 1
    assert text.startswith(r"\begin{table*}") and text.rstrip().endswith(r"\end{table*}")
    assert r"my\_method & 0.5 & \bfseries 77.4 & \sd{0.5} & \bfseries 77.4 & \sd{0.5} \\" in text
    assert r"smp & 0.5 & 77.4 & \sd{0.5}\textsuperscript{$\approx$}" in text and "Bold: " in text


def test_a_wide_table_is_split_and_every_part_has_the_labels_and_key_columns():
    rows = [row("smp", columns=12), row("gmp", columns=12)]
    text = to_latex(grid(rows, 12), Style(room=WIDTHS["column"]), "tab:x")
    parts = text.split(r"\begin{table}")[1:]
    assert len(parts) > 2 and re.findall(r"Part (\d) of (\d)", text) == [
        (str(k), str(len(parts))) for k in range(1, len(parts) + 1)
    ]
    assert len(set(re.findall(r"\\label\{(.+?)\}", text))) == len(parts)
    assert all(part.count("smp & 0.5 &") == 1 and "{sparsity}" in part for part in parts)
    assert re.findall(r"\{(task\d+)\}", text) == [f"task{k}" for k in range(12)]
    counts = [len(re.findall(r"\{task", part)) for part in parts]
    assert max(counts) - min(counts) <= 1  # no part has a lonely column


def test_a_long_table_is_split_by_its_rows():
    text = to_latex(grid([row(f"m{k}") for k in range(90)]), Style(), "tab:x")
    assert text.count(r"\begin{table*}") == 3 and [int(k) for k in re.findall(r"^m(\d+) &", text, re.M)] == [*range(90)]


def test_a_high_title_leaves_less_room_for_rows():
    """Lines of titles and rows are equally high, so a title of 20 lines takes the place of 19 rows more than one."""
    rows = [row(f"m{k}", columns=1) for k in range(90)]
    first = []
    for title in ("short", " ".join(["wwwww"] * 20)):
        text = to_latex(Grid("name", "A.", [Column("s", is_key=True), Column(title)], rows), Style(), "tab:x")
        first.append(len(re.findall(r"^m\d+ &", text.partition(r"\end{table*}")[0], re.M)))
    assert first[0] - first[1] == 19


def test_a_long_setting_is_a_note_with_a_letter_and_equal_ones_share_it():
    setting = "distill=tinybert, fit.head_lr=0.001, keep_pretrained=true"
    rows = [row("smp", setting), row("gmp", setting, ["5 seeds"]), row("l0", "x=1")]
    text = to_latex(grid(rows), Style(), "tab:x").replace(r"\allowbreak{}", "")
    assert re.findall(r"^(\S+) &", text, re.M)[:2] == [r"smp\textsuperscript{a}", r"gmp\textsuperscript{a,b}"]
    assert "l0 (x=1) &" in text and text.count("keep\\_pretrained") == 1
    assert r"\textsuperscript{a}~distill=tinybert, " in text and r"\textsuperscript{b}~5 seeds." in text


def test_with_siunitx_numbers_are_aligned_by_it_and_other_cells_are_braced():
    rows = [Row("a", "", [Cell("−1"), Cell("-7.4", "0.5"), Cell("1e+30")]), Row("b", "", [Cell(), Cell(), Cell("2")])]
    text = to_latex(grid(rows), Style(siunitx=True), "tab:x")
    assert "S[table-format=-1.1]@{}l" in text and "-7.4 & \\sd{0.5}" in text and "{--} & " in text
    assert "1e+30" in text and text.count("S[") == 1  # not plain decimals


@pytest.mark.parametrize(("texts", "points"), [(("83.8903",), 27.862), (("83.8903", "-2.7403"), 34.472)])
def test_a_column_has_room_for_the_parts_that_siunitx_aligns(texts, points):
    """Points of siunitx's column in cmr8, measured with pdflatex. That of two texts is wider than either text."""
    layout = Layout(8, 6, 1.8, WIDTHS["page"], has_settings=True)
    assert points <= content_width([Cell(text) for text in texts], layout) < 1.15 * points + 2


def test_labels_are_safe_and_differ():
    assert unique_labels(["a_b %$", "a b", "中", "文", "a b"]) == [
        *("tab:a-b", "tab:a-b-n2", "tab:table", "tab:table-n2", "tab:a-b-n3")
    ]


@pytest.mark.parametrize("text", ["12", "wide", "nan", "1e9", "-200"])
def test_a_width_that_no_page_has_is_refused(text):
    with pytest.raises(BadInput, match=f"--width={text}: allowed are column, page, or points from 150 to 2000"):
        room(text)


def test_numbers_have_the_decimals_that_a_metric_needs():
    form = Form(1)
    assert form.number(0.77449, "accuracy") == "77.4" and form.number(0.77449, "matthews") == "77.4"
    assert form.number(9.01267, "perplexity") == "9.013" and form.number(1e30, "perplexity") == "1e+30"
    assert form.number(-0.0001, "accuracy") == "0.0" and form.number(0.0123, "accuracy", "+") == "+1.2"
    assert Form(2).number(0.77449, "f1") == "77.45" and Form(0).number(0.77449, "f1") == "77"
    assert form.score(0.5, float("nan"), 1, "accuracy").deviation == ""
