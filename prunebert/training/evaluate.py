"""Evaluation: a sub-network's predictions on every evaluation split, and what they score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from prunebert.errors import Diverged
from prunebert.masks.apply import Products, keeping
from prunebert.network.subnetwork import SubNetwork
from prunebert.system.impl import Impl
from prunebert.tasks.task import Task
from prunebert.training.prefetch import ahead

BATCH = 128


@dataclass(frozen=True)
class Evaluation:
    """predictions: a row an example, of all splits. metrics: every official one. score: the one that stands for all."""

    predictions: pd.DataFrame
    metrics: dict[str, float]
    score: float


def evaluate(net: SubNetwork, task: Task, head: str, impl: Impl, theta: dict[str, Tensor] | None = None) -> Evaluation:
    """f(x; θ ⊙ net.masks) on every evaluation split, without dropout; `theta` as SubNetwork.forward takes it.

    Raises Diverged if an output is not finite.
    """
    predictions = {}
    masks = keeping(net.masks, Products())
    with net.resting():
        for split in task.eval_splits:
            answers: dict[int, np.ndarray] = {}
            for batch in ahead(task.eval_batches(split, BATCH), impl.torch_device):
                batch = batch.to(impl.torch_device)
                with impl.autocast():
                    out = net(batch, head, masks, theta)
                    found = task.answers(out, batch)  # which may ask a teacher, in the same precision
                if not torch.isfinite(out.logits).all():
                    raise Diverged(f"the network's output on {split} is not finite; lower the learning rate")
                answers |= found
            predictions[split] = task.predict(split, answers)
    metrics = task.metrics(predictions)
    return Evaluation(pd.concat(predictions.values(), ignore_index=True), metrics, metrics[task.score])
