"""What lives long is hidden from the garbage collector for a while only, and garbage is still collected."""

import gc
import weakref

import pytest

from prunebert.system.garbage import long_lived_objects, paused


class Circle:
    def __init__(self):
        self.me = self


def test_present_objects_are_spared_and_new_garbage_is_collected():
    with long_lived_objects():
        assert gc.get_freeze_count() > 0
        circle = weakref.ref(Circle())
        gc.collect()
        assert circle() is None
    assert gc.get_freeze_count() == 0


def test_an_error_ends_it():
    with pytest.raises(ValueError), long_lived_objects():
        raise ValueError
    assert gc.get_freeze_count() == 0


def test_a_pause_ends_with_an_error_too_and_within_another_pause():
    assert gc.isenabled()
    with pytest.raises(ValueError, match="wrong"), paused():
        with paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
        raise ValueError("wrong")
    assert gc.isenabled()
