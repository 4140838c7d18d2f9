"""`prunebert mask` against sets, numpy, and files made by torch.nn.utils.prune and in SMP's layout."""

import math

import numpy as np
import pytest
import torch
import transformers
from torch.nn.utils import prune

from prunebert.analysis import spectral
from prunebert.commands import mask_formats
from prunebert.errors import BadInput
from prunebert.masks import maskfile
from prunebert.masks.maskfile import MaskFile
from prunebert.runs import artifacts

LAYER = [
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
]


def random_masks(seed, shapes):
    generator = torch.Generator().manual_seed(seed)
    return {n: torch.rand(shape, generator=generator) < 0.4 for n, shape in shapes.items()}


@pytest.fixture
def pair(tmp_path):
    shapes = {"bert.encoder.layer.0.output.dense.weight": (3, 5), "bert.encoder.layer.1.output.dense.weight": (4, 2)}
    masks = [random_masks(seed, shapes) for seed in (1, 2)]
    for name, mask in zip("ab", masks, strict=True):
        artifacts.write_masks(tmp_path / name, MaskFile(mask, "m", "h"))
    return masks


def members(masks):
    return {(n, *p) for n, m in masks.items() for p in torch.nonzero(m).tolist()}


@pytest.mark.parametrize(
    ("name", "operation"),
    [("and", set.intersection), ("or", set.union), ("xor", set.symmetric_difference), ("diff", set.difference)],
)
def test_masks_combine_as_sets(cli, tmp_path, pair, name, operation):
    status, printed = cli("mask", name, "a", "b", "out")
    assert status == 0, printed
    a, b = map(members, pair)
    combined = maskfile.read(tmp_path / "out")
    assert members(combined.masks) == operation(a, b) and (combined.model, combined.weights_hash) == ("m", "h")
    assert f"A keeps {len(a)}, B {len(b)}, both {len(a & b)}, Jaccard {len(a & b) / len(a | b):.6f}" in printed
    assert f"{len(operation(a, b))} of 23 weights kept" in printed
    before = (tmp_path / "out").read_bytes()
    assert cli("mask", name, "b", "a", "out") == (2, "prunebert: out exists already; choose another file\n")
    assert (tmp_path / "out").read_bytes() == before
    assert cli("mask", name, "a", "b")[0] == 0 and len(list(tmp_path.iterdir())) == 3


def test_info_counts_the_weights_of_the_file(cli, tmp_path, pair):
    mask = torch.zeros(4, 6, dtype=torch.bool)
    mask[1, [0, 2]] = mask[3, 0] = True
    names = [f"bert.encoder.layer.{i}.output.dense.weight" for i in (0, 11)]
    artifacts.write_masks(tmp_path / "x", MaskFile(dict.fromkeys(names, mask), "m", "h"))
    status, printed = cli("mask", "info", "x", "--wide")
    assert status == 0 and "2 matrices, 6 of 48 weights kept, sparsity 0.875000" in printed
    assert printed.splitlines()[-1].split()[:-1] == ["bert.encoder.layer.*.output.dense", "6", "48", "12.50%", "4", "8"]
    names = [f"distilbert.transformer.layer.0.ffn.lin{i}.weight" for i in (1, 2)]  # only a layer's number is a pattern
    artifacts.write_masks(tmp_path / "y", MaskFile(dict.fromkeys(names, mask), "m", "h"))
    lines = [line.split()[:-1] for line in cli("mask", "info", "y", "--wide")[1].splitlines()[-2:]]
    assert lines == [[f"distilbert.transformer.layer.*.ffn.lin{i}", "3", "24", "12.50%", "2", "4"] for i in (1, 2)]


@pytest.mark.parametrize(
    ("action", "claims", "expected"),
    [
        ("and", ("2:4", "2:4"), "2:4"),
        ("diff", ("2:4", "none"), "2:4"),
        ("and", ("none", "2:4"), "2:4"),
        ("and", ("none", "none"), "none"),
        ("or", ("2:4", "2:4"), "none"),
        ("xor", ("2:4", "2:4"), "none"),
    ],
)
def test_a_pattern_stays_where_the_result_satisfies_it(cli, tmp_path, action, claims, expected):
    """A row of A keeps 1100 0101, one of B 0011 1001. A | B and A ^ B keep three or four of the first group."""
    name, rows = (
        "bert.encoder.layer.0.output.dense.weight",
        {"a": [1, 1, 0, 0, 0, 1, 0, 1], "b": [0, 0, 1, 1, 1, 0, 0, 1]},
    )
    for (file, row), claim in zip(rows.items(), claims, strict=True):
        artifacts.write_masks(tmp_path / file, MaskFile({name: torch.tensor([row] * 4).bool()}, "m", "h", claim))
    status, printed = cli("mask", action, "a", "b", "out")
    assert status == 0, printed
    assert maskfile.read(tmp_path / "out").pattern == expected
    assert (f"pattern {expected}\n" in printed) == (expected != "none")


def test_info_compares_the_spectrum_with_that_of_random_masks(cli, tmp_path):
    """Two blocks of ones: σ₂ is 8. The null's is the mean of SVDs of the random masks. A full mask has none."""
    mask = torch.block_diag(torch.ones(10, 10), torch.ones(8, 8)).bool()
    null = [np.linalg.svd(one, compute_uv=False)[1] for one in spectral.draws(mask.numpy())]
    for name, kept in (("x", mask), ("y", torch.ones(4, 4).bool())):
        artifacts.write_masks(tmp_path / name, MaskFile({"a.weight": kept}, "m", "h"))
    last = [cli("mask", "info", name, "--wide")[1].split()[-1] for name in ("x", "y")]
    assert last == [f"{8 / np.mean(null):.2f}", "–"]


def test_info_shows_the_pattern_of_the_file_and_of_its_masks(cli, tmp_path):
    name, groups = "bert.encoder.layer.0.output.dense.weight", [[1, 0, 1, 0, 1, 1, 0, 0], [1, 0, 0, 1, 0, 1, 0, 1]]
    for file, mask, pattern in (
        ("x", groups, "2:4"),
        ("y", [[1, 1, 1, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 1, 1, 1]], "none"),
    ):
        artifacts.write_masks(tmp_path / file, MaskFile({name: torch.tensor(mask).bool()}, "m", "h", pattern))
    kernel = "of the groups of 4 columns keep at most 2 weights"
    printed = [" ".join(cli("mask", "info", file)[1].split()) for file in ("x", "y")]  # the terminal wraps lines
    assert f"pattern 2:4; measured: 2:4; 100.00% {kernel}" in printed[0]
    assert f"pattern none; measured: none; 50.00% {kernel}" in printed[1]


def test_masks_of_other_weights_combine_only_with_force(cli, tmp_path, pair):
    artifacts.write_masks(tmp_path / "b2", MaskFile(pair[1], "n", "g"))
    assert cli("mask", "and", "a", "b2", "out") == (
        2,
        "prunebert: a was found on m and b2 on n, whose weights differ; --force combines them anyway\n",
    )
    assert cli("mask", "and", "a", "b2", "out", "--force")[0] == 0
    combined = maskfile.read(tmp_path / "out")
    assert members(combined.masks) == members(pair[0]) & members(pair[1])
    assert (combined.model, combined.weights_hash) == ("m", "h")  # A's
    empty = {n: torch.zeros_like(m) for n, m in pair[0].items()}
    artifacts.write_masks(tmp_path / "none", MaskFile(empty, "m", "h"))
    assert "A keeps 0, B 0, both 0, Jaccard 1.000000" in cli("mask", "or", "none", "none")[1]
    artifacts.write_masks(tmp_path / "c", MaskFile({n: m for n, m in list(pair[1].items())[:1]}, "m", "h"))
    status, printed = cli("mask", "or", "a", "c", "--force")
    assert status == 2
    assert "cover different matrices (bert.encoder.layer.1.output.dense.weight is missing in one" in printed
    for words, message in (
        ((), "required"),
        (("nand", "a", "b"), "invalid choice: 'nand'"),
        (("and", "a"), "required: B; usage: prunebert mask and"),
        (("info", "nowhere"), "nowhere: there is no such directory"),
        (("import", "smp", "nowhere", "x"), "nowhere: there is no such file"),
        (("import", "smp", "a", "x", "sparsity=0.5"), "sparsity=0.5: only model=… and model.KEY=… may follow OUT"),
        (("and", "a", "b", "no/where"), "cannot be written to"),
    ):
        status, printed = cli("mask", *words)
        assert status == 2 and message in printed, printed


def test_smps_bits_are_read_in_smps_order(tmp_path):
    """There are twelve layers, because 10 sorts before 2. The bytes are made by hand from a string of bits."""
    shapes = {f"bert.encoder.layer.{i}.{kind}.weight": (3, i + 1) for i in range(12) for kind in LAYER}
    masks = random_masks(0, shapes)
    bits = ""
    for name in sorted(n.replace(".weight", ".mask_scores") for n in shapes):  # the names that SMP's code sorts
        bits += "".join(str(int(x)) for x in masks[name.replace(".mask_scores", ".weight")].flatten().tolist())
    assert len(bits) % 8
    bits += "0" * (-len(bits) % 8)
    packed = np.array([int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)], dtype=np.uint8)
    np.save(tmp_path / "x.npy", packed)
    weights = {n: torch.zeros(shape) for n, shape in shapes.items()}
    read_masks = mask_formats.smp(tmp_path / "x.npy", weights)
    assert list(read_masks) == list(shapes) and all(torch.equal(read_masks[n], masks[n]) for n in masks)
    for bad in (packed[:-1], packed.astype(bool), np.append(packed, packed[:1])):
        np.save(tmp_path / "x.npy", bad)
        with pytest.raises(BadInput, match="a mask of this model is"):
            mask_formats.smp(tmp_path / "x.npy", weights)
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(BadInput, match=r"cannot be read as a \.npy"):
        mask_formats.smp(tmp_path / "x.npy", weights)


def test_smps_file_becomes_a_mask_file_of_the_model(cli, tmp_path, model_folder, net):
    masks = random_masks(3, {n: p.shape for n, p in net.prunable().items()})
    np.save(tmp_path / "x.npy", np.packbits(np.concatenate([masks[n].numpy().ravel() for n in sorted(masks)])))
    status, printed = cli("mask", "import", "smp", "x.npy", "out", f"model.name={model_folder}")
    assert status == 0, printed
    file = maskfile.read(tmp_path / "out")
    assert file.weights_hash == net.model.weights_hash and all(torch.equal(file.masks[n], masks[n]) for n in masks)
    assert net.use(file).masks.keys() == masks.keys()
    assert math.isclose(1 - sum(int(m.sum()) for m in masks.values()) / 16384, float(printed.split()[-4]), abs_tol=1e-6)


@pytest.fixture
def pruned(model_folder):
    """The masks of a stock model whose encoder matrices and pooler torch pruned, as BERT-Tickets' code does."""
    model = transformers.AutoModelForSequenceClassification.from_pretrained(model_folder)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name != "classifier":
            prune.l1_unstructured(module, "weight", 0.5)
    return {k: v for k, v in model.state_dict().items() if "mask" in k}


@pytest.mark.parametrize("style", ["tickets", "tamt", "tamt with embeddings", "data parallel"])
def test_a_published_dictionary_becomes_a_methods_masks(cli, toy, tmp_path, model_folder, pruned, net, style):
    expected = {n: pruned[f"{n}_mask"].bool() for n in net.prunable()}
    stored = pruned
    if "tamt" in style:
        stored = {k.removesuffix("_mask"): v.bool() for k, v in pruned.items()}
    if "embeddings" in style:
        name = "bert.embeddings.word_embeddings.weight"
        expected[name] = stored[name] = random_masks(0, {name: net.parameters_of()[name].shape})[name]
    if style == "data parallel":
        stored = {f"module.{k}": v.to(torch.uint8) for k, v in pruned.items()}
    assert any("pooler" in k for k in stored)  # the toy checkpoint has no pooler
    torch.save(stored, tmp_path / "mask.pt")
    status, printed = cli("mask", "import", style.split()[0].replace("data", "tickets"), "mask.pt", "out", toy[6])
    assert status == 0, printed
    masks = maskfile.read(tmp_path / "out").masks
    assert masks.keys() == expected.keys() and all(torch.equal(masks[n], expected[n]) for n in expected)
    if style == "tickets":
        words = ["method=magnitude", "prunable=encoder", "sparsity=0.5", "method.masks=out"]
        status, printed = cli(*toy, *words)
        assert status == 0, printed
        run_masks = artifacts.masks(tmp_path / "run").masks
        assert all(torch.equal(run_masks[n], expected[n]) for n in expected)
        status, printed = cli(*toy, *words[:2], "sparsity=0.6", "method.masks=out", "hydra.run.dir=x")
        assert status == 2 and "method.masks=out: its sparsity is 0.5" in printed


def test_a_file_that_is_no_such_dictionary_is_refused(tmp_path, pruned, net):
    encoder, file = dict(net.prunable()), tmp_path / "mask.pt"
    name = "bert.encoder.layer.0.output.dense.weight"
    for stored, message in (
        ([1, 2], "is not a dictionary of tensors"),
        ({"a": "b"}, "is not a dictionary of tensors"),
        (
            pruned | {"bert.encoder.layer.2.output.dense.weight_mask": torch.ones(1)},
            "is not a prunable matrix of this model",
        ),
        (pruned | {f"{name}_mask": torch.ones(2, 2)}, r"is \[2, 2\], but \[32, 64\] in this model"),
        (pruned | {f"{name}_mask": torch.full((32, 64), 0.5)}, "values other than 0 and 1"),
        ({k: v for k, v in pruned.items() if "layer.1" in k}, "lacks 6 of this model's 12 encoder matrices"),
        (net, "cannot be read as a dictionary"),  # pickled code is not run
    ):
        torch.save(stored, file)
        with pytest.raises(BadInput, match=message):
            mask_formats.dictionary(file, encoder, {}, "bert.")
    file.write_bytes(b"nothing")
    with pytest.raises(BadInput, match="cannot be read"):
        mask_formats.dictionary(file, encoder, {}, "bert.")
