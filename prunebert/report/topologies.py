"""Read what the report shows of a run's topology.json: once for each run, and only that, because there may be thousands
of runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from prunebert.errors import BadInput
from prunebert.runs import artifacts

MULTIPLIER = "multiplier"  # only gated feed-forward networks have this kind
KINDS = ("query", "key", "value", "attention-output", "intermediate", MULTIPLIER, "output")
SHOWN = ("matrices", "kinds", "budget")  # a fifth of the file
GROUPS = ("kinds", "layers")  # the parts between which a method allocates the weights


@dataclass(frozen=True)
class Topology:
    """Where a run's weights remain. A part of the file that cannot be read is a text: the reason."""

    has_pooler: bool  # whether the checkpoint has a pooler to prune; True if that is unknown
    remaining: tuple[np.ndarray, dict[str, float]] | str  # layer × KINDS, NaN if absent; and by kind outside the layers
    ratios: Mapping[str, dict[str, float] | str]  # for each of GROUPS, the ratio of each part


def read(directory: Path, row: Mapping[str, Any] | None = None) -> Topology:
    """Read and verify the topology of a run.

    Args:
        directory: the run's directory.
        row: the run's verified result; None to read it.
    """
    try:
        content = artifacts.topology(directory, row, SHOWN)
    except BadInput as error:
        return Topology(True, str(error), dict.fromkeys(GROUPS, str(error)))
    kinds = content.get("kinds")
    return Topology(
        "pooler" in kinds if isinstance(kinds, dict) else True,
        _or_reason(partial(_grid, content)),
        {group: _or_reason(partial(_ratios, content, group)) for group in GROUPS},
    )


def _or_reason(read_part: Callable[[], Any]) -> Any:
    """Return what `read_part` returns, or the reason why it cannot."""
    try:
        return read_part()
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # a file of another version
        return str(error)


def _grid(content: dict[str, Any]) -> tuple[np.ndarray, dict[str, float]]:
    """Return one run's remaining fractions: layer × KINDS, and those outside the layers by kind."""
    matrices = content["matrices"].values()
    grid = np.full((1 + max(m["layer"] for m in matrices), len(KINDS)), np.nan)
    others = {}
    for matrix in matrices:
        if matrix["layer"] < 0:
            others[matrix["kind"]] = float(matrix["remaining"])
        else:
            grid[matrix["layer"], KINDS.index(matrix["kind"])] = matrix["remaining"]
    return grid, others


def _ratios(content: dict[str, Any], group: str) -> dict[str, float]:
    """Return the ratio of each part's remaining fraction to that of all prunable weights.

    The pooler and the embeddings belong to no layer and are left out there.
    """
    parts = content["budget"][group].items()
    return {str(part): float(entry["ratio"]) for part, entry in parts if not str(part).startswith("-")}
