"""Texts are broken and shortened by their width in the figures' font, and stay unique."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from prunebert.drawing import labels, scales
from prunebert.drawing.labels import add_title, fit, text_width


@pytest.mark.parametrize("text", ["WWWWWW", "iiiiii", "smp (keep_pretrained=true), 3 seeds", "0.9 ÷ ×"])
def test_a_width_is_that_of_the_renderer_or_little_more(text):
    """At 720 dots an inch the rounding of letters to pixels is small."""
    drawn = RendererAgg(10, 10, 720).get_text_width_height_descent(text, FontProperties(size=8), False)[0] / 10
    assert drawn <= text_width(text, 8) < 1.2 * drawn


def test_a_text_is_broken_at_spaces_and_a_wide_word_between_letters():
    assert fit("one two three", text_width("one two", 8), 8) == "one two\nthree"
    assert fit("aaaa", text_width("aa", 8), 8) == "aa\naa"
    assert fit("short", 1000, 8) == "short" and fit("", 100, 8) == ""


def test_a_text_that_is_too_long_keeps_its_start_and_differs_from_others():
    first, second = (fit(f"{'word ' * 60}{end}", 100, 8, lines=2) for end in "ab")
    assert first != second and first.startswith("word") and first.count("\n") <= 1
    assert all(text_width(line, 8) <= 100 for line in first.split("\n"))


def test_a_very_long_text_is_not_broken_again_and_again(monkeypatch):
    """Of 100,000 letters 30 fit. Shortened by a tenth each time, the text would be broken 80 times."""
    calls = []
    whole = labels._break
    monkeypatch.setattr(labels, "_break", lambda *args: calls.append(args) or whole(*args))
    assert fit("a" * 100_000, text_width("a" * 30, 8), 8, 1).startswith("aaaaaaaa") and len(calls) < 10


def test_a_title_needs_the_height_of_its_lines():
    figure = Figure(figsize=(7, 1))
    assert add_title(figure, "a " * 300) > 3 * add_title(Figure(figsize=(7, 1)), "a")
    assert figure.get_suptitle().count("\n") >= 3


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (1, "100"),
        (0.97, "97"),
        (0.0996, "10"),
        (0.0994, "9.9"),
        (0.03, "3.0"),
        (0.0004, ".04"),
        (1e-7, "<.01"),
        (0, "0"),
    ],
)
def test_a_percentage_has_two_digits(fraction, text):
    assert scales.percent(fraction) == text


def test_one_scale_separates_high_and_low_sparsities():
    norm = scales.density_norm()
    assert [norm(x) for x in (0, 0.001, 0.027, 0.125, 1)] == pytest.approx([0, 0.1, 0.3, 0.5, 1])


def test_the_ticks_of_a_low_colour_bar_do_not_touch():
    assert scales.density_ticks(1000) == sorted(scales.DENSITY_TICKS)
    for height in (20, 60, 150):
        ticks = scales.density_ticks(height)
        assert {0, 1} <= set(ticks) and (np.diff(np.cbrt(ticks)) * height >= 10).all()


def test_a_value_is_white_on_dark_and_black_on_bright_cells():
    axes = Figure().subplots()
    image = axes.imshow([[0.0, 0.5, 1.0]], cmap="gray", vmin=0, vmax=1)
    scales.write_values(axes, image, [["a", "b", ""]], 6)
    assert [(t.get_text(), t.get_color(), t.get_position()) for t in axes.texts] == [
        ("a", "white", (0, 0)),
        ("b", "black", (1, 0)),  # a grey of 0.5 has a luminance of 0.21
    ]
