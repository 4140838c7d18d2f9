"""References to Hydra's own part, such as ${hydra:runtime.choices.method}, mean what they mean to Hydra."""

import json

import pytest
from hydra.core.hydra_config import HydraConfig

from prunebert.settings import overrides
from prunebert.settings.hydra_part import hydra_references


def test_a_run_lies_where_hydras_own_keys_say(cli, toy, tmp_path):
    words = [word for word in toy if not word.startswith("hydra.run.dir")]
    named = ["method=random", "hydra.run.dir=runs/${hydra:runtime.choices.method}-${hydra:job.name}-${seed}"]
    assert cli(*words, *named, "dry=true")[0] == 0 and not list(tmp_path.iterdir())
    assert cli(*words, *named)[0] == 0
    assert [path.parent.name for path in tmp_path.glob("runs/*/result.json")] == ["random-cli-0"]
    status, printed = cli(*words, *named)
    assert status == 0 and "finished before" in printed


def test_a_setting_may_name_the_chosen_option(cli, toy, tmp_path):
    assert cli(*toy, "method=random", "hydra.run.dir=masks/quick")[0] == 0
    tamt = [*toy, "fit=quick", "method=tamt", "method.masks=masks/${hydra:runtime.choices.fit}", "hydra.run.dir=run"]
    status, printed = cli(*tamt, "fit.steps=2", "method.prunable=encoder")
    assert status == 0, printed
    recorded = json.loads((tmp_path / "run/result.json").read_text())
    assert recorded["masks_from"]["method"] == "random"
    status, printed = cli(*tamt, "fit=smoke", "hydra.run.dir=other")
    assert (status, printed) == (2, "prunebert: method.masks=masks/smoke: there is no such directory\n")


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("hydra.sweep.dir=out/${hydra:job.name}", ["out/cli/seed-0", "out/cli/seed-1"]),
        ("hydra.sweep.subdir=${hydra:job.num}-${hydra:runtime.choices.method}", ["s/0-random", "s/1-random"]),
    ],
)
def test_a_sweep_lies_where_hydras_own_keys_say(cli, toy, tmp_path, word, names):
    words = [w for w in toy if not w.startswith("hydra")]
    swept = ["-m", *words, "method=random", "seed=0,1", "hydra.sweep.dir=s", word]
    status, printed = cli(*swept)
    assert status == 0, printed
    runs = sorted(str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("result.json"))
    assert runs == names


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("hydra.sweep.dir=${hydra:runtime.choices.method}", "method; write its value, or"),
        ("hydra.sweep.dir=a/${hydra:job.override_dirname}", "hydra.job.override_dirname;"),
        ("hydra.sweep.dir=a/${hydra:job.num}", "hydra.job.num;"),
    ],
)
def test_a_sweeps_directory_refers_to_nothing_of_a_cell(cli, toy, tmp_path, word, key):
    words = [w for w in toy if not w.startswith("hydra")]
    status, printed = cli("-m", *words, "method=random,magnitude", "seed=0,1,2", word)
    assert (status, printed) == (
        2,
        f"prunebert: {word}: a sweep has one directory for all its cells, which cannot refer to {key} use "
        "hydra.sweep.subdir\n",
    )
    assert not list(tmp_path.iterdir())


def test_cells_of_one_directory_are_refused(cli, toy):
    words = [w for w in toy if not w.startswith("hydra")]
    sweep = ["-m", *words, "method=random,magnitude", "seed=0,1,2", "hydra.sweep.dir=s"]
    status, printed = cli(*sweep, "hydra.sweep.subdir=${hydra:runtime.choices.method}")
    assert status == 2 and "seed=0 and seed=1 would share the directory random; add" in printed


def test_a_value_that_only_the_cell_knows_is_left_to_it(cli, toy, tmp_path):
    """masks/0 exists and masks/1 does not."""
    words = [w for w in toy if not w.startswith("hydra")]
    assert cli(*words, "method=random", "hydra.run.dir=masks/0")[0] == 0
    sweep = ["-m", *words, "method=tamt", "seed=0,1", "method.masks=masks/${hydra:job.num}", "hydra.sweep.dir=s"]
    status, printed = cli(*sweep)
    assert status == 1 and "1 cell did not finish: method.masks=masks/1: there is no such directory" in printed


def test_afterwards_references_mean_what_they_did():
    config = overrides.compose(["method=smp"], whole=True)
    before = HydraConfig.instance().cfg
    with pytest.raises(ZeroDivisionError), hydra_references(config):
        assert HydraConfig.get().runtime.choices.method == "smp"
        raise ZeroDivisionError
    assert HydraConfig.instance().cfg is before
    config.hydra.job.name = "still writable"


@pytest.mark.parametrize("mode", [[], ["-m", "seed=0,1"]])
def test_a_run_works_in_the_directory_of_the_command(cli, toy, tmp_path, mode):
    """In another one, a relative task.train would not be found, nor the index of runs."""
    words = [w for w in toy if not w.startswith("hydra")]
    status, printed = cli(*words, "method=random", *mode, "hydra.job.chdir=true")
    assert status == 2 and "prunebert: hydra.job.chdir=true: only false is allowed; relative paths, as in" in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("key", "hint"), [("hydra.job.env_set.A", "; +hydra.job.env_set.A=VALUE adds it"), ("hydra.nonsense", "")]
)
def test_an_unknown_key_of_hydra_is_named_with_hydras_own_list(cli, toy, key, hint):
    status, printed = cli(*toy, "method=random", f"{key}=1")
    assert (status, printed) == (
        2,
        f"prunebert: {key}: there is no such key{hint} (`prunebert --cfg hydra` shows all)\n",
    )
