"""Hubs in a report: over seeds, tasks and methods, and beside the largest pre-trained weights."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from prunebert.masks import maskfile
from prunebert.masks.maskfile import MaskFile
from prunebert.report import collect
from prunebert.report.figures.hubs import draw_hubs
from prunebert.report.figures.style import LIGHT
from prunebert.report.page import hubs as page
from prunebert.report.statistics import hubs
from tests.drawing.legible import faults, rc
from tests.report.conftest import finished
from tests.report.page.conftest import flat

# Only rows of intermediate and columns of output: one layer with 8 neurons, in a stream of 8.
KINDS, WIDTH = ("intermediate", "output"), 8
MAGNITUDE = {"smp": 0.5, "movement": 0.25}


def write(root, method, seed, degrees, **changes):
    """Write a run whose neurons keep these numbers of weights in intermediate, and one each in output."""
    finished(root, method, 0.9, seed, **changes)
    masks = {f"0.{k}": torch.zeros(WIDTH, WIDTH).bool() for k in KINDS}
    for neuron, degree in enumerate(degrees):
        masks["0.intermediate"][neuron, :degree] = True
        masks["0.output"][0, neuron] = True
    (root / "masks.safetensors").write_bytes(maskfile.encode(MaskFile(masks, "toy", "a" * 64)))
    topology = json.loads((root / "topology.json").read_text())
    topology["matrices"] = {f"0.{k}": {"layer": 0, "kind": k, "remaining": 0.1} for k in KINDS}
    topology["heads"] = {}
    entry = {"units": 8, "mean": 1.0, "dispersion": 1.0, "magnitude": MAGNITUDE[method]}
    entry["top"] = [{"layer": 0, "unit": int(np.argmax(degrees)), "degree": max(degrees), "z": 3.0}]
    topology["hubs"] = {"sets": {"neurons": entry}, "matrices": {}}
    (root / "topology.json").write_text(json.dumps(topology))


DEGREES = {
    ("smp", 0): [7, 6, 5, 4, 3, 2, 1, 0],
    ("smp", 1): [7, 5, 6, 4, 3, 1, 2, 0],
    ("movement", 0): [0, 3, 1, 4, 5, 2, 7, 6],
    ("movement", 1): [1, 2, 0, 4, 7, 5, 3, 6],
}


@pytest.fixture
def folder(tmp_path):
    """Two methods with two seeds each, one of them on another task too; and a run that recorded no hubs."""
    for (method, seed), degrees in DEGREES.items():
        write(tmp_path / f"{method}-{seed}", method, seed, degrees)
    write(tmp_path / "other", "smp", 0, [7, 0, 5, 4, 3, 2, 1, 6], task="paws", data={"fingerprint": {"train": "p"}})
    finished(tmp_path / "old", "movement", 0.9, 2)
    return tmp_path


@pytest.fixture
def runs(folder):
    collected = collect.collect([folder])
    assert collected.troubles == [] and len(collected.runs) == 6
    return collected.runs


def spearman(a, b):
    return stats.spearmanr(a, b).statistic


def test_every_relation_has_its_mean_rank_correlation(runs):
    positions, found, messages = hubs.read(runs)
    assert len(found) == 5 and messages == []
    means = hubs.means(hubs.pairs(runs.iloc[positions], found))
    means = means[means["set"] == "neurons"].set_index(["label", "relation"])
    smp, movement = ([DEGREES[m, s] for s in (0, 1)] for m in ("smp", "movement"))
    other = [7, 0, 5, 4, 3, 2, 1, 6]
    expected = {
        ("smp", hubs.SEEDS): spearman(*smp),
        ("movement", hubs.SEEDS): spearman(*movement),
        ("smp", hubs.TASKS): np.mean([spearman(x, other) for x in smp]),
        ("smp", hubs.METHODS): np.mean([spearman(x, y) for x in smp for y in movement]),
        ("movement", hubs.METHODS): np.mean([spearman(x, y) for x in smp for y in movement]),
        ("smp", hubs.CHECKPOINT): 0.5,
        ("movement", hubs.CHECKPOINT): 0.25,
    }
    assert means["correlation"].to_dict() == pytest.approx(expected)
    assert means["n"].to_dict() == {key: n for key, n in zip(expected, (1, 1, 2, 4, 4, 3, 2), strict=True)}
    r = spearman(*smp)
    assert means.at[("smp", hubs.SEEDS), "without"] == pytest.approx((r - 0.25) / 0.75)
    assert means.at[("smp", hubs.SEEDS), "shared"] == 1 and means.at[("smp", hubs.SEEDS), "chance"] == 1 / 8
    assert means.at[("movement", hubs.SEEDS), "shared"] == 0  # neurons 6 and 4 keep the most


def test_the_page_has_a_figure_and_tables(runs, study_of, draw, drawings):
    found = page.section(study_of(runs), draw, troubles := [])
    assert found.title == "Hubs" and troubles == []
    assert [drawing.name for drawing in drawings] == ["hubs-bert-base-uncased-0.9"]
    tables = [part.table for part in flat(found.parts) if part.table]
    lines = {row[1].text: [cell.text for cell in row] for row in tables[0].rows}
    smp = spearman(DEGREES["smp", 0], DEGREES["smp", 1])
    assert tables[0].columns == page.COLUMNS and set(lines) == {"smp", "movement"}
    assert lines["smp"][:3] == ["neurons", "smp", f"{smp:.2f}"] and lines["smp"][5] == "0.50"
    assert lines["movement"][3] == "–"  # no other task
    assert "5 runs" in tables[0].note and "There are 6 runs" in tables[0].note
    assert {row[0].text for row in tables[1].rows} == {"intermediate rows", "intermediate columns", "output rows"}
    mean = np.mean([smp, spearman(DEGREES["movement", 0], DEGREES["movement", 1])])
    assert [[cell.text for cell in row] for row in tables[2].rows] == [["0", f"{mean:.2f}"]]
    assert [[cell.text for cell in row] for row in tables[3].rows] == [
        ["neurons", "smp", "0.0 (3 of 3)"],
        ["neurons", "movement", "0.4 (1 of 2), 0.6 (1 of 2)"],
    ]


def test_runs_without_hubs_show_nothing_and_damaged_ones_are_listed(folder, study_of, draw):
    (folder / "smp-0/masks.safetensors").write_bytes(b"")
    content = json.loads((folder / "smp-1/topology.json").read_text())
    content["matrices"] = {}  # names none of the masks
    (folder / "smp-1/topology.json").write_text(json.dumps(content))
    section = page.section(study_of(collect.collect([folder]).runs), draw, troubles := [])
    assert len(troubles) == 2 and {trouble.kind for trouble in troubles} == {"not among the hubs"}
    assert section.parts  # movement has two seeds
    for name in ("movement-0", "movement-1", "other"):
        content = json.loads((folder / name / "topology.json").read_text())
        del content["hubs"]
        (folder / name / "topology.json").write_text(json.dumps(content))
    assert page.section(study_of(collect.collect([folder]).runs), draw, []).parts == []


def test_the_figure_has_a_mark_for_each_mean_and_no_text_is_cut():
    names = ["smp", "movement", "soft_movement", "another_method_of_mine"]
    rows = [(s, n, r) for s in hubs.MAIN for n in names for r in hubs.RELATIONS]
    means = pd.DataFrame(rows, columns=["set", "label", "relation"]).assign(method=lambda x: x["label"])
    means["correlation"] = np.linspace(-0.2, 1, len(means))
    with rc(LIGHT):
        figure = draw_hubs(means, title="bert-base-uncased, sparsity 0.9: hubs", theme=LIGHT)
        assert faults(figure) == []
    drawn = sorted(
        float(line.get_xdata()[0])
        for axes in figure.axes
        for line in axes.lines
        if line.get_marker() not in ("None", "", None)
    )
    assert drawn == pytest.approx(sorted(means["correlation"]))
    assert [axes.get_title() for axes in figure.axes] == list(hubs.MAIN)


def test_the_partial_correlation_the_shared_hubs_and_chance_have_their_own_columns():
    row = {"set": "stream", "label": "smp", "relation": hubs.SEEDS, "correlation": 0.9}
    found = page.table(pd.DataFrame([row | {"without": 0.125, "shared": 0.5, "chance": 0.0625}]), "")
    shown = {name: cell.text for name, cell in zip(found.columns, found.rows[0], strict=True)}
    assert [shown[name] for name in page.COLUMNS[-3:]] == ["0.12", "0.50", "0.06"]


def test_hubs_that_the_run_did_not_write_are_refused(folder):
    runs = collect.collect([folder]).runs
    runs["seal"] = [{"files": {"topology.json": "0" * 64, "masks.safetensors": "0" * 64}}] * len(runs)
    positions, _, messages = hubs.read(runs)
    assert positions == [] and len(messages) == len(runs) and "not what the run wrote" in messages[0]
