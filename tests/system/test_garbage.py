"""What lives long is hidden from the garbage collector for a while only, and garbage is still collected."""

import gc
import weakref

import pytest

from prunebert.system import garbage
from prunebert.system.garbage import long_lived_objects, pass_over_modules, paused


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


def test_what_is_there_is_passed_over_once_and_later_garbage_is_collected(monkeypatch):
    monkeypatch.setattr(garbage, "_own_process", False)
    pass_over_modules()  # of a notebook, say
    assert gc.get_freeze_count() == 0
    garbage.begin_process()
    try:
        pass_over_modules()
        count = gc.get_freeze_count()
        assert count > 0
        later = weakref.ref(Circle())
        pass_over_modules()  # of the next cell: what the cell before left must not stay
        assert gc.get_freeze_count() <= count and later() is not None
        gc.collect()
        assert later() is None
    finally:
        gc.unfreeze()
