"""The whole page in a real browser: three widths, both colour schemes, few and many runs.

Nothing is clipped, headings are in order, tables sort and filter, links lead to files, and nothing is loaded.
"""

import json
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from prunebert.report.command import write
from tests.report.conftest import finished
from tests.report.page.conftest import errors

WIDTHS = (400, 800, 1280)
METHODS = ("dense", "random", "magnitude", "gmp", "movement", "smp")
# Text that an ancestor cuts off, or that sticks out of the page; what scrolls within its own box is neither.
CLIPPED = """
const width = document.documentElement.clientWidth, found = [];
const shown = e => e.checkVisibility({visibilityProperty: true, opacityProperty: true});
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const parent = node.parentElement;
  if (!node.textContent.trim() || !shown(parent) || parent.closest("script, style, .wide, .chart, noscript")) continue;
  const range = document.createRange();
  range.selectNodeContents(node);
  const box = range.getBoundingClientRect();
  if (box.width && (box.left < -1 || box.right > width + 1)) found.push(node.textContent.trim().slice(0, 60));
}
for (const e of document.querySelectorAll("body *")) {
  if (!shown(e) || e.closest(".chart, svg")) continue;
  const style = getComputedStyle(e);
  const cuts = ["hidden", "clip"].includes(style.overflowX);
  if (cuts && e.scrollWidth > e.clientWidth + 1) found.push(e.outerHTML.slice(0, 60));
}
return found;
"""
# The texts of a chart that leave its drawing.
CHART_TEXTS = """
return [...document.querySelectorAll(".chart.live .main-svg")].flatMap(svg => {
  const edge = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter(text => {
    const box = text.getBoundingClientRect();
    return box.width && (box.left < edge.left - 2 || box.right > edge.right + 2);
  }).map(text => text.textContent);
});
"""
HIDDEN_NUMBERS = """
return [...document.querySelectorAll(".wide")].filter(box => box.checkVisibility()).flatMap(box => {
  const edge = box.getBoundingClientRect().right;
  return [...box.querySelectorAll("tbody tr:first-child td.num")]
    .filter(cell => cell.getBoundingClientRect().right > edge + 1)
    .map(cell => box.querySelectorAll("thead th")[cell.cellIndex].textContent);
});
"""
SILENT_SCROLLERS = """
return [...document.querySelectorAll(".wide")]
  .filter(box => box.checkVisibility() && box.scrollWidth > box.clientWidth + 1)
  .filter(box => !box.getAttribute("aria-label").includes("scrolls")
    || !box.previousElementSibling?.textContent.includes("scrolls"))
  .length;
"""


def lab(root, sparsities, seeds, tasks):
    """Write runs of METHODS on all tasks, with training curves."""
    for i, task in enumerate(tasks):
        for method in METHODS:
            for sparsity in [0.0] if method == "dense" else sparsities:
                for seed in range(seeds):
                    wrong = 5 + 4 * METHODS.index(method) + round(10 * sparsity) + seed + i
                    folder = finished(
                        root / f"{task}-{method}-{sparsity}-{seed}", method, sparsity, seed, task=task, wrong=wrong
                    )
                    lines = [
                        {"phase": "prune", "step": k, "sparsity": sparsity, "flips": k, "loss_task": 1 / k}
                        for k in (1, 2, 3)
                    ]
                    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(((0.9,), 3, ("sst2",)), id="16 runs"),
        pytest.param(((0.5, 0.7, 0.8, 0.9, 0.95, 0.97), 13, ("sst2", "mrpc")), id="806 runs", marks=pytest.mark.slow),
    ],
)
def report(request, tmp_path_factory):
    return write([lab(tmp_path_factory.mktemp("lab"), *request.param)]).file


@pytest.fixture(params=WIDTHS)
def width(request):
    return request.param


def show(browser, report, width=1280, scheme="light"):
    """Open the page, with every fold open and every chart drawn."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(report.as_uri())
    return browser


def unfold(browser):
    browser.execute_async_script(
        """
        const done = arguments[0];
        for (const fold of document.querySelectorAll("details")) fold.open = true;
        (async () => {
          for (const chart of document.querySelectorAll(".chart")) {
            chart.scrollIntoView();
            await new Promise(frame => requestAnimationFrame(() => setTimeout(frame, 30)));
          }
          setTimeout(done, 100);
        })();
        """
    )


def test_nothing_is_clipped_and_what_scrolls_says_so(browser, report, width):
    show(browser, report, width)
    if width == 1280:
        assert browser.execute_script(HIDDEN_NUMBERS) == []
    unfold(browser)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(CLIPPED) == []
    assert browser.execute_script(CHART_TEXTS) == []
    assert browser.execute_script(SILENT_SCROLLERS) == 0
    if width == 1280:
        assert browser.execute_script(HIDDEN_NUMBERS) == []
    assert not errors(browser)


def test_headings_answer_in_order_and_no_level_is_skipped(browser, report):
    show(browser, report)
    found = "return [...document.querySelectorAll('h1, h2, h3, h4')].map(h => [+h.tagName[1], h.textContent])"
    headings = browser.execute_script(found)
    levels = [level for level, _ in headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    titles = [text for level, text in headings if level == 2]
    questions = [
        "found",
        "best",
        "sparsity",
        "costs",
        "predict",
        "Classes",
        "left",
        "verlap",
        "rain",
        "nswer",
        "run",
        "read",
        "rovenance",
    ]
    assert len(titles) == len(questions) and all(
        word in title for word, title in zip(questions, titles, strict=True)
    ), titles
    bottom = "return document.querySelector(arguments[0]).getBoundingClientRect().bottom"
    for answer in (".split .points li:last-child", ".split img"):  # the answer is on the first screen
        assert 0 < browser.execute_script(bottom, answer) < 900


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_readers_scheme(browser, report, scheme):
    show(browser, report, scheme=scheme)
    unfold(browser)
    colours = """
    const colour = (e, name) => getComputedStyle(e)[name].match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0);
    const title = document.querySelector(".chart.live .main-svg text");
    return [colour(document.body, "backgroundColor"), colour(document.body, "color"), colour(title, "fill")];
    """
    paper, ink, chart_ink = browser.execute_script(colours)
    if scheme == "light":
        assert paper > 600 and ink < 200 and chart_ink < 350
    else:
        assert paper < 200 and ink > 600 and chart_ink > 400
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.execute_script("return [...document.querySelectorAll('.chart')].every(c => !c.checkVisibility())")
    printed = "const [figure, ...rest] = document.querySelectorAll('figure.static'); return figure.checkVisibility()"
    assert browser.execute_script(printed) and not errors(browser)


def test_tables_sort_and_filter_by_mouse_and_keyboard(browser, report):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    show(browser, report)
    unfold(browser)
    table = next(t for t in browser.find_elements(By.CSS_SELECTOR, "table") if "command" in t.text.split("\n")[0])
    column = (
        "return [...arguments[0].tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[arguments[1]].textContent)"
    )
    names = browser.execute_script("return [...arguments[0].tHead.rows[0].cells].map(c => c.textContent)", table)
    seed, sparsity = names.index("seed"), names.index("sparsity")
    rows = len(browser.execute_script(column, table, seed))
    button = table.find_elements(By.CSS_SELECTOR, "th button")[seed]
    for key in (Keys.ENTER, Keys.SPACE):
        button.send_keys(key)
        seeds = [int(text) for text in browser.execute_script(column, table, seed)]
        assert seeds == sorted(seeds, reverse=key == Keys.SPACE) and len(set(seeds)) > 2
    head = table.find_elements(By.CSS_SELECTOR, "th")[seed]
    assert head.get_attribute("aria-sort") == "descending"
    box = browser.execute_script(
        "return arguments[0].closest('.wide').parentElement.querySelector('.filter input')", table
    )
    box.send_keys("smp sparsity>0.8 seed=1")
    shown = browser.execute_script(column, table, 0)
    assert 0 < len(shown) < rows and all("smp" in text for text in shown)
    assert all(float(s) > 0.8 for s in browser.execute_script(column, table, sparsity))
    assert set(browser.execute_script(column, table, seed)) == {"1"}
    said = browser.execute_script("return arguments[0].closest('.filter').textContent", box)
    assert f"{len(shown)} of {rows} rows" in said and not errors(browser)
    score = names.index("score")
    displayed = browser.execute_script(column, table, score)[0]
    found = {}
    for text in (f"score={displayed}", "nonsense>3"):
        box.clear()
        box.send_keys(text)
        found[text] = len(browser.execute_script(column, table, 0))
    assert list(map(bool, found.values())) == [True, False]
    said = browser.execute_script("return arguments[0].closest('.filter').textContent", box)
    assert "no column is called nonsense" in said


def test_links_lead_to_files_and_to_parts_of_the_page(browser, report):
    show(browser, report)
    links = browser.execute_script(
        "return [...document.querySelectorAll('a')].map(a => [a.getAttribute('href'), a.href])"
    )
    inner = [href[1:] for href, _ in links if href.startswith("#")]
    assert len(inner) > 8
    assert browser.execute_script("return arguments[0].every(id => document.getElementById(id))", inner)
    files = {unquote(urlsplit(url).path) for href, url in links if url.startswith("file:") and not href.startswith("#")}
    names = {path.rpartition("/")[2] for path in files}
    assert {"results.csv", "results.parquet", "tables.tex"} <= names and any(name.endswith(".pdf") for name in names)
    assert not [path for path in files if not Path(path).exists()]
    assert len([path for path in files if (Path(path) / "result.json").exists()]) >= 16  # the runs' directories


def test_nothing_is_loaded(browser, report):
    show(browser, report)
    unfold(browser)
    loaded = "return performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('data:'))"
    assert browser.execute_script(loaded) == [] and not errors(browser)
    assert browser.execute_script("return [...document.images].every(i => i.complete && i.naturalWidth > 300)")
    assert report.stat().st_size < 15e6


def test_a_point_tells_its_runs(browser, report):
    """Hovering shows the method, the sparsity and the number of runs."""
    show(browser, report)
    unfold(browser)
    hovered = browser.execute_async_script(
        """
        const done = arguments[0], plot = document.querySelector('.chart[data-chart=score] .js-plotly-plot');
        plot.scrollIntoView();
        const curve = plot.data.findIndex(trace => (trace.name ?? "").includes("smp"));
        Plotly.Fx.hover(plot, [{curveNumber: curve, pointNumber: 0}]);
        setTimeout(() => done([...plot.querySelectorAll('.hoverlayer text')].map(t => t.textContent).join(' ')), 200);
        """
    )
    assert "smp" in hovered and "seed" in hovered, hovered


def test_without_scripts_the_static_figures_are_shown(browser, report):
    from selenium.webdriver.common.by import By

    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, report)
        figures = browser.find_elements(By.CSS_SELECTOR, "figure.static")
        assert figures and all(figure.is_displayed() for figure in figures)
        notes = [note.text for note in browser.find_elements(By.CSS_SELECTOR, "noscript p")]
        assert notes and all("needs scripts" in note for note in notes)  # of the charts that have no static figure
        tabs = browser.find_elements(By.CSS_SELECTOR, "fieldset.tabs .tab")
        assert not tabs or any(tab.is_displayed() for tab in tabs)
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
