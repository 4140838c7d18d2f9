"""`mask import zeros` and `mask import nn_pruning`, on files made by hand in the layout of that library."""

import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from prunebert.commands.mask_checkpoints import read_nn_pruning, read_zeros
from prunebert.errors import BadInput
from prunebert.masks import maskfile
from prunebert.runs.reuse import masks_of

NAME = "bert.encoder.layer.1.output.dense"
EMBEDDINGS = "bert.embeddings.word_embeddings.weight"


@pytest.fixture(scope="module")
def stored(model_folder):
    """The tensors of the toy checkpoint, which has no pooler, and a classifier's that the import does not read."""
    return load_file(model_folder / "model.safetensors") | {"classifier.weight": torch.zeros(2, 32)}


@pytest.fixture(scope="module")
def encoder(stored):
    return [n for n, x in stored.items() if "encoder.layer" in n and x.ndim == 2]


def drawn(names, stored, seed=0):
    """Draw a mask for each matrix with numpy."""
    draw = np.random.default_rng(seed)
    return {n: torch.from_numpy(draw.random(stored[n].shape) < 0.3) for n in names}


def same(masks, expected) -> bool:
    return masks.keys() == expected.keys() and all(torch.equal(masks[n], m) for n, m in expected.items())


def other_weights(stored, masks):
    """Return fine-tuned weights, which are not the model's, with zeros where a mask is False."""
    return stored | {n: (stored[n] + 1.0) * m for n, m in masks.items()}


@pytest.mark.parametrize("layout", ["folder", "bare names", "bin", "data parallel bin"])
def test_the_zeros_of_other_weights_become_masks_of_the_model(net, stored, encoder, tmp_path, layout):
    expected = drawn(encoder, stored)
    tensors = other_weights(stored, expected)
    path = tmp_path / ("model.safetensors" if "bin" not in layout else "pytorch_model.bin")
    if layout == "bare names":
        tensors = {n.removeprefix("bert."): x for n, x in tensors.items()}
    if layout.startswith("data"):
        tensors = {f"module.{n}": x for n, x in tensors.items()}
    if "bin" in layout:
        torch.save(tensors, path)
    else:
        save_file(tensors, path)
    for place in (path, tmp_path):
        assert same(read_zeros(place, net).masks, expected)
        assert same(read_nn_pruning(place, net).masks, expected)  # a finished checkpoint of nn_pruning


def test_embeddings_with_whole_rows_of_zeros_are_dense(net, stored, encoder, tmp_path):
    expected = drawn(encoder[:3], stored)
    tensors = other_weights(stored, expected)
    tensors[EMBEDDINGS] = torch.ones_like(tensors[EMBEDDINGS]).index_fill(0, torch.tensor([0, 4]), 0.0)
    expected |= {n: torch.ones(stored[n].shape, dtype=torch.bool) for n in encoder[3:]}
    torch.save(tensors, tmp_path / "x.bin")
    assert same(read_zeros(tmp_path / "x.bin", net).masks, expected)
    tensors[EMBEDDINGS][2, 2] = 0.0
    torch.save(tensors, tmp_path / "x.bin")
    expected[EMBEDDINGS] = tensors[EMBEDDINGS] != 0
    assert same(read_zeros(tmp_path / "x.bin", net).masks, expected)


def scored(stored, scores, name):
    return stored | {name.format(n.removesuffix(".weight")): x for n, x in scores.items()}


MOVEMENT, NN_PRUNING = "{}.mask_scores", "{}.mask_module.context_modules.0.mask_scores"


@pytest.mark.parametrize("layout", [MOVEMENT, NN_PRUNING])
def test_scores_are_cut_by_hand_computed_ranks_and_thresholds(net, stored, encoder, tmp_path, layout):
    """The scores are the numbers 0 to n - 1, shuffled, minus 0.5. topK keeps the last int(0.1 n). σ(2.197) is 0.9."""
    draw, scores = np.random.default_rng(1), {}
    for n in encoder:
        ranks = draw.permutation(stored[n].numel()).reshape(stored[n].shape)
        scores[n] = torch.from_numpy(ranks - 0.5)
    torch.save(scored(stored, scores, layout), tmp_path / "x.bin")
    masks = read_nn_pruning(tmp_path / "x.bin", net, sparsity=Fraction("0.9")).masks
    for n, S in scores.items():
        assert torch.equal(masks[n], S.numel() - int(0.1 * S.numel()) - 0.5 <= S), n
    shifted = {n: S - 700 for n, S in scores.items()}  # above 0 are ranks from 701
    torch.save(scored(stored, shifted, layout), tmp_path / "x.bin")
    masks = read_nn_pruning(tmp_path / "x.bin", net, threshold=Fraction("0.5")).masks
    assert all(torch.equal(masks[n], scores[n] > 700) for n in encoder)
    masks = read_nn_pruning(tmp_path / "x.bin", net, threshold=Fraction("0.9")).masks
    assert all(torch.equal(masks[n], scores[n] > 702.197) for n in encoder)
    torch.save(scored(stored, {n: S - 1e4 for n, S in scores.items()}, layout), tmp_path / "x.bin")
    floor = read_nn_pruning(tmp_path / "x.bin", net, threshold=Fraction("0.5")).masks
    assert {n: int(m.sum()) for n, m in floor.items()} == {n: int(0.005 * stored[n].numel()) + 1 for n in encoder}
    assert all(bool((scores[n][m] >= stored[n].numel() - int(m.sum()) - 0.5).all()) for n, m in floor.items())


def test_scores_of_blocks_cover_their_weights_and_other_matrices_stay_dense(net, stored, encoder, tmp_path):
    """Blocks of 8 x 16 in a 32 x 64 matrix: 4 x 4 scores, of which topK keeps the 4 on the diagonal."""
    save_file(scored(stored, {f"{NAME}.weight": torch.eye(4)}, NN_PRUNING), tmp_path / "model.safetensors")
    found = read_nn_pruning(tmp_path, net, sparsity=Fraction("0.75"))
    expected = {n: np.ones(stored[n].shape, bool) for n in encoder}
    expected[f"{NAME}.weight"] = np.kron(np.eye(4, dtype=bool), np.ones((8, 16), bool))
    assert same(found.masks, {n: torch.from_numpy(m) for n, m in expected.items()})
    assert found.source == "the scores of 1 matrix of 12"


def test_magnitude_ranks_the_weights_of_the_file(net, stored, encoder, tmp_path):
    torch.save(other_weights(stored, drawn([], stored)) | {n: -stored[n] for n in encoder}, tmp_path / "x.bin")
    masks = read_nn_pruning(tmp_path / "x.bin", net, magnitude=Fraction("0.75")).masks
    for n in encoder:
        largest = np.sort(np.abs(stored[n].numpy()).ravel())[-stored[n].numel() // 4 :]
        assert np.array_equal(masks[n].numpy(), np.abs(stored[n].numpy()) >= largest[0])


REFUSED = {
    "no zero": ({}, {}, "none of the"),
    "scores alone": ({f"{NAME}.mask_scores": torch.zeros(32, 64)}, {}, "mask_scores of 1 matrix and does not say"),
    "no scores": ({}, {"sparsity": Fraction("0.9")}, "has no mask_scores for --sparsity"),
    "magnitude": (
        {f"{NAME}.mask_scores": torch.zeros(32, 64)},
        {"magnitude": Fraction("0.9")},
        "mask_scores of 1 matrix, which --magnitude does not read",
    ),
    "rows": (
        {f"{NAME}.mask_module.context_modules.0.mask_scores": torch.zeros(32)},
        {"sparsity": Fraction("0.9")},
        "context_modules.0.mask_scores is [32]; read are scores of weights or blocks",
    ),
    "ampere": (
        {f"{NAME}.ampere_module.context_module.mask_scores": torch.zeros(64, 8, 6)},
        {"sparsity": Fraction("0.9")},
        "ampere_module.context_module.mask_scores is [64, 8, 6]; read are",
    ),
    "blocks": (
        {f"{NAME}.mask_scores": torch.zeros(5, 4)},
        {"sparsity": Fraction("0.5")},
        "output.dense.mask_scores is [5, 4], which does not divide [32, 64]",
    ),
    "another layer": (
        {"bert.encoder.layer.7.output.dense.mask_scores": torch.zeros(32, 64)},
        {"sparsity": Fraction("0.5")},
        "belongs to no encoder matrix",
    ),
    "NaN": ({f"{NAME}.mask_scores": torch.full((32, 64), torch.nan)}, {"sparsity": Fraction("0.5")}, "contains NaN"),
    "shape": ({f"{NAME}.weight": torch.zeros(24, 64)}, {}, "output.dense.weight is [24, 64], but [32, 64] in"),
    "deeper": ({"bert.encoder.layer.2.output.dense.weight": torch.zeros(32, 64)}, {}, "is [32, 64], but not in"),
    "missing": ({f"{NAME}.weight": None}, {}, "lacks 1 of the 12 encoder matrices"),
    "twice": ({f"{NAME.removeprefix('bert.')}.weight": torch.zeros(32, 64)}, {}, "twice"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_known_is_refused_with_what_was_found(net, stored, tmp_path, case):
    changes, options, message = REFUSED[case]
    tensors = {n: x for n, x in (stored | changes).items() if x is not None}
    torch.save(tensors, tmp_path / "x.bin")
    with pytest.raises(BadInput, match=re.escape(message)):
        read_nn_pruning(tmp_path / "x.bin", net, **options)


def test_a_folder_without_weights_and_damaged_files_are_refused(net, tmp_path):
    with pytest.raises(BadInput, match=r"has none of model\.safetensors, .* and pytorch_model\.bin"):
        read_zeros(tmp_path, net)
    for name in ("x.safetensors", "model.safetensors", "x.bin"):
        (tmp_path / name).write_bytes(b"nothing")
    for path in (tmp_path / "x.safetensors", tmp_path, tmp_path / "x.bin"):
        with pytest.raises(BadInput, match=rf"^{re.escape(str(path))}.*(is damaged|cannot be read)"):
            read_zeros(path, net)


def test_the_command_writes_a_mask_file_that_a_method_uses(cli, toy, net, stored, encoder, tmp_path):
    expected = drawn(encoder, stored)
    removed = sum(int((~m).sum()) for m in expected.values())
    save_file(other_weights(stored, expected), tmp_path / "x.safetensors")
    status, printed = cli("mask", "import", "zeros", "x.safetensors", "out", toy[6])
    assert status == 0 and f"sparsity {removed / 16384:.6f}, the zeros of 12 matrices of 13" in printed
    assert same(maskfile.read(tmp_path / "out").masks, expected)
    assert same(masks_of(str(tmp_path / "out"), net, "encoder", removed / 16384), expected)
    for words, message in (
        (["zeros", "x.safetensors", "b", "--sparsity", "0.5"], "--sparsity: only mask import nn_pruning takes it"),
        (
            ["nn_pruning", "x.safetensors", "b", "--sparsity", "1"],
            "argument --sparsity: 1 must be a number, at least 0",
        ),
        (["nn_pruning", "x.safetensors", "b", "--sparsity", "0.5", "--magnitude", "0.5"], "not allowed with argument"),
        (["zeros", "nowhere", "b"], "nowhere: there is no such file"),
        (["smp", ".", "b"], "there is no such file"),
    ):
        status, printed = cli("mask", "import", *words)
        assert status == 2 and message in printed and not (tmp_path / "b").exists(), printed
