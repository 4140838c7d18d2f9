"""Whether a sub-network still tells texts apart, and what its masks alone do: scripts/collapse.py TEXTS.tsv COLUMN RUN…

Of each run, on the first 96 texts:
- after the embeddings and after each layer the mean cosine of two texts' first tokens, under the run's weights and
  masks;
- the same under the checkpoint's weights and the run's masks, so before any training of them, and the reverse: under
  the run's weights without masks;
- the same of the masks alone, every matrix's mean output over all tokens put back to what the dense checkpoint has;
- by kind of matrix, with what the dense checkpoint gives it to read, x: |mean (W ⊙ M)x| ÷ |mean W x| over all tokens,
  and the same of what is left of both without their means. Medians over layers. The first is what all texts share.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict

import pandas as pd
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import prunebert
from prunebert.masks.top_v import Masks, sparsity
from prunebert.network.interface import Batch
from prunebert.runs.load import Loaded
from prunebert.tasks.batching import padding_of

TEXTS = 96


def main() -> None:
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    file, column, *runs = sys.argv[1:]
    texts = pd.read_csv(file, sep="\t", quoting=3)[column].tolist()[:TEXTS]
    table = Table("run", "what", "")
    for run in runs:
        loaded = prunebert.load(run)
        inputs = read(loaded, texts)
        name = f"{loaded.facts['method']} {sparsity(loaded.masks):.2f}, {loaded.facts['score']:.3f}"
        dense = {n: w.detach() for n, w in loaded.net.parameters_of().items()}
        trained = dense | loaded.theta
        for what, theta, masks in (
            ("as trained", trained, loaded.masks),
            ("the masks alone", dense, loaded.masks),
            ("the weights alone", trained, {}),
        ):
            table.add_row(name, f"cosines, {what}", " ".join(f"{x:.3f}" for x in cosines(loaded, inputs, theta, masks)))
            name = ""
        back = " ".join(f"{x:.3f}" for x in recentred(loaded, inputs, dense))
        table.add_row("", "cosines, the masks alone, means put back", back)
        for kind, (mean, rest) in offsets(loaded, inputs).items():
            table.add_row("", f"{kind}: mean, rest", f"{mean:.2f} {rest:.2f}")
    Console(width=120).print(table)


def read(loaded: Loaded, texts: list[str]) -> dict[str, Tensor]:
    """What the encoder takes: each [texts, length]."""
    tokenizer = loaded.net.model.tokenizer
    found = tokenizer(texts, truncation=True, max_length=loaded.form.max_length, padding=True, return_tensors="pt")
    return {c: found[c] for c in padding_of(tokenizer) if c in found}


@torch.no_grad()
def cosines(loaded: Loaded, inputs: dict[str, Tensor], theta: dict[str, Tensor], masks: Masks) -> list[float]:
    """The mean over pairs of texts of their first tokens' cosine under θ ⊙ M, after the embeddings and each layer."""
    none = torch.zeros(len(inputs["input_ids"]), dtype=torch.long)
    found = []
    for h in loaded.net(Batch(inputs, none, none), loaded.head, masks, theta=theta, needs=("hidden",)).hidden:
        rows = torch.nn.functional.normalize(h[:, 0], dim=-1)
        n = len(rows)
        found.append(float((rows @ rows.T).sum() - n) / (n * n - n))
    return found


def matrices(loaded: Loaded) -> dict[str, nn.Module]:
    """The modules that hold the encoder's matrices, by the matrices' names."""
    net, modules = loaded.net, dict(loaded.net.encoder.named_modules())
    return {n: modules[n.removeprefix(net.prefix).removesuffix(".weight")] for n in net.prunable()}


def recentred(loaded: Loaded, inputs: dict[str, Tensor], dense: dict[str, Tensor]) -> list[float]:
    """`cosines` of the masks alone, while each matrix's outputs are moved to have their mean in the dense network."""
    real = inputs["attention_mask"].bool()
    means: dict[str, Tensor] = {}
    handles = [
        module.register_forward_hook(lambda _, __, y, n=n: means.__setitem__(n, y[real].mean(0)))
        for n, module in matrices(loaded).items()
    ]
    cosines(loaded, inputs, dense, {})
    for handle in handles:
        handle.remove()
    handles = [
        module.register_forward_hook(lambda _, __, y, n=n: y - y[real].mean(0) + means[n])
        for n, module in matrices(loaded).items()
    ]
    found = cosines(loaded, inputs, dense, loaded.masks)
    for handle in handles:
        handle.remove()
    return found


@torch.no_grad()
def offsets(loaded: Loaded, inputs: dict[str, Tensor]) -> dict[str, tuple[float, float]]:
    """By kind of matrix (|mean (W ⊙ M)x| ÷ |mean W x|, and of the rest), x as the dense checkpoint has it."""
    net, real = loaded.net, inputs["attention_mask"].bool()
    x: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _, given, __, n=n: x.__setitem__(n, given[0][real]))
        for n, module in matrices(loaded).items()
    ]
    net.encoder(**inputs)
    for hook in hooks:
        hook.remove()
    found = defaultdict(list)
    for n, theta in net.prunable().items():
        dense, left = x[n] @ theta.T, x[n] @ (theta * loaded.masks.get(n, torch.ones(()))).T
        of_mean = left.mean(0).norm() / dense.mean(0).norm()
        of_rest = (left - left.mean(0)).norm() / (dense - dense.mean(0)).norm()
        found[net.place(n)[1]].append((float(of_mean), float(of_rest)))
    return {kind: tuple(statistics.median(x) for x in zip(*pairs, strict=True)) for kind, pairs in found.items()}


if __name__ == "__main__":
    main()
