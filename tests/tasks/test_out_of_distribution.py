"""HANS and PAWS from the hub (a local one): the branch of Parquet files is read, and the script on main is not run."""

import json
import os
import subprocess
import sys

import pytest

from tests.hub_server import HANS, make_hans, make_paws, serving

CODE = """
import json
from prunebert.tasks import sources
from tests import merged
try:  # first, because datasets falls back to its cache
    sources.from_hub("hans", **merged.config(task="hans")["task"]["hub"] | {"revision": "main"})
except Exception as error:
    print(json.dumps(str(error)))
for task in ("hans", "paws"):
    node = merged.config(task=task)["task"]
    pick = lambda *columns: sources.columns(*columns, groups=node["groups"])
    tables = sources.from_hub(task, pick, **node["hub"])
    print(json.dumps({split: table.to_dict("list") | table.attrs for split, table in tables.items()}, default=list))
"""


@pytest.mark.slow
def test_both_sets_come_from_the_hub_without_running_code(tmp_path):
    make_hans(tmp_path / "hub")
    make_paws(tmp_path / "hub")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
    env = {k: v for k, v in env.items() if not k.lower().endswith("_proxy")}
    with serving(tmp_path / "hub") as url:
        env |= {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "home")}
        process = subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    refusal, hans, paws = map(json.loads, process.stdout.splitlines())
    assert hans["validation"]["group"] == [*HANS] * 10 and hans["validation"]["label"][:6] == [0, 0, 0, 1, 1, 1]
    assert hans["train"]["classes"] == ["entailment", "non-entailment"]
    assert paws["validation"]["label"] == [0, 1] * 10 and paws.keys() == {"train", "validation"}
    assert "is read by code of its own" in refusal and "was run" not in process.stderr
