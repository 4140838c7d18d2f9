"""Which sweeps are warned that their seeds are too few for a test, or that their cells are one run."""

import pytest

from prunebert.runs import comparability

TWO = "this sweep has 2 seeds; a test over seeds needs 3 (seed=0,1,2). The report will compare these trained networks, "
TWO += "example by example, but not the methods."


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "method=smp,gmp", "seed=0,1"],
        ["-m", "method=smp", "+method.head=a,b", "seed=range(2)", "sparsity=0.5,0.9"],
        ["fit.lr=1e-3,1e-4", "seed=0,1", "task=rte,mrpc"],
    ],
)
def test_a_comparison_with_too_few_seeds_is_warned_once(words):
    assert comparability.warnings(words) == [TWO]


def test_without_the_word_there_is_one_seed():
    (line,) = comparability.warnings(["method=smp,gmp", "sparsity=0.9"])
    assert line.startswith("this sweep has 1 seed; ")


@pytest.mark.parametrize(
    "words",
    [
        ["method=smp,gmp", "seed=0,1,2"],
        ["method=smp,gmp", "seed=interval(0,5)"],  # only its sweeper knows how many
        ["method=smp", "seed=0,1"],  # nothing is compared
        ["method=smp", "sparsity=0.5,0.9", "task=rte,mrpc", "model=tiny,minilm"],
        ["method=smp", "seed=0,1", "impl.threads=1,2", "distill.shared=a,b"],  # they change no result
    ],
)
def test_what_compares_nothing_or_can_be_tested_is_not(words):
    assert comparability.too_few(words) == []


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("impl.precision=fp32,bf16", "impl.precision"),
        ("+impl=cpu,cuda", "impl"),
        ("distill.shared=a,b", "distill.shared"),
        ("task.overlaps=null,x", "task.overlaps"),
    ],
)
def test_cells_that_are_one_run_are_named(word, key):
    """The bf16 cell would be finished before, with the scores of fp32."""
    (line,) = comparability.warnings(["-m", "method=smp", "seed=0,1,2", word])
    assert line == (
        f"{word}: results do not depend on {key}, so cells that differ in it alone are one run: the first "
        "result may stand for all; rerun=true trains each"
    )
    assert comparability.one_run(["method=smp", word, "rerun=True"]) == []
    assert comparability.one_run(["method=smp", word.partition(",")[0], "hydra/launcher=laptop,basic"]) == []


@pytest.mark.parametrize("word", ["distill.weight=0.5,0.9", "shared=a,b", "distill=logits,none"])
def test_words_that_change_a_result_are_not(word):
    assert comparability.one_run(["method=smp", word]) == []
