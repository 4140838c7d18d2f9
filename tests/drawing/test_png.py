"""A figure as PNG: a picture of its size, in the light theme, without a warning about a letter that no font has."""

import io
import warnings

from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.image import imread

from prunebert.drawing.png import png
from prunebert.drawing.theme import DPI


def drawn(text):
    figure = Figure(figsize=(2, 1))
    figure.text(0.5, 0.5, text)
    return figure


def test_the_picture_has_the_figures_size_and_the_light_paper():
    before = dict(rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = imread(io.BytesIO(png(lambda: drawn("\u1b83 of no font"))), format="png")
    assert picture.shape[:2] == (DPI, 2 * DPI) and (picture[0, 0, :3] == 1).all()
    assert dict(rcParams) == before


def test_what_is_drawn_is_in_the_picture():
    assert png(lambda: drawn("a")) != png(lambda: drawn("b")) and png(lambda: drawn("a")) == png(lambda: drawn("a"))
