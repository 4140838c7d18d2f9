"""The estimated time of training: from measured steps, on named hardware."""

import json
import re
import statistics
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from prunebert.commands import cost
from prunebert.commands.cost import Work

ROOT = Path(__file__).parents[2]
BERT = 84_934_656  # weights of the matrices of BERT-base's encoder: 12 · (4 · 768² + 2 · 768 · 3072)


def test_every_number_is_that_of_the_file_it_names():
    for step in cost.measured():
        content = json.loads((ROOT / step.source).read_text())
        about, rows = content["about"], [row for row in content["rows"] if "phase 1" not in row["method"]]
        assert [step.model] == about["models"] and (step.batch, step.length) == (about["batch"], about["length"])
        assert (step.device, step.precision) == (about["device"], about["precision"])
        assert step.seconds == round(statistics.median(row["seconds_masked"] for row in rows), 4)
        assert step.weights == next(row["scores"] for row in rows if row["method"] == "smp local")
        for word in step.hardware.removeprefix("one ").split(" of "):
            assert word in about["hardware"]


def test_a_step_of_the_measured_size_takes_the_measured_time():
    gpu, cpu = cost.lines([Work(1000, 32 * 128, BERT)], set())
    assert gpu.startswith("about 47 s on one NVIDIA H100 80GB HBM3, bf16 (estimated from bert-base, 32 texts of 128 ")
    assert gpu.endswith("results/speed/bert-base-h100.json)")
    seconds = 1000 * 3.9374 * 128 / 40
    assert cpu.startswith(f"about {seconds / 3600:.1f} h on 2 cores of AMD EPYC, fp32 ")


def test_twice_the_tokens_take_twice_the_time():
    step = cost.nearest(BERT, "cuda")
    assert step.seconds_for(2 * 32 * 128 * BERT) == pytest.approx(2 * 0.0471)


def test_a_small_step_on_a_gpu_is_bounded_by_the_measured_one():
    gpu, cpu = cost.lines([Work(1000, 32 * 40, 10_616_832)], set())
    assert gpu.startswith("at most 47 s on ")
    assert cpu.startswith("about 8.9 min on 2 cores") and "minilm" in cpu  # 1000 × 0.536 s


def test_small_and_large_steps_are_bounded_and_added():
    """A thousand of a quarter of the measured tokens take at most 47.1 s, and a thousand of twice them 94.2 s."""
    gpu, _ = cost.lines([Work(1000, 8 * 128, BERT), Work(1000, 64 * 128, BERT)], set())
    assert gpu.startswith("at most 2.4 min on ")


def test_the_work_of_a_phase_has_the_mean_size_of_its_first_ten_batches():
    """4 texts of 1, 2, … 10 tokens are 22 on average, whatever of them is padding. A phase of no step has no work."""
    asked = []

    def batches(size, seed):
        asked.append((size, seed))
        for length in count(1):
            yield SimpleNamespace(inputs={n: torch.zeros(4, length) for n in ("input_ids", "attention_mask")})

    phase, net = (
        SimpleNamespace(planned=3, steps=9, fit=SimpleNamespace(batch_size=4), task=SimpleNamespace(batches=batches)),
        SimpleNamespace(prunable=lambda which: {"encoder": {"a": torch.zeros(5, 2), "b": torch.zeros(3)}}[which]),
    )
    assert cost.works_of([SimpleNamespace(planned=0), phase], net, seed=7) == [Work(3, 22, 13)]
    assert asked == [(4, 7)]


def test_the_nearest_model_counts():
    assert [cost.nearest(weights, "cpu").model for weights in (1, 5_000_000, BERT, 10**9)] == [
        *("tiny", "minilm", "bert-base", "bert-base")
    ]
    # 84.9 M weights are 2.1 times 40 M, and 40 M are 3.8 times 10.6 M
    assert cost.nearest(40_000_000, "cpu").model == "bert-base"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.5, "0.50 s"), (47.1, "47 s"), (60, "1.0 min"), (3600, "1.0 h"), (11.6 * 3600, "12 h")],
)
def test_a_duration_has_two_digits(seconds, text):
    assert cost.duration(seconds) == text


def test_hours_beyond_a_hundred_are_rounded_too():
    assert cost.duration(1234 * 3600) == "1,200 h"


def test_a_dry_run_names_the_time_of_each_run_and_of_all(cli, toy, monkeypatch):
    monkeypatch.setattr(cost, "TOTAL", cost.Total())
    words = ["dry=true", *[w for w in toy if not w.startswith("hydra")], "method=magnitude,smp", "mask_fit.steps=3"]
    status, printed = cli("-m", *words)
    assert status == 0, printed
    text = " ".join(printed.split())  # lines wrap at the terminal's width
    assert text.count("mask_fit.steps=3 changes nothing") == 1  # of the sweep, and not of each run
    assert text.count("this sweep has 1 seed; a test over seeds needs 3") == 1
    assert text.count("on one NVIDIA H100 80GB HBM3, bf16") == 3 and text.count("(estimated from bert-base, ") == 1
    steps = [int(n) for n in re.findall(r"seed=0: (\d+) steps", text)]
    assert len(steps) == 2 and f"2 runs to do: {sum(steps):,} steps of training" in text
