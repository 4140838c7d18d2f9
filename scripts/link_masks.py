"""Link MASKS/seed=SEED/sparsity=SPARSITY to each finished run of TAMT: scripts/link_masks.py MASKS RUNS…

TAMT's masks do not depend on the task, so the runs on one task serve all: method.masks="MASKS/seed=…/sparsity=…".
Seed and sparsity are read from result.json, because a directory's name shows only what its sweep varies.
"""

import sys
from pathlib import Path

from prunebert.runs import artifacts


def link(masks: Path, folders: list[Path]) -> None:
    """Make a link for each finished run of TAMT below the folders. Earlier links are replaced."""
    for run in (run for folder in folders for run in artifacts.runs(folder) if artifacts.is_finished(run)):
        row = artifacts.result(run)
        if row["method"] != "tamt":
            continue
        place = masks / f"seed={row['seed']}" / f"sparsity={row['sparsity']:g}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(run.resolve())


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    link(Path(sys.argv[1]), [Path(word) for word in sys.argv[2:]])
