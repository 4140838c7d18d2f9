"""The chart of differing answers of a task with choices, in a real browser: question, choices, gold and predicted."""

import pandas as pd

from prunebert.report import collect
from prunebert.report.page import interactive, page
from prunebert.report.page.page import Part, Section
from tests.report.conftest import finished
from tests.report.page.conftest import errors


def test_a_differing_answer_is_shown_with_its_question_and_choices(browser, tmp_path):
    for method, predictions in (("smp", [0, 1, 2]), ("gmp", [0, 2, 2])):
        changes = {"labels": [0, 1, 1], "prediction": predictions, "score": 2 / 3 if method == "smp" else 1 / 3}
        data = {"labels": [], "rows": {"train": 9, "validation": 3}, "fingerprint": {"train": "t", "validation": "v"}}
        file = finished(tmp_path / method, method, 0.5, 0, data=data, **changes) / "predictions.parquet"
        table = pd.read_parquet(file)
        table["question"] = ["where", "what <b>was</b> it", "who"]
        table["choices"] = [["here", "there", "up"], ["a cat", "a dog", "a bird"], ["me", "you", "he"]]
        table.to_parquet(file)
    runs = collect.collect([tmp_path]).runs
    part = Part("answers", chart="disagreement", chart_table=runs["table"].iloc[0])
    content = page.render("charts", [], "", [Section("All", "all", [part])], interactive.payload(runs))
    (tmp_path / "page.html").write_text(content, encoding="utf-8")
    browser.get((tmp_path / "page.html").as_uri())
    browser.execute_script("document.querySelector('.chart').scrollIntoView()")
    rows = """
    const done = arguments[0], read = () => {
      const rows = [...document.querySelectorAll('.chart .tall tr')];
      if (rows.length) done(rows.map(r => [...r.cells].map(c => c.textContent))); else setTimeout(read, 20);
    };
    read();
    """
    browser.set_script_timeout(10)
    head, *lines = browser.execute_async_script(rows)
    assert [h.strip(" ▲▼↕") for h in head][:4] == ["id", "question", "choices", "label"]
    assert lines == [["1", "what <b>was</b> it", "a cat / a dog / a bird", "a dog", "a dog", "a bird"]]
    assert "does not have the texts" not in browser.execute_script(
        "return document.querySelector('.chart').textContent"
    )
    assert not errors(browser)
