"""Which cells are marked, by counts of right answers and seeds whose tests can be done by hand."""

import pytest

from prunebert.report import cells
from prunebert.report.collect import collect
from prunebert.report.statistics import marks


@pytest.fixture
def marked(run, tmp_path):
    """Return a function that gives the mark of each method, from its wrong answers (of 100) by seed."""

    def call(**methods):
        for method, wrong in methods.items():
            for seed, count in enumerate(wrong):
                run(f"{method}{seed}", method, 0.5, seed, wrong=count)
        found = marks.marks_of(collect([tmp_path]).runs)
        return {label: (mark.mark, mark.rests_on) for (label, _), mark in found.items()}

    return call


def test_with_one_seed_examples_decide_and_are_corrected_together(marked):
    """Against smp, 6 : 0 has p = 2 / 2^6 = .031, and 20 : 0 has p < .001. Holm doubles only the smaller of two."""
    assert marked(smp=[10], gmp=[16], random=[30]) == {
        "smp": ("best", ""),
        "gmp": ("", "examples"),
        "random": ("", "examples"),
    }


def test_a_correction_that_lifts_a_p_above_the_level_leaves_a_tie(marked):
    """Two rivals with 6 : 0 have .031 · 2 = .062 each; the third is separated, by 30 : 0."""
    assert marked(smp=[10], gmp=[16], imp=[16], random=[40]) == {
        "smp": ("tied", ""),
        **dict.fromkeys(("gmp", "imp"), ("tied", "examples")),
        "random": ("", "examples"),
    }


def test_with_three_seeds_the_seeds_decide(marked):
    """The examples alone would separate both: 20 : 0. Over seeds, magnitude has t = 1.5 and random t = 29."""
    found = marked(smp=[10, 12, 14], magnitude=[10, 12, 34], random=[39, 41, 44])
    assert found == {"smp": ("tied", ""), "magnitude": ("tied", "seeds"), "random": ("", "seeds")}


def test_seeds_that_all_differ_equally_leave_it_to_the_examples(marked):
    assert marked(smp=[10, 12, 14], gmp=[20, 22, 24]) == {"smp": ("best", ""), "gmp": ("", "examples")}


def test_the_best_mean_of_other_seeds_is_not_best_where_the_common_ones_deny_it(run, tmp_path):
    """gmp has the better mean, by seed 1. On seed 0, which both have, smp has 20 more right answers."""
    run("s", "smp", 0.5, 0, wrong=20)
    run("g0", "gmp", 0.5, 0, wrong=40)
    run("g1", "gmp", 0.5, 1, wrong=0)
    run("r", "random", 0.5, 7, wrong=50)
    found = marks.marks_of(collect([tmp_path]).runs)
    assert {label: (m.mark, m.rests_on) for (label, _), m in found.items()} == {
        "smp": ("tied", "examples"),
        "gmp": ("tied", ""),
        "random": ("tied", "nothing"),
    }


def test_only_the_same_denominator_and_sparsity_compete_and_a_lone_cell_has_no_mark(run, tmp_path):
    run("s", "smp", 0.5, wrong=10)
    run("g", "gmp", 0.5, wrong=40)
    run("a", "abp", 0.5, wrong=0, prunable="encoder_pooler_embeddings")
    run("s9", "smp", 0.9, wrong=10)
    found = marks.marks_of(collect([tmp_path]).runs)
    assert {key: mark.mark for key, mark in found.items()} == {("smp", 0.5): "best", ("gmp", 0.5): ""}


def test_of_a_perplexity_the_lowest_is_best(run, tmp_path):
    for name, perplexity, wrong in (("smp", 7.0, 10), ("gmp", 9.0, 40)):
        run(name, name, metric="perplexity", score=perplexity, metrics={"perplexity": perplexity}, wrong=wrong)
    found = marks.marks_of(collect([tmp_path]).runs)
    assert {label: mark.mark for (label, _), mark in found.items()} == {"smp": "best", "gmp": ""}


def test_every_table_shows_the_marks_that_were_added_once(run, tmp_path, monkeypatch):
    for name, f1 in (("smp", 0.9), ("gmp", 0.8)):
        run(name, name, wrong=10 if name == "smp" else 40, metrics={"accuracy": 0.5, "f1": f1})
    runs = marks.add_marks(collect([tmp_path]).runs)
    monkeypatch.setattr(marks, "_decide", None)  # no test runs again
    for metric in (None, "f1"):
        assert cells.cells(runs, metric).set_index("label")["mark"].to_dict() == {"smp": "best", "gmp": ""}
        _, best = cells.grid(cells.cells(runs, metric))
        assert best[0.5].to_dict() == {"smp": True, "gmp": False}
