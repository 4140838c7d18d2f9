"""What the benchmarks of a training step share: the models, random data, and what a measurement records of itself."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import transformers

from prunebert.commands.bench import hardware
from prunebert.errors import BadInput
from prunebert.network import models
from prunebert.result import git_state
from prunebert.settings.overrides import checked
from prunebert.system.impl import Impl

SIZES = {"bert-base": (768, 12, 12), "bert-large": (1024, 24, 16)}  # width, layers, attention heads
ROUNDS = {"tiny": 21, "minilm": 15, "bert-base": 7, "bert-large": 3}  # of turns, unless --rounds sets their number
DEFAULT_ROUNDS = ", ".join(f"{rounds} ({name})" for name, rounds in ROUNDS.items())
MODELS = list(ROUNDS)
STEPS = 100_000  # of the run in whose middle the measured steps are


def ending_in_one_line(main: Callable[[], None]) -> None:
    """Call a script's main. Bad input ends it with one line and status 2."""
    try:
        main()
    except BadInput as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


def positive(text: str) -> int:
    """Return an option's value. Raises argparse.ArgumentTypeError unless it is an integer from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be an integer of at least 1")
    return int(text)


def common_words(name: str, folder: Path, options: argparse.Namespace) -> list[str]:
    """Write data of texts with exactly `options.length` tokens, and return the command line for it and a model.

    Args:
        name: one of MODELS.
        folder: for the data, and for a model with random weights.
        options: with batch, length and sparsity.
    """
    tokenizer = models.load(**_model("tiny")).tokenizer
    vocabulary = [w for w, i in tokenizer.get_vocab().items() if w.isalpha() and w.isascii() and len(w) > 3]
    generator = np.random.default_rng(0)
    texts = [" ".join(generator.choice(sorted(vocabulary), options.length - 2)) for _ in range(64 * options.batch)]
    train_file, text_file = folder / "train.csv", folder / "text.txt"
    train_file.write_text("text,label\n" + "".join(f"{text},{i % 2}\n" for i, text in enumerate(texts)))
    text_file.write_text("\n".join(texts) + "\n")
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
        *("task=file", f"task.train={train_file}", "task.text=text", "task.label=label"),
        f"task.max_length={options.length}",
        *("fit=quick", f"fit.steps={STEPS}", f"fit.batch_size={options.batch}", f"sparsity={options.sparsity}"),
        *(f"corpus.file={text_file}", f"mask_fit.steps={STEPS}", f"mask_fit.batch_size={options.batch}"),
    ]


def _model(name: str) -> dict:
    fields, _ = checked([f"model={name}", "task=rotten_tomatoes"])
    return {k: v for k, v in fields["model"].items() if k != "_target_"}


def circumstances(options: argparse.Namespace, impl: Impl, start: float) -> dict[str, Any]:
    """Return what a measurement's file records beside its rows.

    Args:
        options: the command line's.
        impl: the device and precision.
        start: time.perf_counter() when the measurement started.
    """
    return {k: v for k, v in vars(options).items() if k != "out"} | {
        "hardware": hardware(impl.describe()),
        "transformers": transformers.__version__,
        "spin": os.environ.get("GOMP_SPINCOUNT"),  # None: OpenMP's waiting threads spin for long
        "minutes": round((time.perf_counter() - start) / 60, 1),
        **git_state(),
    }
