"""Words of earlier versions: identities stay, rows are read in the current words, and an old key says its new name."""

import pytest

from prunebert.runs import identity
from prunebert.settings import former

GMP, RANDOM, SMP = (f"prunebert.methods.{name}" for name in ("gradual.gmp", "random.random", "smp.smp"))


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ({"_target_": GMP, "allocation": "uniform"}, {"_target_": GMP, "scope": "local"}),
        ({"_target_": GMP, "allocation": "global"}, {"_target_": GMP, "scope": "global"}),
        ({"_target_": SMP, "allocation": "uniform"}, {"_target_": SMP, "allocation": "local"}),
        ({"_target_": SMP, "allocation": "score"}, {"_target_": SMP, "allocation": "score"}),
        (
            {"_target_": RANDOM, "allocation": "uniform", "allocation_by": "matrix"},
            {"_target_": RANDOM, "scope": "local", "budget": None, "budget_by": "matrix"},
        ),
        (
            {"_target_": RANDOM, "allocation": "run", "allocation_by": "layer"},
            {"_target_": RANDOM, "scope": "local", "budget": "run", "budget_by": "layer"},
        ),
    ],
)
def test_a_run_of_an_earlier_version_is_found_and_read(now, then):
    assert former.in_earlier_words(now) == then
    assert former.in_current_words(then) == now
    assert identity.canonical(now) == identity.canonical(then)


def test_settings_in_current_words_stay():
    settings = {"allocation": "erk", "pattern": "2:4", "fit": {"lr": 1}}
    assert former.in_current_words(settings) == settings and former.in_earlier_words({"a": 1}) == {"a": 1}


def test_an_old_key_says_its_new_name(cli):
    status, printed = cli("method=gmp", "method.scope=global")
    assert status == 2 and printed.startswith(
        "prunebert: method.scope: there is no such key; it is now method.allocation, and local is uniform; method has"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["method=sparse_transfer", "method.allocation=erk"], "did you mean method.pruner.allocation?"),
        (["method=masking", "method.control=none", "method.pattern=2:4"], "method.pattern=2:4: it is read only with"),
        (["method=magnitude", "method.pattern=124"], "so write '2:4'"),
    ],
)
def test_a_pattern_or_allocation_that_a_method_does_not_read_is_refused_in_one_line(cli, words, message):
    status, printed = cli(*words)
    lines = [line for line in printed.strip().splitlines() if not line.endswith(" …")]
    assert status == 2 and len(lines) == 1 and message in lines[0]
