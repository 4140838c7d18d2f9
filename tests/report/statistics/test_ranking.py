"""Rank rows over several tables by hand: means, ranks, wins, what does not compete, and what the sentences claim."""

import pytest

from prunebert.report.collect import collect
from prunebert.report.statistics import marks, summary
from prunebert.report.statistics.ranking import ELSEWHERE_SHOWN, rank, rank_all, sparsities


@pytest.fixture
def ranked(run, tmp_path):
    """Return a function that ranks methods, from their wrong answers (of 100) by task, at sparsity 0.5."""

    def call(**methods):
        for method, wrong in methods.items():
            for task, count in enumerate(wrong):
                if count is not None:
                    run(f"{method}{task}", method, 0.5, wrong=count, task=f"t{task}")
        return rank(collect([tmp_path]).runs, 0.5)

    return call


def facts(ranking):
    return {row.label: (row.mean, row.mean_rank, row.wins) for row in ranking.rows}


def test_means_ranks_and_wins_by_hand(ranked):
    """On t1, gmp and random share the ranks 2 and 3."""
    found = ranked(smp=[10, 10, 30], gmp=[20, 40, 20], random=[50, 40, 60], dense=[0, 0, 0])
    assert facts(found) == {
        "smp": (pytest.approx(0.5 / 3 * 5), pytest.approx(4 / 3), 2),
        "gmp": (pytest.approx(2.2 / 3), pytest.approx(5.5 / 3), 1),
        "random": (pytest.approx(0.5), pytest.approx(8.5 / 3), 0),
        "dense": (1.0, None, 0),
    }
    assert [row.label for row in found.rows] == ["smp", "gmp", "random", "dense"]
    assert found.tables == [f"t{i}, bert-base-uncased" for i in range(3)]
    smp, dense = found.rows[0].cells, found.rows[-1].cells
    assert [(e.mean, e.n, e.rank, e.mark) for e in smp.values()] == [
        (0.9, 1, 1.0, "best"),  # 10 : 0 examples against gmp
        (0.9, 1, 1.0, "best"),
        (0.7, 1, 2.0, ""),
    ]
    assert {e.mark for e in dense.values()} == {"reference"} and {e.rank for e in dense.values()} == {None}


def test_the_sentences_count_wins_and_what_the_tests_support(ranked):
    found = ranked(smp=[10, 10, 30], gmp=[14, 40, 20], random=[50, 40, 60])
    assert found.sentences[:2] == [
        "smp has the best mean in 2 of 3 tables.",
        "The tests separate the best mean from all its rivals for gmp in 1 and smp in 1 of 3 tables.",
    ]
    assert "needs three common seeds" in found.sentences[2]
    assert found.sentences[-1] == "3 tasks with 3 rows are too few to test ranks; Friedman's test needs 5 tasks."


def test_a_row_that_lacks_a_table_has_no_rank_and_moves_no_other(ranked):
    found = ranked(smp=[10, 30], gmp=[20, 20], imp=[None, 0])
    assert facts(found) == {
        "smp": (pytest.approx(0.8), 1.5, 1),
        "gmp": (pytest.approx(0.8), 1.5, 0),
        "imp": (None, None, 1),
    }
    assert found.rows[-1].label == "imp" and found.rows[-1].cells["t1, bert-base-uncased"].rank is None
    assert "imp lacks at least one table and has no rank." in found.sentences


def test_a_table_whose_rows_are_all_equal_has_no_winner(ranked):
    assert {label: wins for label, (_, _, wins) in facts(ranked(smp=[50, 10], gmp=[50, 30])).items()} == {
        "smp": 1,
        "gmp": 0,
    }


def test_another_denominator_does_not_compete(run, tmp_path):
    for name, wrong in (("smp", 20), ("gmp", 30)):
        run(name, name, wrong=wrong)
    run("abp", "abp", wrong=0, prunable="encoder_pooler_embeddings")
    found = rank(collect([tmp_path]).runs, 0.5)
    (abp,) = (row for row in found.rows if row.label.startswith("abp"))
    assert [(e.mark, e.rank) for e in abp.cells.values()] == [("other denominator", None)] and abp.wins == 0
    smp = found.rows[0]
    assert smp.label.startswith("smp") and smp.wins == 1 and found.rows[-1] == abp
    assert any("encoder, pooler, embeddings" in line and "do not compete" in line for line in found.sentences)


def test_rows_of_different_patterns_compete_and_the_sentences_name_the_patterns(run, tmp_path):
    settings = {"fit": {"steps": 9}, "sparsity": 0.5, "head": "linear"}
    for method, pattern in (("smp", "none"), ("gmp", "2:4"), ("imp", "2:4")):
        run(method, method, wrong=20, settings=settings | {"pattern": pattern})
    ranking = rank(collect([tmp_path]).runs, 0.5)
    assert [row.label for row in ranking.rows] == ["imp (pattern=2:4)", "gmp (pattern=2:4)", "smp"]
    (sentence,) = (line for line in ranking.sentences if "pattern" in line and "different" in line)
    assert "different patterns (2:4 and none)" in sentence
    run("dense", "dense", 0)  # it has no masks, so no pattern
    alike = [tmp_path / name for name in ("gmp", "imp", "dense")]
    assert not any("patterns" in line for line in rank(collect(alike).runs, 0.5).sentences)


def test_perplexity_is_ranked_from_the_lowest_and_is_in_no_mean(run, tmp_path):
    for name, perplexity, wrong in (("smp", 7.0, 20), ("gmp", 9.0, 10)):
        run(f"{name}0", name, wrong=wrong)
        changes = {"metric": "perplexity", "score": perplexity, "metrics": {"perplexity": perplexity}}
        run(f"{name}1", name, task="mlm", wrong=wrong, **changes)
    found = rank(collect([tmp_path]).runs, 0.5)
    assert facts(found) == {"smp": (None, 1.5, 1), "gmp": (None, 1.5, 1)}
    assert sorted(found.metrics.values()) == ["accuracy", "perplexity"]
    assert {row.label: [e.rank for e in row.cells.values()] for row in found.rows}["smp"] == [1.0, 2.0]  # mlm, toy


def test_five_tasks_are_tested_and_the_post_hoc_names_what_it_separates(ranked):
    """Two rows on six tasks, always in one order: 2 of the 2^6 orders are as clear. CD = 1.96 · √(6 / 36) = 0.80."""
    found = ranked(smp=[10] * 6, random=[40] * 6)
    tested, post_hoc = found.sentences[-2:]
    assert tested.startswith("Friedman's test on the ranks of 2 rows on 6 tasks: p = .03")  # 2 / 2^6 = .031
    assert post_hoc == "Nemenyi's test separates smp from random: the critical difference of mean ranks is 0.80."


def test_ranks_without_a_difference_have_no_post_hoc(ranked):
    found = ranked(smp=[10, 20, 10, 20, 10, 20], gmp=[20, 10, 20, 10, 20, 10])
    assert found.sentences[-1] == (
        "Friedman's test on the ranks of 2 rows on 6 tasks: p >0.99. The ranks do not differ more than chance allows."
    )


def test_tables_of_several_models_are_tested_for_each_model(run, tmp_path):
    for model, tasks in (("lab/one", 5), ("two", 1)):
        for task in range(tasks):
            for method, wrong in (("smp", 10), ("gmp", 40)):
                place = f"{model[-3:]}{task}{method}"
                run(place, method, 0.5, wrong=wrong, task=f"t{task}", model=model, weights_hash=model)
    lines = rank(collect([tmp_path]).runs, 0.5).sentences
    assert "Tables of different models share their tasks, so the ranks are tested for each model alone." in lines
    assert any(line.startswith("On one: Friedman's test on the ranks of 2 rows on 5 tasks") for line in lines)
    assert "On two: 1 task with 2 rows is too few to test ranks; Friedman's test needs 5 tasks." in lines


def test_tables_of_one_task_and_model_count_as_one_task(run, tmp_path):
    for table in range(2):
        data = {"labels": ["no", "yes"], "rows": {"validation": 100}, "fingerprint": {"validation": str(table)}}
        for method, wrong in (("smp", 10), ("gmp", 40)):
            run(f"{method}{table}", method, 0.5, wrong=wrong, data=data)
    lines = rank(collect([tmp_path]).runs, 0.5).sentences
    assert "1 task with 2 rows is too few to test ranks; Friedman's test needs 5 tasks." in lines
    assert "so their scores are neither averaged nor ranked together" in lines[-1]


def test_sparsities_are_those_with_two_rows_of_the_same_denominator(run, tmp_path):
    run("d", "dense", 0.0)
    for name, method, sparsity in (("a", "smp", 0.5), ("b", "gmp", 0.5), ("c", "smp", 0.9), ("e", "smp", 0.7)):
        run(name, method, sparsity)
    run("f", "abp", 0.9, prunable="encoder_pooler_embeddings")
    runs = collect([tmp_path]).runs
    assert sparsities(runs) == [0.5]
    with pytest.raises(ValueError, match=r"no run has sparsity 0\.3"):
        rank(runs, 0.3)


def test_many_names_are_counted():
    assert summary._named([f"r{i}" for i in range(10)]) == "r0, r1, r2, r3, r4, r5, r6, r7 and 2 more"


def test_marks_that_were_added_to_the_runs_are_used(run, tmp_path):
    for name, wrong in (("smp", 10), ("gmp", 40)):
        run(name, name, wrong=wrong)
    runs = collect([tmp_path]).runs
    seen = [
        [entry.mark for row in rank(each, 0.5).rows for entry in row.cells.values()]
        for each in (marks.add_marks(runs), runs)
    ]
    assert seen == [["best", ""]] * 2


def test_a_row_that_is_pruned_in_another_table_is_no_reference_where_it_is_not(run, tmp_path):
    """rigl at 0 on one model, and at 0.5 on another: the first has no number at 0.5."""
    for model in ("one", "two"):
        run(f"{model}/dense", "dense", model=model, weights_hash=model)
        for method in ("smp", "gmp"):
            run(f"{model}/{method}", method, 0.5, model=model, weights_hash=model)
    run("one/rigl", "rigl", 0.0, model="one", weights_hash="one")
    run("two/rigl", "rigl", 0.5, model="two", weights_hash="two")
    rows = {row.label: row for row in rank(collect([tmp_path]).runs, 0.5).rows}
    assert len(rows["rigl"].cells) == 1 and rows["rigl"].mean is None
    assert [entry.mark for entry in rows["dense"].cells.values()] == ["reference", "reference"]


TRANSFER = {"masks_from": {"method": "smp", "task": "a", "seed": 0, "sparsity": 0.5}}


def transferred(shuffled=False):
    return {**TRANSFER, "settings": {"sparsity": 0.5, "masks": "x", "shuffled": shuffled}}


@pytest.mark.parametrize("marked", [False, True])
def test_runs_on_other_runs_masks_are_not_ranked_beside_the_methods_that_made_them(run, tmp_path, marked):
    """The transferred masks have by far the fewest wrong answers, so they would win, and no method would be best."""
    for method, wrong in {"smp": 10, "movement": 60}.items():
        run(method, method, 0.5, wrong=wrong, task="t")
    run("f", "fixed_mask", 0.5, wrong=0, task="t", **transferred())
    run("g", "fixed_mask", 0.5, wrong=90, task="t", **transferred(shuffled=True))
    own = {"settings": {"sparsity": 0.5, "masks": "x"}}  # a method that goes on from an earlier run of its own
    run("h", "tamt", 0.5, wrong=70, task="t", **TRANSFER | own)
    runs = collect([tmp_path]).runs
    (found,) = rank_all(marks.add_marks(runs) if marked else runs)
    assert [row.label.split(" ")[0] for row in found.rows] == ["smp", "movement", "tamt"]
    assert found.rows[0].cells[found.tables[0]].mark == "best" and found.sentences[-1] == ELSEWHERE_SHOWN


def test_a_report_of_transferred_masks_alone_ranks_them(run, tmp_path):
    run("f", "fixed_mask", 0.5, wrong=10, task="t", **transferred())
    run("g", "fixed_mask", 0.5, wrong=90, task="t", **transferred(shuffled=True))
    run("d", "dense", 0.0, wrong=5, task="t")
    (found,) = rank_all(collect([tmp_path]).runs)
    assert len(found.rows) == 3 and ELSEWHERE_SHOWN not in found.sentences


def test_without_transferred_masks_the_rankings_are_those_of_each_sparsity(run, tmp_path):
    for method, wrong in {"smp": 10, "movement": 60}.items():
        for sparsity in (0.5, 0.9):
            run(f"{method}{sparsity}", method, sparsity, wrong=wrong, task="t")
    runs = collect([tmp_path]).runs
    found, alone = rank_all(runs), [rank(runs, 0.5), rank(runs, 0.9)]
    assert [(r.sparsity, r.sentences, facts(r)) for r in found] == [(r.sparsity, r.sentences, facts(r)) for r in alone]
