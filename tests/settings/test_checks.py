"""The checks of a whole configuration: sparsity, seed, every group's node, and a cell's folder name."""

import math

import pytest

from prunebert.errors import BadInput, shown
from prunebert.settings import checks, overrides


def refused(call, *words):
    with pytest.raises(BadInput) as caught:
        call()
    assert all(w in str(caught.value) for w in words), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "value", [1.5, -0.1, "abc", "0.5", True, False, math.nan, math.inf, -math.inf, 1, 1.0, None, [0.5]]
)
def test_a_sparsity_that_cannot_be_is_refused(value):
    refused(lambda: checks.sparsity(value), f"sparsity={shown(value)}: ", "at least 0 and below 1")
    refused(lambda: checks.words([("seed", 0), ("sparsity", value)]), f"sparsity={shown(value)}: ")


@pytest.mark.parametrize("value", [0, 0.0, 0.5, 0.9999])
def test_a_sparsity_that_can_be_passes(value):
    checks.sparsity(value)
    checks.words([("sparsity", value), ("seed", 3), ("fit.steps", "anything")])


@pytest.mark.parametrize("value", [-1, 1.0, "3", True, None, math.nan, 2**64 - 2**32 + 1, 10**400])
def test_a_seed_that_cannot_be_is_refused(value):
    refused(lambda: checks.seed(value), f"seed={shown(value)}: must be a whole number, at least 0")
    refused(lambda: checks.words([("seed", value)]), f"seed={shown(value)}: ")


@pytest.mark.parametrize("value", [0, -1, 1e-40, 1e31])
def test_a_number_that_has_to_be_above_0_is_refused_with_what_is_meant(value):
    given = overrides.described(["method=obert", f"method.damping={value}", "model=tiny"])[0]
    words = ("must be a number, above 0, ", "for float32 at least 1e-30 and at most 1e30")
    refused(lambda: checks.node("method", given["method"]), f"method.damping={shown(value)}: ", *words)


@pytest.mark.parametrize("value", [0, 1, 2**40, 2**64 - 2**32])
def test_a_seed_that_can_be_passes(value):
    checks.seed(value)


@pytest.fixture(scope="module")
def good():
    return overrides.checked(["method=smp", "task=file", "model=tiny"])[0]


def test_a_whole_config_is_checked(good):
    fit = good["fit"]
    checks.config(good)
    refused(lambda: checks.config(good | {"sparsity": 2}), "sparsity=2")
    refused(lambda: checks.config(good | {"seed": -1}), "seed=-1")
    refused(lambda: checks.config(good | {"prunable": "encoders"}), "prunable=encoders", "did you mean encoder?")
    refused(lambda: checks.config(good | {"fit": fit | {"lrr": 1}}), "fit.lrr")
    refused(lambda: checks.config(good | {"teacher_fit": fit | {"lrr": 1}}), "teacher_fit.lrr")
    for wrong, key in (
        ({"epochs": 0}, "epochs=0"),
        ({"decay": "cosine"}, "decay=cosine"),
        ({"keep": "best", "eval_every": 0}, "keep=best"),
    ):
        for name in ("fit", "teacher_fit", "mask_fit"):
            with pytest.raises(BadInput, match=rf"^{name}\.{key}: ") as error:
                checks.config(good | {name: fit | wrong})
            assert key != "keep=best" or f"set {name}.eval_every" in str(error.value)
    task = {key: value for key, value in good["task"].items() if key != "name"}
    refused(lambda: checks.config(good | {"task": task}), "task.name is needed")  # the tokenizer comes later
