"""A page with many figures draws the open ones first, as many of each section, and says what it does not draw."""

import pytest

from prunebert.report.figures.style import Drawing
from prunebert.report.page import drawn, page
from prunebert.report.page.page import Part, Picture, Section


def figure(name, **facts):
    return Part(figure=Drawing(name, name, lambda: None), **facts)


def tabs(*names, chosen):
    return Part(parts=[figure(name, heading=name) for name in names], choice="Sparsity", chosen=chosen)


@pytest.fixture
def sections():
    """Two sections: a has four open figures and two hidden ones, b has one of each."""
    folded = Part(folded="more", parts=[figure("a5")])
    return [
        Section(
            "a", "a", [figure("a1"), folded, figure("a2", chart="score"), tabs("a6", "a3", chosen=1), figure("a4")]
        ),
        Section("b", "b", [tabs("b1", "b2", chosen=0)]),
    ]


def names(drawings):
    return [drawing.name for drawing in drawings]


@pytest.mark.parametrize("most", [8, None])
def test_few_figures_are_all_drawn(sections, most):
    assert names(drawn.choose(sections, most)) == ["a1", "a5", "a2", "a6", "a3", "a4", "b1", "b2"]


def test_a_page_of_more_runs_draws_fewer_figures():
    assert [drawn.limit(runs) for runs in (1, 500, 501, 1500, 1501, 10**6)] == [24, 24, 12, 12, 6, 6]


# by hand: open ones in rounds over the sections a1 b1 | a2 | a3 | a4, then hidden ones a5 b2 | a6
@pytest.mark.parametrize(
    ("few", "expected"), {2: "a1 b1", 3: "a1 a2 b1", 5: "a1 a2 a3 a4 b1", 7: "a1 a5 a2 a3 a4 b1 b2"}.items()
)
def test_of_many_figures_the_open_ones_of_every_section_come_first(sections, few, expected):
    assert names(drawn.choose(sections, few)) == expected.split()


def test_a_figure_that_comes_twice_is_drawn_once(sections):
    twice = [Section("top", "top", [figure("b1", points=[])]), *sections]
    assert names(drawn.choose(twice, None)) == ["b1", "a1", "a5", "a2", "a6", "a3", "a4", "b2"]
    asked = []

    def draw(drawing):
        asked.append(drawing.name)
        return Picture(drawing.name, drawing.caption, "LIGHT", "DARK", 100)

    html = page.render("t", [], "", drawn.draw_figures(twice, drawn.choose(twice, 1), draw))
    assert asked == ["b1"] and html.count("base64,LIGHT") == 2 and html.count("Of 8 figures, this page draws 1") == 7


def test_the_page_shows_what_is_drawn_and_says_what_is_not(sections):
    asked = []

    def draw(drawing):
        asked.append(drawing.name)
        return Picture(drawing.name, drawing.caption, "LIGHT", "DARK", 100)

    html = page.render("t", [], "", drawn.draw_figures(sections, drawn.choose(sections, 1), draw))
    assert asked == ["a1"] and html.count("base64,LIGHT") == 1
    note = "Of 8 figures, this page draws 1, the open ones first. `prunebert report --all-figures` draws all."
    assert html.count(note) == 7
    assert html.count('<p class="note static">Not drawn') == 1  # below the chart only a page without scripts says so
