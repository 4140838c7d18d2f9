"""Test the page in a real browser: no error, no request, sorting by mouse and keyboard, both colour schemes."""

import pytest

from prunebert.report.command import write
from tests.report.conftest import finished
from tests.report.page.conftest import errors


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("lab")
    for method, wrong in (("dense", 5), ("magnitude", 30), ("smp", 10), ("gmp", 20)):
        for seed in (0, 1):
            finished(root / f"{method}{seed}", method, 0.9, seed, wrong=wrong + seed)
    return write([root]).file


@pytest.fixture
def opened(browser, report):
    browser.get(report.as_uri())
    return browser


METHODS = "return [...document.querySelectorAll('table')[0].tBodies[0].rows].map(row => row.cells[0].textContent)"


def test_tables_sort_by_mouse_and_by_keyboard(opened):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    assert opened.execute_script(METHODS) == ["dense", "magnitude", "gmp", "smp"]
    head = opened.find_elements(By.CSS_SELECTOR, "table")[0].find_elements(By.CSS_SELECTOR, "th")[-1]
    button = head.find_element(By.TAG_NAME, "button")
    button.click()
    assert opened.execute_script(METHODS) == ["dense", "magnitude", "gmp", "smp"]  # dense has no cell at 0.9
    assert head.get_attribute("aria-sort") == "ascending"
    button.send_keys(Keys.ENTER)
    assert opened.execute_script(METHODS) == ["smp", "gmp", "magnitude", "dense"]
    assert head.get_attribute("aria-sort") == "descending"
    first_button = opened.find_elements(By.CSS_SELECTOR, "table th button")[0]
    first_button.send_keys(Keys.SPACE)
    assert opened.execute_script(METHODS) == ["dense", "gmp", "magnitude", "smp"]
    assert head.get_attribute("aria-sort") is None and not errors(opened)


def test_tables_and_figures_are_shown_and_nothing_was_loaded(opened):
    counts = "return ['h2', 'table', 'img', 'td code'].map(tag => document.querySelectorAll(tag).length)"
    assert opened.execute_script(counts) == [3, 4, 4, 8]
    assert opened.execute_script("return [...document.images].every(i => i.complete && i.naturalWidth > 500)")
    loaded = "return performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('data:'))"
    assert opened.execute_script(loaded) == [] and not errors(opened)
    links = "return [...document.querySelectorAll('nav a')].every(a => document.querySelector(a.getAttribute('href')))"
    assert opened.execute_script(links)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_readers_scheme(opened, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    style = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
    paper, ink = (sum(map(int, c[4:-1].split(","))) for c in opened.execute_script(style))
    assert (paper > 600 and ink < 200) if scheme == "light" else (paper < 200 and ink > 600)
    sources = "return document.images[0].currentSrc === document.images[0].src"
    opened.refresh()
    assert opened.execute_script(sources) == (scheme == "light") and not errors(opened)


def test_a_phone_scrolls_tables_not_the_page(opened):
    size = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert opened.execute_script("return document.documentElement.scrollWidth") <= 360
