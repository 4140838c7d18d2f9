"""What the page's tests share: runs as the page sees them, without drawing, and one chromium for a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest

from prunebert.report.collect import Collected
from prunebert.report.page.page import Part, Picture
from prunebert.report.page.study import Study
from prunebert.report.statistics import differences, marks
from prunebert.report.statistics.ranking import Ranking

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1200,900"),
)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="pip install 'prunebert[browser]'")
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium with chromedriver is not installed: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def browser(chromium):
    """Return the browser as a new one: light, of its own size, without the messages of other tests."""
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    chromium.get_log("browser")
    return chromium


def errors(browser):
    return [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


@pytest.fixture
def study_of() -> Callable[..., Study]:
    """Return a function that makes a Study: study_of(runs, rankings, baselines)."""

    def make(runs: pd.DataFrame, rankings: Sequence[Ranking] = (), baselines: Sequence[str] = ()) -> Study:
        runs = marks.add_marks(runs)
        gaps = {str(name): differences.differences(part, baselines) for name, part in runs.groupby("table", sort=False)}
        empty = [{"curves": {}, "runs": []} for _ in gaps]
        charts = {"training": empty, "predictions": empty}
        return Study(
            Collected(runs, [], len(runs)), [Path("lab")], Path("lab/report"), [*baselines], gaps, [*rankings], charts
        )

    return make


@pytest.fixture
def drawings() -> list:
    """A list that `draw` fills."""
    return []


@pytest.fixture
def draw(drawings) -> Callable:
    """Return a function that draws nothing, and remembers what it should have drawn."""

    def remember(drawing):
        drawings.append(drawing)
        return Picture(drawing.name, drawing.caption, "", "", 900)

    return remember


def flat(parts: Sequence[Part]) -> list[Part]:
    """Return the parts and all parts within them, in the order of the page."""
    return [inner for part in parts for inner in (part, *flat(part.parts))]
