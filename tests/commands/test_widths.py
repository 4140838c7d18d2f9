"""The tables of compare, mask info and bench have one line a row at every width, and no number is cut."""

import pytest
import torch
from rich.cells import cell_len

from prunebert.commands import bench, compare, mask
from prunebert.masks.maskfile import MaskFile
from prunebert.runs import artifacts

WIDTHS = [60, 80, 100, 200]
PARTS = ["attention.self.query", "attention.self.key", "attention.output.dense", "intermediate.dense", "output.dense"]
NAMES = [
    "smp seed {}",
    "movement · sparsity 0.97 · method.score_lr 0.01 · distill logits · seed {}",
    "电影评论的方法{}",
]


def pair(a, b, overlap):
    within = {"beyond_chance": None}
    numbers = {
        "jaccard": 0.7109,
        "expected_jaccard": 0.0526,
        "beyond_chance": overlap,
        "layer_budget_correlation": -0.1234,
    }
    return {"a": a, "b": b, "within": within, **numbers}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("width", WIDTHS)
def test_compare(width, rows, name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    labels = [name.format(100 + i) for i in range(rows + 1)]
    pairs = [pair(i, i + 1, (i + 1) / 1000) for i in range(rows)]
    rest = {"runs": [], "pairs_not_listed": 0, "different_sets": {"pairs": 0}, "left_out": [], "damaged": []}
    compare.show({"labels": labels, "pairs": pairs, **rest})
    lines = capsys.readouterr().out.splitlines()
    end = next((i for i, line in enumerate(lines) if line.startswith(("not shown", "shortened"))), len(lines))
    table = lines[end - rows : end]
    assert max(map(cell_len, lines)) <= width
    assert [f"{(rows - i) / 1000:.4f}" in line for i, line in enumerate(table)] == [True] * rows  # the largest first
    assert width < 100 or all("-0.1234" in line and "–" in line for line in table)
    compare.show({"labels": labels, "pairs": pairs, **rest}, wide=True)
    assert all(label in "".join(capsys.readouterr().out) for label in labels[:1])


@pytest.mark.parametrize("width", WIDTHS)
def test_mask_info(width, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.chdir(tmp_path)
    masks = {f"bert.encoder.layer.{i}.{part}.weight": torch.ones(30, 50).bool() for part in PARTS for i in range(12)}
    artifacts.write_masks(tmp_path / "x", MaskFile(masks, "bert-base-uncased", "h" * 64))
    mask.main(["info", "x"], compose=None)
    lines = capsys.readouterr().out.splitlines()
    table = [line for line in lines if "18,000" in line]
    assert len(table) == len(PARTS) and max(map(cell_len, [lines[0], *table])) <= width
    assert all(line.split()[1:4] == ["18,000", "18,000", "100.00%"] for line in table)
    assert len({line.split()[0] for line in table}) == len(PARTS)


@pytest.mark.parametrize("width", WIDTHS)
def test_bench(width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    times = {"dense": [1.0] * 3, "bf16": [1.0, 0.5, 1.5], "removed openvino bf16": [0.5, 0.4, 0.6]}
    numbers = {"p50_ms": 12345.67, "p90_ms": 23456.78, "p99_ms": 34567.89, "texts_per_second": 1234.5, "bytes": 4e8}
    numbers |= {"output_differs_by": 0.0123, "labels": 8, "same_labels": 7}
    rows = {name: numbers | {"times_dense": [0.25] * 3, "times_best_dense": t} for name, t in times.items()}
    timing = {"batch": 1, "length": 128, "threads": 2, "repetitions": 50, "variants": rows, "best_dense": "dense"}
    bench.print_cell(timing | {"noise": [1.01, 0.98, 1.08]}, wide=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0] == "1 text of 128 tokens, 2 threads, 50 repetitions"
    row = next(line for line in lines if line.endswith("(1.67 to 2.50)") and "12345.67" in line)
    assert row.endswith("2.00 times faster (1.67 to 2.50)") and ("4.00x" in row) == (width >= 80)
    assert row.startswith("removed openvino bf16") == (width >= 80) and ("34567.89" in row) == (width >= 100)
    text = " ".join(lines)
    assert "noise: dense timed twice differs by 1.0% (0.98 to 1.08 of its time); less than 8% is no difference" in text
    assert "bf16 predicts 7 of 8 labels as zeros does" in text and "dense predicts" not in text
    bench.print_cell(timing | {"noise": [1.0, 0.5, 1.0]}, wide=False)
    assert "TOO NOISY to compare" in " ".join(capsys.readouterr().out.splitlines())
