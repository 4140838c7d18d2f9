"""Sparse transfer: prune once on masked language modelling, then fine-tune the sparse network on any task.

Zafrir et al. 2021 (Prune-OFA) and upstream oBERT (Kurtic et al. 2022). Read from their code; Prune-OFA's text is not
verified.

    1. prune, on plain text:   (θ₁, M) = pruner(θ₀, L_MLM),   by default gradual magnitude pruning with
       L = (1 - w) L_MLM + w T² KL(p(θ₀) ‖ p(θ ⊙ M)),   w = 1:   the dense network's masked-LM head teaches
    2. finetune, on the task:   θ starts at θ₁,   f(x; θ ⊙ M),   M fixed,   all surviving weights and a new head

Phase 1 knows no task. One run of it serves any number of tasks (upstream=RUN). `prunebert method=gmp task=mlm
distill=logits distill.teacher=pretrained` is such a run. Any method that takes a teacher and a prunable set can prune.

Deviations
----------
Neither code is followed in these points:

- The pruner is gmp with its own schedule. Prune-OFA's code has the same method and reaches its sparsity at 50,000 of
  100,000 steps (method.pruner.schedule.end=0.5). oBERT prunes by its own scores, starts at 70 % and prunes every
  quarter of an epoch up to epoch 2.75 of 3.
- Prune-OFA's teacher and student were first trained for 100,000 steps on the same text. oBERT's dense model was
  prepared upstream too. Here both are the checkpoint.
- Prune-OFA's text is segment pairs with next-sentence prediction. Here it is blocks of text.
- Prune-OFA has w = 0.5 and T = 2 in phase 1. The defaults are oBERT's w = 1 and T = 5.5.
- The masked-LM head's decoder is a copy of the word embeddings and not tied to them.
- Prune-OFA's code prunes every linear layer but the masked-LM head's, so the pooler too (prunable=encoder_pooler). Here
  it is the encoder's matrices, as in oBERT.
- Batches hold texts of similar length, as [for movement pruning](movement.md#deviations-from-the-paper-and-its-code).

Cost
----
Phase 1 trains what its pruner trains: for gmp all weights and the masked-LM head. It is as long as mask_fit. Phase 2
trains all weights and a new head and is as long as fit. Both need the forward passes of a teacher. distill=logits
fine-tunes the teacher of phase 2 first, unless a finished one is given.

Citation
--------
Zafrir et al., "Prune Once for All: Sparse Pre-Trained Language Models", arXiv 2111.05754, 2021. Kurtic et al., "The
Optimal BERT Surgeon", EMNLP 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from prunebert.choices import PRUNER_KEYS, Head, Prunable
from prunebert.distill import Distill
from prunebert.errors import renamed
from prunebert.fit import Fit
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import Fraction, Text
from prunebert.runs.reuse import upstream_of
from prunebert.tasks.task import Task
from prunebert.training.phase import Method, Phase, finetune

if TYPE_CHECKING:
    from prunebert.tasks.mlm import MaskedLM

OWN = ("teacher", "finetune")  # the names of the phases on the task


def sparse_transfer(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    sparsity: Fraction,
    corpus: Annotated[Callable[..., MaskedLM], "read without upstream"],
    pruner: Annotated[Method, "read without upstream"],
    upstream: Text | None,
    prunable: Prunable,
    head: Head,
    distill: Distill,
) -> Iterator[Phase]:
    """Prune on plain text, then fine-tune on the task. Phases: (teacher,) those of the pruner, finetune.

    A phase of the pruner keeps its name, and with it its seed, as in a run of the pruner alone. One that is called
    "teacher" or "finetune" is called "upstream-teacher" or "upstream-finetune".

    corpus: loads the text's masked-LM task.
    pruner: prunes on that task; its network is also this method's.
    upstream: a finished run of a pruner on a masked-LM task, whose masks and weights are used instead.
    distill: of the fine-tuning.
    """
    key = net.add_head(task.form(), head)
    # Both are refused, where they have to be, before a teacher is trained.
    sparse = upstream_of(upstream, net, prunable, sparsity) if upstream else None
    text = None if upstream else _text(net, corpus)
    kd = yield from distill(net, task)
    if sparse:
        theta, M = sparse
        net.rewind(theta)
        net.use(M)
    if text:
        for phase in _phases(pruner, net, text):
            yield replace(phase, name=f"upstream-{phase.name}") if phase.name in OWN else phase
    yield from finetune(net, task, key, fit, masks=net.masks, kd=kd)


def _phases(pruner: Method, net: SubNetwork, text: Task) -> Iterator[Phase]:
    """Yield the pruner's phases. What it refuses is named by its own keys, such as method.pruner.pattern."""
    phases = iter(pruner(net, text))
    while True:
        with renamed(PRUNER_KEYS):
            phase = next(phases, None)
        if phase is None:
            return
        yield phase


def _text(net: SubNetwork, corpus: Callable[..., MaskedLM]) -> MaskedLM:
    """Load the text. Raises BadInput if the checkpoint has no masked-LM head."""
    text = corpus(tokenizer=net.model.tokenizer, positions=net.model.positions)
    net.add_head(text.form(), "linear")
    return text
