"""What a masked training step costs beside a plain one: scripts/bench_step.py MODEL… [--device cuda --precision bf16]

MODEL: tiny, minilm, or bert-base and bert-large in their published sizes, randomly initialised. Steps are those of a
run (prunebert/step.py), halfway through it, on random words without padding, 32 texts of 40 tokens. Every method takes
turns with full AdamW fine-tuning, with fine-tuning under frozen embeddings, with the first under the AdamW that torch
takes when none of its fused ones is asked for, and with a floor: a step that trains the encoder's matrices and the head
alone, without masks, so that any that trains a score for each of their weights does what it does and more. All in one
process, in a new order each round; a ratio is the median over rounds of its step's time by theirs in the same round. So
are its masks alone against one comparison of all its scores with a number. First a method takes some steps by itself:
of scores that start all equal, as movement's, far more change sides in the first few steps than later. Nothing else
should run meanwhile; GOMP_SPINCOUNT=1000 in the environment is what prunebert sets for its runs.

--memory: instead of times the peak of memory beyond the imported libraries', every method in a process of its own.
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

import numpy as np
import torch
import transformers
from rich.console import Console
from rich.table import Table

from prunebert.commands.bench import hardware
from prunebert.network import models
from prunebert.network.subnetwork import SubNetwork
from prunebert.settings.overrides import checked
from prunebert.system.impl import Impl
from prunebert.training.phase import Group, weights
from prunebert.training.step import Stepper

SIZES = {"bert-base": (768, 12, 12), "bert-large": (1024, 24, 16)}
METHODS = {
    "smp local": ["method=smp", "method.allocation=local", "method.head=linear"],  # λ_R = 0, as fit=quick has it
    "smp local, λ_R = 400": ["method=smp", "method.allocation=local", "method.head=linear", "method.penalty=400"],
    "smp score": ["method=smp", "method.allocation=score", "method.head=linear"],
    "smp global": ["method=smp", "method.allocation=global", "method.head=linear"],
    "abp": ["method=abp"],
    "tamt, phase 1": ["method=tamt"],  # needs a masked-LM head, which minilm lacks; beside fine-tuning on the same text
    "movement": ["method=movement"],
    "soft_movement": ["method=soft_movement"],
    "gmp": ["method=gmp"],
}
BESIDE = ("dense", "frozen", "unfused", "floor")
STEPS = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL", choices=["tiny", "minilm", *SIZES])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--beside", nargs="+", default=list(BESIDE), choices=BESIDE)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--before", type=int, default=20, help="steps that a method takes before its first round")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=40)
    parser.add_argument("--sparsity", type=float, default=0.9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--together", type=int, default=1, help="steps from one reading of the clock to the next")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--memory", action="store_true", help="measure memory, not time")
    parser.add_argument("--out", type=Path, help="write all of it into this JSON file")
    asked = parser.parse_args()
    impl = Impl(device=asked.device, precision=asked.precision, compile=asked.compile, threads=asked.threads)
    impl.start()
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.models:
            words = common(name, Path(folder), asked)
            if asked.memory:
                rows += memory(name, words, impl, asked.methods)
                continue
            plain = beside(words, impl, asked.beside)
            for method in sorted(asked.methods, key=lambda m: m.startswith("tamt")):
                block = []
                if method.startswith("tamt"):
                    if name == "minilm":
                        continue
                    block = [f"method.corpus.block={asked.length}"]
                    text = [w for w in words if not w.startswith("task")]
                    plain = beside([*text, "task=mlm", f"task.block={asked.length}"], impl, asked.beside)
                masked = Steps([*METHODS[method], *block, *words], impl)
                for _ in range(asked.before):
                    masked()
                row = {"model": name, "method": method, "scores": sum(s.numel() for s in masked.scores.values())}
                row |= measure(plain | {"masked": masked}, impl, asked.rounds, asked.together)
                rows.append(row | choice(masked, impl, asked.rounds, asked.together))
                show(rows[-1:], hardware(impl.describe()))
    show(rows, hardware(impl.describe()), MEMORY if asked.memory else TIME)
    if asked.out:
        about = {k: v for k, v in vars(asked).items() if k != "out"} | {"hardware": hardware(impl.describe())}
        asked.out.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


def common(name: str, folder: Path, asked: argparse.Namespace) -> list[str]:
    """Words for a model and for data of texts that are exactly so long."""
    tokenizer = models.load(**_model("tiny")).tokenizer
    known = [w for w, i in tokenizer.get_vocab().items() if w.isalpha() and w.isascii() and len(w) > 3]
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(sorted(known), asked.length - 2)) for _ in range(64 * asked.batch)]
    file, plain = folder / "train.csv", folder / "text.txt"
    file.write_text("text,label\n" + "".join(f"{text},{i % 2}\n" for i, text in enumerate(texts)))
    plain.write_text("\n".join(texts) + "\n")
    model = [f"model={name}"]
    if name in SIZES:
        width, layers, heads = SIZES[name]
        model = ["model=bert-base", f"model.name={folder / name}"]
        config = transformers.BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * width,
        )
        transformers.BertForMaskedLM(config).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return [
        *model,
        *("task=file", f"task.train={file}", "task.text=text", "task.label=label", f"task.max_length={asked.length}"),
        *("fit=quick", f"fit.steps={STEPS}", f"fit.batch_size={asked.batch}", f"sparsity={asked.sparsity}"),
        *(f"corpus.file={plain}", f"mask_fit.steps={STEPS}", f"mask_fit.batch_size={asked.batch}"),
    ]


def _model(name: str) -> dict:
    fields, _ = checked([f"model={name}", "task=rotten_tomatoes"])
    return {k: v for k, v in fields["model"].items() if k != "_target_"}


class Steps:
    """A method's first phase, from its middle on; called, it takes a step. only: what of the network is trained, by
    the names in BESIDE, if not what the method says."""

    def __init__(self, words: list[str], impl: Impl, only: str = "") -> None:
        fields, build = checked(words)
        model = build(fields["model"])
        task = build(fields["task"])(tokenizer=model.tokenizer, positions=model.positions, augment=None)
        net = SubNetwork(model).to(impl.torch_device)
        if impl.compile:
            net.encoder.compile(dynamic=True)
        phase = next(build(fields["method"])(net, task))
        if only == "frozen":
            phase = replace(phase, train=weights(net, phase.head, phase.fit, embeddings=False))
        if only == "floor":
            head = Group(name="head", tensors=net.head_parameters(phase.head), lr=phase.fit.head_lr)
            phase = replace(phase, train=[Group(name="weights", tensors=net.prunable(), lr=phase.fit.lr), head])
        self.phase, self.take = phase, Stepper(net.train(), phase, seed=0, impl=impl)
        self.batches, self.number = phase.task.batches(phase.fit.batch_size, 0), STEPS // 2
        self.scores = next((g.tensors for g in phase.train if g.name == "scores"), {})

    def __call__(self) -> None:
        self.take(self.number, next(self.batches))
        self.number += 1


def beside(words: list[str], impl: Impl, names: list[str]) -> dict[str, Callable[[], object]]:
    """Fine-tuning of everything; of everything but the embeddings; of everything, by the AdamW torch defaults to; of
    the encoder's matrices and the head alone."""
    found = {name: Steps(["method=dense", *words], impl, name) for name in names}
    for optimizer in found["unfused"].take.optimizers if "unfused" in names else []:
        for group in optimizer.param_groups:
            group["fused"] = False
    return dict(found)


def measure(steps: dict[str, Callable[[], object]], impl: Impl, rounds: int, together: int = 1) -> dict[str, float]:
    """Medians over rounds of so many together: seconds of each one, and the ratio of "masked" to the others within a
    round."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 2):
        for name in random.sample(list(steps), len(steps)):
            _wait(impl)
            began = time.perf_counter()
            for _ in range(together):
                steps[name]()
            _wait(impl)
            if number > 1:  # the first two allocate and warm up
                taken[name].append((time.perf_counter() - began) / together)
    found = {f"seconds_{name}": statistics.median(x) for name, x in taken.items()}
    pairs = {n: zip(taken["masked"], x, strict=True) for n, x in taken.items() if n != "masked"}
    return found | {f"by_{n}": statistics.median(m / x for m, x in pair) for n, pair in pairs.items()}


def choice(masked: Steps, impl: Impl, rounds: int, together: int) -> dict[str, float]:
    """The time of its masks alone, by one comparison of all scores with a number."""
    if not masked.scores:
        return {}
    t = masked.number / STEPS
    arms = {
        "masked": lambda: masked.phase.masks(t, True),
        "compare": lambda: {n: s.detach() > 0.1 for n, s in masked.scores.items()},
    }
    found = measure(arms, impl, 4 * rounds, together)
    return {"seconds_choice": found["seconds_masked"], "choice_by_compare": found["by_compare"]}


def memory(name: str, words: list[str], impl: Impl, methods: list[str]) -> list[dict]:
    """Peaks of three steps of each."""
    arms = {m: METHODS[m] for m in methods if not m.startswith("tamt")}
    frozen, dense = (peak(["method=dense", *words], impl, only) for only in ("frozen", ""))
    rows = []
    for method, own in arms.items():
        used = peak([*own, *words], impl, "")
        row = {"model": name, "method": method, "mebibytes": used / 2**20}
        rows.append(row | {"by_dense": used / dense, "by_frozen": used / frozen})
    return rows


def peak(words: list[str], impl: Impl, only: str) -> int:
    """In a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as one:
        return one.submit(_peak, words, impl, only).result()


def _peak(words: list[str], impl: Impl, only: str) -> int:
    impl.start()
    before = 0 if impl.torch_device.type == "cuda" else impl.peak_memory()
    step = Steps(words, impl, only)
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
    "seconds_masked": "ms a step",
    "by_dense": "÷ full fine-tuning",
    "by_frozen": "÷ embeddings frozen",
    "by_unfused": "÷ default AdamW",
    "by_floor": "÷ floor",
    "seconds_choice": "ms to choose",
    "choice_by_compare": "÷ one comparison",
}
MEMORY = {
    "model": "model",
    "method": "method",
    "mebibytes": "MiB",
    "by_dense": "÷ full fine-tuning",
    "by_frozen": "÷ embeddings frozen",
}


def show(rows: list[dict], where: str, columns: dict[str, str] = TIME) -> None:
    table = Table(caption=where)
    for title in columns.values():
        table.add_column(title, justify="left" if title in ("model", "method") else "right")
    for row in rows:
        cells = [row.get(key, "") for key in columns]
        told = [f"{1000 * v:,.1f}" if k.startswith("seconds") and v else v for k, v in zip(columns, cells, strict=True)]
        table.add_row(*[f"{v:,.2f}" if isinstance(v, float) else f"{v:,}" if isinstance(v, int) else v for v in told])
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
