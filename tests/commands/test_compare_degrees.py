"""`prunebert compare --degrees`: masks that share only their hubs share by chance, once chance keeps the degrees."""

import json

import numpy as np
import pytest
import torch

from prunebert.analysis import comparison as many
from prunebert.analysis import degree_pairs
from prunebert.commands import compare
from prunebert.masks import maskfile
from prunebert.masks.maskfile import MaskFile
from prunebert.runs import files
from tests.toys import RESULT, write_result

NAME = "bert.encoder.layer.{}.output.dense.weight"


def write(root, seed, masks, pattern="none"):
    (root / ".hydra").mkdir(parents=True)
    named = {NAME.format(i): torch.from_numpy(m) for i, m in enumerate(masks)}
    files.write(root, "masks.safetensors", maskfile.encode(MaskFile(named, "toy", "hash", pattern)))
    row = dict.fromkeys(many.AXES, "x") | {"method": "smp", "sparsity": 0.8, "seed": seed, "model": "toy"}
    write_result(root, RESULT | row | {"prunable": "encoder"})


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs with the same hubs whose weights are drawn apart, and one that keeps a part of the second's."""
    monkeypatch.setattr(compare, "picture", lambda result: b"")  # drawing takes most of the time
    random = np.random.default_rng(0)
    p = [np.clip(np.outer(*(np.exp(random.standard_normal(n)) for n in (40, 60))) / 6, 0, 0.9) for _ in range(2)]
    masks = [[random.random(x.shape) < x for x in p] for _ in range(2)]
    masks.append([m & (random.random(m.shape) < 0.5) for m in masks[1]])
    for seed, mask in enumerate(masks):
        write(tmp_path / f"runs/{seed}", seed, mask)
    return masks


def test_equal_hubs_explain_what_two_masks_share_and_containment_is_still_1(cli, runs, tmp_path):
    status, printed = cli("compare", "runs", "--degrees")
    assert status == 0, printed
    words = " ".join(printed.split())
    assert "… given the" in words and "random pairs of masks that keep every row's and every column's number" in words
    found = json.loads((tmp_path / "compare/compare.json").read_text())
    pairs = {(p["a"], p["b"]): p for p in found["pairs"]}
    drawn_apart, contained = pairs[0, 1], pairs[1, 2]
    assert drawn_apart["within"]["z"] > 10  # chance that keeps counts is far below
    assert abs(drawn_apart["degrees"]["z"]) < 4 and abs(drawn_apart["degrees"]["beyond_chance"]) < 0.1
    assert contained["degrees"]["beyond_chance"] == 1 and contained["degrees"]["z"] > 10
    assert found["degrees"]["samples"] == 10 and found["degrees"]["left_out"] == []
    assert min(found["degrees"]["trades"]) >= 10
    for pair in found["pairs"]:
        kept, chance = (sum(int(m.sum()) for m in runs[pair[end]]) for end in "ab"), pair["degrees"]
        assert chance["expected_jaccard"] == chance["expected_shared"] / (sum(kept) - chance["expected_shared"])
    assert f"{drawn_apart['degrees']['beyond_chance']:.4f}" in printed
    # The same runs again give the same numbers. Without the flag, nothing of it is there.
    again = many.comparison([tmp_path / f"runs/{seed}" for seed in range(3)])
    assert "degrees" not in again and not any("degrees" in pair for pair in again["pairs"])
    degree_pairs.add(again)
    assert again["degrees"] == found["degrees"]
    assert [p["degrees"] for p in again["pairs"]] == [p["degrees"] for p in found["pairs"]]


def test_a_pattern_of_groups_has_no_number_and_a_line(cli, runs, tmp_path):
    random = np.random.default_rng(1)
    masks = [(random.random((600, 4)).argsort(1) < 2).reshape(40, 60) for _ in range(2)]
    write(tmp_path / "runs/3", 3, masks, "2:4")
    status, printed = cli("compare", "runs/0", "runs/1", "runs/3", "--degrees")
    assert status == 0, printed
    assert "no number given the degrees, because the mask has a pattern N:M: smp seed 3 2:4" in printed
    found = json.loads((tmp_path / "compare/compare.json").read_text())
    assert [p["degrees"] is None for p in found["pairs"]] == [False, True, True]
    assert found["degrees"]["left_out"] == ["smp seed 3 2:4"] and found["degrees"]["trades"][2] is None


def test_equal_masks_of_two_runs_share_all_and_far_more_than_chance(runs, tmp_path):
    write(tmp_path / "runs/3", 3, runs[0])
    result = many.comparison([tmp_path / "runs/0", tmp_path / "runs/3"])
    degree_pairs.add(result)
    (pair,) = result["pairs"]
    assert pair["degrees"]["beyond_chance"] == 1 and pair["degrees"]["expected_shared"] < 0.9 * pair["shared"]
