"""Magnitude, one-shot: keep the largest pre-trained weights, then fine-tune them.

    S = |θ₀|,  M = Top_v(S),  then min over θ of L(f(x; θ ⊙ M))

Chen et al. 2020 ("BERT-Tickets", the OMP baseline; methods.md §5.3 of our notes, read from their code): one global
ranking over the encoder's matrices and the pooler. TAMT's copy of it ranks in every matrix (scope=local).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from prunebert.fit import Fit
from prunebert.masks import Scores, keep_top
from prunebert.phase import Phase, finetune
from prunebert.subnetwork import SubNetwork
from prunebert.tasks.task import Task


def magnitude(net: SubNetwork, prunable: str) -> Scores:
    """S = |θ| ⊙ M: what is gone ranks last, so that masks of a later round can only shrink."""
    return {n: W.detach().abs() * net.masks.get(n, 1) for n, W in net.prunable(prunable).items()}


def one_shot(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    sparsity: float,
    scope: Literal["local", "global"],
    prunable: Literal["encoder", "encoder_pooler", "encoder_pooler_embeddings"],
    head: Literal["linear", "label_words"],
) -> Iterator[Phase]:
    """Phases: finetune, under the mask of the pre-trained weights' magnitudes."""
    M = keep_top(magnitude(net, prunable), sparsity, scope)
    yield from finetune(net, task, net.add_head(task, head), fit, masks=M)
