"""Test scripts/topology_claims.py from directories to the page, and what it says about transferred masks."""

import itertools
import json
import math
import sys

import numpy as np
import pytest
import torch
from scipy import stats

from prunebert.errors import BadInput
from prunebert.masks.maskfile import MaskFile
from prunebert.runs import artifacts
from tests.scripts.topology_toys import (
    KINDS,
    ROOT,
    SIZES,
    TASKS,
    claims,
    draw,
    grid,
    layer,
    study,
    table,
    transfer,
    verdict,
)
from tests.toys import RESULT, write_result


def transferred(task, source, seed, score, *, shuffled=False, target_seed=0, **settings):
    origin = {"method": "abp", "task": source, "seed": seed, "sparsity": 0.9}
    row = {"task": task, "seed": target_seed, "score": score, "sparsity": 0.9, "fit": "quick"}
    return row | {"masks_from": origin, "settings": {"shuffled": shuffled, "train": "all"} | settings}


def test_transfer_compares_the_scores_of_each_source_seed():
    rows, dense = [], []
    for seed, task in itertools.product(range(3), TASKS):
        for target_seed in range(2):
            own = 0.8 + 0.01 * seed
            rows.append(transferred(task, task, seed, own + 0.1 * target_seed, target_seed=target_seed))
            for other in TASKS:
                score = 0.7 + 0.02 * seed + 0.1 * target_seed
                if other != task:
                    rows.append(transferred(task, other, seed, score, target_seed=target_seed))
                rows.append(transferred(task, other, seed, 0.6 - 0.03 * seed, shuffled=True, target_seed=target_seed))
    for task in TASKS:
        dense += [{"task": task, "seed": s, "score": 0.5, "fit": fit} for s in range(2) for fit in ("quick", "paper")]
    found = study.Study({}, transferred=rows, dense=dense)
    evidence = transfer.contrast(found, "abp", 0.9, "own", "other")
    gaps = [0.1, 0.09, 0.08]
    assert evidence.parts[0].number == pytest.approx(np.mean(gaps)) and verdict(evidence) == "yes"
    assert evidence.p == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue)
    for first, gap in (("own", 0.29), ("other", 0.2)):
        evidence = transfer.contrast(found, "abp", 0.9, first, f"{first} shuffled")
        assert verdict(evidence) == "yes" and evidence.parts[0].number == pytest.approx(gap)
    assert verdict(transfer.contrast(found, "abp", 0.9, "dense", "own")) == "no"
    constant = study.Study({}, transferred=[row | {"majority_score": 0.95} for row in rows])
    assert "constant baseline" in transfer.contrast(constant, "abp", 0.9, "own", "other").why
    assert transfer.contrast(found, "smp", 0.9, "own", "other").why == transfer.NO_RUNS
    rows.append(transferred("a", "a", 0, 0.5, train="head"))
    with pytest.raises(BadInput, match="several ways"):
        transfer.contrast(found, "abp", 0.9, "own", "other")


# From directories to the page


def save(folder, key, run, **changes):
    (folder / ".hydra").mkdir(parents=True)
    method, task, sparsity, seed = key
    masks = {
        n: torch.from_numpy(np.unpackbits(b, count=math.prod(SIZES[n])).reshape(SIZES[n]).astype(bool))
        for n, b in run.mask.bits.items()
    }
    artifacts.write_masks(folder / "masks.safetensors", MaskFile(masks, "toy", "w"))
    (folder / "topology.json").write_text(json.dumps({"matrices": {n: {"kind": KINDS[n]} for n in SIZES}}))
    row = RESULT | {"method": method, "task": task, "sparsity": sparsity, "seed": seed, "identity": folder.name}
    write_result(folder, row | changes)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("grid")
    found = grid(lambda random, *_: draw(random, lambda n: 0.8 if 0 <= layer(n) < 2 else 0.4), tasks=("a", "b"))
    for number, (key, run) in enumerate(found.runs.items()):
        save(root / f"run{number}", key, run)
    save(root / "tuning", ("abp", "a", 0.5, 100), run, tuning={"try": 1})
    return root


def call(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["topology_claims.py", *map(str, words)])
    claims.main()


def test_the_command_writes_the_answers_and_fills_the_page(runs, tmp_path, monkeypatch):
    page = tmp_path / "topology.md"
    page.write_text((ROOT / "docs/results/topology.md").read_text("utf-8"), "utf-8")
    call(monkeypatch, runs, "--out", tmp_path / "answers.json", "--page", page, "--degrees", "none")
    content = json.loads((tmp_path / "answers.json").read_text("utf-8"))
    assert content["runs"] == 6 and content["left_out"] == {"made to choose learning rates": 1}
    text = page.read_text("utf-8")
    assert table.fill(text, content) == text
    assert text.count("**yes**") == sum(r["role"] == "claim" and r["verdict"] == "yes" for r in content["answers"]) > 0
    assert "| abp | 0.5 |" in text and str(tmp_path) not in (tmp_path / "answers.json").read_text("utf-8")
    uneven = next(row for row in content["answers"] if (row["table"], row["name"]) == ("layers", "uneven"))
    assert uneven["verdict"] == "yes" and uneven["n"] == {"runs": 6, "tasks": 2, "seeds": 3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "other"}, "name the runs of one model"),
        ({"prunable": "encoder_pooler"}, "prunable=encoder_pooler, but"),
        ({"seed": 9, "settings": {"lr": 2}}, "has other settings than"),
        ({}, "is the same as"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused_in_one_line(runs, tmp_path, monkeypatch, capsys, changes, message):
    key = ("abp", "a", 0.5, 0)
    save(tmp_path / "more", key, study.read([runs]).runs[key], **changes)
    with pytest.raises(SystemExit) as stop:
        call(monkeypatch, runs, tmp_path / "more", "--out", tmp_path / "answers.json")
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and error.count("\n") == 1 and str(tmp_path / "more") in error
    assert not (tmp_path / "answers.json").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text", "no mark"),
        ("<!-- topology nothing -->\n<!-- end -->", "allowed are"),
        ("<!-- topology runs -->", "there must be one"),
    ],
)
def test_a_page_with_wrong_marks_is_refused_before_anything_is_read(tmp_path, monkeypatch, capsys, text, message):
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(SystemExit) as stop:
        call(monkeypatch, tmp_path, "--out", tmp_path / "answers.json", "--page", tmp_path / "page.md")
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and "page.md" in error and error.count("\n") == 1
    assert not (tmp_path / "answers.json").exists() and (tmp_path / "page.md").read_text() == text


def test_a_folder_without_runs_or_for_the_answers_is_refused(tmp_path, monkeypatch, capsys):
    for out, message in ((tmp_path / "no" / "answers.json", "does not exist"), (tmp_path / "answers.json", "")):
        with pytest.raises(SystemExit) as stop:
            call(monkeypatch, tmp_path, "--out", out)
        error = capsys.readouterr().err
        assert stop.value.code == 2 and message in error and error.count("\n") == 1 and str(tmp_path) in error


def test_the_page_agrees_with_the_answers():
    text = (ROOT / "docs/results/topology.md").read_text("utf-8")
    file = ROOT / "results/topology/answers.json"
    if file.exists():
        assert table.fill(text, json.loads(file.read_text("utf-8"))) == text
    else:  # nothing on the page claims to be measured
        bodies = [part.partition("-->\n")[2].partition("<!-- end")[0] for part in text.split("<!-- topology ")[1:]]
        assert len(bodies) > 10 and set(bodies) == {"No runs yet.\n"}
