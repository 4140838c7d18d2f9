"""Test what scripts/bench_step.py compares a method's step with, and how its steps take turns."""

import sys
from pathlib import Path

import pytest

from tests.toys import script


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "scripts")
    return script("bench_step")


def test_what_the_references_train(bench, toy, impl):
    words = [w for w in toy if not w.startswith("hydra")]
    steps = bench.references([*words, "fit.steps=100000"], impl, list(bench.REFERENCES))
    trained = {name: {n.partition(".")[2] for n in one.take.trained} for name, one in steps.items()}
    net = steps["dense"].take.net
    encoder, head = {*net.parameters_of("pretrained")}, {*net.head_parameters(steps["dense"].phase.head)}
    assert trained["dense"] == trained["unfused"] == encoder | head
    assert trained["frozen"] == {n for n in encoder | head if ".embeddings." not in n}
    assert trained["floor"] == {*net.prunable()} | head
    fused = {name: {g["fused"] for o in one.take.optimizers for g in o.param_groups} for name, one in steps.items()}
    assert fused == {"dense": {True}, "frozen": {True}, "unfused": {False}, "floor": {True}}


def test_the_steps_take_turns_and_the_first_two_rounds_do_not_count(bench, impl, monkeypatch):
    calls = []
    times = bench.turns({name: lambda name=name: calls.append(name) for name in "abc"}, impl, rounds=3, together=2)
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 3, "b": 3, "c": 3}
    turns = [calls[i : i + 6] for i in range(0, len(calls), 6)]
    assert len(turns) == 5 and all(sorted(turn) == [*"aabbcc"] and turn[::2] == turn[1::2] for turn in turns)


def test_ratios_are_medians_over_rounds(bench, monkeypatch):
    times = {"masked": [1.0, 4.0, 9.0], "dense": [2.0, 2.0, 3.0]}
    monkeypatch.setattr(bench, "turns", lambda *arguments: times)
    medians = {"seconds_masked": 4.0, "seconds_dense": 2.0, "by_dense": 2.0}
    assert bench.measure({}, None, 3) == medians | {"by_dense_lowest": 0.5, "by_dense_highest": 3.0}


@pytest.mark.parametrize("words", [["tiny", "--rounds", "0"], ["tiny", "--out", "missing/x.json"], ["huge"], []])
def test_a_mistyped_option_ends_at_once_with_status_2(bench, monkeypatch, tmp_path, capsys, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["bench_step.py", *words])
    with pytest.raises(SystemExit) as end:
        bench.main()
    assert end.value.code == 2 and "error: " in capsys.readouterr().err
