"""Errors that libraries raise where they cannot export or run a network."""

from __future__ import annotations

LONGEST = 160  # characters of a message
PACKAGES = ("onnx", "onnxscript", "onnxruntime", "openvino")  # whose errors are no RuntimeError


def is_of_a_library(error: Exception) -> bool:
    """Return whether torch or a runtime raised an error, and not this program. ONNX Runtime's have no common class."""
    module = type(error).__module__.partition(".")[0]
    return isinstance(error, RuntimeError | ImportError) or module in PACKAGES


def first_line(error: Exception) -> str:
    """Return the first line of a library's message that says something, cut to 160 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[0] if lines else type(error).__name__
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
