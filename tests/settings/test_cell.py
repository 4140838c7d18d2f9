"""The folder name of a sweep's cell: a name that every file system takes."""

import hashlib

import pytest

from prunebert.settings.checks import cell


@pytest.mark.parametrize("character", ["x", "é", "語", "🎬"])
@pytest.mark.parametrize("length", [1, 60, 61, 84, 85, 86, 199, 200, 201, 3000])
def test_a_name_has_at_most_255_bytes(tmp_path, character, length):
    name = cell(overrides := f"{character * length}=1")
    assert len(name.encode()) <= 255
    (tmp_path / name).mkdir()
    if len(overrides) <= 200 and len(overrides.encode()) <= 255:
        assert name == overrides
    else:
        whole, _, digest = name.rpartition("-")
        assert overrides.startswith(whole) and digest == hashlib.sha256(overrides.encode()).hexdigest()[:12]
        assert 176 <= len(whole.encode()) <= 180


def test_names_that_differ_at_their_end_stay_apart():
    assert cell("語" * 100 + "=1") != cell("語" * 100 + "=2")
