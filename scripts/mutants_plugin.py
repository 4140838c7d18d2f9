"""A pytest plugin of scripts/mutants.sh: which tests of a mutant run, and in which order.

mutmut first runs all tests without a mutant. It records their times and the functions that each reaches. A mutant then
meets the tests that reach its function: first those of its own folder, then the fast ones. They take `SECONDS` of
recorded time at most.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import hypothesis
import pytest
from mutmut.mutation.trampoline import get_mutant_under_test

from scripts.mutants_table import FAILING, TESTS_DONE, ordered

SECONDS = 30  # a popular function is reached by minutes of tests
CLEAN_TESTS = 20  # mutmut runs the tests without a mutant once more; after the run that recorded them a few are enough
STATISTICS = ("stats", "list_all_tests")  # mutmut's names for runs without a mutant

hypothesis.settings.register_profile("mutants", deadline=None, derandomize=True)
hypothesis.settings.load_profile("mutants")
failing: list[str] = []  # tests that fail without a mutant


def pytest_configure(config: pytest.Config) -> None:
    if get_mutant_under_test() in STATISTICS:
        os.environ.pop("MUTANT_UNDER_TEST", None)  # a process that a test starts has no statistics to add to
        config.option.maxfail = 0  # without: the first failing test would end the whole run


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests that start `prunebert` as a process: what they reach is not recorded."""
    mutant = get_mutant_under_test()
    by_id = {item.nodeid: item for item in items if "prunebert" not in getattr(item, "fixturenames", ())}
    if mutant in STATISTICS:
        names = [*by_id]
    else:
        by_id = {name: item for name, item in by_id.items() if name not in json.loads(Path(FAILING).read_text())}
        if mutant in ("", "fail"):
            names = [*by_id][:CLEAN_TESTS]
        else:
            seconds = json.loads(Path("mutmut-stats.json").read_text())["duration_by_test"]
            names = ordered([*by_id], seconds, mutant.split(".")[1], SECONDS)
    kept = set(names)
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in kept])
    items[:] = [by_id[name] for name in names]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        failing.append(report.nodeid)
    if report.when == "teardown" and get_mutant_under_test() == "stats":
        with open(TESTS_DONE, "a") as file:
            file.write(f"{report.nodeid}\n")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write which tests fail without a mutant. They are left out from then on, and the script prints them."""
    if get_mutant_under_test() == "stats" and session.exitstatus in (0, 1):
        known = json.loads(Path(FAILING).read_text()) if Path(FAILING).exists() else []
        Path(FAILING).write_text(json.dumps(sorted({*known, *failing})))
        session.exitstatus = 0


def pytest_unconfigure(config: pytest.Config) -> None:
    """Forget the test modules after mutmut's first collection: a generator of parameters can be read only once."""
    if config.option.collectonly:
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]
