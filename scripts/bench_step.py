"""Measure what a masked training step costs: scripts/bench_step.py MODEL… [--device cuda --precision bf16]

MODEL is tiny, minilm, or bert-base and bert-large in their published sizes with random weights. The steps are those of
a run (prunebert/training/step.py), from its middle on. The data are random words: 32 texts of 40 tokens, no padding.

Each method alternates with these references, in one process and in a new order each round:
    dense: full AdamW fine-tuning
    frozen: the same with frozen embeddings
    unfused: the first with the AdamW that torch takes by default, not a fused one
    floor: a step that trains only the encoder's matrices and the head, without masks. A method that trains a score for
        each of these weights does at least this work.
A ratio is the median over rounds of the method's time divided by the reference's in the same round. The method's masks
alone are compared in the same way with one comparison of all its scores with a number.

Before the first round, each method takes some steps. If all scores start equal, as movement's do, many more masks
change in the first steps than later. Nothing else should run on the machine. Set GOMP_SPINCOUNT=1000 in the
environment, as prunebert does for its runs.

--memory measures memory, not time: the peak beyond the imported libraries' memory, each method in its own process.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch
from bench_data import DEFAULT_ROUNDS, MODELS, ROUNDS, STEPS, circumstances, common_words, ending_in_one_line, positive
from rich.console import Console
from rich.table import Table

from prunebert.commands.bench import hardware
from prunebert.network.subnetwork import SubNetwork
from prunebert.settings.overrides import checked
from prunebert.system.impl import Impl
from prunebert.training.phase import Group, Phase, weights
from prunebert.training.step import Stepper

METHODS = {
    "smp local": ["method=smp", "method.allocation=uniform", "method.head=linear"],  # λ_R = 0, as in fit=quick
    "smp local, λ_R = 400": ["method=smp", "method.allocation=uniform", "method.head=linear", "method.penalty=400"],
    "smp score": ["method=smp", "method.allocation=score", "method.head=linear"],
    "smp global": ["method=smp", "method.allocation=global", "method.head=linear"],
    "abp": ["method=abp"],
    # it needs a masked-LM head, which minilm lacks; it is compared with fine-tuning on the same text
    "tamt, phase 1": ["method=tamt"],
    "movement": ["method=movement"],
    "soft_movement": ["method=soft_movement"],
    "gmp": ["method=gmp"],
}
Change = Callable[[SubNetwork, Phase], Phase]  # what a benchmark changes in a method's phase, and in its network


def unchanged(net: SubNetwork, phase: Phase) -> Phase:
    """Return the phase as it is."""
    return phase


def frozen(net: SubNetwork, phase: Phase) -> Phase:
    """Return a phase that trains all weights but the embeddings."""
    return replace(phase, train=weights(net, phase.head, phase.fit, embeddings=False))


def floor(net: SubNetwork, phase: Phase) -> Phase:
    """Return a phase that trains the encoder's matrices and the head only."""
    head = Group(name="head", tensors=net.head_parameters(phase.head), lr=phase.fit.head_lr)
    return replace(phase, train=[Group(name="weights", tensors=net.prunable(), lr=phase.fit.lr), head])


REFERENCES: dict[str, Change] = {"dense": unchanged, "frozen": frozen, "unfused": unchanged, "floor": floor}


def main() -> None:
    """Measure all methods on all models, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL", choices=MODELS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--beside", nargs="+", default=list(REFERENCES), choices=list(REFERENCES))
    parser.add_argument("--rounds", type=positive, help=f"of turns; by default {DEFAULT_ROUNDS}")
    parser.add_argument("--before", type=int, default=20, help="steps of each method before its first round")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=40)
    parser.add_argument("--sparsity", type=float, default=0.9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--together", type=int, default=1, help="steps per reading of the clock")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--memory", action="store_true", help="measure memory, not time")
    parser.add_argument("--out", type=Path, help="write all measurements to this JSON file")
    options = parser.parse_args()
    if options.out and not options.out.parent.is_dir():
        parser.error(f"--out {options.out}: there is no folder {options.out.parent}")
    impl = Impl(device=options.device, precision=options.precision, compile=options.compile, threads=options.threads)
    impl.start()
    rows: list[dict] = []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models:
            words = common_words(name, Path(folder), options)
            if options.memory:
                rows += memory(name, words, impl, options.methods)
                continue
            rounds = options.rounds or ROUNDS[name]
            reference_steps = references(words, impl, options.beside)
            for method in sorted(options.methods, key=lambda m: m.startswith("tamt")):
                block = []
                if method.startswith("tamt"):
                    if name == "minilm":
                        continue
                    block = [f"method.corpus.block={options.length}"]
                    text = [w for w in words if not w.startswith("task")]
                    reference_steps = references(
                        [*text, "task=mlm", f"task.block={options.length}"], impl, options.beside
                    )
                masked = Steps([*METHODS[method], *block, *words], impl)
                for _ in range(options.before):
                    masked()
                row = {"model": name, "method": method, "scores": sum(s.numel() for s in masked.scores.values())}
                row |= {"rounds": rounds}
                row |= measure(reference_steps | {"masked": masked}, impl, rounds, options.together)
                rows.append(row | choice(masked, impl, rounds, options.together))
                show(rows[-1:], hardware(impl.describe()))
    show(rows, hardware(impl.describe()), MEMORY if options.memory else TIME)
    if options.out:
        about = circumstances(options, impl, start)
        options.out.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


class Steps:
    """A method's first phase, from its middle on. Each call takes a step.

    Args:
        words: the command line.
        impl: the device and precision.
        change: is applied to the phase before its first step.
    """

    def __init__(self, words: list[str], impl: Impl, change: Change = unchanged) -> None:
        fields, build = checked(words)
        model = build(fields["model"])
        task = build(fields["task"])(tokenizer=model.tokenizer, positions=model.positions, augment=None)
        net = SubNetwork(model).to(impl.torch_device)
        if impl.compile:
            net.encoder.compile(dynamic=True)
        phase = change(net, next(build(fields["method"])(net, task)))
        self.phase, self.take = phase, Stepper(net.train(), phase, seed=0, impl=impl)
        self.batches, self.number = phase.task.batches(phase.fit.batch_size, 0), STEPS // 2
        self.scores = next((g.tensors for g in phase.train if g.name == "scores"), {})

    def __call__(self) -> None:
        self.take(self.number, next(self.batches))
        self.number += 1


def references(words: list[str], impl: Impl, names: list[str]) -> dict[str, Callable[[], object]]:
    """Return the references by name, see the head of this file."""
    steps = {name: Steps(["method=dense", *words], impl, REFERENCES[name]) for name in names}
    for optimizer in steps["unfused"].take.optimizers if "unfused" in names else []:
        for group in optimizer.param_groups:
            group["fused"] = False
    return dict(steps)


def measure(steps: dict[str, Callable[[], object]], impl: Impl, rounds: int, together: int = 1) -> dict[str, float]:
    """Return medians over rounds: the seconds of each arm, and the ratios of "masked" to the others. See `turns`."""
    times = turns(steps, impl, rounds, together)
    medians = {f"seconds_{name}": statistics.median(x) for name, x in times.items()}
    for name, seconds in times.items():
        medians |= ratios(times["masked"], seconds, f"by_{name}") if name != "masked" else {}
    return medians


def ratios(seconds: list[float], reference: list[float], key: str) -> dict[str, float]:
    """Return the median over rounds of seconds ÷ reference under `key`, and the lowest and the highest."""
    values = [x / y for x, y in zip(seconds, reference, strict=True)]
    return {key: statistics.median(values), f"{key}_lowest": min(values), f"{key}_highest": max(values)}


def turns(steps: dict[str, Callable[[], object]], impl: Impl, rounds: int, together: int = 1) -> dict[str, list[float]]:
    """Return the seconds of a step of each arm in each round. The arms take turns, in a new order each round.

    Args:
        steps: the arms by name; each call takes a step.
        impl: the device and precision.
        rounds: the number of rounds.
        together: calls per reading of the clock.
    """
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 2):
        for name in random.sample(list(steps), len(steps)):
            _wait(impl)
            start = time.perf_counter()
            for _ in range(together):
                steps[name]()
            _wait(impl)
            if number > 1:  # the first two allocate and warm up
                times[name].append((time.perf_counter() - start) / together)
    return times


def choice(masked: Steps, impl: Impl, rounds: int, together: int) -> dict[str, float]:
    """Return the time of the masks alone, and its ratio to one comparison of all scores with a number."""
    if not masked.scores:
        return {}
    t = masked.number / STEPS
    arms = {
        "masked": lambda: masked.phase.masks(t, True),
        "compare": lambda: {n: s.detach() > 0.1 for n, s in masked.scores.items()},
    }
    times = measure(arms, impl, 4 * rounds, together)
    return {"seconds_choice": times["seconds_masked"], "choice_by_compare": times["by_compare"]}


def memory(name: str, words: list[str], impl: Impl, methods: list[str]) -> list[dict]:
    """Return the peak memory of three steps of each method."""
    arms = {m: METHODS[m] for m in methods if not m.startswith("tamt")}
    frozen_peak, dense_peak = (peak(["method=dense", *words], impl, change) for change in (frozen, unchanged))
    rows = []
    for method, method_words in arms.items():
        used = peak([*method_words, *words], impl)
        row = {"model": name, "method": method, "mebibytes": used / 2**20}
        rows.append(row | {"by_dense": used / dense_peak, "by_frozen": used / frozen_peak})
    return rows


def peak(words: list[str], impl: Impl, change: Change = unchanged) -> int:
    """Return the peak memory in bytes beyond the imported libraries', measured in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_peak, words, impl, change).result()


def _peak(words: list[str], impl: Impl, change: Change) -> int:
    impl.start()
    before = 0 if impl.torch_device.type == "cuda" else impl.peak_memory()
    step = Steps(words, impl, change)
    for _ in range(3):
        step()
    return impl.peak_memory() - before


def _wait(impl: Impl) -> None:
    if impl.torch_device.type == "cuda":
        torch.cuda.synchronize()


TIME = {
    "model": "model",
    "method": "method",
    "scores": "scores",
    "seconds_masked": "ms per step",
    "by_dense": "÷ full fine-tuning",
    "by_frozen": "÷ embeddings frozen",
    "by_unfused": "÷ default AdamW",
    "by_floor": "÷ floor",
    "seconds_choice": "ms to select masks",
    "choice_by_compare": "÷ one comparison",
}
MEMORY = {
    "model": "model",
    "method": "method",
    "mebibytes": "MiB",
    "by_dense": "÷ full fine-tuning",
    "by_frozen": "÷ embeddings frozen",
}


def show(rows: list[dict], caption: str, columns: dict[str, str] = TIME) -> None:
    """Print the rows as a table."""
    table = Table(caption=caption)
    for title in columns.values():
        table.add_column(title, justify="left" if title in ("model", "method") else "right")
    for row in rows:
        cells = [row.get(key, "") for key in columns]
        values = [
            f"{1000 * v:,.1f}" if k.startswith("seconds") and v else v for k, v in zip(columns, cells, strict=True)
        ]
        table.add_row(*[f"{v:,.2f}" if isinstance(v, float) else f"{v:,}" if isinstance(v, int) else v for v in values])
    Console(width=150).print(table)


if __name__ == "__main__":
    ending_in_one_line(main)
