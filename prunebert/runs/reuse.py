"""Take over another run's masks, or only the sparsity of each of its matrices."""

from __future__ import annotations

import logging
from typing import Literal

from prunebert.errors import BadInput
from prunebert.masks.ranking import Ranking
from prunebert.masks.top_v import Masks, count_kept, counts
from prunebert.network.models import require_same_weights
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import artifacts, reading

log = logging.getLogger(__name__)


def masks_of(run: str, net: SubNetwork, prunable: str, sparsity: float, key: str = "method.masks") -> Masks:
    """Read the masks of a finished run, or of a mask file.

    Args:
        run: path of the run's directory or of the mask file.
        net: the masks must be made on its checkpoint.
        prunable: the prunable set that the masks must cover.
        sparsity: the sparsity that the masks must have, to within one weight.
        key: begins every message.

    Raises:
        BadInput: checkpoint, matrices or sparsity differ.
    """
    root = artifacts.resolve_pointer(reading.home(run))
    facts = {} if reading.is_file(root) else artifacts.result(root, f"{key}=")
    try:
        file = artifacts.masks(root)
    except BadInput as error:
        raise BadInput(f"{key}={run}: {error}; name a finished run or its masks.safetensors") from error
    require_same_weights(net.model, file.model, file.weights_hash, f"{key}={run}", facts.get("architecture"))
    matrices = net.prunable(prunable)
    if file.masks.keys() != matrices.keys():
        covered = f"prunable={facts['prunable']}" if facts else f"{len(file.masks)} matrices"
        hint = f"; set method.prunable={facts['prunable']}" if facts else ""
        raise BadInput(f"{key}={run}: its masks cover {covered}, this run asks for {prunable}{hint}")
    masks = {n: m.to(matrices[n].device) for n, m in file.masks.items()}
    size = sum(m.numel() for m in masks.values())
    removed = size - count_kept(masks)
    if abs(removed - size * sparsity) > 1:
        measured = 1 - count_kept(masks) / size
        short = next(x for x in (round(measured, d) for d in range(2, 11)) if abs(removed - size * x) <= 1)
        raise BadInput(f"{key}={run}: its sparsity is {measured:.10g}; ask for the same, sparsity={short:.10g}")
    log.info("masks of %s%s", root, f" (method {facts['method']}, task {facts['task']})" if facts else "")
    return masks


def ranking(net: SubNetwork, prunable: str, allocation: str, pattern: str, sparsity: float) -> Ranking:
    """Return what ranks the scores of a method's prunable matrices.

    Args:
        net: its matrices are ranked.
        prunable: the prunable set.
        allocation: how many weights each matrix keeps, as in method.allocation.
        pattern: the shape of the masks, as in method.pattern.
        sparsity: the sparsity at the end.
    """
    return Ranking(allocation)


def allocation_of(
    run: str, net: SubNetwork, prunable: str, sparsity: float, by: Literal["matrix", "layer"]
) -> dict[str, float]:
    """Return the sparsity of every matrix in a finished run, by name.

    With by="layer" every matrix gets the sparsity of its whole layer, to within one weight. Arguments and errors are
    those of masks_of.
    """
    masks = masks_of(run, net, prunable, sparsity, key="method.budget")
    groups: dict[str, list[str]] = {}
    for n in masks:
        layer = net.place(n)[0]
        groups.setdefault(n if by == "matrix" or layer < 0 else str(layer), []).append(n)
    allocation: dict[str, float] = {}
    for names in groups.values():
        sizes = {n: masks[n].numel() for n in names}
        removed_share = 1 - count_kept({n: masks[n] for n in names}) / sum(sizes.values())
        kept_counts = counts(sizes, dict.fromkeys(names, removed_share))  # they sum to exactly the layer's count
        allocation |= {n: 1 - kept_counts[n] / sizes[n] for n in names}
    return allocation
