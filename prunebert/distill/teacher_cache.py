"""Answers: a teacher's logits for all rows it teaches, asked for once and shared by every run that has the same teacher
and the same rows. Such a run needs no forward pass of the teacher."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from prunebert.errors import BadInput
from prunebert.network.interface import Batch, Outputs
from prunebert.network.models import hash_of
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import files
from prunebert.tasks.cache import folder
from prunebert.tasks.task import Task

log = logging.getLogger(__name__)
Teacher = Callable[[Batch, Iterable[str]], Outputs]
VERSION = 1  # raise it when the same teacher's file would hold something else
BATCH = 64


def with_cached_logits(ask: Teacher, net: SubNetwork, task: Task, theta: dict[str, Tensor]) -> Teacher:
    """`ask`, of weights `theta`, from a file beside the tokenised data: mapped into memory, or written first.

    Answers are those of batches sorted by length, in single precision: they differ by rounding from what the teacher
    says of a training batch, and not by which run asked. Raises BadInput where rows are not the same every time.
    """
    if task.masked_lm:
        raise BadInput("distill.cached=true: masked-LM tasks hide other words every time, so nothing can be kept")
    on = [VERSION, net.model.architecture(), hash_of(theta), task.facts()["fingerprint"]["train"]]
    name = hashlib.sha256(json.dumps(on, sort_keys=True, default=str).encode()).hexdigest()[:32]
    file = folder() / f"answers-{name}.safetensors"
    with files.made_once(file, f"HF_DATASETS_CACHE={file.parents[1]}") as found:
        if found is None:
            log.info("asking the teacher about %s rows, once for all runs it teaches", f"{task.train_rows:,}")
            found = logits_of_all_rows(ask, task, next(net.parameters()).device)
            files.keep(file, found)
    logits, first, length = found["logits"], found["first"], found["length"]

    def recall(batch: Batch, needs: Iterable[str] = ()) -> Outputs:
        if set(needs):
            raise BadInput("distill.cached=true: only a teacher's logits are kept")
        if not task.span:
            return Outputs(logits[first[batch.rows]].to(batch.labels.device))
        inside = torch.arange(batch.inputs["attention_mask"].shape[1]) < length[batch.rows, None]
        padded = logits.new_zeros(*inside.shape, logits.shape[-1])
        spans = [torch.arange(int(first[row]), int(first[row] + length[row])) for row in batch.rows]
        padded[inside] = logits[torch.cat(spans)]
        return Outputs(padded.to(batch.labels.device))

    return recall


def logits_of_all_rows(ask: Teacher, task: Task, device: torch.device) -> dict[str, Tensor]:
    """logits: [entries, outputs] of all training rows in order; a row's are `length` ones from `first` on: one, but for
    spans one for each of its tokens."""
    found: dict[int, Tensor] = {}
    for batch in task.eval_batches("train", BATCH):
        out = ask(batch.to(device), ()).logits.float().cpu()
        real = batch.inputs["attention_mask"].bool()
        for row, logits, tokens in zip(batch.rows.tolist(), out, real, strict=True):
            found[row] = logits[tokens] if task.span else logits[None]
    parts = [found[row] for row in range(len(found))]
    length = torch.tensor([len(part) for part in parts])
    return {"logits": torch.cat(parts), "first": length.cumsum(0) - length, "length": length}
