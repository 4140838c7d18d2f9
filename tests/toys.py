"""A small random BERT on disk with its own vocabulary, tables of toy rows, and the words of a run on them."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import transformers

from prunebert.network import models
from prunebert.runs.seal import checksum
from prunebert.tasks.text import text_task

WORDS = [
    "good",
    "bad",
    "film",
    "great",
    "terrible",
    "the",
    "a",
    "yes",
    "no",
    "maybe",
    "plot",
    "actor",
    "scene",
    "dull",
    "bright",
    "what",
    "who",
    "when",
    "where",
    "it",
    "was",
    "is",
    "not",
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def save_model(folder: Path, kind: str = "bert", masked_lm: bool = True) -> Path:
    """Save a random 2-layer model of a family (hidden 32, 4 heads) and its tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = list(dict.fromkeys([*SPECIAL, *WORDS, *letters, "?", ".", *("##" + c for c in letters)]))
    (folder / "vocab.txt").write_text("\n".join(tokens))
    tokenizer = transformers.BertTokenizerFast(vocab={token: i for i, token in enumerate(tokens)}, do_lower_case=True)
    size = {"vocab_size": len(tokenizer), "max_position_embeddings": 64}
    if kind == "distilbert":
        config = transformers.DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=64, **size)
    else:
        wide = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, **size}
        config_classes = {
            "bert": transformers.BertConfig,
            "roberta": transformers.RobertaConfig,
            "electra": transformers.ElectraConfig,
        }
        extra = {"electra": {"embedding_size": 16}, "roberta": {"pad_token_id": 0}}.get(kind, {})
        config = config_classes[kind](**wide, **extra)
    torch.manual_seed(0)
    auto = transformers.AutoModelForMaskedLM if masked_lm else transformers.AutoModel
    model = auto.from_config(config)
    for name, parameter in model.named_parameters():  # biases start at 0, which would hide whether they are used
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.02)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def after_loading(printed: str) -> list[str]:
    """Return the lines of a command without those that say what it loads."""
    return [line for line in printed.strip().splitlines() if not line.endswith(" …")]


def rows(count: int, seed: int = 0) -> pd.DataFrame:
    """Make sentences whose last word gives the label, second texts for pairs, and a number that follows the label."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, count)
    texts = [" ".join([*random.choice(WORDS[5:], random.integers(2, 9)), ["bad", "good"][y]]) for y in label]
    second_texts = [" ".join(random.choice(WORDS[5:], 3)) for _ in label]
    number = label * 4 + random.random(count)
    third_texts = [" ".join(random.choice(WORDS[5:], 5)) for _ in label]
    return pd.DataFrame(
        {"sentence": texts, "second": second_texts, "label": label, "number": number}
        | {"third": third_texts, "position": label}
    )


TASK = {
    "name": "toy",
    "kind": "classification",
    "hub": None,
    "folder": None,
    "package": None,
    "data_dir": None,
    "text": "sentence",
    "label": "label",
    "labels": None,
    "label_words": ["terrible", "great"],
    "holdout": 0.25,
    "max_length": 32,
    "score": "accuracy",
}


SQUAD = {
    "name": "squad",
    "hub": {"path": "rajpurkar/squad"},
    "data_dir": None,
    "holdout": 0.4,
    "max_length": 32,
    "stride": 8,
    "n_best": 20,
    "max_answer": 30,
    "no_answer": False,
    "label_words": None,
    "score": "f1",
}


def script(name):
    """Import scripts/NAME.py as a module. It may import other scripts, as it does when it is run."""
    file = Path(__file__).parents[1] / f"scripts/{name}.py"
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def watched(phase, watch):
    """Return a phase that calls `watch(phase, t, M)` at every step with the masks of the forward pass."""

    def masks(t, hard):
        M = phase.masks(t, hard)
        if not hard:
            watch(phase, t, M)
        return M

    return replace(phase, masks=masks)


def toy_words(model_folder: Path, data_folder: Path, run: Path | str) -> list[str]:
    """Return the overrides of a run on the toy files and the toy model."""
    return [
        "task=file",
        f"task.train={data_folder / 'train.csv'}",
        f"task.eval={data_folder / 'eval.csv'}",
        "task.text=sentence",
        "task.label_words=[terrible,great]",
        "task.max_length=32",
        f"model.name={model_folder}",
        "fit=smoke",
        "impl.threads=1",
        f"hydra.run.dir={run}",
    ]


def toy_task(words: list[str], model: models.Model):
    """Make the task of a run that was started with these words (`toy`)."""
    settings_by_key = dict(w.split("=", 1) for w in words)
    files = {"train": settings_by_key["task.train"], "eval": settings_by_key["task.eval"]}
    settings = TASK | {"name": "file", "metric": "prunebert.metrics:Accuracy"} | files
    return text_task(tokenizer=model.tokenizer, positions=64, **settings)


RESULT = {
    **{"method": "x", "task": "y", "model": "m", "fit": "quick", "distill": "none", "augment": "none"},
    **{
        "prunable": "encoder",
        "command": "prunebert method=x",
        "metric": "accuracy",
        "device": "cpu",
        "status": "complete",
    },
    **{"weights_hash": "w", "sparsity": 0.5, "score": 0.5, "seconds": 1.0, "seconds_per_step": 0.5},
    **{"sparsity_encoder": 0.5, "sparsity_encoder_pooler": 0.5, "sparsity_encoder_pooler_embeddings": 0.4},
    **{"sparsity_model": 0.3, "majority_score": 0.5, "seed": 0, "steps": 2, "trained_parameters": 9},
    **{"peak_memory_bytes": 1, "settings": {}, "metrics": {"accuracy": 0.5}, "data": {}},
    **{"git_commit": None, "git_dirty": None},
}


def write_result(folder: Path, row: dict) -> None:
    """Write a result.json with a right checksum and no hashes of other files, as earlier versions did."""
    row = {k: v for k, v in row.items() if k not in ("checksum", "files")}
    (folder / "result.json").write_text(json.dumps(row | {"checksum": checksum(row)}))
