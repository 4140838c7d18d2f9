"""Make directories of finished runs, as run.py writes them, with numbers that a test chooses."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from prunebert.masks import maskfile
from prunebert.masks.maskfile import MaskFile
from prunebert.report.figures import maps
from prunebert.report.page import page
from tests.toys import write_result

KINDS = ("query", "key", "value", "attention-output", "intermediate", "output")
LABELS = [0, 1] * 50
OVERLAP = maps.overlap_table  # the real function; most tests replace it


def finished(root: Path, method: str = "magnitude", sparsity: float = 0.5, seed: int = 0, **changes: Any) -> Path:
    """Write a finished run and return its directory.

    Args:
        root: the directory.
        method: the method.
        sparsity: the requested sparsity.
        seed: the seed.
        changes: keys of result.json; or `wrong`, the number of wrong predictions of 100; `labels`; `prediction`;
            `layers`; or `written`, the time of writing in seconds.
    """
    wrong, layers, written = changes.pop("wrong", 20), changes.pop("layers", 2), changes.pop("written", 1000 + seed)
    labels = np.array(changes.pop("labels", LABELS))
    prediction = changes.pop("prediction", np.where(np.arange(len(labels)) < wrong, 1 - labels, labels))
    score = float(np.mean(labels == prediction))
    removed = 0.0 if method == "dense" else sparsity
    row = {
        "method": method,
        "task": "toy",
        "model": "bert-base-uncased",
        "fit": "quick",
        "distill": "none",
        "augment": "none",
        "sparsity": removed,
        "prunable": "encoder",
        "settings": {"fit": {"steps": 9}, "sparsity": removed, "seed": seed, "head": "linear"},
        "command": f"prunebert method={method} sparsity={sparsity} seed={seed}",
        "seed": seed,
        "sparsity_encoder": removed,
        "sparsity_encoder_pooler": removed,
        "sparsity_encoder_pooler_embeddings": removed / 2,
        "sparsity_model": removed / 3,
        "metric": "accuracy",
        "score": score,
        "metrics": {"accuracy": score},
        "majority_score": 0.5,
        "trained_parameters": 1000,
        "steps": 9,
        "seconds": 3.0 + seed,
        "seconds_per_step": 0.3,
        "peak_memory_bytes": 2**30,
        "device": "cpu, 1 thread",
        "data": {
            "labels": ["no", "yes"],
            "rows": {"train": 90, "validation": 100},
            "fingerprint": {"train": "t", "validation": "v"},
        },
        "weights_hash": "a" * 64,
        "git_commit": "c" * 40,
        "git_dirty": False,
        "status": "complete",
    } | changes
    root.mkdir(parents=True)
    started(root, row["command"].split()[1:])
    remaining = 1 - row["sparsity"]
    matrices = {
        f"layer.{layer}.{kind}": {"layer": layer, "kind": kind, "remaining": remaining}
        for layer in range(layers)
        for kind in KINDS
    }
    kinds = {kind: {"remaining": remaining, "size": 10} for kind in (*KINDS, "pooler")}
    uniform = {"layers": range(layers), "kinds": kinds}
    budget = {by: {str(part): {"ratio": 1.0} for part in parts} for by, parts in uniform.items()}
    (root / "topology.json").write_text(json.dumps({"matrices": matrices, "kinds": kinds, "budget": budget}))
    table = {
        "split": "validation",
        "id": [str(i) for i in range(len(labels))],
        "label": labels,
        "prediction": prediction,
    }
    pd.DataFrame(table).to_parquet(root / "predictions.parquet")
    masks = {"layer.0.key": torch.arange(40).reshape(5, 8) >= 40 * row["sparsity"]}
    (root / "masks.safetensors").write_bytes(maskfile.encode(MaskFile(masks, row["model"], row["weights_hash"])))
    write_result(root, row)
    os.utime(root / "result.json", (written, written))
    return root


def own_text(html: str) -> str:
    """Return a page without its pictures and without Plotly's script, which is another project's text."""
    plotly = page.plotly_script()
    assert html.count(plotly) <= 1
    return re.sub(r"base64,[A-Za-z0-9+/=]+", "", html.replace(plotly, ""))


def started(root: Path, overrides: Sequence[str], last_line: str = "") -> Path:
    """Write a run that started and has no result."""
    (root / ".hydra").mkdir(parents=True)
    (root / ".hydra/overrides.yaml").write_text(json.dumps(list(overrides)))
    if last_line:
        (root / "run.log").write_text(f"10:00:00 INFO started\n{last_line}\n")
    return root


def sweep(root: Path, task: Sequence[str], params: dict[str, str] | None = None) -> Path:
    """Write Hydra's record of a sweep."""
    root.mkdir(parents=True, exist_ok=True)
    content = {"hydra": {"overrides": {"task": list(task)}, "sweeper": {"params": params}}}
    (root / "multirun.yaml").write_text(json.dumps(content))
    return root


@pytest.fixture(autouse=True, scope="module")
def overlap():
    """Replace the overlap of masks by a constant, which is faster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maps, "overlap_table", lambda runs: (list(range(len(runs))), np.eye(len(runs)), []))
        yield


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a run below tmp_path: run("name", method, sparsity, seed, …)."""
    return lambda name, *args, **changes: finished(tmp_path / name, *args, **changes)


@pytest.fixture
def undrawn(monkeypatch):
    """Replace the figures by empty files, because drawing takes most of the time."""

    def draw_picture(drawing, folder, document):
        (folder / f"{drawing.name}.png").touch()
        return page.Picture(drawing.name, drawing.caption, "", "", 900)

    monkeypatch.setattr(page, "draw_picture", draw_picture)
