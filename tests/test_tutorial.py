"""Every command of docs/tutorial.md runs, in order, with a budget of two steps and without a network."""

import glob
import json
import re
import runpy
import shutil
import subprocess

from tests import pages
from tests.pages import ROOT

PAGE = ROOT / "docs/tutorial.md"
TINY = [  # words of the page, and what the test runs
    ("fit.steps=100", "fit.steps=2"),
    ("seed=0,1,2", "seed=0,1"),
    ("method=dense,random,magnitude,smp", "method=magnitude,smp"),
]


def expanded(words):
    """Return the words as a shell expands their wildcards: a word that matches no file stays."""
    return [found for word in words for found in sorted(glob.glob(word)) or [word]]


def test_every_command_of_the_tutorial_runs(cli, tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "docs/tutorial", tmp_path / "docs/tutorial")
    monkeypatch.chdir(tmp_path)
    printed = {}
    for block in pages.blocks(PAGE):
        if block.file:
            (tmp_path / block.file).write_text(block.text)
        for line in pages.shell_lines(block):
            (words,) = pages.programs(line)
            for old, new in TINY:
                words = [new if word == old else word for word in words]
            program, *rest = expanded(words)
            if program == "prunebert":
                status, text = cli(*rest)
            elif program == "python":
                status, text = 0, str(runpy.run_path(rest[0], run_name="__main__") and capsys.readouterr().out)
            elif program == "pip":
                continue
            else:
                done = subprocess.run([program, *rest], capture_output=True, text=True)
                status, text = done.returncode, done.stdout
            assert status == 0, f"{block}: {line}\n{text}"
            printed[words[1]] = text
    rows = [json.loads(path.read_text()) for path in tmp_path.rglob("result.json")]
    assert {row["steps"] for row in rows} == {2}
    assert {(row["method"], row["seed"]) for row in rows} == {
        (m, seed) for m in ("magnitude", "smp") for seed in (0, 1)
    }
    assert all(row["data"]["rows"] == {"train": 200, "validation": 60} for row in rows)
    assert "5 done" in printed["status"]  # the first run, and the sweep's four
    table = (tmp_path / "report/tables.tex").read_text()
    first_table = table.partition(r"\end{table")[0]
    assert (
        re.findall(r"^(\w+) & [\d.]+ & \\sd", first_table, re.M) == ["magnitude", "smp"] and "2 seeds." in first_table
    )
    assert re.fullmatch(r"((complaint|praise) 0\.\d+\n){2}", printed["use.py"])


def test_every_budget_of_the_tutorial_is_made_small():
    """Otherwise the test above would train for as long as a reader does."""
    words = [word for block in pages.blocks(PAGE) for line in pages.shell_lines(block) for word in line.split()]
    assert all(words.count(old) for old, _ in TINY)
    runs = [word for word in words if word.startswith("method=")]
    assert words.count("fit.steps=100") == len(runs) == 2
