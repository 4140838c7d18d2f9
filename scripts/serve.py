"""Measure what it costs to serve several finished runs from one backbone: scripts/serve.py RUN RUN …

It prints bytes and milliseconds. Texts are answered one at a time on one thread, and the tasks alternate, so every text
switches the masks. For comparison it times the model that `prunebert export` would write for the first run. All are
timed in turn; medians and 90th percentiles are printed. REPEATS in the environment sets the number of repetitions.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np
import torch

import prunebert
from prunebert.commands.bench import hardware
from prunebert.commands.export_model import stock
from prunebert.masks.maskfile import MaskFile, encode
from prunebert.system.console import say

TEXT = "one of the best films of the year , and a very funny one"
REPEATS = int(os.environ.get("REPEATS", "100"))
WARM_UP = 3  # repetitions that are not counted


def count_bytes(tensors) -> int:
    """Return the size of tensors in memory."""
    return sum(x.numel() * x.element_size() for x in tensors)


def main(paths: list[str]) -> None:
    """Load the runs into one backbone, time them and print the results."""
    torch.set_num_threads(1)
    first = prunebert.load(paths[0])
    runs = [first, *(prunebert.load(path, on=first) for path in paths[1:])]
    model, tokenizer = stock(first), first.net.model.tokenizer

    def switch(k: int):
        runs[k % len(runs)].weights()

    def use(k: int):
        first.net.use(runs[k % len(runs)].masks)

    def exported(k: int):
        with torch.no_grad():
            model.base_model(**tokenizer(TEXT, return_tensors="pt"))

    calls = {
        "use(masks) alone": use,
        "switch to another task": switch,
        "answer, after a switch": lambda k: runs[(k + 1) % len(runs)].logits([TEXT]),
        "answer, the same task again": lambda k: first.logits([TEXT]),
        "the exported model (its encoder alone)": exported,
    }
    milliseconds: dict[str, list[float]] = {name: [] for name in calls}
    for k in range(REPEATS + WARM_UP):
        for name, call in calls.items():
            if name.startswith("answer, the same"):
                first.weights()
            start = time.perf_counter()
            call(k)
            if k >= WARM_UP:
                milliseconds[name].append((time.perf_counter() - start) * 1e3)
    say(f"{hardware('cpu, 1 threads')}, load {os.getloadavg()[0]:.1f}; {REPEATS} repetitions, {first.facts['model']}")
    say(
        f"backbone: {count_bytes(first.net.encoder.parameters()):,} bytes, once; "
        f"buffers for θ ⊙ M: {count_bytes(first.buffers.product.values()):,}, once"
    )
    for path, run in zip(paths, runs, strict=True):
        mask_file = MaskFile(run.masks, run.facts["model"], run.facts["weights_hash"])
        head = count_bytes(run.net.heads[run.head].parameters())
        say(
            f"{path} ({run.facts['metric']} {run.facts['score']:.4f}): masks {len(encode(mask_file)):,} bytes on disk, "
            f"{count_bytes(run.masks.values()):,} in memory; head {head:,} in memory; "
            f"own weights {count_bytes(run.theta.values()):,}"
        )
    for name, times in milliseconds.items():
        say(f"{name}: {np.median(times):.3f} ms (90th percentile {np.percentile(times, 90):.3f})")


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit("usage: scripts/serve.py RUN RUN …")
    main(sys.argv[1:])
