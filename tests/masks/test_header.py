"""The metadata of a safetensors file in the order of its names, with every tensor as it was."""

import json
import struct

import torch
from safetensors.torch import load

from prunebert.masks import header

NAMES = ["é", "b", "a", "Z", "10", "9"]


def content(names, extra=b""):
    """Return a file of one tensor, with the metadata in this order."""
    tensor = {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]}
    parts = ({"__metadata__": {n: f"of {n}" for n in names}} if names else {}) | {"w": tensor}
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode() + extra
    return struct.pack("<Q", len(text)) + text + bytes([7, 8, 9])


def test_any_order_of_the_metadata_gives_the_same_bytes():
    expected = content(["10", "9", "Z", "a", "b", "é"], b"  ")
    for names in (NAMES, NAMES[::-1], sorted(NAMES)):
        assert header.in_order(content(names, b"  ")) == expected
    assert torch.equal(load(expected)["w"], torch.tensor([7, 8, 9], dtype=torch.uint8))


def test_a_file_without_metadata_stays_as_it_is():
    assert header.in_order(content([])) == content([])
