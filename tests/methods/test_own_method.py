"""A user's own methods and tasks: the examples of docs/add-a-method.md and docs/add-a-task.md, run elsewhere."""

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import prunebert
from prunebert.masks import maskfile

DOCS = Path(__file__).parents[2] / "docs"
PAGE = "\n".join((DOCS / page).read_text() for page in ("add-a-method.md", "add-a-task.md"))
FILES = re.findall(r"^```(?:python|yaml|csv)\n# (\S+)\n(.*?)^```$", PAGE, re.M | re.S)
COMMANDS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.M | re.S)
SEARCH = "hydra.searchpath=[pkg://lab.conf]"


@pytest.fixture
def lab(tmp_path):
    """Writes every example of the page into an empty directory, as a reader would. Returns its PYTHONPATH."""
    for name, text in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "lab/conf/__init__.py").touch()
    return os.pathsep.join(p for p in (str(tmp_path), os.environ.get("PYTHONPATH", "")) if p)


def bash(block, folder):
    """Run a block of commands. Raises if one fails."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PATH": path}
    command = ["bash", "-euc", block]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def results(folder):
    """The rows of all runs below a folder, by task."""
    rows = [(p.parent, json.loads(p.read_text())) for p in folder.glob("outputs/**/result.json")]
    return {row["task"]: (run, row) for run, row in rows}


def measured_sparsity(run):
    masks = maskfile.read(run / "masks.safetensors").masks.values()
    kept, size = sum(int(m.sum()) for m in masks), sum(m.numel() for m in masks)
    return 1 - kept / size


def command(word):
    """The block of commands that has this word."""
    (block,) = (block for block in COMMANDS if word in block)
    return block


def test_the_pages_have_every_file_that_their_commands_need():
    assert {name for name, _ in FILES} == {
        *("lab/mine.py", "lab/conf/method/mine.yaml", "lab/test_mine.py"),
        *("lab/scored.py", "lab/conf/method/scored.yaml", "films.csv"),
        *("lab/topics.py", "lab/conf/task/topics.yaml", "lab/conf/task/films.yaml"),
    }
    assert len(COMMANDS) == 5 and sum(block.count("prunebert '") for block in COMMANDS) == 4


def test_the_method_runs_and_is_tested_as_the_page_shows_it(lab, tmp_path, monkeypatch):
    printed = bash(command("method=mine"), tmp_path)
    run = tmp_path / "mine"
    row = json.loads((run / "result.json").read_text())
    assert row["method"] == "mine" and row["sparsity"] == 0.7 and row["prunable"] == "encoder"
    assert abs(measured_sparsity(run) - 0.7) < 1e-4 and row["phases"].keys() == {"finetune"}
    assert "not available" not in printed  # Hydra's warning about a folder without __init__.py
    monkeypatch.chdir(tmp_path)
    (name,) = re.findall(r"def (test_\w+)", dict(FILES)["lab/test_mine.py"])
    page_test = runpy.run_path("lab/test_mine.py")[name]
    page_test()
    masks = maskfile.read(run / "masks.safetensors")
    swapped = {n: m.flip(0) for n, m in masks.masks.items()}  # as many weights, others
    monkeypatch.setattr("prunebert.load", lambda root, load=prunebert.load: replace(load(root), masks=swapped))
    with pytest.raises(AssertionError):
        page_test()


def test_the_method_with_scores_runs_as_the_page_shows_it(lab, tmp_path):
    bash(command("method=scored"), tmp_path)
    run, row = results(tmp_path)["rotten_tomatoes"]
    assert row["method"] == "scored" and abs(measured_sparsity(run) - 0.9) < 1e-4
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["sparsity"] for line in lines] == pytest.approx(
        [0.9 * (1 - (1 - min(max((t - 0.1) / 0.6, 0), 1)) ** 3) for t in (line["t"] for line in lines)], abs=1e-4
    )
    # Beside pre-trained magnitudes alone, the scores have moved.
    assert json.loads((run / "topology.json").read_text())["magnitude"]["local"]["beyond_chance"] < 1


def test_the_tasks_run_as_the_pages_show_them(lab, tmp_path):
    bash(f"{command('task=films')}\n{command('task=topics')}", tmp_path)
    rows = results(tmp_path)
    assert rows.keys() == {"films", "topics"}
    assert {task: row["metric"] for task, (_, row) in rows.items()} == {"films": "f1", "topics": "f1"}
    run, row = rows["topics"]
    predicted = pd.read_parquet(run / "predictions.parquet")
    assert predicted.label.tolist() == ["music", "music actors"]
    assert row["data"]["rows"] == {"train": 6, "validation": 2}
    # 3 of 6 training rows have the plot and 3 the actors, which is no majority: the constant baseline names no topic
    assert row["majority"] == {"f1": 0.0}


def test_prunable_reaches_the_method(lab, prunebert, toy, tmp_path):
    done = prunebert(SEARCH, *toy, "method=mine", "sparsity=0.7", "prunable=encoder_pooler_embeddings", PYTHONPATH=lab)
    assert done.returncode == 0, done.stderr
    row = json.loads((tmp_path / "run/result.json").read_text())
    assert row["prunable"] == "encoder_pooler_embeddings" and abs(measured_sparsity(tmp_path / "run") - 0.7) < 1e-3
    assert any("embeddings" in name for name in maskfile.read(tmp_path / "run/masks.safetensors").masks)
    done = prunebert(SEARCH, *toy, "method=mine", "method.head=liner", PYTHONPATH=lab)
    assert done.returncode == 2 and "linear" in done.stderr  # the annotation from prunebert.choices is checked


def test_without_prunable_it_is_recorded_as_pruned_and_its_commands_run_again(lab, prunebert, toy, tmp_path):
    """The row has the masks' sparsity; an unused prunable= triggers a warning; printed commands find the method."""
    for name, old, new in (
        ("lab/conf/method/mine.yaml", "prunable: ${published:encoder}", ""),
        ("lab/mine.py", "prunable: Prunable, ", ""),
        ("lab/mine.py", "net.prunable(prunable)", 'net.prunable("encoder")'),
    ):
        text = (tmp_path / name).read_text()
        assert text.count(old) == 1
        (tmp_path / name).write_text(text.replace(old, new))
    done = prunebert(SEARCH, *toy, "method=mine", "sparsity=0.7", "prunable=encoder_pooler", PYTHONPATH=lab)
    assert done.returncode == 0, done.stderr
    warning = r"method=mine .*prunable=encoder_pooler.* (not used|unused)"
    assert re.search(warning, done.stdout + done.stderr)
    row = json.loads((tmp_path / "run/result.json").read_text())
    assert row["sparsity"] == 0.7 and row["prunable"] == "encoder"
    assert abs(measured_sparsity(tmp_path / "run") - 0.7) < 1e-4
    again = prunebert(*shlex.split(row["command"])[1:], "hydra.run.dir=run", PYTHONPATH=lab)
    assert again.returncode == 0 and "finished before" in again.stdout + again.stderr
    (tmp_path / "run/result.json").unlink()
    (command,) = prunebert("status", "run", "--failed").stdout.splitlines()
    assert shlex.split(command)[:2] == ["prunebert", SEARCH]
