"""The page's HTML as an HTML parser reads it: headings in order, one tab shown, folds, links, and escaped text."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from prunebert.report.page.page import Part, Picture, Section, render
from prunebert.report.page.tables import Cell, Table

PICTURE = Picture("score-x", "A figure.", "", "", 900)


class Tags(HTMLParser):
    """Collects the elements, each with its attributes and the elements around it."""

    VOID = ("meta", "link", "input", "img", "source")

    def __init__(self, html):
        super().__init__()
        self.open, self.found, self.texts = [], [], {}
        self.feed(html)
        assert not self.open, "an element is not closed"

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes), [name for name, _ in self.open]))
        if tag not in self.VOID:
            self.open.append((tag, len(self.found) - 1))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for _, index in self.open:
            self.texts[index] = self.texts.get(index, "") + data

    def all(self, tag):
        return [
            (attributes, around, " ".join(self.texts.get(i, "").split()))
            for i, (name, attributes, around) in enumerate(self.found)
            if name == tag
        ]


@pytest.fixture
def page():
    table = Table(["a", "b"], [[Cell("x", link="../x%20y", below=Cell("low", link="z")), Cell("1", 1.0, "best")]], "n")
    tabs = [Part("0.5", text="half"), Part("0.9", table=table, parts=[Part("Deep", folded="fold", text="in")])]
    sections = [
        Section(
            "First", "first", [Part(parts=tabs, choice="Sparsity", chosen=1), Part("Head", folded="more", table=table)]
        ),
        Section("Empty", "empty"),
        Section("Only", "only", [Part(parts=[tabs[0]], choice="Sparsity"), Part("Nested", parts=[Part("Inner")])]),
        Section("Last", "last", [Part(chart="pareto"), Part(chart="score", chart_table="<t>", figure=PICTURE)]),
    ]
    return Tags(render("title", ["sum <b>"], "1 missing", sections))


def test_headings_skip_no_level_and_the_contents_lead_to_every_section(page):
    levels = [int(tag[1]) for tag, *_ in page.found if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and all(b - a <= 1 for a, b in pairwise(levels))
    assert [text for _, _, text in page.all("h2")] == ["First", "Only", "Last"]
    assert [text for _, _, text in page.all("h4")] == ["Inner"]
    links = [attributes["href"] for attributes, around, _ in page.all("a") if "nav" in around]
    ids = [attributes["id"] for _, attributes, _ in page.found if "id" in attributes]
    assert links == ["#first", "#only", "#last"] and len(ids) == len(set(ids)) and {x[1:] for x in links} <= {*ids}


def test_one_tab_is_chosen_and_a_single_one_needs_no_buttons(page):
    buttons = [attributes for attributes, *_ in page.all("input")]
    assert [("checked" in b, b["type"]) for b in buttons] == [(False, "radio"), (True, "radio")]
    assert len({b["name"] for b in buttons}) == 1
    labels = {attributes["for"]: text for attributes, _, text in page.all("label")}
    assert [labels[b["id"]] for b in buttons] == ["0.5", "0.9"]
    assert "Sparsity 0.5" in [text for _, _, text in page.all("p")]
    tabs = [attributes for attributes, *_ in page.all("div") if attributes.get("class") == "tab"]
    assert len(tabs) == 2


def test_a_fold_hides_what_follows_its_line_and_no_heading(page):
    assert [text for _, _, text in page.all("summary")] == ["fold", "more"]
    assert [around.count("details") for _, around, _ in page.all("table")] == [0, 1]
    assert not [tag for tag, _, around in page.found if tag[0] == "h" and tag[1:].isdigit() and "details" in around]


def test_cells_have_links_second_lines_and_numbers_to_sort_by(page):
    links = [(a["href"], text) for a, around, text in page.all("a") if "td" in around]
    assert links == [("../x%20y", "x"), ("z", "low")] * 2
    assert [text for _, around, text in page.all("small")] == ["low"] * 2
    assert [a.get("data-sort") for a, *_ in page.all("td")] == [None, "1.0"] * 2
    assert [a["class"] for a, *_ in page.all("td")] == ["", "num best"] * 2


def test_a_chart_has_its_static_figure_or_a_sentence_without_scripts(page):
    charts = [a for a, *_ in page.all("div") if a.get("class") == "chart"]
    assert [(a["data-chart"], a["data-table"]) for a in charts] == [("pareto", ""), ("score", "<t>")]
    assert [text for _, _, text in page.all("noscript")] == ["This chart needs scripts, which are off in this browser."]
    assert [a["class"] for a, *_ in page.all("figure")] == ["static"]
    assert {a["href"] for a, around, _ in page.all("a") if "figcaption" in around} == {
        "figures/score-x.png",
        "figures/score-x.pdf",
    }


def test_every_text_for_the_charts_is_shown_as_the_others_and_cannot_end_its_element():
    data = {"a\u202e": [1.5, None, True, ["</script>&", {"deep": "x\x1b[1m\ud800é\n"}]], "b": "中"}
    html = render("title", [], "", [], data)
    (written,) = re.findall('id="data">(.*?)</script>', html)
    shown = {"a\\u202e": [1.5, None, True, ["</script>&", {"deep": "x\\x1b[1m\\ud800é\\n"}]], "b": "中"}
    assert json.loads(written) == shown


def test_what_went_wrong_is_one_line_that_leads_to_the_last_section(page):
    (warning,) = [text for a, _, text in page.all("p") if a.get("class") == "warn"]
    assert warning == "1 missing What this means"
    assert [a["href"] for a, around, text in page.all("a") if text == "What this means"] == ["#last"]
    clean = Tags(render("title", [], "", [Section("S", "s", [Part("P")])]))
    assert "No run failed, and none is missing." in [text for _, _, text in clean.all("p")]
