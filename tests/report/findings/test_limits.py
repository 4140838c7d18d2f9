"""What runs cannot say, sentence by sentence, for runs that lack one thing at a time."""

import pytest

from prunebert.report.collect import collect
from prunebert.report.findings import limits, results, text

from .conftest import runs, table

ROWS = runs(*((method, 0.9, [0.7, 0.71, 0.73]) for method in ("magnitude", "smp")))
WHOLE = "encoder_pooler_embeddings"
USUAL = [
    "With 3 seeds, significance rests on the t-test's assumption of normal differences. A paired test without it "
    "reaches no p below 0.25.",
    "The runs are of one task (toy) and one model (tiny). They do not show that an order holds for other tasks and "
    "models.",
    "The runs that chose the learning rates are not among these. Whether each method had as many tries cannot be seen "
    "(`fit=measured`).",
    "All runs are rows of a table without predictions, so the test over examples leaves them out.",
]  # fmt: skip


def say(found):
    return [text.markdown(sentence) for sentence in limits.limits(found)]


def test_what_three_seeds_of_two_methods_on_one_task_cannot_say(results_of):
    assert say(results_of(ROWS)) == USUAL


FACTS = {
    "one seed": (
        lambda rows: [row for row in rows if not row["seed"]],
        "No mean has more than 1 seed, and the test over seeds needs 3. So nothing here says that one method is better "
        "than another: new seeds may give another order.",
    ),
    "six seeds": (lambda rows: [row | {"seed": 3 * k + row["seed"]} for k in (0, 1) for row in rows], None),
    "a mean of one seed": (
        lambda rows: [*rows, *runs(("gmp", 0.9, [0.6]))],
        "1 of 3 means has fewer than 3 seeds, so no test over seeds.",
    ),
    "two commits": (
        lambda rows: [row | {"git_commit": str(row["seed"] // 2) * 40} for row in rows],
        "The runs are of 2 commits, so a difference may come from them.",
    ),
    "local changes": (
        lambda rows: [rows[0] | {"git_dirty": True}, *rows[1:]],
        "1 run used code with local changes, which no commit has.",
    ),
    "a teacher": (
        lambda rows: [row | {"distill": "logits" if row["method"] == "smp" else "none"} for row in rows],
        "Only `smp` has a teacher, and a difference to other rows may come from it.",
    ),
    "a missing task": (
        lambda rows: [*rows, *runs(("smp", 0.9, [0.7, 0.71, 0.73]), task="other")],
        "1 of 4 combinations of row, task and sparsity has no run.",
    ),
    "other matrices": (
        lambda rows: [*rows, *runs(("l0", 0.9, [0.5, 0.5, 0.6]), of=WHOLE, prunable=WHOLE)],
        "The sparsity of `l0` is a fraction of other matrices and is not comparable with the others.",
    ),
    "passes": (  # 300 steps of 32 rows are 9600 rows; smp's paper has 12 passes, magnitude 3
        lambda rows: [row | {"settings.fit.batch_size": 32, "data.rows.train": 1600} for row in rows],
        "The 6 pruned runs had 6 passes over the training rows, and 3 of them fewer than the paper's budget of the "
        "method (`fit=paper`: 3 to 12). So they do not repeat the papers' results.",
    ),
    "off target": (
        lambda rows: [rows[0] | {"sparsity_encoder": 0.5}, *rows[1:]],
        "1 run has another sparsity than requested, by more than half a point.",
    ),
    "rates from a file": (
        lambda rows: [row | {"command": f"prunebert method={row['method']} tuned=rates.yaml"} for row in rows],
        "All runs took their rates from a file (`tuned=`). The runs that chose the learning rates are not among these, "
        "so the numbers of tries cannot be compared.",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), FACTS.values(), ids=FACTS)
def test_what_is_missing_is_said_once(results_of, change, expected):
    found = say(results_of(change(ROWS)))
    if expected is None:  # six seeds need no assumption for p = 1/32
        assert found == USUAL[1:]
    else:
        assert found.count(expected) == 1, found


def test_different_numbers_of_tries_are_named(tmp_path):
    tried = [
        row | {"tuning.try": k, "tuning.holdout": 9, "tuning.rates": '["fit.lr"]', "settings.fit.lr": 10.0**-k}
        for method, tries in (("smp", 3), ("gmp", 2))
        for k in range(tries)
        for row in runs((method, 0.9, [0.7]), task="toy_tuning", command=f"prunebert method={method} tune.try={k}")
    ]
    found = say(results.of(collect([table(tmp_path / "results.csv", [*ROWS, *tried])])))
    assert "The methods had different numbers of tries of their learning rates: `gmp` 2 and `smp` 3." in found
    assert "`magnitude` has no tuning run here." in found


def test_runs_that_chose_rates_rank_nothing(results_of):
    tried = [row | {"tuning.try": 0, "tuning.holdout": 9} for row in ROWS]
    assert say(results_of(tried)) == [
        "These runs chose learning rates. Their scores are optimistic, so they rank no methods."
    ]
    assert say(results_of(runs(("dense", 0.0, [0.9]))))[0] == "Nothing was pruned, so there is nothing to compare."


def test_the_papers_passes_are_those_of_the_configurations():
    """By the YAML files: fit/paper has 3 epochs, SMP 12, oBERT 30. Another method has none."""
    assert [limits.paper_epochs(m) for m in ("magnitude", "smp", "obert")] == [3, 12, 30]
    assert limits.paper_epochs("mine") is None and limits.paper_epochs("x" * 400) is None
