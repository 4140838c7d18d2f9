"""Overlap from packed bits against sets, scipy's distributions, Pearson's r and a clustering by hand."""

import json
import math
import time

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebert.analysis import comparison, overlap
from prunebert.errors import BadInput
from prunebert.masks import maskfile
from prunebert.masks.maskfile import MaskFile, Packed, pack
from prunebert.network import models

SHAPES = {"x.layer.0.a": (3, 5), "x.layer.0.b": (7, 9), "x.layer.1.a": (8, 8), "x.layer.2.a": (1, 3), "pooler": (4, 4)}


def draw(seed, density, shapes=SHAPES):
    random = np.random.default_rng(seed)
    return {n: torch.from_numpy(random.random(s) < density) for n, s in shapes.items()}


def packed(masks, model="bert", weights_hash="h"):
    return pack(MaskFile(masks, model, weights_hash))


def members(masks, names):
    """Return the kept weights as a set of (name, position)."""
    return {(n, i) for n in names for i in masks[n].flatten().nonzero()[:, 0].tolist()}


def by_sets(a, b, names):
    """Return every number of one urn, from Python sets and scipy's hypergeometric distribution."""
    A, B = members(a, names), members(b, names)
    n, s = sum(a[name].numel() for name in names), len(A & B)
    chance = scipy.stats.hypergeom(n, len(A), len(B))
    with np.errstate(all="ignore"):  # scipy computes the kurtosis too
        E, most, sd = chance.mean(), min(len(A), len(B)), chance.std()
    return {
        "size": n,
        "kept": [len(A), len(B)],
        "shared": s,
        "jaccard": s / len(A | B) if A | B else None,
        "expected_jaccard": E / (len(A) + len(B) - E) if A | B else None,
        "beyond_chance": (s - E) / (most - E) if most - E > 1e-9 else None,
        "z": (s - E) / sd if sd > 1e-9 else None,
    }


def assert_equal(numbers, expected):
    assert numbers.keys() == expected.keys()
    for key, value in expected.items():
        assert (numbers[key] is None) == (value is None), key
        assert numbers[key] == (pytest.approx(value, abs=1e-9) if value is not None else None), key


DENSITIES = st.sampled_from([0.0, 0.02, 0.3, 0.5, 0.9, 1.0])


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 2**32), DENSITIES, DENSITIES)
def test_packed_bits_give_the_numbers_of_sets(seed, first, second):
    a, b = draw(seed, first), draw(seed + 1, second)
    numbers = overlap.pair(packed(a), packed(b))
    assert list(numbers["matrices"]) == list(SHAPES)
    for name, matrix in numbers["matrices"].items():
        assert_equal(matrix, by_sets(a, b, [name]))
    overall = by_sets(a, b, list(SHAPES))
    assert_equal({k: numbers[k] for k in overall}, overall)
    jaccards = [m["jaccard"] for m in numbers["matrices"].values() if m["jaccard"] is not None]
    assert numbers["mean_jaccard"] == (pytest.approx(np.mean(jaccards)) if jaccards else None)
    assert json.loads(json.dumps(numbers)) == numbers


def test_by_hand():
    a, b = torch.tensor([[1, 1, 1, 1, 0, 0, 0, 0, 0, 0]]).bool(), torch.tensor([[1, 1, 1, 0, 1, 0, 0, 0, 0, 0]]).bool()
    numbers = overlap.pair(packed({"w": a}), packed({"w": b}))
    # 3 of 5 shared; by chance 4 · 4 / 10 = 1.6, at the most 4; variance 16 · 36 / (100 · 9)
    assert numbers["jaccard"] == 0.6 and numbers["expected_jaccard"] == pytest.approx(1.6 / 6.4)
    assert numbers["beyond_chance"] == pytest.approx(1.4 / 2.4) and numbers["z"] == pytest.approx(1.4 / 0.8)


def test_masks_of_density_d_share_d_over_2_minus_d_by_chance():
    for d in (0.1, 0.3):
        mask = torch.arange(1000) < 1000 * d
        assert overlap.pair(packed({"w": mask}), packed({"w": mask}))["expected_jaccard"] == pytest.approx(d / (2 - d))


def test_random_masks_of_one_allocation_are_at_chance_within_but_not_overall():
    """Two random masks have the same uneven allocation. One urn finds overlap; one urn per matrix does not."""
    shapes = {"full": (200, 200), "empty": (200, 200)}
    a, b = ({n: draw(10 * i, d, {n: shapes[n]})[n] for n, d in (("full", 0.6), ("empty", 0.05))} for i in (1, 2))
    numbers = overlap.pair(packed(a), packed(b))
    assert numbers["beyond_chance"] > 0.2 and numbers["z"] > 50
    assert abs(numbers["within"]["beyond_chance"]) < 0.02 and abs(numbers["within"]["z"]) < 4


def test_within_draws_in_every_matrix():
    """Compare expectation and deviation with 4,000 draws of b within its matrices."""
    shapes = {"x": (6, 7), "y": (5, 5)}
    a, b = draw(1, 0.5, shapes), draw(2, 0.3, shapes)
    random = np.random.default_rng(0)
    drawn = [
        sum(int((random.permutation(b[n].numpy().ravel()) & a[n].numpy().ravel()).sum()) for n in shapes)
        for _ in range(4000)
    ]
    within = overlap.pair(packed(a), packed(b))["within"]
    E, sd = np.mean(drawn), np.std(drawn)
    most = sum(min(int(a[n].sum()), int(b[n].sum())) for n in shapes)
    assert within["z"] == pytest.approx((within["shared"] - E) / sd, abs=0.1)
    assert within["beyond_chance"] == pytest.approx((within["shared"] - E) / (most - E), abs=0.02)


@pytest.mark.parametrize(("first", "second"), [(0.0, 0.0), (1.0, 1.0), (0.0, 0.4), (1.0, 0.4), (0.0, 1.0)])
def test_a_full_or_empty_mask_has_no_overlap_beyond_chance(first, second):
    numbers = overlap.pair(packed(draw(0, first)), packed(draw(1, second)))
    for entry in (numbers, numbers["within"], *numbers["matrices"].values()):
        assert entry["beyond_chance"] is None and entry["z"] is None


def test_nested_masks_are_1_and_disjoint_masks_are_below_0():
    a = draw(0, 0.6)
    inside = {n: m & (torch.rand(m.shape, generator=torch.Generator().manual_seed(1)) < 0.5) for n, m in a.items()}
    assert overlap.pair(packed(a), packed(inside))["beyond_chance"] == pytest.approx(1)
    assert overlap.pair(packed(a), packed({n: ~m for n, m in a.items()}))["beyond_chance"] < 0


# masks that cannot be compared


def test_other_weights_are_refused():
    with pytest.raises(BadInput, match=r"found on different weights \(bert and tiny\)"):
        overlap.pair(packed(draw(0, 0.5)), packed(draw(0, 0.5), "tiny", "other"))


@pytest.mark.parametrize("shapes", [{"z": (2, 2)}, {"pooler": (2, 8)}])
def test_no_matrix_in_common_is_refused(shapes):
    with pytest.raises(BadInput, match="no matrix in common"):
        overlap.pair(packed(draw(0, 0.5)), packed(draw(0, 0.5, shapes)))


def test_different_sets_are_compared_on_the_matrices_of_both():
    a, b = draw(0, 0.4), draw(1, 0.5)
    fewer = {n: m for n, m in b.items() if n != "pooler"} | {"other": torch.ones(2, 2).bool()}
    numbers = overlap.pair(packed(a), packed(fewer))
    assert numbers["only"] == [1, 1] and "pooler" not in numbers["matrices"]
    names = [n for n in SHAPES if n != "pooler"]
    overall = by_sets(a, b, names)
    assert_equal({k: numbers[k] for k in overall}, overall)
    assert overlap.pair(packed(a), packed(b))["only"] == [0, 0]


# allocations to layers


def test_layer_allocations_correlate_as_in_scipy():
    shapes = {f"x.layer.{n}.{k}": (9, 10 + n) for n in (10, 2, 0, 7) for k in "ab"} | {"pooler": (50, 50)}
    a, b = (
        {n: draw(i, 0.2 + 0.07 * ((i * len(n) + int(n[8:9] or 0)) % 9), {n: s})[n] for n, s in shapes.items()}
        for i in (3, 4)
    )
    fractions = [
        [torch.cat([m[f"x.layer.{n}.{k}"].flatten() for k in "ab"]).double().mean().item() for n in (10, 2, 0, 7)]
        for m in (a, b)
    ]
    correlation = overlap.pair(packed(a), packed(b))["layer_budget_correlation"]
    assert correlation == pytest.approx(scipy.stats.pearsonr(*fractions).statistic)
    layers = overlap.layer_fractions(packed(a), shapes)
    assert list(layers) == ["10", "2", "0", "7", "pooler"] and list(layers.values())[:4] == pytest.approx(fractions[0])


def test_a_uniform_allocation_has_no_correlation():
    def keeping(counts):
        return packed({f"x.layer.{i}.w": torch.arange(100).reshape(10, 10) < c for i, c in enumerate(counts)})

    uneven = keeping([90, 50, 10, 20])
    assert overlap.pair(uneven, keeping([50, 51, 50, 50]))["layer_budget_correlation"] is None  # but for rounding
    assert overlap.pair(uneven, keeping([50, 40, 60, 50]))["layer_budget_correlation"] is not None
    assert overlap.pair(keeping([90, 10]), keeping([80, 20]))["layer_budget_correlation"] is None  # two points


def test_layers_of_every_family():
    for family in models.FAMILIES.values():
        stem = family.layer.replace(r"\.", ".").replace(r"(\d+)", "11").replace("(.+)", "{}")
        for kind in family.kinds:
            name = stem.format(kind)
            assert (
                family.place(name) == (11, family.kinds[kind]) and overlap.layer_of(f"{family.prefix}.{name}") == "11"
            )
        assert overlap.layer_of(f"{family.prefix}.{family.embeddings}") == "embeddings"
    assert overlap.layer_of("bert.pooler.dense.weight") == "pooler"


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("model.layers.3.attn.Wqkv.key.weight", "3"),
        ("albert.encoder.albert_layer_groups.0.albert_layers.0.attention.query.weight", "0"),
        ("albert.encoder.albert_layer_groups.1.albert_layers.0.ffn.weight", "1"),
        ("nomic_bert.layers.2.mlp.up_proj.weight", "2"),
        ("deberta.encoder.layer.1.attention.self.query_proj.weight", "1"),
        ("model.embed_tokens.weight", "embeddings"),
        ("model.embeddings.tok_embeddings.weight", "embeddings"),
        ("albert.pooler.weight", "pooler"),
    ],
)
def test_the_layer_in_a_name_of_every_family(name, layer):
    assert overlap.layer_of(name) == layer


# packed bits


@pytest.mark.parametrize("size", [1, 7, 8, 9, 63, 64, 65, 127, 1000])
def test_padding_bits_are_ignored(tmp_path, size):
    """A file with ones in the unused bits of its last byte, and a fitting checksum, is read as if they were zeros."""
    mask = torch.rand(size, generator=torch.Generator().manual_seed(size)) < 0.5
    clean = packed({"w": mask})
    dirty = clean.bits["w"].copy()
    dirty[-1] |= (1 << -size % 8) - 1
    metadata = {"format": maskfile.FORMAT, "version": "1", "bitorder": "big", "model": "bert", "weights_hash": "h"}
    metadata |= {"shapes": json.dumps({"w": [size]}), "kept": json.dumps({"w": int(mask.sum())})}
    metadata["sha256"] = maskfile._digest(metadata, {"w": dirty})
    (tmp_path / "f").write_bytes(maskfile.save({"w": dirty}, metadata))
    file = maskfile.read_packed(tmp_path / "f")
    assert file.bits["w"].tolist() == clean.bits["w"].tolist() and file.kept == clean.kept
    assert torch.equal(maskfile.read(tmp_path / "f").masks["w"], mask)
    assert overlap.shared_bits(file.bits["w"], clean.bits["w"]) == int(mask.sum())


def test_read_packed_returns_what_pack_made(tmp_path):
    file = MaskFile(draw(0, 0.3), "bert", "h")
    (tmp_path / "f").write_bytes(maskfile.encode(file))
    stored, packed_file = maskfile.read_packed(tmp_path / "f"), pack(file)
    assert (stored.shapes, stored.kept, stored.model, stored.weights_hash) == (
        packed_file.shapes,
        packed_file.kept,
        "bert",
        "h",
    )
    assert all(np.array_equal(stored.bits[n], packed_file.bits[n]) for n in SHAPES)


def test_a_pair_of_bert_base_masks_takes_less_than_a_second():
    """Each mask has 84,934,656 random bits. An idle core needs 5 ms."""
    widths = [(768, 768)] * 4 + [(3072, 768), (768, 3072)]
    shapes = {f"bert.encoder.layer.{n}.{k}.weight": s for n in range(12) for k, s in enumerate(widths)}
    random = np.random.default_rng(0)

    def mask():
        bits = {n: random.integers(0, 256, math.prod(s) // 8, dtype=np.uint8) for n, s in shapes.items()}
        return Packed(bits, shapes, {n: int(np.bitwise_count(x).sum(dtype=int)) for n, x in bits.items()}, "bert", "h")

    a, b = mask(), mask()
    start = time.perf_counter()
    numbers = overlap.pair(a, b)
    assert time.perf_counter() - start < 1
    assert numbers["size"] == 84_934_656 and abs(numbers["z"]) < 5
    assert numbers["jaccard"] == pytest.approx(1 / 3, abs=1e-3)


# clustering


def test_the_nearest_are_joined_first():
    overlaps = [[1, 0.1, 0.8, None], [0.1, 1, 0.2, 0.6], [0.8, 0.2, 1, 0.0], [None, 0.6, 0.0, 1]]
    tree = comparison.cluster(overlaps)
    # 0 and 2 at 0.2, 1 and 3 at 0.4, the two at the mean of 0.9, 1 (null), 0.8, 1
    assert [row[:2] for row in tree["linkage"]] == [[0, 2], [1, 3], [4, 5]]
    assert [row[2] for row in tree["linkage"]] == pytest.approx([0.2, 0.4, 0.925])
    assert {frozenset(tree["order"][:2]), frozenset(tree["order"][2:])} == {frozenset({0, 2}), frozenset({1, 3})}


def test_labels_show_the_settings_that_differ():
    row = dict.fromkeys(comparison.AXES, "x") | {"seed": 0, "sparsity": 0.9, "directory": "d"}
    rows = [row | {"method": "smp"}, row | {"method": "imp", "seed": 1}, row | {"method": "imp", "sparsity": 0.5}]
    assert comparison.labels(rows) == ["smp 0.9 seed 0", "imp 0.9 seed 1", "imp 0.5 seed 0"]
    other = row | {"method": "imp", "distill": "y", "prunable": "z", "seed": 3}
    # settings other than COMMON_AXES that differ only between methods are not shown
    assert comparison.labels([row, other]) == ["x seed 0", "imp seed 3"]
    assert comparison.labels([row, other, row | {"prunable": "z"}]) == ["x x seed 0", "imp z seed 3", "x z seed 0"]
    assert comparison.labels([row, row | {"directory": "e"}]) == ["x (d)", "x (e)"]
