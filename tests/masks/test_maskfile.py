"""The mask file: its exact bits, its metadata, and every way in which it can be damaged."""

import hashlib
import json
import struct
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from prunebert.errors import BadInput
from prunebert.masks import maskfile
from prunebert.masks.maskfile import MaskFile, encode, read

#  10110 00101: the bytes are 10110001 and 01, padded with zeros
MASK = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 1, 0, 1]]).bool()
TWO = {"b.weight": MASK, "a.weight": torch.tensor([True] * 8 + [False])}
HASH = "0123abcd" * 8


def parsed(content: bytes) -> SimpleNamespace:
    """Read a safetensors file by its specification alone: header length, JSON header, data."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    data = content[8 + length :]
    metadata = header.pop("__metadata__", {})
    bits = {n: data[slice(*h["data_offsets"])] for n, h in header.items()}
    return SimpleNamespace(metadata=metadata, header=header, bits=bits, data_start=8 + length)


def rewritten(content: bytes, **change: str | None) -> bytes:
    """Return the file with other metadata; None removes an entry."""
    parts = parsed(content)
    metadata = {k: v for k, v in (parts.metadata | change).items() if v is not None}
    return save({n: torch.frombuffer(bytearray(b), dtype=torch.uint8) for n, b in parts.bits.items()}, metadata)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "masks.safetensors"


def refused(path, content, message=None):
    """Check that reading these bytes raises BadInput, in one line that names the file."""
    path.write_bytes(content)
    with pytest.raises(BadInput, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


# what is written


def test_the_first_weight_is_the_highest_bit():
    parts = parsed(encode(MaskFile({"w": MASK}, "bert", HASH)))
    assert parts.bits == {"w": bytes([0b10110001, 0b01000000])}
    assert parts.header["w"] == {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}


def test_a_transposed_mask_is_written_row_by_row():
    parts = parsed(encode(MaskFile({"w": MASK.T}, "bert", HASH)))  # 10 00 11 10 01
    assert parts.bits == {"w": bytes([0b10001110, 0b01000000])}


def test_the_file_describes_itself():
    parts = parsed(encode(MaskFile(TWO, "bert-base-uncased", HASH)))
    metadata = json.dumps([[k, parts.metadata[k]] for k in sorted(parts.metadata) if k != "sha256"]).encode()
    bits = b"a.weight" + bytes([0xFF, 0x00]) + b"b.weight" + bytes([0xB1, 0x40])
    digest = hashlib.sha256(metadata + bits).hexdigest()
    shapes, kept = parts.metadata.pop("shapes"), parts.metadata.pop("kept")
    assert json.loads(shapes) == {"b.weight": [2, 5], "a.weight": [9]}
    assert json.loads(kept) == {"b.weight": 5, "a.weight": 8}
    assert parts.metadata == {
        "format": "prunebert-masks",
        "version": "1",
        "bitorder": "big",
        "model": "bert-base-uncased",
        "weights_hash": HASH,
        "sha256": digest,
    }


def test_a_weight_takes_one_bit():
    masks = {f"layer.{i}": torch.rand(384, 1536) < 0.1 for i in range(4)}
    size, bits = len(encode(MaskFile(masks, "bert", HASH))), 4 * 384 * 1536
    assert bits / 8 <= size < bits / 8 + 1500


def test_another_reader_of_the_format_finds_the_masks(file):
    file.write_bytes(encode(MaskFile(TWO, "bert", HASH)))
    parts = parsed(file.read_bytes())
    for name, mask in TWO.items():
        weights = [int(bit) for byte in parts.bits[name] for bit in f"{byte:08b}"][: mask.numel()]
        assert weights == mask.int().flatten().tolist()


# round trip

SHAPES = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=3), min_size=0, max_size=4)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(
    SHAPES, st.integers(0, 2**32), st.sampled_from(["bert", "", 'a/b "ü" 中\n']), st.sampled_from([0.0, 0.1, 0.5, 1.0])
)
def test_round_trip(tmp_path_factory, shapes, seed, model, density):
    file = tmp_path_factory.getbasetemp() / "round-trip.safetensors"
    random = np.random.default_rng(seed)
    masks = {f"layer.{i}.weight": torch.from_numpy(random.random(s) < density) for i, s in enumerate(shapes)}
    file.write_bytes(encode(MaskFile(masks, model, HASH)))
    result = read(file)
    assert (result.model, result.weights_hash) == (model, HASH)
    assert list(result.masks) == list(masks)
    for name, mask in masks.items():
        assert result.masks[name].dtype == torch.bool and torch.equal(result.masks[name], mask)


def test_masks_that_were_read_are_writable(file):
    file.write_bytes(encode(MaskFile(TWO, "bert", HASH)))
    masks = read(file).masks
    masks["a.weight"][8] = True
    assert masks["a.weight"].all()


# damaged files


def test_every_truncation_is_refused(file):
    content = encode(MaskFile(TWO, "bert", HASH))
    for length in range(len(content)):
        refused(file, content[:length])


def test_every_flipped_bit_of_the_masks_is_refused(file):
    content = encode(MaskFile(TWO, "bert", HASH))
    start = parsed(content).data_start
    assert len(content) - start == 4
    for position in range(start, len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[position] ^= 1 << bit
            refused(file, bytes(damaged), "checksum")


@pytest.fixture(scope="module")
def header_flips(tmp_path_factory):
    """The outcome of each flipped bit in the header: an error, or whether the masks are equal, and the file read."""
    file = tmp_path_factory.mktemp("flips") / "masks.safetensors"
    content = encode(MaskFile({"w": MASK}, "bert", "abc"))
    outcomes = []
    for position in range(8, parsed(content).data_start):
        for bit in (0, 2):
            damaged = bytearray(content)
            damaged[position] ^= 1 << bit
            file.write_bytes(bytes(damaged))
            try:
                result = read(file)
            except Exception as error:  # noqa: BLE001 (every error is counted)
                outcomes.append(error)
            else:
                equal = list(result.masks) == ["w"] and torch.equal(result.masks["w"], MASK)
                outcomes.append((equal, result))
    assert len(outcomes) > 500 and sum(isinstance(o, BadInput) for o in outcomes) > 300
    return outcomes


def test_no_flipped_bit_of_the_header_makes_another_mask(header_flips):
    assert [o[1].masks for o in header_flips if isinstance(o, tuple) and not o[0]] == []


def test_no_flipped_bit_of_the_header_makes_another_model(header_flips):
    read_well = [o[1] for o in header_flips if isinstance(o, tuple)]
    assert {(f.model, f.weights_hash) for f in read_well} <= {("bert", "abc")}


def test_no_flipped_bit_of_the_header_ends_in_a_traceback(header_flips):
    assert {type(o).__name__ for o in header_flips if isinstance(o, Exception)} == {"BadInput"}


@pytest.mark.parametrize("entry", ["version", "sha256", "shapes", "kept", "model", "weights_hash"])
def test_a_missing_entry_is_refused(file, entry):
    refused(file, rewritten(encode(MaskFile(TWO, "bert", HASH)), **{entry: None}))


def test_a_checksum_that_does_not_match_is_refused(file):
    refused(file, rewritten(encode(MaskFile(TWO, "bert", HASH)), sha256="0" * 64), "damaged: its checksum")


def test_a_wrong_number_of_kept_weights_is_refused(file):
    kept = json.dumps({"b.weight": 5, "a.weight": 7})
    refused(file, rewritten(encode(MaskFile(TWO, "bert", HASH)), kept=kept), "damaged")


def signed(bits: dict[str, torch.Tensor], **change: str) -> bytes:
    """Return a file with a right checksum, made by the format's description, with these bits and other metadata."""
    metadata = parsed(encode(MaskFile(TWO, "bert", HASH))).metadata | change
    digest = hashlib.sha256(json.dumps([[k, metadata[k]] for k in sorted(metadata) if k != "sha256"]).encode())
    for name in sorted(bits):
        digest.update(name.encode() + bits[name].numpy().tobytes())
    return save(bits, metadata | {"sha256": digest.hexdigest()})


BITS = {name: torch.tensor(x, dtype=torch.uint8) for name, x in {"a.weight": [255, 0], "b.weight": [0xB1, 64]}.items()}
SHAPE, KEPT = {"b.weight": [2, 5], "a.weight": [9]}, {"b.weight": 5, "a.weight": 8}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("kept", KEPT | {"a.weight": 7}, "a.weight keeps 8 weights, but the file says 7"),
        ("kept", KEPT | {"a.weight": 8.0}, "a.weight keeps 8 weights, but the file says 8.0"),
        ("kept", {"a.weight": 8}, "do not name the same matrices"),
        ("kept", KEPT | {"c.weight": 0}, "do not name the same matrices"),
        ("kept", [5, 8], "kept is no table of names and values"),
        ("shapes", {"b.weight": [2, 5]}, "do not name the same matrices"),
        ("shapes", SHAPE | {"b.weight": [2, 9]}, "b.weight has 2 bytes for .2, 9. weights"),
        ("shapes", SHAPE | {"b.weight": [2, 4]}, "b.weight has 2 bytes for .2, 4. weights"),
        ("shapes", SHAPE | {"b.weight": [-2, -5]}, "the shape of b.weight is .-2, -5."),
        ("shapes", SHAPE | {"b.weight": [2, 5.0]}, "the shape of b.weight is .2, 5.0."),
        ("shapes", SHAPE | {"b.weight": "25"}, "the shape of b.weight is 25"),
        ("shapes", "x", "shapes is no table of names and values"),
    ],
)
def test_a_signed_file_whose_parts_disagree_is_refused(file, key, value, message):
    refused(file, signed(BITS, **{key: json.dumps(value)}), f"is damaged: .*{message}")


def test_bits_that_nothing_describes_are_refused(file):
    described = {"shapes": json.dumps({"b.weight": [2, 5]}), "kept": json.dumps({"b.weight": 5})}
    refused(file, signed(BITS, **described), "do not name the same matrices")


def test_bits_after_the_last_weight_do_not_count(file):
    assert 0xB1 == 0b10110001 and 64 == 0b01000000  # ten weights: six bits of the last byte are left
    file.write_bytes(signed(BITS | {"b.weight": torch.tensor([0xB1, 64 + 63], dtype=torch.uint8)}))
    assert torch.equal(read(file).masks["b.weight"], MASK)
    assert maskfile.read_packed(file).bits["b.weight"].tolist() == [0xB1, 64]


def test_all_bytes_before_the_last_one_count_as_they_are(file):
    ones = 4 + 4 + 1  # of 0xB1, of 0x0F, and of the first two bits of 0x7F
    described = {"shapes": json.dumps({"w": [3, 6]}), "kept": json.dumps({"w": ones})}
    file.write_bytes(signed({"w": torch.tensor([0xB1, 0x0F, 0x7F], dtype=torch.uint8)}, **described))
    assert maskfile.read_packed(file).bits["w"].tolist() == [0xB1, 0x0F, 0x40]


def test_other_tensors_in_a_signed_file_are_refused(file):
    for bits in (BITS["a.weight"].view(1, 2), BITS["a.weight"].to(torch.int8)):
        refused(
            file, signed(BITS | {"a.weight": bits}), "is not a mask file of prunebert: a.weight is no list of bytes"
        )


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({}, "holds no masks"),
        ({"w": torch.ones(4).bool()}, r"w is \[4\], which is no matrix"),
        ({"w": torch.ones(0, 4).bool()}, r"w is \[0, 4\], which is no matrix"),
    ],
)
def test_a_file_without_a_matrix_is_no_runs_masks(file, masks, message):
    file.write_bytes(encode(MaskFile(masks, "bert", HASH)))
    assert read(file).masks.keys() == masks.keys()
    with pytest.raises(BadInput, match=message):
        maskfile.read_matrices(file)


@pytest.mark.parametrize("version", ["0", "2", "1.0"])
def test_another_version_is_refused(file, version):
    content = rewritten(encode(MaskFile(TWO, "bert", HASH)), version=version)
    refused(file, content, f"version {version}; this prunebert reads version {maskfile.VERSION}")


def test_a_file_with_the_same_metadata_written_again_is_read(file):
    file.write_bytes(rewritten(encode(MaskFile(TWO, "bert", HASH))))  # rewritten itself damages nothing
    assert torch.equal(read(file).masks["b.weight"], MASK)


def test_a_safetensors_file_of_something_else_is_refused(file):
    refused(file, save({"w": torch.zeros(2)}), "is not a mask file")
    refused(file, save({"w": torch.zeros(2)}, {"format": "pt"}), "is not a mask file")


@pytest.mark.parametrize("content", [b"", b"not a mask file at all, just text\n" * 9, b"\x00" * 64, b"\xff" * 64])
def test_a_file_of_another_format_is_refused(file, content):
    refused(file, content, "cannot be read as a mask file")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "absent.safetensors", tmp_path):
        with pytest.raises(BadInput, match="cannot be read as a mask file") as caught:
            read(path)
        assert str(path) in str(caught.value)
