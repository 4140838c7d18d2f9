"""What the masks of many runs share, given the degrees: the numbers that `prunebert compare --degrees` adds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prunebert.analysis import degree_null
from prunebert.analysis.chance import draw_of
from prunebert.analysis.degree_null import Expected
from prunebert.errors import BadInput
from prunebert.masks.maskfile import Packed
from prunebert.runs import artifacts
from prunebert.system.countdown import track

TASK = "drawing masks with the same degrees"


def add(result: dict[str, Any]) -> None:
    """Add to the content of compare.json what the listed pairs share beyond chance that keeps all degrees.

    The masks of all runs are in memory at once, and of one matrix the random masks of all runs.

    Args:
        result: of `comparison.comparison`. These keys are added:
            degrees of each pair: see `degree_null.measures`. None if one of the two runs is left out.
            degrees: `samples`, the number of masks drawn of each mask; `trades`, the most global trades after which one
                of a run's matrices had forgotten its start, for each run; and `left_out`, the runs whose masks have a
                pattern N:M. No trade keeps such a pattern.

    Raises:
        BadInput: a mask file has changed since it was compared.
    """
    masks = [_read(row) for row in result["runs"]]
    draws = [draw_of(mask) for mask in masks]
    pairs = {(p["a"], p["b"]): p for p in result["pairs"]}
    drawable = [degree_null.can_draw(draw) for draw in draws]
    wanted = [pair for pair in pairs if drawable[pair[0]] and drawable[pair[1]]]
    compared = sorted({run for pair in wanted for run in pair})
    found: dict[tuple[int, int], list[Expected]] = {pair: [] for pair in wanted}
    trades = [0 if run in compared else None for run in range(len(masks))]

    def draw_all() -> Iterator[int]:
        for name in result["matrices"]:
            sampled = {}
            for run in (run for run in compared if name in masks[run].bits):
                mask = masks[run]
                one = degree_null.sample(mask.bits[name], mask.shapes[name], draws[run], (run, name))
                sampled[run], trades[run] = one, max(trades[run] or 0, one.trades)
                yield mask.bits[name].size
            for a, b in wanted:
                if a in sampled and b in sampled:
                    found[a, b].append(degree_null.expected(sampled[a], sampled[b]))

    total = sum(bits.size for run in compared for bits in masks[run].bits.values())
    for done in track(draw_all(), TASK, total, unit="bytes", by_item=False):
        del done  # bytes of masks; `track` shows them
    for key, pair in pairs.items():
        kept = tuple(pair["within"]["kept"])
        pair["degrees"] = degree_null.measures(found[key], kept, pair["shared"]) if key in found else None
    left_out = [result["labels"][run] for run, can in enumerate(drawable) if not can]
    result["degrees"] = {"samples": degree_null.SAMPLES, "trades": trades, "left_out": left_out}


def _read(row: Mapping[str, Any]) -> Packed:
    mask = artifacts.packed_masks(Path(row["directory"]))
    if sum(mask.kept.values()) != row["kept"]:
        raise BadInput(f"{row['directory']}: its mask file has changed while it was compared")
    return mask
