"""A user's own methods and tasks: the examples of docs/add-a-method.md and docs/add-a-task.md, run elsewhere."""

import importlib
import json
import re
import runpy
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import prunebert
from prunebert.masks import maskfile
from prunebert.settings import signature, source

DOCS = Path(__file__).parents[2] / "docs"
PAGE = "\n".join((DOCS / page).read_text() for page in ("add-a-method.md", "add-a-task.md"))
FILES = re.findall(r"^```(?:python|yaml|csv)\n# (\S+)\n(.*?)^```$", PAGE, re.M | re.S)
COMMANDS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.M | re.S)
SEARCH = "hydra.searchpath=[pkg://lab.conf]"


@pytest.fixture
def lab(tmp_path):
    """Writes every example of the page into an empty directory, as a reader would."""
    for name, text in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "lab/conf/__init__.py").touch()


@pytest.fixture
def here(lab, cli, tmp_path, monkeypatch):
    """Runs a command line in this process, which finds the package lab of this test and of no other one."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def forget():
        for name in [name for name in sys.modules if name.partition(".")[0] == "lab"]:
            del sys.modules[name]
        importlib.invalidate_caches()
        for module in (source, signature):
            for function in vars(module).values():
                getattr(function, "cache_clear", int)()

    def run(*words):
        forget()
        return cli(*words)

    yield run
    forget()


def run_block(block, folder, here):
    """Run a block of commands as a shell would, all but pytest. Returns what they print. Raises if one fails."""
    printed = ""
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.match(r"\w+=", words[0]):  # PYTHONPATH=.
            words.pop(0)
        if words[:1] == ["touch"]:
            assert (folder / words[1]).is_file()  # the fixture made it
        elif words[:1] == ["prunebert"]:
            status, text = here(*words[1:])
            assert status == 0, text
            printed += text
        else:
            assert not words or words[0] == "pytest", line
    return printed


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


def test_the_method_runs_and_is_tested_as_the_page_shows_it(here, tmp_path, monkeypatch):
    printed = run_block(command("method=mine"), tmp_path, here)
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


@pytest.mark.slow
def test_the_method_with_scores_runs_as_the_page_shows_it(here, tmp_path):
    run_block(command("method=scored"), tmp_path, here)
    run, row = results(tmp_path)["rotten_tomatoes"]
    assert row["method"] == "scored" and abs(measured_sparsity(run) - 0.9) < 1e-4
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["sparsity"] for line in lines] == pytest.approx(
        [0.9 * (1 - (1 - min(max((t - 0.1) / 0.6, 0), 1)) ** 3) for t in (line["t"] for line in lines)], abs=1e-4
    )
    # Beside pre-trained magnitudes alone, the scores have moved.
    assert json.loads((run / "topology.json").read_text())["magnitude"]["local"]["beyond_chance"] < 1


@pytest.mark.slow
def test_the_tasks_run_as_the_pages_show_them(here, tmp_path):
    run_block(f"{command('task=films')}\n{command('task=topics')}", tmp_path, here)
    rows = results(tmp_path)
    assert rows.keys() == {"films", "topics"}
    assert {task: row["metric"] for task, (_, row) in rows.items()} == {"films": "f1", "topics": "f1"}
    run, row = rows["topics"]
    predicted = pd.read_parquet(run / "predictions.parquet")
    assert predicted.label.tolist() == ["music", "music actors"]
    assert row["data"]["rows"] == {"train": 6, "validation": 2}
    # 3 of 6 training rows have the plot and 3 the actors, which is no majority: the constant baseline names no topic
    assert row["majority"] == {"f1": 0.0}


def test_prunable_reaches_the_method(here, toy, tmp_path):
    status, printed = here(SEARCH, *toy, "method=mine", "sparsity=0.7", "prunable=encoder_pooler_embeddings")
    assert status == 0, printed
    row = json.loads((tmp_path / "run/result.json").read_text())
    assert row["prunable"] == "encoder_pooler_embeddings" and abs(measured_sparsity(tmp_path / "run") - 0.7) < 1e-3
    assert any("embeddings" in name for name in maskfile.read(tmp_path / "run/masks.safetensors").masks)
    status, printed = here(SEARCH, *toy, "method=mine", "method.head=liner")
    assert status == 2 and "linear" in printed  # the annotation from prunebert.choices is checked


def test_without_prunable_it_is_recorded_as_pruned_and_its_commands_run_again(here, toy, tmp_path):
    """The row has the masks' sparsity; an unused prunable= triggers a warning; printed commands find the method."""
    for name, old, new in (
        ("lab/conf/method/mine.yaml", "prunable: ${published:encoder}", ""),
        ("lab/mine.py", "prunable: Prunable, ", ""),
        ("lab/mine.py", "net.prunable(prunable)", 'net.prunable("encoder")'),
    ):
        text = (tmp_path / name).read_text()
        assert text.count(old) == 1
        (tmp_path / name).write_text(text.replace(old, new))
    status, printed = here(SEARCH, *toy, "method=mine", "sparsity=0.7", "prunable=encoder_pooler")
    assert status == 0, printed
    warning = r"method=mine .*prunable=encoder_pooler.* (not used|unused)"
    assert re.search(warning, printed)
    row = json.loads((tmp_path / "run/result.json").read_text())
    assert row["sparsity"] == 0.7 and row["prunable"] == "encoder"
    assert abs(measured_sparsity(tmp_path / "run") - 0.7) < 1e-4
    status, printed = here(*shlex.split(row["command"])[1:], "hydra.run.dir=run")
    assert status == 0 and "finished before" in printed
    (tmp_path / "run/result.json").unlink()
    (command,) = here("status", "run", "--failed")[1].splitlines()
    assert shlex.split(command)[:2] == ["prunebert", SEARCH]
