"""Compare prunebert's training step with what users would otherwise run: scripts/bench_alternatives.py MODEL…

MODEL is one of scripts/bench_step.py's. Three methods of prunebert are measured, with the final sparsity at every step:
    smp: trains the scores and a linear head; the same share of each matrix stays (method.allocation=uniform).
    movement: trains the scores and all weights but the embeddings.
    gmp: trains all weights. Its masks do not change between two updates, and no update is measured.
Beside each stand steps that train the same tensors with the same optimizer on the same batches, but make their masks in
a way of torch (scripts/bench_masks.py).

Time: the ways of a method and full fine-tuning take turns in one process, in a new order each round. A ratio is the
median over rounds of a way's time divided by that of full fine-tuning in the same round. The first two rounds do not
count.
Memory: the peak of three steps beyond the imported libraries' memory, each way in a process of its own.

Movement's scores start at random numbers, as spread as after twenty steps. If all were equal, the ways would keep
different weights, and torch.kthvalue would keep all of them. SMP's scores start at the weights' magnitudes, as in
fit=quick. A way that keeps another number of weights in the end is left out, and named.

Nothing else should run on the machine. Set GOMP_SPINCOUNT=1000 in the environment, as prunebert does for its runs.
For each model it writes alternatives-MODEL.json. scripts/speed_table.py fills the table of docs/results/speed.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from bench_data import DEFAULT_ROUNDS, MODELS, ROUNDS, circumstances, common_words, ending_in_one_line, positive
from bench_masks import FIXED, PARAMETRISATION, RULES, kept, put
from bench_step import METHODS as WORDS
from bench_step import Steps, peak, ratios, turns
from rich.console import Console
from rich.table import Table

from prunebert.masks.top_v import Scores, count_kept, counts
from prunebert.network.subnetwork import SubNetwork
from prunebert.system.allocator import return_freed_memory
from prunebert.system.impl import Impl
from prunebert.training.phase import Phase

OURS = "prunebert"
WAYS = {
    "smp": (OURS, *RULES, PARAMETRISATION),
    "movement": (OURS, *RULES, PARAMETRISATION),
    "gmp": (OURS, FIXED),
}
METHODS = {"smp": WORDS["smp local"], "movement": WORDS["movement"], "gmp": WORDS["gmp"]}
SPREAD = 0.03  # standard deviation of movement's scores after twenty of these steps on the 2-layer model
TOLERANCE = 1e-3  # of the weights that stay: a few scores of a large matrix may be equal to the threshold
SPEED = Path(__file__).resolve().parents[1] / "results" / "speed"


def main() -> None:
    """Measure all ways on all models, print tables and write files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL", choices=MODELS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--rounds", type=positive, help=f"of turns that count; by default {DEFAULT_ROUNDS}")
    parser.add_argument("--batch", type=positive, default=32)
    parser.add_argument("--length", type=positive, default=40)
    parser.add_argument("--sparsity", type=float, default=0.9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--threads", type=positive)
    parser.add_argument("--out", type=Path, default=SPEED, help="the folder for the JSON files")
    options = parser.parse_args()
    if not options.out.is_dir():
        parser.error(f"--out {options.out}: there is no such folder")
    impl = Impl(device=options.device, precision=options.precision, compile=False, threads=options.threads)
    impl.start()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models:
            start = time.perf_counter()
            words = common_words(name, Path(folder), options)
            rounds = options.rounds or ROUNDS[name]
            rows, left_out = measured(name, words, impl, options.methods, options.sparsity, rounds)
            about = circumstances(options, impl, start) | {"models": [name], "rounds": rounds, "left_out": left_out}
            file = options.out / f"alternatives-{name}{'' if options.device == 'cpu' else '-' + options.device}.json"
            file.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")
            show(rows, left_out, about["hardware"])


def measured(
    model: str, words: list[str], impl: Impl, methods: list[str], sparsity: float, rounds: int
) -> tuple[list[dict], list[str]]:
    """Return a row for each method and way, and a sentence for each that is left out."""
    commands = {m: [*METHODS[m], f"method.schedule.initial={sparsity}", *words] for m in methods}
    changes = {way: partial(changed, way=way, sparsity=sparsity) for m in methods for way in WAYS[m]}
    # memory first, while this process has no networks of its own
    dense_peak = peak(["method=dense", *words], impl)
    peaks = {(m, way): peak(commands[m], impl, changes[way]) for m in methods for way in WAYS[m]}
    rows: list[dict] = []
    left_out: list[str] = []
    for method in methods:
        arms = {way: Steps(commands[method], impl, changes[way]) for way in WAYS[method]}
        times = turns({"dense": Steps(["method=dense", *words], impl), **arms}, impl, rounds)
        stay = {way: kept_by(steps, way) for way, steps in arms.items()}
        for way in WAYS[method]:
            if abs(stay[way] / stay[OURS] - 1) > TOLERANCE:
                left_out.append(f"{model}, {method}, {way}: it keeps {stay[way]:,} weights, not {stay[OURS]:,}")
                continue
            rows.append(
                {
                    "model": model,
                    "method": method,
                    "way": way,
                    "kept": stay[way],
                    "seconds": statistics.median(times[way]),
                    "seconds_dense": statistics.median(times["dense"]),
                    **ratios(times[way], times["dense"], "by_dense"),
                    "mebibytes": peaks[method, way] / 2**20,
                    "memory_by_dense": peaks[method, way] / dense_peak,
                }
            )
        del arms
        gc.collect()  # a large model's three methods do not fit into memory together
        return_freed_memory()
    return rows, left_out


def changed(net: SubNetwork, phase: Phase, way: str, sparsity: float) -> Phase:
    """Return a phase that trains the same tensors, with masks in one of the ways.

    Scores that are all equal become random numbers, the same ones for every way.
    """
    scores = scores_of(phase)
    for name, values in scores.items():
        if values.min() == values.max():
            random = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            values.copy_(torch.randn(values.shape, generator=random).mul_(SPREAD))
    if way == OURS:
        return phase
    sizes = {name: W.numel() for name, W in net.prunable().items()}
    put(net, way, counts(sizes, dict.fromkeys(sizes, sparsity)), scores)
    return replace(phase, masks=lambda t, hard: {})


def scores_of(phase: Phase) -> Scores:
    """Return the scores that the phase trains; empty if it trains none."""
    return next((dict(group.tensors) for group in phase.train if group.name == "scores"), {})


def kept_by(steps: Steps, way: str) -> int:
    """Return how many weights stay in the next step."""
    return count_kept(steps.phase.masks(0.5, True)) if way == OURS else kept(steps.take.net)


def show(rows: list[dict], left_out: list[str], caption: str) -> None:
    """Print the rows as a table, and what is left out."""
    table = Table("model", "method", "masks by", "ms per step", "step ÷ fine-tuning", "memory ÷", caption=caption)
    for row in rows:
        numbers = f"{1000 * row['seconds']:,.1f}", f"{row['by_dense']:.2f}", f"{row['memory_by_dense']:.2f}"
        table.add_row(row["model"], row["method"], row["way"], *numbers)
    console = Console(width=150)
    console.print(table)
    for sentence in left_out:
        console.print(f"left out: {sentence}")


if __name__ == "__main__":
    ending_in_one_line(main)
