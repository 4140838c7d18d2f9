"""Test a user's own method outside this repository, written as in the README."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from prunebert.masks import maskfile

METHOD = """
from prunebert.masks.top_v import keep_top
from prunebert.training.phase import finetune


def magnitude(net, task, *, fit, sparsity, head):
    S = {n: W.detach().abs() for n, W in net.prunable("encoder").items()}
    M = keep_top(S, sparsity, scope="local")
    yield from finetune(net, task, net.add_head(task.form(), head), fit, masks=M)
"""
YAML = "_target_: lab.mine.magnitude\n_partial_: true\nfit: ${fit}\nsparsity: ${sparsity}\nhead: linear\n"
SEARCH = "hydra.searchpath=[pkg://lab.conf]"


def test_its_sparsity_is_recorded_and_its_commands_can_be_repeated(prunebert, toy, tmp_path):
    """result.json has the masks' sparsity, an unused setting is reported, and printed commands find the method."""
    (tmp_path / "lab/conf/method").mkdir(parents=True)
    (tmp_path / "lab/mine.py").write_text(METHOD)
    (tmp_path / "lab/conf/method/mine.yaml").write_text(YAML)
    path = os.pathsep.join(p for p in (str(tmp_path), os.environ.get("PYTHONPATH", "")) if p)
    words = [*toy, "method=mine", "sparsity=0.7"]
    process = prunebert(SEARCH, *words, "prunable=encoder_pooler", PYTHONPATH=path)
    assert process.returncode == 0, process.stderr
    assert "method=mine takes no prunable: prunable=encoder_pooler is not used" in process.stdout + process.stderr
    row = json.loads((tmp_path / "run/result.json").read_text())
    masks = maskfile.read(tmp_path / "run/masks.safetensors").masks.values()
    remaining, size = sum(int(m.sum()) for m in masks), sum(m.numel() for m in masks)
    assert row["sparsity"] == 0.7 and row["prunable"] == "encoder" and abs(size - remaining - 0.7 * size) <= 1
    repeated = prunebert(*shlex.split(row["command"])[1:], "hydra.run.dir=run", PYTHONPATH=path)
    assert repeated.returncode == 0 and "finished before" in repeated.stdout + repeated.stderr
    (tmp_path / "run/result.json").unlink()
    (command,) = prunebert("status", "run", "--failed").stdout.splitlines()
    assert command.startswith(f"prunebert {shlex.quote(SEARCH)} ")
