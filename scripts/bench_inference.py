"""Time sparse inference of a BERT-base-wide network: scripts/bench_inference.py OUT [--seconds 20] [--layers 3]

It makes a random checkpoint with the width of bert-base and few layers, prunes it at random to each sparsity, and runs
`prunebert bench` with one thread and with all, for 1 and 8 texts of 128 tokens. Every bench writes a JSON file into
OUT. The end is a Markdown table of the medians in milliseconds. Nothing else should run on the machine. --variants
leaves some out; the compiled ones take longest to prepare. It needs the extras demo, onnx and openvino.

Random masks leave no head and no neuron dead, so the variants `removed …` are not in the table.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import prunebert.conf
import torch
import transformers
import yaml

from prunebert.system import packaged

TEXTS = [("a good film", 1), ("a dull plot", 0)] * 8  # a run needs some; what it learns does not matter


def checkpoint(folder: Path, layers: int) -> Path:
    """Write a random checkpoint of bert-base's width with the tokenizer of model=tiny, and return its folder."""
    package = yaml.safe_load((Path(prunebert.conf.__path__[0]) / "model/tiny.yaml").read_text("utf-8"))["package"]
    source = packaged.folder(**{key: package[key] for key in ("name", "version", "path", "sha256", "extra")})
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=len(tokenizer), num_hidden_layers=layers)  # the other sizes are base's
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def run(*words: str) -> None:
    """Run a command of prunebert. Ends this script if it fails."""
    print("prunebert", *words, flush=True)  # noqa: T201
    if status := subprocess.run([sys.executable, "-m", "prunebert", *words]).returncode:
        sys.exit(status)


def markdown(results: dict[str, dict]) -> str:
    """Return the table: a row for each sparsity, batch and number of threads."""
    cells = [(sparsity, cell) for sparsity, result in results.items() for cell in result["cells"]]
    names = [name for name in cells[0][1]["variants"] if not name.startswith("removed")]
    lines = [" | ".join(["sparsity", "texts", "threads", *names, "noise", "csr ÷ best dense"])]
    lines += [" | ".join(["---"] * (len(names) + 5))]
    for sparsity, cell in cells:
        rows, (_, low, high) = cell["variants"], cell["noise"]
        times = [
            f"**{rows[n]['p50_ms']:.1f}**" if n == cell["best_dense"] else f"{rows[n]['p50_ms']:.1f}" for n in names
        ]
        ratio = "{:.2f} ({:.2f} to {:.2f})".format(*rows["csr"]["times_best_dense"])
        shape = [sparsity, str(cell["batch"]), str(cell["threads"])]
        lines.append(" | ".join([*shape, *times, f"{low:.2f} to {high:.2f}", ratio]))
    return "\n".join(f"| {line} |" for line in lines)


def main() -> None:
    """Prune, time, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--sparsity", default="0.9,0.97")
    parser.add_argument("--seconds", default="20", help="time limit of each table")
    parser.add_argument("--variants", default="all")
    options = parser.parse_args()
    options.out.mkdir(parents=True)
    model, data = checkpoint(options.out / "model", options.layers), options.out / "texts.csv"
    with data.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("sentence", "label"), *TEXTS])
    results = {}
    for sparsity in options.sparsity.split(","):
        pruned, file = options.out / f"random-{sparsity}", options.out / f"bench-{sparsity}.json"
        task = ["task=file", f"task.train={data}", f"task.eval={data}", "task.text=sentence", "task.label=label"]
        size = ["fit=quick", "fit.steps=2", f"model.name={model}", f"hydra.run.dir={pruned}"]
        run("method=random", f"sparsity={sparsity}", "model=bert-base", *task, *size)
        run("bench", str(pruned), "--seconds", options.seconds, "--variants", options.variants, "--out", str(file))
        results[sparsity] = json.loads(file.read_text("utf-8"))
    print(markdown(results))  # noqa: T201


if __name__ == "__main__":
    main()
