"""What it costs to serve several finished runs from one backbone, in bytes and milliseconds: scripts/serve.py RUN RUN …

One text at a time on one thread, the tasks in turn, so that every text switches the masks; beside it the stock model
that `prunebert export` would write for the first run. Medians and 90th percentiles, interleaved.
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

TEXT, REPEATS = "one of the best films of the year , and a very funny one", int(os.environ.get("REPEATS", "100"))


def size(tensors) -> int:
    return sum(x.numel() * x.element_size() for x in tensors)


def main(paths: list[str]) -> None:
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

    timed = {
        "use(masks) alone": use,
        "switch to another task": switch,
        "answer, after a switch": lambda k: runs[(k + 1) % len(runs)].logits([TEXT]),
        "answer, the same task again": lambda k: first.logits([TEXT]),
        "the exported model (its encoder alone)": exported,
    }
    found: dict[str, list[float]] = {name: [] for name in timed}
    for k in range(REPEATS + 3):
        for name, call in timed.items():
            if name.startswith("answer, the same"):
                first.weights()
            began = time.perf_counter()
            call(k)
            if k >= 3:
                found[name].append((time.perf_counter() - began) * 1e3)
    say(f"{hardware('cpu, 1 threads')}, load {os.getloadavg()[0]:.1f}; {REPEATS} repetitions, {first.facts['model']}")
    say(
        f"backbone: {size(first.net.encoder.parameters()):,} bytes, once; "
        f"buffers for θ ⊙ M: {size(first.buffers.product.values()):,}, once"
    )
    for path, run in zip(paths, runs, strict=True):
        file = MaskFile(run.masks, run.facts["model"], run.facts["weights_hash"])
        head = size(run.net.heads[run.head].parameters())
        say(
            f"{path} ({run.facts['metric']} {run.facts['score']:.4f}): masks {len(encode(file)):,} bytes on disk, "
            f"{size(run.masks.values()):,} in memory; head {head:,} in memory; own weights {size(run.theta.values()):,}"
        )
    for name, times in found.items():
        say(f"{name}: {np.median(times):.3f} ms (90th percentile {np.percentile(times, 90):.3f})")


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit("usage: scripts/serve.py RUN RUN …")
    main(sys.argv[1:])
