"""The section on tuning: every try with its scores, the choice, and no mixing with ordinary runs."""

import pytest

from prunebert.report import collect, command
from prunebert.report.figures import style
from prunebert.report.page import tuning
from prunebert.report.page.page import Picture
from tests.report.conftest import finished

from .conftest import flat

KEYS = {"smp": ["method.score_lr"], "movement": ["method.score_lr", "fit.lr"]}
DATA = {
    "labels": ["no", "yes"],
    "rows": {"train": 80, "validation": 100},
    "fingerprint": {"train": "held", "validation": "out"},
}


def tried(root, method, number, seed, wrong, **changes):
    settings = {"score_lr": [0.02, 0.06, 0.006][number], "fit": {"lr": [1e-4, 3e-5, 1e-5][number], "steps": 9}}
    tuning_facts = {"holdout": 0.1, "try": number, "rates": KEYS[method]}
    words = {
        "settings": settings | {"seed": seed},
        "task": "toy_tuning",
        "tuning": tuning_facts,
        "data": DATA,
    } | changes
    return finished(root / f"{method}-{number}-{seed}", method, 0.5, seed, wrong=wrong, **words)


@pytest.fixture
def folder(tmp_path):
    """Two methods with two tries and two seeds. Scores of smp: 0.7 and 0.9, then 0.85 twice; of movement all 0.8."""
    for number, scores in enumerate([(30, 10), (15, 15)]):
        for seed, wrong in enumerate(scores):
            tried(tmp_path, "smp", number, seed, wrong)
            tried(tmp_path, "movement", number, seed, 20)
    return tmp_path


def section(folder):
    drawings = []

    def draw(drawing):
        drawings.append(drawing)
        return Picture(drawing.name, drawing.caption, "", "", 100)

    found = tuning.tuning_section(collect.collect([folder]).runs, draw)
    return found, drawings


def open_text(found):
    """Return the text that the page shows without a click."""
    return "\n".join(part.text for part in flat(found.parts) if not part.folded)


def of_section(file, anchor):
    """Return the HTML of one section of a page."""
    return file.read_text().split(f'<h2 id="{anchor}">')[1].split("</section>")[0]


def test_every_try_has_its_scores_and_the_best_mean_is_chosen(folder):
    found, _ = section(folder)
    (table,) = [part.table for part in flat(found.parts) if part.table]
    rows = [[cell.text for cell in row] for row in table.rows]
    assert rows == [
        [
            "movement",
            "method.score_lr=0.02, fit.lr=0.0001",
            "0.8000",
            "0.8000, 0.8000",
            "chosen, at the edge",
            "accuracy",
        ],
        ["movement", "method.score_lr=0.06, fit.lr=3e-05", "0.8000", "0.8000, 0.8000", "", "accuracy"],
        ["smp", "method.score_lr=0.02", "0.8000", "0.7000, 0.9000", "", "accuracy"],
        ["smp", "method.score_lr=0.06", "0.8500", "0.8500, 0.8500", "chosen, at the edge", "accuracy"],
    ]
    assert "smp: the best method.score_lr, 0.06, is the largest that was tried" in open_text(found)
    assert "movement: the best method.score_lr, 0.02, is the smallest that was tried" in open_text(found)


def test_a_best_rate_between_others_is_at_no_edge_and_unequal_tries_are_reported(folder):
    tried(folder, "smp", 2, 0, 40)
    tried(folder, "smp", 2, 1, 40)
    for seed in (0, 1):  # the first try, in the middle of three, becomes the best
        (folder / f"smp-0-{seed}").rename(folder / f"old-{seed}")
        tried(folder, "smp", 0, seed, 5, written=5000)
    found, _ = section(folder)
    text = open_text(found)
    assert "smp: the best" not in text and "different numbers of tries: movement 2, smp 3" in text


def test_the_figure_has_a_panel_for_each_rate_of_each_method(folder):
    _, (drawing,) = section(folder)
    axes = drawing.draw(theme=style.LIGHT).axes
    assert [(a.get_title(), a.get_xlabel()) for a in axes] == [
        ("movement", "method.score_lr"),
        ("movement", "fit.lr"),
        ("smp", "method.score_lr"),
    ]
    (ring,) = [line for line in axes[2].lines if line.get_markersize() == 10]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (0.06, 0.85)


def test_ordinary_runs_have_no_such_section_and_are_not_mixed_with_tuning(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("ordinary")
    ordinary = finished(other / "run", "smp", 0.5)
    assert section(ordinary)[0] is None
    runs = collect.collect([folder, ordinary]).runs
    assert tuning.compared(runs)["directory"].tolist() == [ordinary]
    assert len(set(runs["table"])) == 2
    only_tuning = collect.collect([folder]).runs
    assert len(tuning.compared(only_tuning)) == 8


def test_a_report_of_both_and_a_report_of_its_table_say_the_same(undrawn, folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("reports")
    finished(folder / "ordinary", "smp", 0.5, 7)
    first = command.write([folder], out / "a")
    again = command.write([out / "a/results.csv"], out / "b")
    rows = [of_section(report.file, "tuning").split("</table>")[0] for report in (first, again)]
    assert rows[0] == rows[1] and rows[0].count("<tr>") == 5
    scores = of_section(first.file, "best")
    assert "0.8000 (1)" in scores and "smp" in scores and "movement" not in scores


def test_runs_that_chose_rates_are_not_ranked_or_tested(undrawn, folder, tmp_path_factory):
    report = command.write([folder], tmp_path_factory.mktemp("reports") / "a")
    text = report.file.read_text()
    assert 'id="tuning"' in text and 'id="runs"' in text and 'id="best"' not in text and "Differences to" not in text
    assert report.finding == "" and "bfseries" not in (report.file.parent / "tables.tex").read_text()
