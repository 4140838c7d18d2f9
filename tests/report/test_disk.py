"""The size on disk of what is needed to use a sub-network: of runs, and in the table of an earlier report."""

import pandas as pd
import pytest

from prunebert.report.collect import collect
from prunebert.report.command import flatten

from .test_collect import seal_files
from .test_rows import BOTH, write_table


def test_the_size_on_disk_is_that_of_masks_weights_and_head(run, tmp_path):
    """The predictions are not needed to use the sub-network."""
    small = run("small")
    large = run("large", seed=1)
    (large / "weights.safetensors").write_bytes(bytes(5000))
    (large / "head.safetensors").write_bytes(bytes(70))
    masks = (small / "masks.safetensors").stat().st_size
    assert collect([tmp_path]).runs["disk_bytes"].tolist() == [masks, masks + 5070]


def test_the_size_on_disk_is_unknown_where_a_file_of_the_run_is_missing(run, tmp_path):
    """The file was deleted to save space, or, in a run of an earlier version, the masks were."""
    root = run("sealed")
    (root / "weights.safetensors").write_bytes(bytes(100))
    seal_files(root)
    (root / "weights.safetensors").unlink()
    (run("earlier", seed=1) / "masks.safetensors").unlink()
    sizes = collect([tmp_path]).runs["disk_bytes"]
    assert len(sizes) == 2 and sizes.isna().all()


@BOTH
def test_the_size_on_disk_is_read_back(run, tmp_path, ending):
    """The run without masks has no known size."""
    for seed in (0, 1):
        root = run(f"lab/{seed}", seed=seed)
    size = (root / "masks.safetensors").stat().st_size
    (root / "masks.safetensors").unlink()
    table = write_table(tmp_path / "lab", tmp_path / f"results.{ending}", remove=True)
    runs = collect([table]).runs
    assert runs["disk_bytes"].tolist()[0] == size and runs["disk_bytes"].isna().tolist() == [False, True]
    assert "disk_bytes" not in runs["row"][0]  # again: a column would occur twice
    assert flatten(runs)["disk_bytes"].isna().tolist() == [False, True]


SIZES = {"-1": "which is below 0", "large": "not a number", "True": "not a number", "0.5": "not a whole number"}


@pytest.mark.parametrize("size", SIZES)
def test_what_is_no_size_on_disk_is_refused(run, tmp_path, size):
    for seed in (0, 1):
        run(f"lab/{seed}", seed=seed)
    table = write_table(tmp_path / "lab", tmp_path / "results.csv")
    broken = pd.read_csv(table, dtype=str, keep_default_na=False)
    broken.loc[1, "disk_bytes"] = size
    broken.to_csv(table, index=False)
    (trouble,) = (t for t in collect([table]).troubles if t.kind == "not used")
    assert trouble.location.endswith("row 2") and f"disk_bytes is {size}, {SIZES[size]}" in trouble.reason
