"""What earlier versions wrote in other words."""

import pytest

from prunebert.runs.schema import in_todays_words


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("cpu, 1 threads", "cpu, 1 thread"),
        ("2 × cpu, 1 threads", "2 × cpu, 1 thread"),
        ("cpu, 11 threads", "cpu, 11 threads"),
        ("NVIDIA H100", "NVIDIA H100"),
    ],
)
def test_one_thread_is_singular(old, new):
    assert in_todays_words({"device": old}) == {"device": new}
