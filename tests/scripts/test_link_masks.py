"""Test that runs of TAMT are linked by what they are, whatever their directories are called."""

import json

from prunebert.runs import artifacts
from tests.toys import script


def test_links_name_seed_and_sparsity_of_the_runs_of_tamt(tmp_path, monkeypatch):
    rows = {
        "a": {"method": "tamt", "seed": 1, "sparsity": 0.97},
        "b": {"method": "tamt", "seed": 0, "sparsity": 0.5},
        "c": {"method": "smp", "seed": 2, "sparsity": 0.5},
    }
    for name, row in rows.items():
        (tmp_path / "runs" / name / ".hydra").mkdir(parents=True)
        (tmp_path / "runs" / name / "result.json").write_text(json.dumps(row))
    (tmp_path / "runs/unfinished/.hydra").mkdir(parents=True)
    monkeypatch.setattr(artifacts, "result", lambda run: json.loads((run / "result.json").read_text()))
    masks = tmp_path / "masks"
    for _ in range(2):  # the script can be started again
        script("link_masks").link(masks, [tmp_path / "runs"])
    links = {str(link.relative_to(masks)): link.resolve().name for link in masks.glob("*/*")}
    assert links == {"seed=1/sparsity=0.97": "a", "seed=0/sparsity=0.5": "b"}
