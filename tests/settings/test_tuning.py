"""experiment=tune: the rates of a try, by hand, and which rates a method has."""

import numpy as np
import pytest

from prunebert.errors import BadInput
from prunebert.settings import overrides, sweeps, tuning
from tests import merged

WORDS = ["experiment=tune", "task=rotten_tomatoes", "model=tiny", "fit=quick"]


def tune(**changes):
    return {"try": 1, "rates": ["fit.lr"], "factors": [[1, 3, 0.3], [1, 0.3, 10]]} | changes


@pytest.mark.parametrize(
    ("number", "rates"),
    [(0, {"a.x": 0.02, "a.y": 1e-4}), (1, {"a.x": 0.06, "a.y": 3e-5}), (2, {"a.x": 0.006, "a.y": 1e-3})],
)
def test_a_try_multiplies_each_rate_by_its_own_factor(number, rates):
    own = {"a.x": 0.02, "a.y": 1e-4}
    node = tune(rates=["a.x", "a.y"]) | {"try": number}
    assert tuning.rates_of_try(node, own.get) == rates  # exact: 0.06, and not 0.060000000000000005


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"try": 3}, "tune.try=3: must be a whole number, at least 0 and at most 2"),
        ({"try": -1}, "tune.try=-1"),
        ({"try": True}, "tune.try=true"),
        ({"rates": None}, "tune.rates=null: must be a list"),
        ({"rates": []}, "tune.rates="),
        ({"rates": ["fit.head_lr"]}, "fit.head_lr must be a number above 0"),
        ({"rates": ["fit.lr", "a.x", "a.y"]}, "a list of factors for each of the 3 rates"),
        ({"factors": [[1, 0, 3]]}, "must be a list of numbers above 0"),
    ],
)
def test_what_cannot_be_tried_is_refused(changes, reason):
    with pytest.raises(BadInput) as error:
        tuning.rates_of_try(tune(**changes), {"fit.lr": 1e-4}.get)
    assert reason in str(error.value)


SCORE, WEIGHTS, HEAD = "method.score_lr", "fit.lr", "${when:${method.keep_pretrained},true,fit.head_lr,fit.lr}"
RATES = {
    **{name: [SCORE, WEIGHTS] for name in ("movement", "soft_movement", "l0")},
    **{name: [SCORE] for name in ("smp", "abp", "masking")},
    **{name: [WEIGHTS] for name in ("dense", "sparsebert", "obert", "snip", "rigl")},
    **{name: [HEAD] for name in ("random", "magnitude", "imp", "gmp")},
    "sparse_transfer": [WEIGHTS],
    "fixed_mask": ["${when:${method.train},head,fit.head_lr,fit.lr}"],
    "tamt": [WEIGHTS, "${when:${method.masks},null,mask_fit.lr,fit.lr}"],
    "gmp_star": [WEIGHTS],
    "platon": [WEIGHTS],
}


def test_every_method_has_the_rates_of_what_it_trains():
    assert RATES.keys() == {*merged.options("method")}
    for method, rates in RATES.items():
        config = merged.written(experiment="tune", method=method)
        assert config["tune"]["rates"] == rates, method
        assert ("score_lr" in config["method"]) == (SCORE in rates), method
        assert ("keep_pretrained" in config["method"]) == (HEAD in rates), method


def test_both_rates_of_a_method_get_the_same_factors_in_the_first_six_tries():
    first, second = merged.written(experiment="tune")["tune"]["factors"]
    assert sorted(first[:6]) == sorted(second[:6]) and sorted(first) == sorted(second)
    assert first[0] == second[0] == 1  # the first try is the method as it is
    assert len({*zip(first, second, strict=True)}) == len(first)
    assert abs(np.corrcoef(np.log(first[:6]), np.log(second[:6]))[0, 1]) < 0.1  # neither follows the other


@pytest.mark.parametrize(
    ("method", "factors"),
    [("movement", {"method.score_lr": 3, "fit.lr": 0.3}), ("tamt", {"fit.lr": 3, "mask_fit.lr": 0.3})],
)
def test_a_run_has_the_rates_of_its_try(method, factors):
    """The second try triples the first rate of a method. Its second rate gets 0.3 of its own value."""
    fields, _, _ = overrides.described([*WORDS, f"method={method}", "tune.try=1"])
    own, _, _ = overrides.described([*WORDS[1:], f"method={method}"])
    for key, factor in factors.items():
        top, name = key.split(".")
        assert fields[top][name] == pytest.approx(own[top][name] * factor, rel=1e-5)
    assert fields["method"]["fit"] == fields["fit"]  # the method reads the rate of the try
    assert fields["task"]["tuning_holdout"] == 0.1 and own["task"]["tuning_holdout"] is None


@pytest.mark.parametrize(
    ("words", "rates"),
    [
        (["method=magnitude", "method.keep_pretrained=true"], ["fit.head_lr"]),
        (["method=tamt", "method.masks=RUN"], ["fit.lr", "fit.lr"]),
    ],
)
def test_a_rate_that_nothing_reads_is_not_tuned(words, rates):
    assert overrides.described([*WORDS, *words])[0]["tune"]["rates"] == rates


def test_a_typed_rate_is_the_middle_of_the_tries():
    fields, _, _ = overrides.described([*WORDS, "method=smp", "method.score_lr=0.5", "tune.try=2"])
    assert fields["method"]["score_lr"] == 0.15


def test_a_sweep_is_refused_before_its_first_cell():
    def refuse(*words):
        sweeps.refuse_bad_tries([*WORDS, *words], [])

    refuse("method=smp,movement", "tune.try=0,7")
    with pytest.raises(BadInput, match="at most 7"):
        refuse("method=smp,movement", "tune.try=0,8")
    with pytest.raises(BadInput, match=r"method\.score_lr must be a number above 0"):
        refuse("method=smp,magnitude", "tune.try=0,1", "tune.rates=[method.score_lr]")
