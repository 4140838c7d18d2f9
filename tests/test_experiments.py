"""conf/experiment: each method of each file trains for a step (quickstart: test_packaging.py). Then dry=true."""

import logging
import math
import re
from functools import cache
from pathlib import Path

import datasets
import pytest
import yaml

from prunebert.commands import cost
from prunebert.fit import Fit
from prunebert.runs import artifacts
from prunebert.settings import overrides

FILES = sorted((Path(__file__).parents[1] / "conf/experiment").glob("*.yaml"))


def test_every_table_has_an_experiment():
    assert {f.stem for f in FILES} == {
        *("quickstart", "smp_table1", "smp_table2", "abp_table2", "abp_table2_baselines"),
        *("tamt_grid", "tamt_grid_baselines", "sparsebert", "movement_table", "measured", "measured_minilm", "tune"),
        "obert",
        "platon",
        *("reviewers", "reviewers_offline", "baselines"),
    }


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_each_names_its_command_and_its_cost(file):
    text = file.read_text()
    assert f"prunebert experiment={file.stem}" in text
    assert re.search(r"^# Cost: \d+ runs a seed, [\d,]+ steps", text, re.M) or file.stem == "quickstart"


@pytest.mark.parametrize("file", [f for f in FILES if f.stem != "quickstart"], ids=lambda f: f.stem)
def test_the_time_is_that_of_the_named_measurement(file):
    """steps × the named file's median step, scaled by the tokens of a step."""
    text = file.read_text()
    steps = int(re.search(r"# Cost: \d+ runs a seed, ([\d,]+) steps", text)[1].replace(",", ""))
    time = re.search(r"# Time: at most (.+) a seed on (.+) in (.+), if each step has (\d+) texts of (\d+) tokens", text)
    source = re.search(r"# Estimated from (results/speed/\S+\.json);", text)[1]
    (step,) = [m for m in cost.measured() if m.source == source]
    scale = int(time[4]) * int(time[5]) / (step.batch * step.length)
    assert time[1] == cost.duration(steps * step.seconds * scale)
    assert (time[2], time[3]) == (step.hardware, step.precision)


ROWS = {"mnli": 392_702, "qqp": 363_846, "squad": 88_524}  # for training; SQuAD's are windows


@cache
def paper_steps(method: str, task: str, *words: str) -> tuple[int, int]:
    """The steps of a method on a task with fit=paper, and those of its teacher."""
    config = overrides.compose([f"method={method}", f"task={task}", *words])
    budgets = (config.fit, config.teacher_fit)
    steps, teacher_steps = (
        Fit(**{key: value for key, value in budget.items() if key != "_target_"}).steps_for(ROWS[task])
        for budget in budgets
    )
    return steps, teacher_steps


@pytest.mark.parametrize(
    ("name", "words", "has_teachers"),
    [
        ("movement_table", (), True),
        ("smp_table1", (), False),
        ("reviewers", ("experiment=reviewers", "distill=logits"), True),
    ],
)
def test_the_cost_is_that_of_its_runs(name, words, has_teachers):
    """The steps of each run, and of one teacher a task: all runs on a task have the same teacher to share."""
    text = next(f for f in FILES if f.stem == name).read_text()
    axes = {key: values.split(",") for key, values in yaml.safe_load(text)["hydra"]["sweeper"]["params"].items()}
    pairs = [(method, task) for method in axes.pop("method") for task in axes["task"]]
    repeats = math.prod(len(values) for key, values in axes.items() if key != "task")
    teachers = {(task, paper_steps(method, task, *words)[1]) for method, task in pairs} if has_teachers else set()
    assert len(teachers) == (3 if has_teachers else 0)
    steps = repeats * sum(paper_steps(*pair, *words)[0] for pair in pairs) + sum(steps for _, steps in teachers)
    assert f"# Cost: {repeats * len(pairs)} runs a seed, {steps:,} steps of 16" in text


@pytest.mark.parametrize("name", ["reviewers", "reviewers_offline"])
def test_reviewers_see_methods_that_differ_in_the_method_alone(name):
    """One teacher, one loss, one number of epochs and one prunable set; each method has its own rates."""
    params = yaml.safe_load((Path(FILES[0]).parent / f"{name}.yaml").read_text())["hydra"]["sweeper"]["params"]
    for task in params.get("task", "rotten_tomatoes").split(","):
        alike = set()
        for method in params["method"].split(","):
            words = [f"experiment={name}", f"method={method}", f"task={task}", f"distill={params['distill']}"]
            fields, _ = overrides.checked(words)
            teaching, padding = fields["method"]["distill"], fields["task"].get("padding")
            alike.add(repr((teaching, padding, fields["fit"]["epochs"], fields["fit"]["steps"], fields["prunable"])))
            assert fields["method"]["prunable"] == "encoder"
            assert (teaching["_target_"], teaching["weight"]) == ("prunebert.distill.logits", 1.0)
        assert len(alike) == 1, alike


def test_the_movement_table_shares_its_teachers_and_has_runs_without():
    """A key of the experiment for both halves would be refused by the half without a teacher."""
    for option, folder in (("logits", "teachers"), ("none", None)):
        fields, _ = overrides.checked(["experiment=movement_table", "method=l0", f"distill={option}"])
        assert fields["method"]["distill"].get("shared") == folder


def test_the_cost_of_obert_is_that_of_its_runs_and_events():
    """3 sparsities of each task, 3 teachers, and 9 runs of 7 events of 1,024 gradients in 5 passes."""
    fields, _ = overrides.checked(["experiment=obert", "method=obert"])
    assert fields["method"]["distill"]["shared"] == "teachers"
    budgets = [paper_steps("obert", task) for task in ("mnli", "qqp", "squad")]
    assert budgets[0] == (30 * 12_272, 3 * 12_272)
    total = sum(3 * steps + teacher for steps, teacher in budgets) + 9 * 7 * 1_024 * 5
    text = next(f for f in FILES if f.stem == "obert").read_text()
    assert f"# Cost: 9 runs a seed, {total:,} steps" in text and f" {9 * 7 * 1_024 * 5:,} backward passes" in text


FAST = ("abp_table2", "smp_table2", "sparsebert")  # test_matrix.py also runs the methods of the others


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(f, id=f.stem, marks=() if f.stem in FAST else pytest.mark.slow)
        for f in FILES
        if f.stem != "quickstart"
    ],
)
def test_each_of_its_methods_trains_for_one_step(cli, toy, text, tmp_path, file):
    params = yaml.safe_load(file.read_text())["hydra"]["sweeper"]["params"]
    methods = params["method"].split(",")
    words = [f"experiment={file.stem}", *[w for w in toy if not w.startswith("hydra")], *text, "sparsity=0.5"]
    words += ["model=bert-base", "seed=0"]  # `toy` sets model.name to its own folder
    words += ["distill=logits"] if "distill" in params else []
    for method in methods:
        extra = {"tamt": ["method.corpus.block=16"], "imp": ["method.step=0.5"], "obert": ["method.gradients=1"]}
        budget = ["fit.steps=1", "teacher_fit.steps=1", "mask_fit.steps=1", f"hydra.sweep.dir={method}"]
        status, printed = cli(*words, f"method={method}", *extra.get(method, []), *budget)
        assert status == 0, printed
        (run,) = artifacts.finished_runs(tmp_path / method)
        row = artifacts.result(run)
        assert row["method"] == method and all(phase["steps"] == 1 for phase in row["phases"].values())


# --- dry=true ---------------------------------------------------------------------------------------------------------


def snapshot(folder: Path) -> dict:
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_dry_shows_runs_phases_steps_and_what_is_finished_and_writes_nothing(cli, toy, text, tmp_path):
    words = [w for w in toy if not w.startswith("hydra")] + [*text, "++method.corpus.block=16", "sparsity=0.5"]
    assert cli(*words, "method=tamt", "hydra.run.dir=outputs/2026-01-01/10-00-00")[0] == 0
    before = snapshot(tmp_path)
    status, printed = cli(*words, "method=tamt", "dry=true")
    assert status == 0 and snapshot(tmp_path) == before
    printed = " ".join(printed.split())  # lines wrap at the terminal's width
    assert re.search(r"method=tamt task=train .* sparsity=0.5 seed=0: 4 steps, done, in outputs/2026-01-01", printed)
    assert re.findall(r"(\S+): 2 steps of \d+ on \d+ training rows of (\w+)", printed) == [
        ("mask-training", "wikitext"),
        ("finetune", "train"),
    ]
    status, printed = cli(*words, "method=tamt", "dry=true", "seed=1")
    assert status == 0 and "4 steps, to do" in printed and snapshot(tmp_path) == before


@pytest.mark.parametrize("dry", ["dry=True", "++dry=true"])
def test_dry_in_a_finished_runs_directory_changes_nothing_in_either_spelling(cli, toy, tmp_path, monkeypatch, dry):
    monkeypatch.setattr(cost, "TOTAL", cost.Total())
    assert cli(*toy, "method=magnitude")[0] == 0
    before = snapshot(tmp_path)
    status, printed = cli(*toy, "method=magnitude", dry)
    assert status == 0 and "done, in run" in printed and snapshot(tmp_path) == before
    assert cost.TOTAL.runs == 0
    (tmp_path / "run/result.json").unlink()
    status, printed = cli(*toy, "method=magnitude", dry)
    assert status == 0 and "started, in run" in printed and cost.TOTAL.runs == 1


def test_dry_restores_the_log_level_of_the_methods(cli, toy):
    before = logging.getLogger("prunebert.methods").level
    assert cli(*toy, "method=l0", "dry=true")[0] == 0
    assert logging.getLogger("prunebert.methods").level == before < logging.ERROR


def test_dry_refuses_a_score_that_the_run_would_refuse(cli, toy):
    status, printed = cli(*toy, "method=magnitude", "task.score=acuracy", "dry=true")
    assert status == 2 and "file's metrics are accuracy" in printed


@pytest.mark.slow
def test_dry_of_a_sweep(prunebert, toy, tmp_path):
    done = prunebert("-m", *[w for w in toy if not w.startswith("hydra")], "method=imp,abp", "seed=0,1", "dry=true")
    assert (
        done.returncode == 0 and done.stdout.count("steps, to do") == 4 and done.stdout.count("round-9: 2 steps") == 2
    )
    assert not snapshot(tmp_path) and not list(tmp_path.rglob("multirun/*")) and "did not finish" not in done.stdout


@pytest.mark.slow
def test_dry_of_runs_that_cannot_start_is_an_error_and_writes_nothing(prunebert, toy, tmp_path):
    words = ["-m", *[w for w in toy if not w.startswith("hydra")], "method=magnitude", "dry=true"]
    done = prunebert(*words, "task.score=accuracy,nonsense", f"task.train={tmp_path / 'none.csv'}")
    assert done.returncode == 2 and done.stderr.count("none.csv") == 1 and not done.stdout
    assert not snapshot(tmp_path) and not list(tmp_path.rglob("multirun/*"))


LAPTOP = ["hydra/launcher=laptop", "hydra.launcher.n_jobs=2"]


@pytest.mark.parametrize("words", [pytest.param(LAPTOP, marks=pytest.mark.slow), ["hydra/launcher=slurm"]])
def test_dry_ignores_the_launcher(cli, toy, tmp_path, words):
    words += ["-m", *[w for w in toy if not w.startswith("hydra")], "method=magnitude", "dry=true"]
    status, printed = cli(*words, "task.score=accuracy", "seed=0,1")
    assert status == 0 and printed.count("2 steps, to do") == 2
    status, printed = cli(*words, "task.max_length=32,999")
    assert status == 1 and "task.max_length=999" in printed
    assert not snapshot(tmp_path)


@pytest.mark.slow
def test_dry_beside_finished_runs_changes_nothing(cli, prunebert, toy, tmp_path):
    words = ["-m", *[w for w in toy if not w.startswith("hydra")], "method=random,magnitude", "hydra.sweep.dir=sweep"]
    assert cli(*words)[0] == 0
    before = snapshot(tmp_path)
    done = prunebert(*words, "dry=true")  # in its own process, which restores the sweep's record when it ends
    assert done.returncode == 0 and done.stdout.count("done, in sweep/") == 2
    assert snapshot(tmp_path) == before


def test_dry_trains_no_shared_teacher(cli, toy, tmp_path):
    status, printed = cli(*toy, "method=sparsebert", "distill.shared=teachers", "dry=true")
    assert status == 0 and "teacher: 2 steps" in printed and not (tmp_path / "teachers").exists()


def test_dry_computes_no_teacher_logits_and_finds_the_finished_run(cli, toy, tmp_path):
    words = [*toy, "method=smp", "distill=logits", "distill.shared=teachers", "distill.cached=true"]
    cache = Path(datasets.config.HF_DATASETS_CACHE) / "prunebert"
    before = set(cache.glob("answers*"))
    status, printed = cli(*words, "dry=true")
    assert status == 0 and "4 steps, to do" in printed and set(cache.glob("answers*")) == before
    assert cli(*words)[0] == 0 and len(set(cache.glob("answers*.safetensors")) - before) == 1
    status, printed = cli(*words, "dry=true")
    assert status == 0 and "done, in" in printed
