"""The tables of outputs.md and command-outputs.md have every key that a run writes; terms have one definition."""

import json
import re
from pathlib import Path

import pandas as pd

from prunebert.runs import artifacts, schema

ROOT = Path(__file__).parents[1]
PAGE = "\n".join((ROOT / f"docs/{name}.md").read_text() for name in ("outputs", "command-outputs"))
WORDS = {str: "text", float: "number", int: "whole number", dict: "table", list: "list", bool: "true or false"}
WORDS[schema.MAYBE] = "null"


def table(heading):
    """The rows of the first table below a heading: for each key in the first cell, the other cells."""
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)[1]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {key: rest for first, *rest in rows for key in re.findall(r"`([^`]+)`", first)}


def test_result_json_is_documented_with_the_types_of_the_schema():
    documented = {key: kind for key, (kind, _) in table("result.json").items()}
    kinds = {**schema.REQUIRED, **schema.LATER, **schema.OPTIONAL, "checksum": (str,)}
    assert documented == {key: " or ".join(WORDS[kind] for kind in kinds[key]) for key in kinds}
    assert documented["heads_hash"] == "text or null" and documented["git_dirty"] == "true or false or null"


def test_what_runs_and_compare_write_is_what_the_page_lists(cli, toy, tmp_path):
    common = [word for word in toy if not word.startswith("hydra.run.dir")]
    words = ["method=movement", "sparsity=0.5", "seed=0,1", "hydra.sweep.dir=runs"]
    assert cli("-m", *common, *words)[0] == 0 and cli("compare", "runs")[0] == 0
    run = artifacts.finished_runs(tmp_path / "runs")[0]
    for name in ("result.json", "topology.json"):
        rare = {key for key, cells in table(name).items() if cells[-1].startswith("only of ")}
        assert json.loads((run / name).read_text()).keys() == table(name).keys() - rare and rare <= {
            "tuning",
            "masks_from",
        }
    assert json.loads((tmp_path / "compare/compare.json").read_text()).keys() == table("compare.json").keys() - {
        "degrees"
    }
    listed = table("predictions.parquet")
    rare = {key for key, cells in listed.items() if cells[-1].startswith("only of ")}
    assert list(pd.read_parquet(run / "predictions.parquet").columns) == [key for key in listed if key not in rare]
    assert rare == {"question", "choices", "words", "group"}
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    keys = {re.sub("^loss_.*", "loss_…", key) for line in lines for key in line}
    assert keys <= table("metrics.jsonl").keys() and {"loss_…", "sparsity"} <= keys
    listed = {name.rstrip("/") for name in table("A run's directory")}
    assert {path.name for path in run.iterdir()} - {artifacts.LOCK} <= listed
    assert {artifacts.CHECKPOINT, artifacts.POINTER} <= listed


def test_every_page_has_one_definition_of_the_constant_baseline():
    """Always the commonest training label, or the mean. A page that explains it has these words, and no others."""
    others = re.compile(r"most frequent|commonest class|majority class|majority baseline|ignores the text")
    docs = ROOT / "docs"
    texts = {path.relative_to(docs).as_posix(): path.read_text() for path in docs.rglob("*.md")}
    assert [name for name, text in texts.items() if others.search(text)] == []
    explained = [
        name
        for name, text in texts.items()
        if re.search(r"\*constant baseline\*|^\| constant baseline \| t", text, re.M)
    ]
    assert {"index.md", "tutorial.md", "tasks.md", "report.md", "results/scores.md", "compare-fairly.md"} <= {
        *explained
    }
    assert [
        name
        for name in explained
        if "always predicting the commonest training label" not in " ".join(texts[name].split())
    ] == []


def test_the_prose_of_the_lab_notes_is_wrapped():
    lines = [line for line in (ROOT / "LOG.md").read_text().splitlines() if not line.startswith(("|", "    "))]
    assert len(lines) > 400 and max(map(len, lines)) <= 100
