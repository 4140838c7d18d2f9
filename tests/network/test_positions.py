"""The tokens that a checkpoint reads, from its config.json alone, and a bench that is refused before slow imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from prunebert.network import models, positions
from prunebert.network.families import FAMILIES

WITHOUT_TORCH = """
import sys
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "transformers"):
            raise AssertionError(f"{name} was imported")
sys.meta_path.insert(0, Forbidden())
from prunebert.cli import main
main()
"""

PACKAGE = OmegaConf.to_container(OmegaConf.load(Path(__file__).parents[2] / "conf/model/tiny.yaml"))["package"]


def test_the_families_that_count_behind_the_padding_are_known():
    assert {kind for kind, family in FAMILIES.items() if family.positions_after_padding} == {*positions.AFTER_PADDING}


def test_the_number_is_the_loaded_models(model, model_folder):
    assert positions.longest({"name": str(model_folder)}) == model.positions
    tiny = models.load("tiny", package=PACKAGE)
    assert positions.longest({"name": "tiny", "package": PACKAGE}) == tiny.positions
    assert positions.longest({"name": "tiny", "package": PACKAGE}, str(model_folder)) == model.positions


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"model_type": "bert", "max_position_embeddings": 64}, 64),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "mpnet", "max_position_embeddings": 514}, 512),
        ({"model_type": "nomic_bert", "n_positions": 2048}, 2048),
        ({"model_type": "bert", "max_position_embeddings": "64"}, None),
        ({"model_type": "bert"}, None),
    ],
)
def test_config_json_states_it(tmp_path, values, expected):
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert positions.longest({"name": str(tmp_path)}) == expected


def test_what_does_not_lie_here_is_left_to_the_loader(tmp_path):
    assert positions.longest({"name": "owner/of-the-hub"}) is None
    assert positions.longest({"name": str(tmp_path / "gone")}) is None


def test_bench_refuses_a_length_without_torch(finished, tmp_path):
    command = [sys.executable, "-c", WITHOUT_TORCH, "bench", str(finished("method=smp", "sparsity=0.9"))]
    done = subprocess.run([*command, "--length", "8,65"], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "--length=65: " in done.stderr and done.stderr.endswith(" reads at most 64 tokens\n")
