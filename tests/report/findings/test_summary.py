"""summary.md has the page's findings, a figure that exists, one table, and only harmless text."""

import re

import pytest

from prunebert.report import command
from prunebert.report.collect import collect
from prunebert.report.findings import results, summary, text

from .conftest import runs

NASTY = ["a|b", "`x` y", "<script>alert(1)</script>", "--> x", "[a](http://b)", "x\n# y", "\x02\x03\x1b[31m", "_a_ *b*"]


def test_a_report_writes_a_summary_with_its_figure_and_the_pages_sentences(undrawn, run, tmp_path):
    for task in "ab":
        for method, wrong in (("dense", 5), ("magnitude", 20), ("smp", 12)):
            for seed in range(3):
                run(f"lab/{task}{method}{seed}", method, 0.9, seed, wrong=wrong + seed, task=task)
    report = command.write([tmp_path / "lab"])
    out = report.file.parent
    written = (out / "summary.md").read_text()
    assert [line for line in written.splitlines() if line.startswith("#")] == [
        "# What these runs show",
        *("## What was found", "## Scores", "## What these runs cannot say", "## Repeat"),
    ]
    (figure,) = re.findall(r"!\[.*\]\((.*)\)", written)
    assert (out / figure).is_file() and figure.startswith("figures/score-mean-a-bert-base-uncased-b-")
    found = summary.findings(results.of(collect([tmp_path / "lab"])))
    assert found in written and found.count("\n- ") == 4
    html = report.file.read_text().replace("<code>", "").replace("</code>", "")
    for line in found.splitlines():
        assert line[2:].replace("`", "") in html.replace("&lt;", "<")
    assert text.plain(report.finding) == found.splitlines()[0][2:].replace("`", "")
    assert "| smp       |" in written and "prunebert -m method=" in written and "- The commit of all runs:" in written


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_only_text_in_markdown(results_of, name):
    rows = runs(*((m, s, [0.6, 0.7]) for s in (0.5, 0.9) for m in ("magnitude", name)), task=name, device=name)
    written = summary.document(results_of(rows), "score-x")
    body = re.sub(r"(?ms)^```.*?^```$", "", written.partition("-->")[2])
    outside = re.sub(r"(?<![\\`])(`+)(?!`).*?(?<!`)\1(?!`)", "", body)
    assert not re.search(r"(?<!\\)<|(?<!\\)\](?!\(figures/score-x\.png\))|[\x00-\x09\x0b-\x1f\x7f]", outside), outside
    assert len(re.findall(r"^# ", written, re.M)) == 1 and "\n# y" not in written
    table = [line for line in body.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1  # as many columns in each row


def test_one_task_has_its_sparsities_and_runs_of_tuning_have_no_table(results_of):
    one = summary.table(results_of(runs(("smp", 0.5, [0.7]), ("smp", 0.9, [0.6]))))
    assert re.search(r"\| method \|\s+0\.5 \|\s+0\.9 \|", one)
    unpruned = [row for task in "ab" for row in runs(("dense", 0.0, [0.7]), task=task)]
    assert summary.table(results_of(unpruned)).count("| dense ") == 2
    tried = results_of(runs(("smp", 0.9, [0.9, 0.8]), **{"tuning.try": 0, "tuning.holdout": 9}))
    written = summary.document(tried, "")
    assert "## Scores" not in written and "## What was found" not in written and "![" not in written
