"""tuned=FILE: each method's own rates, below the words of the command line."""

import pytest

from prunebert.errors import BadInput
from prunebert.settings import labels, overrides, tuned, tuned_file

TEXT = (
    "methods:\n  smp: {rates: {method.score_lr: 0.06}}\n  movement: {rates: {method.score_lr: 0.5, fit.lr: 3.0e-05}}\n"
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "it's tuned.yaml"
    path.write_text(TEXT)
    return path


def composed(file, *words):
    typed = tuned.with_search_path([f'tuned="{file}"', "task=rte", *words])
    return overrides.described(typed)[0]


def test_each_method_gets_its_own_rates(file):
    smp, movement = (composed(file, f"method={name}") for name in ("smp", "movement"))
    assert smp["method"]["score_lr"] == 0.06 and smp["fit"]["lr"] != 3e-5
    assert (movement["method"]["score_lr"], movement["method"]["fit"]["lr"]) == (0.5, 3e-5)


@pytest.mark.parametrize("fit", ["paper", "measured"])
def test_they_win_over_all_options_and_lose_to_the_command_line(file, fit):
    assert composed(file, "method=smp", f"fit={fit}")["method"]["score_lr"] == 0.06
    assert composed(file, "method=smp", f"fit={fit}", "method.score_lr=0.7")["method"]["score_lr"] == 0.7


def test_they_win_over_an_experiment(file):
    fields = composed(file, "experiment=measured", "method=movement")
    assert (fields["method"]["score_lr"], fields["fit"]["lr"]) == (0.5, 3e-5)


def test_a_recorded_command_has_the_rates_and_no_file(file):
    words = tuned.with_search_path(
        ["hydra.searchpath=[pkg://lab]", "method=movement", f'tuned="{file}"', "fit.lr=1e-3"]
    )
    kept = [*labels.search(words), *words[2:]]
    spelt = tuned.spelt_out(kept, "movement")
    assert "pkg://lab" in kept[0] and "tuned" not in kept[0]
    pairs = overrides.values(spelt)
    assert pairs[:2] == [("method.score_lr", 0.5), ("fit.lr", 3e-5)] and pairs[-1] == ("fit.lr", 1e-3)
    assert not [word for word in spelt if "tuned" in word]
    assert labels.search(tuned.with_search_path([f'tuned="{file}"'])) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1", "it has no methods"),
        ("[1, 2]", "it has no methods"),
        ("methods: {}", "it has no methods"),
        ("methods: [", "it is damaged"),
        ("methods: {smp: 1}", "methods.smp has no rates"),
        ("methods: {smp: {rates: {}}}", "methods.smp has no rates"),
        ("methods: {smp: {rates: {lr: 1}}}", "which is no key such as fit.lr"),
        ("methods: {smp: {rates: {task.tuning_holdout: 0.1}}}", "which is no key such as fit.lr"),
        ("methods: {smp: {rates: {fit.lr: -1}}}", "methods.smp.rates.fit.lr=-1: must be a number above 0"),
        ("methods: {smp: {rates: {fit.lr: true}}}", "must be a number above 0"),
        ("methods: {smp: {rates: {fit.lr: .nan}}}", "must be a number above 0"),
    ],
)
def test_a_file_that_gives_no_rates_is_refused(tmp_path, text, reason):
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(BadInput) as error:
        tuned_file.read(str(tmp_path / "t.yaml"))
    assert str(error.value).startswith(f"tuned={tmp_path / 't.yaml'}: ") and reason in str(error.value)
    assert "\n" not in str(error.value)


def test_a_method_without_rates_is_refused_in_every_place(file):
    for words in (["method=smp,dense"], ["method=dense"]):
        with pytest.raises(BadInput, match="no rates of method=dense, only of smp, movement"):
            tuned.refuse_untuned([f'tuned="{file}"', *words])
    with pytest.raises(BadInput, match="no rates of method=dense"):
        tuned.spelt_out([f'tuned="{file}"'], "dense")
    tuned.refuse_untuned(["tuned=null", "method=dense"])


@pytest.mark.parametrize(
    ("word", "reason"), [("tuned=a,b", "one file"), ("tuned=[a]", "one file"), ("tuned=3", "a file")]
)
def test_what_names_no_file_is_refused(word, reason):
    with pytest.raises(BadInput, match=reason):
        tuned.with_search_path([word])
