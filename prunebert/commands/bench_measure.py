"""Time several models in turns, and compare their times and outputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prunebert.commands import bench_models
from prunebert.commands.bench_verdicts import MIN_REPETITIONS
from prunebert.system.countdown import Countdown

REFERENCE = "zeros"  # whose output is that of all others but for rounding
AGAIN = "dense again"  # the model `dense` a second time: how far equal times are apart on this machine
Labels = Callable[[Tensor], Tensor]


def measure(
    models: dict[str, Any],
    ids: Tensor,
    repeats: int,
    seconds: float,
    labels: Labels | None = None,
    dense: Sequence[str] = ("dense", REFERENCE),
) -> dict[str, Any]:
    """Time every model on the same batch. Each repetition has an order of its own, drawn at random.

    Args:
        models: the variants by name. Each is called with `input_ids` and returns a tuple whose first entry is its
            output. "dense" and "zeros" must be among them.
        ids: the tokens, [texts, length], on the models' device.
        repeats: repetitions.
        seconds: time limit. At least MIN_REPETITIONS are done in any case.
        labels: makes an output into predicted labels; None if there are none.
        dense: the variants that compute with dense matrices of the full size. The fastest of them is the baseline.

    Returns:
        A table with the numbers of every variant, the name of the fastest dense one, and the noise.
    """
    device, batch = ids.device.type, len(ids)
    timed = models | {AGAIN: models["dense"]}
    times: dict[str, list[float]] = {name: [] for name in timed}
    with torch.no_grad(), Countdown(f"timing {batch} × {ids.shape[1]}", repeats * len(timed), "calls") as countdown:
        outputs = {name: _output(model, ids) for name, model in models.items()}
        start, orders = time.perf_counter(), np.random.default_rng(0)
        while len(times["dense"]) < repeats:
            if len(times["dense"]) >= MIN_REPETITIONS and time.perf_counter() - start > seconds:
                break
            for name in orders.permutation(list(timed)).tolist():  # no model always follows the same one
                times[name].append(_time(timed[name], ids, device))
                countdown.advance()
    arrays = {name: np.array(seconds_each) for name, seconds_each in times.items()}
    best = min((name for name in dense if name in models), key=lambda name: float(np.median(arrays[name])))
    rows = {}
    for name, model in models.items():
        p50, p90, p99 = (float(x) * 1e3 for x in np.percentile(arrays[name], [50, 90, 99]))
        rows[name] = {
            "p50_ms": p50,
            "p90_ms": p90,
            "p99_ms": p99,
            "texts_per_second": batch / p50 * 1e3,
            "times_dense": median_interval(arrays[name] / arrays["dense"]),
            "times_best_dense": median_interval(arrays[name] / arrays[best]),
            "bytes": bench_models.size(model),
            "output_differs_by": float((outputs[name] - outputs[REFERENCE]).abs().max()),
            **_same_labels(outputs[name], outputs[REFERENCE], labels),
        }
    return {
        "repetitions": len(times["dense"]),
        "best_dense": best,
        "noise": median_interval(arrays[AGAIN] / arrays["dense"]),
        "variants": rows,
    }


def _output(model: Any, ids: Tensor) -> Tensor:
    """Return a model's output in float32. The first call only warms up."""
    model(input_ids=ids)
    output: Tensor = model(input_ids=ids)[0].float().cpu()
    return output


def _same_labels(output: Tensor, reference: Tensor, labels: Labels | None) -> dict[str, int]:
    """Return how many labels there are, and how many are those of the reference; empty if there are none."""
    if labels is None:
        return {}
    same = labels(output) == labels(reference)
    return {"labels": same.numel(), "same_labels": int(same.sum())}


def median_interval(ratios: Any) -> list[float]:
    """Return the median of [repetitions], and the 2.5th and 97.5th percentile of the medians of 2,000 resamplings."""
    medians = np.median(np.random.default_rng(0).choice(ratios, (2000, len(ratios))), axis=1)
    return [float(x) for x in (np.median(ratios), *np.percentile(medians, [2.5, 97.5]))]


def _time(model: Any, ids: Tensor, device: str) -> float:
    start = time.perf_counter()
    model(input_ids=ids)
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
