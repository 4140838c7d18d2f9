"""The interactive charts in a real browser: what they draw, hover and choose, Pareto fronts, dark, print."""

import json
import math

import pytest

from prunebert.report import collect
from prunebert.report.page import interactive, literature, marks, page
from prunebert.report.page.page import Part, Picture, Section
from tests.report.conftest import finished
from tests.report.page.conftest import errors

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CHARTS = ("score", "training", "confusion", "disagreement")


@pytest.fixture(scope="module")
def charted(tmp_path_factory):
    """Return a page with every chart: two tasks, and on the first three methods, two sparsities and two seeds."""
    root = tmp_path_factory.mktemp("lab")
    wrong = {("dense", 0.0): 5, ("smp", 0.5): 10, ("smp", 0.9): 20, ("gmp", 0.5): 14, ("gmp", 0.9): 30}
    for (method, sparsity), count in wrong.items():
        for seed in (0, 1):
            folder = finished(root / f"{method}{sparsity}-{seed}", method, sparsity, seed, wrong=count + 2 * seed)
            lines = [
                {"phase": "prune", "step": k, "sparsity": sparsity, "flips": k * 7, "loss_task": 2 / k}
                for k in (1, 2, 4)
            ]
            (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    labels = [x / 10 for x in range(100)]
    for seed in (0, 1):
        changes = {"labels": labels, "prediction": [x + seed / 8 for x in labels], "metric": "pearson", "score": 0.5}
        finished(root / f"other{seed}", "smp", 0.5, seed, task="zebra<b>", **changes)
    runs = collect.collect([root]).runs
    picture = Picture("score", "static", PIXEL, PIXEL, 700)
    parts = [Part("Front", chart="pareto")]
    for name in runs["table"].unique():
        parts += [
            Part(f"{name} {c}", chart=c, chart_table=name, figure=picture if c == "score" else None) for c in CHARTS
        ]
    file = root / "page.html"
    html = page.render("charts", [], "", [Section("All", "all", parts)], interactive.payload(runs))
    file.write_text(html, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def opened(browser, charted):
    browser.set_script_timeout(10)
    browser.get(charted.as_uri())
    for element in browser.execute_script("return [...document.querySelectorAll('.chart')]"):
        browser.execute_script("arguments[0].scrollIntoView()", element)
        settle(browser)
    return browser


def chart(browser, kind):
    """Return the chart of a kind of the first table that has it."""
    return browser.execute_script("return document.querySelector(`.chart[data-chart=${arguments[0]}]`)", kind)


def of(browser, kind, expression):
    """Return the value of an expression in JavaScript, in which `c` is a chart and `p` its first plot."""
    script = f"const c = arguments[0], p = c.querySelector('.js-plotly-plot'); return {expression}"
    return browser.execute_script(script, chart(browser, kind))


def settle(browser):
    """Wait until the charts know which of them are in view, and these are drawn."""
    until(browser, "charts.live.every(c => !c.seen || !c.stale)")


def until(browser, condition):
    """Wait for two frames, and then until a condition in JavaScript holds."""
    script = "const done = arguments[0], frame = requestAnimationFrame;"
    script += f"const check = () => {condition} ? done() : setTimeout(check, 5);"
    browser.execute_async_script(f"{script} frame(() => frame(() => setTimeout(check)));")


MEANS = "p.data.filter(t => t.mode.includes('lines') && t.name !== 'constant baseline').map(t => [t.name, [...t.y]])"


def test_every_chart_is_drawn_and_nothing_was_loaded(opened):
    count = "c => c.dataset.chart + c.querySelectorAll('.main-svg, table').length"
    drawn = opened.execute_script(f"return [...document.querySelectorAll('.chart.live')].map({count})")
    assert (
        len(drawn) == 9
        and drawn[0] == "pareto4"
        and drawn[1:5] == ["score3", "training3", "confusion6", "disagreement2"]
    )
    assert drawn[5:] == ["score3", "training0", "confusion0", "disagreement1"]
    assert opened.execute_script("return document.querySelectorAll('b').length") == 0  # a name is no element
    loaded = "return performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('data:'))"
    assert opened.execute_script(loaded) == [] and not errors(opened)


def test_the_score_chart_has_means_by_hand_and_the_constant_baseline(opened):
    means = dict(of(opened, "score", MEANS))
    assert means["smp"] == pytest.approx([0.89, 0.79]) and means["gmp"] == pytest.approx([0.85, 0.69])
    assert set(means["dense"]) == {0.94}  # a level
    xs = of(opened, "score", "[...p.data.find(t => t.name === 'smp' && t.mode.includes('lines')).x]")
    assert xs == pytest.approx([math.log10(2), 1], abs=1e-6)
    assert of(opened, "score", "[...p.data.at(-1).y]") == [0.5, 0.5]
    low, high = of(opened, "score", "p._fullLayout.yaxis.range")
    assert low < 0.5 < 0.95 < high


def test_a_point_names_its_run_and_a_click_keeps_its_command(opened):
    from selenium.webdriver.common.action_chains import ActionChains

    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart(opened, "score"))
    k = of(opened, "score", "p.data.findIndex(t => t.name === 'gmp' && t.mode === 'markers')")
    point = of(opened, "score", f"p.querySelectorAll('.scatterlayer .trace')[{k}].querySelectorAll('.point')[3]")
    ActionChains(opened, duration=0).move_to_element(point).pause(0.1).click().perform()
    text = of(opened, "score", "p.querySelector('.hoverlayer').textContent")
    assert "gmp, sparsity 0.9, seed 1" in text and "accuracy 0.6800" in text and "gmp0.9-1" in text and "4 s" in text
    assert of(opened, "score", "getComputedStyle(p.querySelector('.hoverlayer').closest('svg')).overflow") == "visible"
    pinned = of(opened, "score", "c.querySelector('.pinned').textContent")
    assert "prunebert method=gmp sparsity=0.9 seed=1" in pinned


def test_the_legend_and_the_panel_choose_rows_and_seeds_of_all_charts(opened):
    button = of(opened, "score", "[...c.querySelectorAll('.legend button')].find(b => b.title === 'gmp')")
    click = "arguments[0].click()"
    opened.execute_script(click, button)
    settle(opened)
    assert button.get_attribute("aria-pressed") == "false"
    for kind in ("score", "training", "pareto"):
        opened.execute_script("arguments[0].scrollIntoView()", chart(opened, kind))
        settle(opened)
        assert {"gmp", "smp"} & set(of(opened, kind, "p.data.map(t => t.name)")) == {"smp"}, kind
    labels = "return [...document.querySelectorAll('#choice label')]"
    box = f"{labels}.find(l => l.textContent.trim() === 'seed 1').querySelector('input')"
    opened.execute_script(click, opened.execute_script(box))
    opened.execute_script("arguments[0].scrollIntoView()", chart(opened, "score"))
    settle(opened)
    assert dict(of(opened, "score", MEANS))["smp"] == pytest.approx([0.9, 0.8])  # of seed 0 alone
    summary = "return document.querySelector('#choice summary').textContent"
    assert opened.execute_script(summary) == "Choose tasks, seeds, rows (shown: 1 of 2 seeds, 2 of 3 rows)"
    opened.execute_script(click, opened.execute_script(box))
    opened.execute_script(click, of(opened, "score", "c.querySelector('.legend .all')"))
    settle(opened)
    assert opened.execute_script(summary) == "Choose tasks, seeds, rows (shown: all)"


POINTS = [{"x": x, "y": y} for x, y in ((1, 1), (2, 3), (2, 2), (3, 3), (4, 5), (4, 5), (5, 0))]


@pytest.mark.parametrize(
    ("signs", "front"),
    [  # drawn on paper; equal points do not beat each other
        ((-1, 1), [(1, 1), (2, 3), (4, 5), (4, 5)]),
        ((1, 1), [(4, 5), (4, 5), (5, 0)]),
        ((-1, -1), [(1, 1), (5, 0)]),
        ((1, -1), [(5, 0)]),
    ],
)
def test_the_front_has_what_no_point_beats(opened, signs, front):
    found = opened.execute_script("return charts.front(arguments[0], arguments[1])", POINTS, signs)
    assert [(p["x"], p["y"]) for p in found] == front


def test_the_pareto_chart_lists_its_front_and_takes_other_measures(opened):
    rows = "[...c.querySelectorAll('tbody tr')].map(r => [...r.cells].map(td => td.textContent))"
    assert of(opened, "pareto", rows) == [
        ["smp", "0.9", "0.1", "0.79", "2"],
        ["smp", "0.5", "0.5", "0.89", "2"],
        ["dense", "0", "1", "0.94", "2"],
    ]
    choose = "arguments[0].value = 'seconds'; arguments[0].dispatchEvent(new Event('change'))"
    opened.execute_script(choose, of(opened, "pareto", "c.querySelector('[data-key=x]')"))
    assert of(opened, "pareto", rows) == [["dense", "0", "3.5", "0.94", "2"]]  # every row took 3 and 4 seconds
    options = "[...c.querySelector('[data-key=x]').options].map(o => o.value)"
    assert of(opened, "pareto", options) == ["score", "remaining", "trained", "seconds", "memory", "disk"]


def test_training_draws_loss_sparsity_and_changes_of_side(opened):
    opened.execute_script("arguments[0].scrollIntoView()", chart(opened, "training"))
    settle(opened)
    titles = "['yaxis', 'yaxis2', 'yaxis3'].map(name => p.layout[name].title.text)"
    assert of(opened, "training", titles) == ["loss", "sparsity", "changes of side"]
    line = "p.data.filter(t => t.name === 'smp').map(t => [[...t.x], [...t.y]])"
    loss, sparsity, flips = of(opened, "training", line)
    assert loss == [[1, 2, 4, None] * 2, [2, 1, 0.5, None] * 2]
    assert sparsity[1] == [0.9, 0.9, 0.9, None] * 2 and flips[1] == [7, 14, 28, None] * 2


def test_two_runs_are_compared_class_by_class_and_example_by_example(opened):
    """A is smp at 0.5, seed 0: 10 wrong. B is gmp there: 14 wrong, the same 10 among them; every second label is 0."""
    opened.execute_script("arguments[0].scrollIntoView()", chart(opened, "disagreement"))
    settle(opened)
    assert of(
        opened, "disagreement", "[...c.querySelectorAll('select')].slice(0, 2).map(s => s.selectedOptions[0].text)"
    ) == [
        "smp, sparsity 0.5, seed 0",
        "gmp, sparsity 0.5, seed 0",
    ]
    counts = "[...c.querySelector('tbody tr').cells].map(td => td.textContent)"
    assert of(opened, "disagreement", counts) == ["86", "4", "0", "10", "4"]
    ids = "[...c.querySelectorAll('.tall tbody tr')].map(r => [...r.cells].map(td => td.textContent).join(' '))"
    assert of(opened, "disagreement", ids) == ["10 no no yes", "11 yes yes no", "12 no no yes", "13 yes yes no"]
    find = "const i = arguments[0].querySelector('input'); i.value = '12'; i.dispatchEvent(new Event('input'))"
    opened.execute_script(find, chart(opened, "disagreement"))
    assert of(opened, "disagreement", ids) == ["12 no no yes"]
    texts = "p => p.layout.annotations.map(a => a.text.replace('<br>', ' '))"
    plots = f"[...c.querySelectorAll('.js-plotly-plot')].map({texts})"
    assert of(opened, "confusion", plots) == [
        ["45 90.0 %", "5 10.0 %", "5 10.0 %", "45 90.0 %"],
        ["−2 −4.0", "+2 +4.0", "+2 +4.0", "−2 −4.0"],
    ]
    errors_line = "return [...document.querySelectorAll('.chart[data-chart=disagreement]')][1].textContent"
    assert "Mean absolute error: A 0, B 0.125" in opened.execute_script(errors_line)


def test_a_page_follows_the_colour_scheme_and_prints_its_static_figures(opened):
    colour = "getComputedStyle(document.querySelector('.chart[data-chart=score] .main-svg')).backgroundColor"
    opened.execute_script("arguments[0].scrollIntoView()", chart(opened, "score"))
    settle(opened)
    display = "s => getComputedStyle(document.querySelector(s)).display !== 'none'"
    shown = f"return ['.chart', 'figure.static', '#choice'].map({display})"
    assert opened.execute_script(shown) == [True, False, True]
    assert opened.execute_script(f"return {colour}") == "rgb(255, 255, 255)"
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen", "features": features})
    until(opened, f"{colour} === 'rgb(22, 24, 28)'")  # it fails if that takes too long
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    assert opened.execute_script(shown) == [False, True, False]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def test_plotly_knows_every_symbol_and_a_phone_shows_whole_charts(opened):
    known = opened.execute_script("return Plotly.PlotSchema.get().traces.scatter.attributes.marker.symbol.values")
    used = set(marks.SYMBOLS.values())
    used |= {f"{symbol}-open" for symbol in (*literature.LINE_SYMBOLS, *literature.SOURCE_SYMBOLS)}
    assert used <= set(known)
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    )
    width = "document.querySelector('.chart[data-chart=score] .main-svg').getBoundingClientRect().width"
    until(opened, f"document.documentElement.scrollWidth <= 400 && {width} <= 400")  # it fails if that takes too long
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert not errors(opened)


def test_a_page_without_charts_has_no_plotly(charted):
    html = page.render("plain", [], "", [Section("All", "all", [Part("x")])])
    assert len(html) < 100_000 and "</script" not in page.plotly_script() and len(charted.read_text("utf-8")) > 4e6
