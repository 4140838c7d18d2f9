"""The names of bench's variants, and the words for a comparison of their times."""

from __future__ import annotations

import math
from typing import Any

DENSE = ("dense", "zeros", "bf16", "compiled", "compiled bf16", "onnxruntime", "openvino", "openvino bf16")
REMOVED = ("removed", "removed bf16", "removed onnxruntime", "removed openvino", "removed openvino bf16")
VARIANTS = (*DENSE, "csr", *REMOVED, "removed+csr", "2:4")
TOO_NOISY = 0.5  # a machine on which the same model's times differ by half cannot compare any
ALWAYS = ("dense", "zeros")  # what the others are compared with
MIN_REPETITIONS = 5  # also after the time limit
TOLERANCE = 0.05  # a smaller difference is called none


def floor_of(noise: list[float]) -> float:
    """Return the difference from which on two times are called different.

    It is 5 %, or the farthest end of the interval of the same model timed twice, whichever is larger.

    noise: the second time divided by the first, [median, low, high].
    """
    return max(TOLERANCE, math.exp(max(abs(math.log(x)) for x in noise)) - 1)


def verdict(ratio: list[float], floor: float = TOLERANCE) -> str:
    """Put a time divided by a baseline's, [median, low, high], into words.

    floor: the smallest difference that counts, as a fraction.
    """
    median, low, high = ratio
    if high < 1 / (1 + floor):
        return f"{1 / median:.2f} times faster ({1 / high:.2f} to {1 / low:.2f})"
    if low > 1 + floor:
        return f"{median:.2f} times SLOWER ({low:.2f} to {high:.2f})"
    if low >= 1 / (1 + floor) and high <= 1 + floor:
        return "no difference"
    return f"uncertain ({low:.2f} to {high:.2f} of its time)"


def outcome(timing: dict[str, Any]) -> str:
    """Return which variant won: the best dense one, or the fastest of those that leave out removed weights."""
    rows, dense = timing["variants"], timing["best_dense"]
    others = {name: row["times_best_dense"] for name, row in rows.items() if name not in DENSE}
    milliseconds = f"{rows[dense]['p50_ms']:.2f} ms"
    if not others:
        return f"best dense: {dense} ({milliseconds})"
    fastest = min(others, key=lambda name: others[name][0])
    words = verdict(others[fastest], floor_of(timing["noise"]))
    if "faster" in words:
        return f"{fastest} wins: {words} than the best dense, {dense} ({milliseconds})"
    if "SLOWER" in words:
        return f"dense wins: {dense} ({milliseconds}); the fastest other, {fastest}, is {words}"
    return f"no winner: {fastest} against the best dense, {dense} ({milliseconds}): {words}"
