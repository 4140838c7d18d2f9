"""The pattern in a mask file: an entry that files without one lack, and that is checked against the masks."""

import pytest
import torch

from prunebert.masks import maskfile
from prunebert.masks.maskfile import MaskFile, encode, read
from tests.masks.test_maskfile import HASH, MASK, parsed, refused

#  of every four columns two stay, and no block of two columns is whole
TWO_OF_FOUR = torch.tensor([[1, 0, 1, 0, 0, 1, 1, 0], [0, 1, 0, 1, 0, 1, 0, 1]]).bool()


def test_a_pattern_is_an_entry_that_files_without_one_lack(tmp_path):
    (file := tmp_path / "x").write_bytes(encode(MaskFile({"w": TWO_OF_FOUR}, "bert", HASH, "2:4")))
    assert parsed(file.read_bytes()).metadata["pattern"] == "2:4"
    assert parsed(file.read_bytes()).metadata["version"] == "1"
    assert (read(file).pattern, maskfile.read_packed(file).pattern) == ("2:4", "2:4")
    (file := tmp_path / "x").write_bytes(encode(MaskFile({"w": TWO_OF_FOUR}, "bert", HASH)))
    assert "pattern" not in parsed(file.read_bytes()).metadata and read(file).pattern == "none"


@pytest.mark.parametrize(
    ("masks", "pattern", "message"),
    [
        ({"v": TWO_OF_FOUR, "w": MASK}, "2:4", "it says the pattern 2:4, but w does not satisfy it"),
        ({"w": TWO_OF_FOUR}, "1:4", "it says the pattern 1:4, but w does not satisfy it"),
        ({"w": TWO_OF_FOUR}, "1x2", "it says the pattern 1x2, but w does not satisfy it"),
        ({"w": TWO_OF_FOUR[:, :6]}, "2:4", "it says the pattern 2:4, but w does not satisfy it"),
        ({"w": TWO_OF_FOUR.flatten()}, "2:4", "it says the pattern 2:4, but w does not satisfy it"),
        ({"w": TWO_OF_FOUR}, "4:2", "its pattern is 4:2, not N:M with N below M, or RxC"),
        ({"w": TWO_OF_FOUR}, "a\nb", r"its pattern is a\\nb, not N:M"),
        ({"w": TWO_OF_FOUR}, "", "its pattern is , not N:M"),
    ],
)
def test_a_pattern_that_the_masks_do_not_satisfy_is_damage(tmp_path, masks, pattern, message):
    refused(tmp_path / "x", encode(MaskFile(masks, "bert", HASH, pattern)), f"is damaged: {message}")
