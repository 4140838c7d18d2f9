"""Compute a teacher's logits for all its training rows once, and share them.

Every run with the same teacher and the same rows reads them and needs no forward pass of the teacher.
"""

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
from prunebert.system.console import counted
from prunebert.tasks.cache import folder
from prunebert.tasks.task import Task

log = logging.getLogger(__name__)
Teacher = Callable[[Batch, Iterable[str]], Outputs]
VERSION = 1  # raised when the same teacher's file would hold other values
BATCH = 64


def with_cached_logits(teach: Teacher, net: SubNetwork, task: Task, theta: dict[str, Tensor]) -> Teacher:
    """Return `teach` with logits from a file beside the tokenised data, which is written first if there is none.

    The logits are computed in batches sorted by length, in single precision. They differ by rounding from those of a
    training batch, but are the same for every run.

    Args:
        teach: the teacher.
        net: the network that it is made of.
        task: the task whose training rows it teaches.
        theta: the teacher's weights, a part of the file's name.

    Raises:
        BadInput: the task is masked-LM, whose rows differ every time, or the file cannot be read or written.
    """
    if task.masked_lm:
        raise BadInput("distill.cached=true: masked-LM tasks hide other words every time, so logits cannot be reused")
    rows = [task.facts()["fingerprint"]["train"], *task.form().unusual_padding()]  # padding changes the last digits
    dependencies = [VERSION, net.model.architecture(), hash_of(theta), *rows]
    name = hashlib.sha256(json.dumps(dependencies, sort_keys=True, default=str).encode()).hexdigest()[:32]
    file = folder() / f"answers-{name}.safetensors"
    with files.made_once(file, f"HF_DATASETS_CACHE={file.parents[1]}") as stored:
        if stored is None:
            log.info("computing the teacher's logits of %s, once for all its runs", counted(task.train_rows, "row"))
            stored = logits_of_all_rows(teach, task, next(net.parameters()).device)
            files.keep(file, stored)
    logits, first, length = stored["logits"], stored["first"], stored["length"]

    def recall(batch: Batch, needs: Iterable[str] = ()) -> Outputs:
        if set(needs):
            raise BadInput("distill.cached=true: only a teacher's logits are stored")
        if not by_token(task):
            return Outputs(logits[first[batch.rows]].to(batch.labels.device))
        inside = torch.arange(batch.inputs["attention_mask"].shape[1]) < length[batch.rows, None]
        padded = logits.new_zeros(*inside.shape, logits.shape[-1])
        spans = [torch.arange(int(first[row]), int(first[row] + length[row])) for row in batch.rows]
        padded[inside] = logits[torch.cat(spans)]
        return Outputs(padded.to(batch.labels.device))

    return recall


def logits_of_all_rows(teach: Teacher, task: Task, device: torch.device) -> dict[str, Tensor]:
    """Compute the teacher's logits of all training rows.

    Returns:
        logits: [entries, outputs], by row. A row has one entry; for spans and labels of words it has one for each of
            its tokens.
        first: [rows], each row's first entry.
        length: [rows], each row's number of entries.
    """
    by_row: dict[int, Tensor] = {}
    for batch in task.eval_batches("train", BATCH):
        out = teach(batch.to(device), ()).logits.float().cpu()
        # [rows, length]: of a row's first text, because only rows of one text have logits for each token
        real = batch.inputs["attention_mask"].bool().unflatten(0, (len(batch.rows), -1))[:, 0]
        for row, logits, tokens in zip(batch.rows.tolist(), out, real, strict=True):
            by_row[row] = logits[tokens] if by_token(task) else logits[None]
    parts = [by_row[row] for row in range(len(by_row))]
    length = torch.tensor([len(part) for part in parts])
    return {"logits": torch.cat(parts), "first": length.cumsum(0) - length, "length": length}


def by_token(task: Task) -> bool:
    """Return whether a task's logits are those of every token. A class of the user's may not know labels of words."""
    return task.span or getattr(task, "tokens", False)
