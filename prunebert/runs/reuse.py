"""Tickets: what one run takes over from another's masks: the masks themselves, or only how many weights stay where."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from prunebert.errors import BadInput
from prunebert.masks.top_v import Masks, counts, kept
from prunebert.network.models import require_same_weights
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import artifacts

log = logging.getLogger(__name__)


def masks_of(run: str, net: SubNetwork, prunable: str, sparsity: float, key: str = "method.masks") -> Masks:
    """The masks of a finished run, or of a mask file, found on the same model and over the same matrices.

    Raises BadInput where model, matrices or sparsity are other ones than asked (`key` is told).
    """
    root = artifacts.resolve_pointer(Path(run).expanduser())
    facts = {} if root.is_file() else artifacts.result(root, f"{key}=")
    file = artifacts.masks(root)
    require_same_weights(net.model, file.model, file.weights_hash, f"{key}={run}")
    wanted = net.prunable(prunable)
    if file.masks.keys() != wanted.keys():
        covered = f"prunable={facts['prunable']}" if facts else f"{len(file.masks)} matrices"
        hint = f"; set method.prunable={facts['prunable']}" if facts else ""
        raise BadInput(f"{key}={run}: its masks cover {covered}, this run asks for {prunable}{hint}")
    found = {n: m.to(wanted[n].device) for n, m in file.masks.items()}
    size = sum(m.numel() for m in found.values())
    if abs(size - kept(found) - size * sparsity) > 1:
        measured = 1 - kept(found) / size
        short = next(x for x in (round(measured, d) for d in range(2, 11)) if abs(size - kept(found) - size * x) <= 1)
        raise BadInput(f"{key}={run}: its sparsity is {measured:.10g}; ask for the same, sparsity={short:.10g}")
    log.info("masks of %s%s", root, f" (method {facts['method']}, task {facts['task']})" if facts else "")
    return found


def allocation_of(
    run: str, net: SubNetwork, prunable: str, sparsity: float, by: Literal["matrix", "layer"]
) -> dict[str, float]:
    """The sparsity of every matrix in a finished run; by="layer": of its whole layer, the same (to a weight) for all
    its matrices.

    Raises BadInput as masks_of does.
    """
    found = masks_of(run, net, prunable, sparsity, key="method.budget")
    groups: dict[str, list[str]] = {}
    for n in found:
        layer = net.place(n)[0]
        groups.setdefault(n if by == "matrix" or layer < 0 else str(layer), []).append(n)
    shares: dict[str, float] = {}
    for names in groups.values():
        sizes = {n: found[n].numel() for n in names}
        removed = 1 - kept({n: found[n] for n in names}) / sum(sizes.values())
        left = counts(sizes, dict.fromkeys(names, removed))  # together the layer's count, to the weight
        shares |= {n: 1 - left[n] / sizes[n] for n in names}
    return shares
