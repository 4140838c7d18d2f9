"""Read what the report shows of a run's topology.json: once for each run, and only that, because there may be thousands
of runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from prunebert.errors import BadInput
from prunebert.runs import artifacts
from prunebert.runs.schema import SPECTRA

MULTIPLIER = "multiplier"  # only gated feed-forward networks have this kind
KINDS = ("query", "key", "value", "attention-output", "intermediate", MULTIPLIER, "output")
SHOWN = ("matrices", "kinds", "budget", "spectral")
GROUPS = ("kinds", "layers")  # the parts between which a method allocates the weights


@dataclass(frozen=True)
class Topology:
    """Where a run's weights remain. A part of the file that cannot be read is a text: the reason."""

    has_pooler: bool  # whether the checkpoint has a pooler to prune; True if that is unknown
    remaining: tuple[np.ndarray, dict[str, float]] | str  # layer × KINDS, NaN if absent; and by kind outside the layers
    ratios: Mapping[str, dict[str, float] | str]  # for each of GROUPS, the ratio of each part
    spectra: Mapping[str, np.ndarray] | str | None = None  # see `_spectra`; None for a run of an earlier version


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
        _or_reason(partial(_spectra, content)) if "spectral" in content else None,
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


def _spectra(content: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return numbers of the spectra, each layer × KINDS and NaN where there is none, without pooler and embeddings.

    The numbers are, of the mask ("unweighted") and of its weights ("weighted"), the gap (σ₁ - σ₂) / σ₁, the same of
    random masks ("… random gap") and σ₂ divided by that of random masks ("… ratio"); and "difference of bound".
    """
    matrices, spectra = content.get("matrices", {}), content["spectral"]["matrices"]
    inside = {name: matrices[name] for name in spectra if matrices.get(name, {}).get("layer", -1) >= 0}
    shape = (1 + max((place["layer"] for place in inside.values()), default=-1), len(KINDS))
    grids: dict[str, np.ndarray] = defaultdict(partial(np.full, shape, np.nan))
    for name, place in inside.items():
        cell = place["layer"], KINDS.index(place["kind"])
        difference = spectra[name].get("difference_of_bound")
        grids["difference of bound"][cell] = np.nan if difference is None else difference
        for which in SPECTRA:
            if spectrum := spectra[name][which]:
                random = spectrum["random"]
                grids[f"{which} gap"][cell] = _gap(spectrum)
                grids[f"{which} random gap"][cell] = _gap(random)
                grids[f"{which} ratio"][cell] = spectrum["sigma_2"] / (random["sigma_2"] or np.nan)
    return dict(grids)


def _gap(spectrum: Mapping[str, float]) -> float:
    return 1 - spectrum["sigma_2"] / (spectrum["sigma_1"] or np.nan)
