"""The tries of a tuning sweep: the best of each method, by hand."""

import json

import pytest

from prunebert.commands import choice
from prunebert.errors import BadInput
from prunebert.runs import tuning
from prunebert.settings import tuned_file
from tests.report.conftest import finished, sweep

WORDS = ["method=smp,movement", "tune.try=0,1", "seed=0,1", "experiment=tune", "task=rte", "fit.steps=9"]
RATES = {"smp": ["method.score_lr"], "movement": ["method.score_lr", "fit.lr"]}


def movement(scores, metric="accuracy"):
    """Results of the tries 0, 1, …: their scores, one for each seed."""
    settings = [
        {"score_lr": 0.1, "fit": {"lr": 1e-3}},
        {"score_lr": 0.3, "fit": {"lr": 1e-4}},
        {"score_lr": 0.03, "fit": {"lr": 1e-3}},
    ]
    return [
        {"settings": settings[i], "score": score, "metric": metric, "tuning": {"try": i, "rates": RATES["movement"]}}
        for i, of_try in enumerate(scores)
        for score in of_try
    ]


@pytest.mark.parametrize(
    ("scores", "metric", "best"),
    [
        ([[0.5, 0.7], [0.8, 0.5], [0.6, 0.5]], "accuracy", 1),  # means 0.6, 0.65, 0.55
        ([[0.5, 0.7], [0.8, 0.5], [0.6, 0.5]], "perplexity", 2),  # lower is better
        ([[0.5], [0.75], [0.75]], "accuracy", 1),  # of equals the first
    ],
)
def test_the_best_mean_is_chosen(scores, metric, best):
    tuned = tuning.of_rows("movement", list(reversed(movement(scores, metric))))  # in any order of the runs
    assert tuned.best is tuned.tries[best] and sorted(tuned.best.scores) == sorted(scores[best])
    assert not tuned.refusal


def test_the_edge_is_that_of_each_rate():
    """The best try has the middle score rate and the smaller of two weight rates."""
    tuned = tuning.of_rows("movement", movement([[0.5], [0.4], [0.3]]))
    assert tuned.best.rates == {"method.score_lr": 0.1, "fit.lr": 1e-3} and tuned.at_edge() == ["fit.lr"]


@pytest.mark.parametrize(
    ("rows", "missing", "refusal"),
    [
        (movement([[0.5], [0.6]]), ["tune.try=2"], ""),
        (movement([[0.5, 0.6], [0.7]]), [], "its tries have different numbers of runs"),
        ([*movement([[0.5]]), *movement([[0.5]], "f1")], [], "accuracy and f1 cannot be averaged"),
        ([{**movement([[0.5]])[0], "tuning": {}}], [], "a run does not say which rates it had"),
        ([], [], ""),
    ],
)
def test_nothing_is_chosen_where_tries_cannot_be_compared(rows, missing, refusal):
    tuned = tuning.of_rows("movement", rows, missing)
    assert tuned.best is None and refusal in tuned.refusal and tuned.at_edge() == []


@pytest.fixture
def swept(tmp_path):
    """A finished sweep of two methods, two tries and two seeds. Scores: 0.8 + try / 10 for smp, 0.8 for movement."""
    root = sweep(tmp_path / "sweep", WORDS)
    record = json.loads((root / "multirun.yaml").read_text())
    record["hydra"]["runtime"] = {"choices": {"task": "rte", "model": "tiny", "fit": "quick"}}
    (root / "multirun.yaml").write_text(json.dumps(record))
    for method, keys in RATES.items():
        for number in (0, 1):
            for seed in (0, 1):
                command = (
                    f"prunebert method={method} tune.try={number} seed={seed} experiment=tune task=rte fit.steps=9"
                )
                settings = {"score_lr": [0.02, 0.06][number], "fit": {"lr": [1e-4, 3e-5][number]}}
                wrong = 20 - 10 * number if method == "smp" else 20
                finished(
                    root / f"method-{method}_try-{number}_seed-{seed}",
                    method,
                    seed=seed,
                    command=command,
                    settings=settings,
                    wrong=wrong,
                    tuning={"holdout": 0.1, "try": number, "rates": keys},
                )
    return root


def test_a_sweep_ends_with_a_file_that_the_next_command_takes(swept, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    choice.finish(swept)
    chosen = {"smp": {"method.score_lr": 0.06}, "movement": {"method.score_lr": 0.02, "fit.lr": 1e-4}}
    assert tuned_file.read(str(swept / "tuned.yaml")) == chosen
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        "prunebert -m method=smp,movement tuned=sweep/tuned.yaml model=tiny fit=quick task=rte fit.steps=9" in printed
    )
    assert "smp: method.score_lr=0.06 (accuracy 0.9000, the best of 2 tried)" in printed


def test_the_next_command_keeps_the_methods_settings_and_drops_typed_rates(swept):
    """A typed rate was the middle of the tries. On the command line it would win over the file."""
    record = json.loads((swept / "multirun.yaml").read_text())["hydra"]
    record["overrides"]["task"] += ["method.score_lr=0.02", "+fit.lr=1e-4", "method.head=linear", "fit.head_lr=0.1"]
    words = choice._next_words(record, tuning.of_sweep(swept), "tuned.yaml")
    assert words[-2:] == ["method.head=linear", "fit.head_lr=0.1"]
    assert not [word for word in words if "score_lr" in word or "fit.lr" in word]


def test_a_method_with_a_missing_try_is_left_out_and_named(swept, capsys):
    (swept / "method-smp_try-0_seed-1/result.json").unlink()
    choice.finish(swept)
    assert [*tuned_file.read(str(swept / "tuned.yaml"))] == ["movement"]
    assert "smp: no rates chosen, without a result of method=smp tune.try=0 seed=1" in " ".join(
        capsys.readouterr().out.split()
    )
    for folder in swept.glob("method-movement_try-1*"):
        (folder / "result.json").unlink()
    choice.finish(swept)  # no method is left, and the file of before would be that of other tries
    assert not (swept / "tuned.yaml").exists() and "no rates were chosen" in capsys.readouterr().out


def test_a_sweep_without_a_record_is_refused(tmp_path):
    with pytest.raises(BadInput):
        tuning.of_sweep(tmp_path)
