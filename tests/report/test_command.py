"""Test `prunebert report` end to end on runs made by hand: its files, escaping, and one line for bad input."""

import hashlib
import json
import re
import shutil
from urllib.parse import unquote

import pandas as pd
import pytest
from PIL import Image

from prunebert.report import command
from prunebert.report.figures import maps
from prunebert.report.page.page import CHARTS, SCRIPTS
from prunebert.runs import seal

from .conftest import OVERLAP, own_text, started, sweep
from .test_collect import LATER

FILES = {"report.html", "summary.md", "results.csv", "results.parquet", "tables.tex"}
PRINTED = """toy, bert-base-uncased: accuracy, mean ± standard deviation (seeds)
all: sparsity of encoder
method                       0                  0.9
─────────  ───────────────────  ───────────────────
dense      0.9400 ± 0.0100 (3)                    –
magnitude                    –  0.7900 ± 0.0100 (3)
smp                          –  0.8700 ± 0.0100 (3)
At sparsity 0.9, smp has the best mean accuracy, 0.870 ± 0.010 with 3 seeds
(dense: 0.940 ± 0.010, constant baseline: 0.500); only the test over examples separates it from the other row.
9 runs in the tables, 1 not:
  1 did not finish: lab/failed: it may still be running; the last line of its log: ERROR {}
open lab/report/report.html in a browser
"""
SECTIONS = [
    "findings",
    "best",
    "score",
    "cost",
    "function",
    "subgroups",
    "left",
    "overlap",
    "answers",
    "runs",
    "reading",
    "provenance",
]
EVIL = "<script>alert('x')</script>&\"$_{}%\\"


@pytest.fixture
def runs(run, tmp_path):
    for method, wrong in (("dense", 5), ("magnitude", 20), ("smp", 12)):
        for seed in range(3):
            run(f"lab/{method}{seed}", method, 0.9, seed, wrong=wrong + seed)
    started(tmp_path / "lab/failed", ["seed=9"], f"ERROR {EVIL}")
    return tmp_path / "lab"


def page(root):
    return own_text((root / "report.html").read_text())


def test_everything_is_written_into_the_first_folder(cli, runs, tmp_path):
    status, printed = cli("report", "lab")
    assert status == 0 and " ".join(printed.split()) == " ".join(PRINTED.format(EVIL).split())
    out = runs / "report"
    names = ["agreement-toy-bert-base-uncased-0.9", "cost-toy-bert-base-uncased", "density-toy-bert-base-uncased-0.9"]
    names += ["forest-toy-bert-base-uncased-magnitude"]
    names += ["overlap-toy-bert-base-uncased-0.9", "score-toy-bert-base-uncased"]
    names += ["subgroups-toy-bert-base-uncased-recall-of-each-class"]
    assert {p.name for p in out.iterdir()} == FILES | {"exemplars.csv", "figures"}
    assert sorted(p.name for p in (out / "figures").iterdir()) == [
        f"{n}.{kind}" for n in names for kind in ("pdf", "png")
    ]
    for name in names:
        assert Image.open(out / f"figures/{name}.png").size[0] > 500
        assert (out / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF")
    text = page(out)
    assert "Read from lab: 9 finished runs." in text
    compared = "3 methods (dense, magnitude, smp) on the task toy with the model bert-base-uncased, at sparsity 0.9, "
    assert f"<p>{compared}3 seeds, 9 steps: 9 runs.</p>" in text
    for part in (
        "0.8700 ± 0.0100 (3)",
        "prunebert method=smp sparsity=0.9 seed=2",
        "1 run did not finish.",
        "won : lost",
    ):
        assert part in text
    tables = (out / "tables.tex").read_text()
    assert tables.count(r"\toprule") == 2 and r"87.0 & \sd{1.0}" in tables
    csv, parquet = pd.read_csv(out / "results.csv"), pd.read_parquet(out / "results.parquet")
    assert len(csv) == len(parquet) == 9 and list(csv) == list(parquet)
    assert {"table", "label", "directory", "settings.fit.steps", "metrics.accuracy", "command", "git_commit"} <= set(
        csv
    )
    assert csv["score"].tolist() == pytest.approx(parquet["score"].tolist())


def test_a_second_report_replaces_the_first_and_does_not_count_as_a_run(undrawn, cli, runs):
    assert cli("report", "lab")[0] == 0
    shutil.rmtree(runs / "smp0")
    assert cli("report", "lab")[0] == 0
    assert len(pd.read_csv(runs / "report/results.csv")) == 8


def test_out_and_baseline(undrawn, cli, runs, tmp_path):
    assert cli("report", "lab/smp0", "lab/smp1", "lab/dense0", "--out", "new/deep", "--baseline", "dense,smp")[0] == 0
    assert "Differences to dense" in page(tmp_path / "new/deep") and not (runs / "smp0/report").exists()
    assert "too few seeds (1)" in page(tmp_path / "new/deep")
    assert "Differences to smp" in page(tmp_path / "new/deep")


def test_the_page_needs_nothing_from_outside(undrawn, cli, runs):
    cli("report", "lab")
    text = page(runs / "report")
    assert not re.search(r"""src\s*=\s*["'](?!data:)""", text) and "@import" not in text and "url(" not in text
    links = set(re.findall(r"""href="([^"#]+)""", text)) - {"data:,"}
    assert len(links) > 15 and all(
        (runs / "report" / unquote(link)).exists() for link in links if "figures/" not in link
    )
    text = text.replace('"http://www.w3.org/2000/svg"', "")  # a name, which no browser loads
    assert "http://" not in text and "https://" not in text
    assert "default-src 'none'; img-src data:; " in text  # so Plotly's script, which `page` leaves out, loads nothing
    assert "screen and (prefers-color-scheme: dark)" in text and re.findall(r"<h2 id=.([a-z]+)", text) == SECTIONS


def test_text_of_a_file_is_escaped(cli, run, tmp_path):
    facts = {
        "model": EVIL,
        "command": EVIL,
        "device": EVIL,
        "task": EVIL,
        "metric": EVIL,
        "fit": EVIL,
        "git_commit": EVIL,
    }
    data = {"labels": [EVIL], "rows": {EVIL: 5}, "fingerprint": {EVIL: EVIL}}
    settings = {EVIL: EVIL, "x": {"y": [EVIL]}}
    run("lab/a", EVIL, metrics={EVIL: 0.5}, data=data, settings=settings, **facts)
    run("lab/b", "smp", metrics={EVIL: 0.5}, data=data, settings={}, **facts)
    run(f"lab/{EVIL.replace('/', '')}", "gmp", metrics={EVIL: 0.5}, data=data, settings={}, prunable=EVIL, **facts)
    started(tmp_path / "lab/failed", [], EVIL)
    status, printed = cli("report", "lab", "--baseline", "smp")
    assert status == 0, printed
    text = page(tmp_path / "lab/report")
    assert text.count("<script>") == 1 + len(SCRIPTS) + len(CHARTS) and "&lt;script&gt;alert(" in text
    assert "<script>" not in (tmp_path / "lab/report/tables.tex").read_text()


def test_a_report_is_written_in_spite_of_damaged_runs(undrawn, cli, runs, monkeypatch):
    monkeypatch.setattr(maps, "overlap_table", OVERLAP)
    (runs / "smp0/result.json").write_text("{")
    (runs / "smp1/topology.json").write_text("[]")
    (runs / "smp2/predictions.parquet").write_bytes(b"no")
    (runs / "magnitude1/predictions.parquet").unlink()
    (runs / "dense0/run.log").mkdir()
    (runs / "magnitude2/masks.safetensors").write_bytes(b"no")
    sweep(runs, ["seed=0,1,2,3"])
    (runs / "magnitude0/.hydra/overrides.yaml").write_text("{")
    status, printed = cli("report", "lab")
    assert status == 0, printed
    text = page(runs / "report")
    for part in (
        "1 run cannot be read.",
        "missing",
        "never started: seed=3",
        "not in the density map",
        "topology.json",
        "not in the overlap",
        "2 files are not in the tests.",  # smp2 and magnitude1, whose predictions cannot be read
    ):
        assert part in text, part


def test_predictions_that_are_damaged_are_told_once_and_a_sweeps_report_prints_it(undrawn, run, tmp_path, capsys):
    """Whoever verifies them first reports them: the collection, or the tests over examples."""
    run("lab/old", "smp", written=1)
    for method in ("magnitude", "smp"):
        root = run(f"lab/{method}", method)
        content = (root / "predictions.parquet").read_bytes()
        row = json.loads((root / "result.json").read_text())
        hashes = {"predictions.parquet": hashlib.sha256(content).hexdigest()}
        (root / "result.json").write_bytes(seal.encoded(seal.sealed(row | LATER, hashes)))
    (root / "predictions.parquet").write_bytes(content[:-1])
    command.of_sweep(tmp_path / "lab")
    printed = capsys.readouterr().out
    assert "2 runs in the tables, 1 not:\n  1 replaced: " in printed and "1 not in the tests: " in printed
    text = page(tmp_path / "lab/report")
    assert "1 file is not in the tests. 1 run" in text and "3 finished runs; 2 runs in the tables." in text
    run("clean/a")
    command.of_sweep(tmp_path / "clean")
    assert capsys.readouterr().out.startswith("open ")


def test_runs_of_an_earlier_report_and_new_ones_are_in_the_same_tables(undrawn, cli, runs, run, tmp_path):
    (runs / "failed/.hydra/overrides.yaml").unlink()
    (runs / "failed/.hydra").rmdir()
    assert cli("report", "lab", "--out", "published")[0] == 0
    shutil.rmtree(runs)
    status, printed = cli("report", "published/results.csv")
    assert status == 0 and printed.splitlines()[-1] == "open published/report/report.html in a browser"
    text = page(tmp_path / "published/report")
    assert "0.8700 ± 0.0100 (3)" in text and "predictions not available" in text
    assert (
        "9 rows: the tables have only their scores and costs" in text
        and "Some runs have only their scores here" in text
    )
    assert not list(tmp_path.glob("published/report/figures/density*")) and "not in the" not in text
    for seed in (2, 3):
        run(f"new/{seed}", "smp", 0.9, seed, wrong=10)
    status, printed = cli("report", "new", "published/results.parquet")
    assert status == 0 and printed.splitlines()[-1] == "open new/report/report.html in a browser"
    text = page(tmp_path / "new/report")
    assert (
        f"{(0.88 + 0.87 + 0.9 + 0.9) / 4:.4f} ± " in text and "(4)" in text and "8 rows: the tables have only" in text
    )
    assert len(list(tmp_path.glob("new/report/figures/density*"))) == 1
    assert not re.findall(r"\d+ not in the \w+", text)


def test_several_tables_figures_and_metrics(undrawn, cli, run, tmp_path):
    run("lab/a", metrics={"accuracy": 0.8, "f1": 0.7})
    run("lab/b", task="stsb", metric="pearson", labels=[0.5, 1.5, 2.5], prediction=[0.5, 1.0, 2.5])
    run("lab/c", "smp", task="stsb", metric="pearson", labels=[0.5, 1.5, 2.5], prediction=[0.6, 1.0, 2.0])
    assert cli("report", "lab")[0] == 0
    text = page(tmp_path / "lab/report")
    assert "The same for f1" in text and "absolute error" in text and len(list(tmp_path.rglob("score-*.png"))) == 2
    assert (tmp_path / "lab/report/tables.tex").read_text().count(r"\caption{F1 in percent on ") == 1


BAD = [
    ([], "arguments are required: DIR"),
    (["nowhere"], "nowhere: there is no such directory"),
    (["empty"], "empty: there is no finished run"),
    (["nowhere.csv"], "nowhere.csv: there is no such file"),
    (["file"], "file is neither a directory nor a results.csv or results.parquet"),
    (
        ["other.csv"],
        "other.csv is not a results table of a report: it lacks the columns command, metric, model, prunable,",
    ),
    (["lab", "--baseline", "smo"], "--baseline=smo: allowed are dense, magnitude, smp; did you mean smp?"),
    (["lab", "--out", "file/x"], "--out=file/x cannot be written to"),
    (["lab", "--ouy", "x"], "unrecognized arguments"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=lambda x: " ".join(x) if isinstance(x, list) else "")
def test_bad_input_is_one_line_and_status_2(cli, runs, tmp_path, words, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "other.csv").write_text("method,task,seed\nsmp,rte,0\n")
    status, printed = cli("report", *words)
    assert status == 2 and message in printed and len(printed.strip().splitlines()) == 1, printed


def test_a_real_sweep_with_a_missing_cell_and_a_failed_run(undrawn, cli, toy, tmp_path):
    """One of two methods fails, and a cell is removed by hand. Hydra's and run.py's own files are read."""
    words = [w for w in toy if not w.startswith(("task.label_words", "hydra.run.dir"))]
    words += ["method=random,smp", "seed=0,1", "sparsity=0.9", "hydra.sweep.dir=sweep"]
    status, printed = cli("-m", *words)
    assert status == 1 and "report on all of them: prunebert report sweep" in printed
    (removed,) = (tmp_path / "sweep").glob("method-random_seed-1")
    shutil.rmtree(removed)
    assert cli("report", "sweep")[0] == 0
    text = page(tmp_path / "sweep/report")
    assert (
        "2 runs did not finish. Some runs of a sweep never started." in text
        and "never started: method=random seed=1" in text
    )
    assert "the task needs task.label_words" in text
    row = json.loads(next((tmp_path / "sweep").glob("method-random*/result.json")).read_text())
    assert pd.read_parquet(tmp_path / "sweep/report/results.parquet")["score"].tolist() == [row["score"]]


def test_a_sweep_can_end_with_its_report(undrawn, cli, toy, tmp_path):
    words = [w for w in toy if not w.startswith("hydra.run.dir")]
    words += ["method=random", "seed=0,1", "hydra.sweep.dir=sweep", "hydra.callbacks.around.report=true"]
    status, printed = cli("-m", *words)
    assert status == 0 and printed.endswith("\nopen sweep/report/report.html in a browser\n"), printed
    assert "prunebert report" not in printed and printed.count("0.4500") > 1  # its table is not printed twice
    assert (tmp_path / "sweep/report/report.html").is_file()


def test_of_many_sparsities_some_have_maps_and_the_page_names_the_others(cli, run, tmp_path, undrawn, monkeypatch):
    sparsities = [round(0.1 + 0.08 * i, 2) for i in range(10)]
    for i, sparsity in enumerate(sparsities):
        run(f"lab/a{i}", "magnitude", sparsity, 0)
        run(f"lab/b{i}", "smp", sparsity, 0, wrong=5)
    assert cli("report", "lab")[0] == 0
    figures = tmp_path / "lab/report/figures"
    for kind in ("density", "overlap"):
        drawn = sorted(float(p.stem.rsplit("-", 1)[1]) for p in figures.glob(f"{kind}-*.png"))
        assert len(drawn) == 6 and {0.1, sparsities[-1]} <= {*drawn} <= {*sparsities}
    left_out = ", ".join(f"{s:g}" for s in sparsities if s not in drawn)
    assert f"They are not drawn at {left_out}. Give" in page(tmp_path / "lab/report")
