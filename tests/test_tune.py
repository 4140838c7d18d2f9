"""experiment=tune and then tuned=FILE, as a user runs them, on toy files."""

import pytest

from prunebert.runs import artifacts
from prunebert.settings import tuned_file


@pytest.fixture
def words(toy):
    return [word for word in toy if not word.startswith("hydra")]


def test_a_tuning_sweep_and_the_command_after_it(cli, words, tmp_path):
    """The next run has the chosen rates, and is the same run as one whose rates are typed."""
    words = [*words, "model=bert-base", "sparsity=0.5"]
    sweep = ["experiment=tune", *words, "tune.try=0,1", "hydra.callbacks.around.report=false", "hydra.sweep.dir=sweep"]
    status, printed = cli(*sweep, "method=movement")
    assert status == 0, printed
    runs = {run.name: artifacts.result(run) for run in artifacts.finished_runs(tmp_path / "sweep")}
    assert [*runs] == ["try-0", "try-1"]
    first, second = (row["settings"] for row in runs.values())
    assert second["score_lr"] == pytest.approx(3 * first["score_lr"])
    assert second["fit"]["lr"] == pytest.approx(0.3 * first["fit"]["lr"])
    for number, row in enumerate(runs.values()):  # a tenth of 96 rows is held out
        assert row["task"] == "train_tuning" and row["data"]["rows"] == {
            "train": 86,
            "validation": 10,
        }
        assert row["tuning"] == {"holdout": 0.1, "try": number, "rates": ["method.score_lr", "fit.lr"]}
    rates = tuned_file.read(str(tmp_path / "sweep/tuned.yaml"))["movement"]
    best = max(runs.values(), key=lambda row: row["score"])["settings"]
    assert rates == {"method.score_lr": best["score_lr"], "fit.lr": best["fit"]["lr"]}

    use = ["method=movement", *words]
    status, printed = cli(*use, "tuned=sweep/tuned.yaml", "hydra.run.dir=run")
    assert status == 0, printed
    row = artifacts.result(tmp_path / "run")
    assert row["settings"]["score_lr"] == best["score_lr"] and row["settings"]["fit"]["lr"] == best["fit"]["lr"]
    assert "tuning" not in row and row["data"]["rows"] == {"train": 96, "validation": 40}
    assert "tuned" not in row["command"] and f"fit.lr={rates['fit.lr']!r}" in row["command"]
    status, printed = cli(*use, *(f"{key}={rate}" for key, rate in rates.items()), "hydra.run.dir=run")
    assert status == 0 and "finished before" in printed

    (tmp_path / "sweep/try-1/result.json").unlink()
    status, printed = cli(*sweep, "method=movement")  # the same command goes on
    assert status == 0 and printed.count("finished before") == 1
    assert tuned_file.read(str(tmp_path / "sweep/tuned.yaml"))["movement"] == rates


def test_what_cannot_be_tuned_is_refused_in_one_line(cli, words, tmp_path):
    status, printed = cli("experiment=tune", *words, "method=smp", "tune.try=8", "hydra.sweep.dir=sweep")
    assert status == 2 and "tune.try=8: must be a whole number, at least 0 and at most 7" in printed
    status, printed = cli("experiment=tune", *words, "method=smp", "task.tuning_holdout=null", "hydra.sweep.dir=sweep")
    assert status == 2 and "task.tuning_holdout=null: experiment=tune holds out training rows" in printed
    (tmp_path / "tuned.yaml").write_text("methods: {smp: {rates: {method.score_lr: 0.1}}}")
    status, printed = cli("-m", *words, "method=smp,dense", "tuned=tuned.yaml", "hydra.sweep.dir=sweep")
    assert status == 2 and "it has no rates of method=dense" in printed
    assert not (tmp_path / "sweep").exists()
