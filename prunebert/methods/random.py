"""Random: a mask drawn by lot, then fine-tuned. The floor under every table.

S ~ U(0, 1),  M = Top_v(S) in every matrix,  then min over θ of L(f(x; θ ⊙ M))
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch

from prunebert.fit import Fit
from prunebert.masks import keep_top
from prunebert.phase import Phase, finetune
from prunebert.subnetwork import SubNetwork
from prunebert.tasks.task import Task


def random(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    sparsity: float,
    seed: int,
    scope: Literal["local", "global"],
    prunable: Literal["encoder", "encoder_pooler", "encoder_pooler_embeddings"],
    head: Literal["linear", "label_words"],
) -> Iterator[Phase]:
    """Phases: finetune, under one mask drawn from `seed` alone."""
    generator = torch.Generator().manual_seed(seed)
    S = {n: torch.rand(W.shape, generator=generator).to(W.device) for n, W in net.prunable(prunable).items()}
    M = keep_top(S, sparsity, scope)
    yield from finetune(net, task, net.add_head(task, head), fit, masks=M)
