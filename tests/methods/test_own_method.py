"""A method of one's own, written as the README shows it, outside this repository."""

import json
import os
import shlex

from prunebert.masks import maskfile

MINE = """
from prunebert.masks.top_v import keep_top
from prunebert.training.phase import finetune


def magnitude(net, task, *, fit, sparsity, head):
    S = {n: W.detach().abs() for n, W in net.prunable("encoder").items()}
    M = keep_top(S, sparsity, scope="local")
    yield from finetune(net, task, net.add_head(task.form(), head), fit, masks=M)
"""
YAML = "_target_: lab.mine.magnitude\n_partial_: true\nfit: ${fit}\nsparsity: ${sparsity}\nhead: linear\n"
SEARCH = "hydra.searchpath=[pkg://lab.conf]"


def test_it_is_recorded_as_pruned_and_its_commands_run_again(prunebert, toy, tmp_path):
    """The row has the sparsity that the masks have; what cannot be read is told; printed commands find the method."""
    (tmp_path / "lab/conf/method").mkdir(parents=True)
    (tmp_path / "lab/mine.py").write_text(MINE)
    (tmp_path / "lab/conf/method/mine.yaml").write_text(YAML)
    path = os.pathsep.join(p for p in (str(tmp_path), os.environ.get("PYTHONPATH", "")) if p)
    words = [*toy, "method=mine", "sparsity=0.7"]
    done = prunebert(SEARCH, *words, "prunable=encoder_pooler", PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert "method=mine takes no prunable: prunable=encoder_pooler is not used" in done.stdout + done.stderr
    row = json.loads((tmp_path / "run/result.json").read_text())
    masks = maskfile.read(tmp_path / "run/masks.safetensors").masks.values()
    kept, size = sum(int(m.sum()) for m in masks), sum(m.numel() for m in masks)
    assert row["sparsity"] == 0.7 and row["prunable"] == "encoder" and abs(size - kept - 0.7 * size) <= 1
    again = prunebert(*shlex.split(row["command"])[1:], "hydra.run.dir=run", PYTHONPATH=path)
    assert again.returncode == 0 and "finished before" in again.stdout + again.stderr
    (tmp_path / "run/result.json").unlink()
    (command,) = prunebert("status", "run", "--failed").stdout.splitlines()
    assert command.startswith(f"prunebert {shlex.quote(SEARCH)} ")
