"""`prunebert compare` on a thousand runs stays within the memory that docs/promises.md states."""

import resource
import subprocess
import sys

import pytest
import torch

from prunebert.masks import maskfile
from prunebert.masks.maskfile import MaskFile
from tests.toys import RESULT, write_result

# Two layers of a BERT with 128 hidden units: the encoder of model=tiny.
SHAPES = {"attention.self.query": (128, 128), "intermediate.dense": (512, 128), "output.dense": (128, 512)}
SHAPES |= {f"attention.{kind}": (128, 128) for kind in ("self.key", "self.value", "output.dense")}


@pytest.mark.slow
def test_a_thousand_runs_take_less_than_two_gigabytes(tmp_path):
    generator = torch.Generator().manual_seed(0)
    for seed in range(1000):
        run = tmp_path / "sweep" / str(seed)
        (run / ".hydra").mkdir(parents=True)
        masks = {
            f"bert.encoder.layer.{layer}.{kind}.weight": torch.rand(shape, generator=generator) < 0.5
            for layer in range(2)
            for kind, shape in SHAPES.items()
        }
        (run / "masks.safetensors").write_bytes(maskfile.encode(MaskFile(masks, "tiny", "w")))
        write_result(run, RESULT | {"seed": seed})
    words = [sys.executable, "-m", "prunebert", "compare", "sweep"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Overlap of the masks of 1,000 runs" in done.stdout and (tmp_path / "compare/compare.png").is_file()
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 2_000_000  # KiB
