"""`prunebert info`: a sweep's table at every width, and the summary of a run."""

import json
import shlex

import pytest
import yaml
from rich.cells import cell_len

from prunebert.commands import info_facts
from prunebert.commands.info_sweep import show_sweep
from prunebert.runs.failures import Failure, Failures
from tests.toys import RESULT, write_result

FORM = {
    "span": False,
    "regression": False,
    "masked_lm": False,
    "pair": False,
    "outputs": 2,
    "max_length": 32,
    "name": "y",
}
QUICKSTART = """5 finished runs in sweep
constant baseline: accuracy 0.4995 (always the commonest label)
all: task rotten_tomatoes, model tiny, fit quick, seed 0,
     prunable encoder_pooler_embeddings
                        model            weights
method     sparsity  sparsity  accuracy  trained  time  directory
─────────  ────────  ────────  ────────  ───────  ────  ────────────────
dense        0.0000    0.0000   0.7516      100%  13 s  method-dense
magnitude    0.9000    0.8823   0.7020      100%  13 s  method-magnitude
movement     0.9000    0.8823   0.7516      9.4%  13 s  method-movement
random       0.9000    0.8823   0.4995*     100%  13 s  method-random
smp          0.9000    0.8790   0.7840        0%  13 s  method-smp
* less than half a point above the constant baseline
show one of them: prunebert info sweep/method-smp
report on all of them: prunebert report sweep
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes a finished run below sweep/ in the working directory."""
    monkeypatch.chdir(tmp_path)

    def call(name, **changes):
        run = tmp_path / "sweep" / name
        (run / ".hydra").mkdir(parents=True)
        (run / ".hydra/config.yaml").write_text(
            json.dumps(dict.fromkeys(["method", "task", "model", "sparsity", "seed"]))
        )
        write_result(run, RESULT | {"form": FORM, "trained_scores": 0, "model_parameters": 90} | changes)
        return run

    return call


@pytest.fixture
def lines(monkeypatch, capsys, tmp_path):
    """Return a function that gives the printed lines of the sweep's table at a width."""

    def call(width=None, **options):
        monkeypatch.setenv("COLUMNS", str(width or ""))
        capsys.readouterr()
        show_sweep(tmp_path / "sweep", **options)
        return capsys.readouterr().out.splitlines()

    return call


def quickstart(write):
    same = {"task": "rotten_tomatoes", "model": "tiny", "seconds": 13.2, "majority_score": 0.49953139643861294}
    same |= {"model_parameters": 4402946, "trained_parameters": 4402946, "prunable": "encoder_pooler_embeddings"}
    removed = {"sparsity": 0.9, "sparsity_encoder_pooler_embeddings": 0.9000000465, "sparsity_model": 0.8823}
    write("method-dense", **same | {"sparsity": 0.0, "sparsity_model": 0.0, "sparsity_encoder": 0.0}
          | {"prunable": "encoder", "method": "dense", "score": 0.75164})  # fmt: skip
    write("method-random", **same | removed | {"method": "random", "score": 0.49953139643861294})
    write("method-magnitude", **same | removed | {"method": "magnitude", "score": 0.70197})
    scores = {"trained_scores": 4300032}
    write(
        "method-movement",
        **same | removed | scores | {"method": "movement", "score": 0.7516, "trained_parameters": 4714178},
    )
    write("method-smp", **same | removed | scores | {"method": "smp", "score": 0.784, "trained_parameters": 4300032}
          | {"sparsity_model": 0.879})  # fmt: skip


def test_the_quickstarts_table_fits_80_columns(write, lines):
    quickstart(write)
    assert lines(80) == QUICKSTART.splitlines()
    assert lines(80, reported=True) == QUICKSTART.splitlines()[:-1]


def big(write, rows, name):
    """Runs of several tasks with long names, seeds of three digits, several metrics and missing values."""
    for i in range(rows):
        score = {
            "metric": ["accuracy", "matthews"][i % 2],
            "majority_score": None if i % 3 else 0.25,
            "score": 0.5 + i / 1000,
        }
        command = f"prunebert method=x +method.score_lr={i % 4}e-2 seed={100 + i}" + " fit.lr=3" * (i % 2)
        axes = {"method": "soft_movement", "task": name.format(i % 2), "model": name.format("base"), "seed": 100 + i}
        write(
            f"cell-{i:03}_{name.format(i)}",
            **axes | score | {"command": command, "sparsity": i % 7 / 10, "sparsity_encoder": 0.5},
        )


@pytest.mark.parametrize(
    "name", ["mnli-{}", "a_very_long_name_of_a_task_{}_that_goes_on", "电影评论情感分析{}很长的名字", "/models/ünï-{}"]
)
@pytest.mark.parametrize("rows", [1, 40])
def test_a_sweep_has_one_line_a_run_at_every_width(write, lines, rows, name):
    big(write, rows, name)
    for width in (60, 80, 100, 200):
        printed = lines(width)
        end = next(i for i, line in enumerate(printed) if line.startswith(("not shown", "shortened", "*", "show one")))
        table = printed[end - rows : end]
        assert all(f"{0.5 + i / 1000:.4f}" in line for i, line in enumerate(table)), (width, printed)
        assert rows == 1 or all(f" {100 + i} " in line for i, line in enumerate(table))
        hints = [line for line in printed if line.startswith(("show one", "report on"))]
        assert max(cell_len(line) for line in printed if line not in hints) <= max(width, cell_len(printed[0]))
    whole = lines(60, wide=True)
    assert not [line for line in whole if line.startswith(("not shown", "shortened"))]
    in_a_pipe = [line for line in lines() if "cell-" in line]
    assert in_a_pipe == [line for line in whole if "cell-" in line]
    assert all(any(f"cell-{i:03}_{name.format(i)}" in line for line in whole) for i in range(rows))


def test_a_run_shows_the_pattern_that_was_asked_for_and_the_measured_one(write, cli):
    pattern = {"asked": "2:4", "satisfied": True, "found": {"n_m": "2:4", "block": None}, "groups_2_4": 1.0}
    for name, asked in (("with", "2:4"), ("without", "none")):
        run = write(name, metrics={"accuracy": 0.5})
        (run / "topology.json").write_text(json.dumps({"pattern": pattern | {"asked": asked}}))
    assert "2:4; measured: 2:4; 100.00% of the groups of 4" in " ".join(cli("info", "sweep/with")[1].split())
    status, printed = cli("info", "sweep/without")
    assert status == 0 and "measured" not in printed


def test_a_run_shows_its_spectra_against_random_masks(write, cli):
    """The means of 3 / 2 and 1 / 2, and of 6 / 2 alone; an earlier version's run and a dense one have no line."""

    def spectrum(own, random):
        return {"sigma_1": 9.0, "sigma_2": own, "random": {"sigma_1": 9.0, "sigma_2": random}}

    pruned = {
        "q": {"unweighted": spectrum(3.0, 2.0), "weighted": spectrum(6.0, 2.0)},
        "k": {"unweighted": spectrum(1.0, 2.0), "weighted": None},
    }
    dense = {"q": {"unweighted": spectrum(0.0, 0.0), "weighted": spectrum(1.0, 1.0)}}
    for name, matrices in (("pruned", pruned), ("dense", dense), ("old", None)):
        topology = {"spectral": {"weights": "trained", "matrices": matrices}} if matrices else {}
        (write(name, metrics={"accuracy": 0.5}) / "topology.json").write_text(json.dumps(topology))
    shown = " ".join(cli("info", "sweep/pruned")[1].split())
    assert "spectrum σ₂ (2nd singular value) 1.00 × random masks', 3.00 × with the weights" in shown
    for name in ("dense", "old"):
        status, printed = cli("info", f"sweep/{name}")
        assert status == 0 and "spectrum" not in printed and "accuracy" in printed


def test_what_a_sweep_varies_has_a_column(write, lines):
    big(write, 4, "x{}")
    head = next(line for line in lines() if line.startswith("task"))
    for title in ("task", "method.score_lr", "fit.lr", "seed", "target", "metric", "score", "directory"):
        assert title in head.split(), head
    assert "method" not in head.split() and "matthews" in "\n".join(lines())


def test_runs_that_nothing_else_tells_apart_keep_their_directories(write, lines):
    for name in ("2026-11-28_10-00-00-000001_of_a_long_name", "2026-11-28_10-00-00-000002_of_a_long_name"):
        write(name)
    printed = "\n".join(lines(60))
    assert printed.count("2026") + printed.count("…") >= 2 and "000002_of_a_long_name" in printed


def test_a_score_is_near_chance_below_half_a_point():
    rows = {0.4995: True, 0.5044: True, 0.5046: False, 0.3: True}
    assert {s: info_facts.is_near_chance({"score": s, "majority_score": 0.4995}) for s in rows} == rows
    assert not info_facts.is_near_chance({"score": 0.0, "majority_score": None})


def test_shares_and_times_are_read_at_a_glance():
    shares = {0: "0%", 1: "100%", 0.5: "50.0%", 0.0004: "<0.1%", 0.9996: ">99.9%", 0.0938: "9.4%"}
    assert {x: info_facts.percent(x) for x in shares} == shares
    assert [info_facts.duration(x) for x in (0.04, 9.94, 13.2, 3600)] == ["0.0 s", "9.9 s", "13 s", "3,600 s"]
    kinds = {"regression": "always the mean", "span": "never an answer", "masked_lm": "always the commonest token"}
    assert {k: info_facts.constant({"form": FORM | {k: True}}) for k in kinds} == kinds
    assert info_facts.constant({}) == "" and info_facts.constant({"form": FORM}) == "always the commonest label"


def test_rows_are_in_the_order_of_their_numbers_and_only_finished_ones_are_rows(write, lines):
    for name in ("seed-10", "seed-9"):
        write(name, seed=int(name[5:]), score=0.7, sparsity=0.5, sparsity_encoder=0.5049)
    (write("damaged") / "result.json").write_text("{}")
    (write("dead") / "result.json").unlink()
    (write("known") / "result.json").unlink()
    failures = Failures()
    failures.add(Failure("known", "no space"))
    printed = lines(failures=failures)
    assert [line.split()[-1] for line in printed if " 0.7000 " in line] == ["seed-9", "seed-10"]
    assert printed[-5:-1] == [
        *("1 cell did not finish: no space", "  known", "1 cell did not finish: it left no log", "  dead"),
    ]
    assert printed[-1].startswith("left out: ") and "damaged/result.json" in printed[-1]
    assert not any("target" in line for line in printed)  # 0.5049 was asked for as 0.5: half a point at most
    write("off", seed=1, sparsity=0.5, sparsity_encoder=0.506)
    assert any("target" in line for line in lines())
    write("dense", seed=2, sparsity=0.0, sparsity_encoder=0.0, sparsity_model=0.0)
    assert "all: " in "\n".join(lines()) and "prunable encoder" in "\n".join(lines())


def test_an_early_versions_run_has_no_share(write, lines):
    write("old", trained_scores=None)
    assert "weights trained" not in "\n".join(lines())


def test_failures_are_listed_with_their_cells(write, lines):
    write("done")
    failures = Failures()
    for i in range(14):
        failures.add(Failure(f"method-smp_seed-{i}", "no space"))
    printed = lines(60, failures=failures)
    assert printed[-5] == "14 cells did not finish: no space"
    assert printed[-4] == "  method-smp_seed-0, method-smp_seed-1, method-smp_seed-2,"
    assert printed[-1] == "  method-smp_seed-9, and 4 more"


def test_info_of_a_run_begins_with_its_summary(cli, toy, tmp_path, monkeypatch):
    status, printed = cli(*toy, "method=movement", "sparsity=0.5", "prunable=encoder")
    assert status == 0 and printed.count("classes: 0, 1") == 1
    row = json.loads((tmp_path / "run/result.json").read_text())
    for width in (60, 80):
        monkeypatch.setenv("COLUMNS", str(width))
        status, printed = cli("info", "run")
        summary, command = printed.rstrip("\n").rsplit("\n", 1)
        paths = [line for line in summary.splitlines() if str(tmp_path) in line or "/models" in line]
        assert status == 0 and max(len(line) for line in summary.splitlines() if line not in paths) <= width
    assert summary.startswith("movement on train, model ") and len(summary.splitlines()) <= 25
    facts = [
        f"accuracy {row['score']:.4f} (constant baseline {row['majority_score']:.4f}:",
        "classes    0, 1",
        "cpu, 1 thread",
    ]
    facts += [
        "sparsity 0.5 of encoder",
        "0.500000 encoder matrices",
        f"{row['sparsity_model']:.6f} whole model",
        "effective",
    ]
    trained = row["trained_parameters"] - row["trained_scores"]
    facts += [
        f"{trained:,} of {row['model_parameters']:,} weights",
        f"{row['trained_scores']:,} scores",
        "query ",
        "2 steps",
    ]
    for fact in facts:
        assert fact in summary, fact
    assert command.startswith("repeat with: ") and shlex.split(command)[2:] == shlex.split(row["command"])


def test_the_configuration_is_a_flag_away_and_resolved(cli, finished):
    run = finished("method=magnitude", "sparsity=0.5")
    assert "prune_steps" not in cli("info", str(run))[1]
    status, printed = cli("info", str(run), "--config")
    config = yaml.safe_load(printed)
    assert status == 0 and "${" not in printed
    assert config["method"]["fit"]["steps"] == config["fit"]["steps"] == 2 and config["method"]["sparsity"] == 0.5
