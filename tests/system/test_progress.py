"""The progress of a phase."""

import pytest

from prunebert.system.progress import clock


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "00:00:00"),
        (59.9, "00:00:59"),
        (3661, "01:01:01"),
        (86399, "23:59:59"),
        (108000, "30:00:00"),
        (4e5, "111:06:40"),
    ],
)
def test_hours_go_on_beyond_a_day(seconds, text):
    assert clock(seconds) == text
