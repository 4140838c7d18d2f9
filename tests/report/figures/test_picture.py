"""A figure is drawn once. Its dark picture must equal one that is drawn in the dark theme from the start."""

import base64
import io
from functools import partial

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from pypdf import PdfReader

from prunebert.report.figures import allocation, costs, curves, maps, picture, style
from prunebert.report.page import page
from prunebert.report.published import numbers as published


def cell_means():
    """Return two methods with three seeds at three sparsities, and a dense one."""
    cells = [("smp", s, 0.8 - s / 5) for s in (0.5, 0.7, 0.9)] + [("magnitude", s, 0.7 - s / 5) for s in (0.5, 0.9)]
    table = pd.DataFrame([*cells, ("dense", 0.0, 0.84)], columns=["method", "sparsity", "mean"])
    return table.assign(label=table["method"], short_label=table["method"], denominator="encoder", sd=0.02, n=3)


def runs():
    methods = ["smp", "smp", "magnitude"]
    costs = {"seconds_per_step": [0.1, 0.2, 0.3], "seconds": [5.0, 6.0, 7.0], "peak_memory_bytes": [2.0**30] * 3}
    return pd.DataFrame({"method": methods, "short_label": methods, "device": "cpu", **costs})


def ratios():
    rows = [("smp", s, part, ratio * s) for s in (0.5, 0.9) for part, ratio in (("key", 0.7), ("output", 1.4))]
    return pd.DataFrame(rows, columns=["label", "sparsity", "part", "ratio"])


GRID = np.linspace(0.0, 0.9, 21).reshape(3, 7)
OVERLAP = np.array([[1.0, -0.9, 0.1], [-0.9, 1.0, 0.5], [0.1, 0.5, 1.0]])  # both colours of text
POINTS = published.points(published.read_table(), "bert-base-uncased", "mnli", "accuracy_matched")
FIGURES = {
    "score": partial(curves.draw_scores, cell_means(), POINTS, table="t", metric="accuracy", constant_score=0.6),
    "cost": partial(costs.draw_costs, runs(), table="t"),
    "density": partial(
        maps.draw_density, {"smp": GRID, "imp": GRID / 2}, {"smp": {"pooler": 0.5}, "imp": {}}, table="t"
    ),
    "overlap": partial(maps.draw_overlap, ["smp", "imp", "a name that is " + "longer " * 9], OVERLAP, table="t"),
    "allocation": partial(allocation.draw_allocation, ratios(), ["smp"], by="kinds", table="t"),
}


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def drawn_alone(draw, theme):
    """Draw in one theme by matplotlib's own savefig."""
    stream = io.BytesIO()
    with matplotlib.rc_context(theme.rc()):
        draw(theme=theme).savefig(stream, format="png")
    return pixels(stream.getvalue())


@pytest.fixture(scope="module")
def rendered():
    """Return the pictures of all figures and their PDF files, each by name; they are drawn once."""
    document = picture.Document()
    pictures = {name: picture.render(style.Drawing(name, "", draw), document) for name, draw in FIGURES.items()}
    return pictures, document.split()


@pytest.mark.parametrize("name", FIGURES)
def test_both_pictures_equal_those_drawn_in_their_own_theme(name, rendered):
    draw, drawn, pdf = FIGURES[name], rendered[0][name], rendered[1][name]
    for content, theme in ((drawn.light, style.LIGHT), (drawn.dark, style.DARK)):
        alone = drawn_alone(draw, theme)
        assert pixels(content).shape == alone.shape
        assert np.abs(pixels(content) - alone).max() <= 2, theme.name  # rounding
    assert np.abs(pixels(drawn.light) - pixels(drawn.dark)).max() > 200
    assert pdf.startswith(b"%PDF") and b"/Type3" not in pdf and b"CreationDate" not in pdf


def test_each_pdf_file_has_its_own_page_text_and_images(rendered):
    files = rendered[1]
    assert list(files) == list(FIGURES)
    again = picture.Document()
    picture.render(style.Drawing("density", "", FIGURES["density"]), again)
    (page,), (alone,) = (PdfReader(io.BytesIO(c)).pages for c in (files["density"], again.split()["density"]))
    assert page.mediabox == alone.mediabox
    text, same = (p.extract_text().replace("\0", "") for p in (page, alone))  # matplotlib writes 16-bit characters
    assert text == same and "remaining, %" in text
    assert len(page.images) == len(alone.images) == 3  # two panels and the colour bar
    for image, equal in zip(page.images, alone.images, strict=True):
        assert image.image.tobytes() == equal.image.tobytes()
    assert b"/FontFile2" in files["density"]  # the font is embedded


def test_a_long_document_is_written_in_parts_with_every_page(monkeypatch):
    monkeypatch.setattr(picture, "MAX_PAGES", 2)
    document = picture.Document()
    titles = {name: f"the title of {name}" for name in ("first", "second", "third", "fourth", "fifth")}
    with matplotlib.rc_context(style.LIGHT.rc()):
        for name, title in titles.items():
            figure = Figure(figsize=(3, 1))
            figure.suptitle(title)
            document.add(name, figure)
    files = document.split()
    pages = {name: PdfReader(io.BytesIO(content)).pages for name, content in files.items()}
    assert {name: [p.extract_text().replace("\0", "") for p in found] for name, found in pages.items()} == {
        name: [title] for name, title in titles.items()
    }


def test_the_page_has_both_themes_and_the_file_the_light_one(tmp_path):
    draw = FIGURES["cost"]
    document = picture.Document()
    drawn = page.draw_picture(style.Drawing("cost", "caption", draw), tmp_path, document)
    light, dark = (pixels(base64.b64decode(content)) for content in (drawn.light, drawn.dark))
    assert light[0, 0].tolist() == [255] * 3 and dark[0, 0].tolist() == [0x16, 0x18, 0x1C]
    assert (pixels((tmp_path / "cost.png").read_bytes()) == light).all() and drawn.width == 7 * 130
    html = page.render("t", [], "", [page.Section("s", "s", [page.Part(figure=drawn)])])
    source, image = html.index(drawn.dark), html.index(drawn.light)
    assert source < image and "(prefers-color-scheme: dark)" in html[:source].rpartition("<source")[2]


def test_a_document_without_pages_has_no_files():
    assert picture.Document().split() == {}
