"""Evaluate a sub-network: its predictions on every evaluation split, and their metrics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from prunebert.errors import Diverged
from prunebert.masks.apply import keeping, products_for
from prunebert.network.subnetwork import SubNetwork
from prunebert.system.countdown import Countdown
from prunebert.system.impl import Impl
from prunebert.tasks.task import Task
from prunebert.training.prefetch import prefetch

BATCH = 128


@dataclass(frozen=True)
class Evaluation:
    """The result of one evaluation."""

    predictions: pd.DataFrame  # one row per example, of all splits; columns as in Task.predict
    metrics: dict[str, float]  # every official metric of the task
    score: float  # the metric that `task.score` names


def evaluate(net: SubNetwork, task: Task, head: str, impl: Impl, theta: dict[str, Tensor] | None = None) -> Evaluation:
    """Evaluate f(x; θ ⊙ net.masks) on every evaluation split, without dropout.

    Args:
        head: the head's key.
        theta: weights that replace the network's own, as in SubNetwork.forward.

    Raises Diverged if an output is not finite.
    """
    predictions = {}
    masks = keeping(net.masks, products_for(impl.torch_device))
    with net.evaluation_mode(), Countdown("evaluating", None, "rows") as countdown:
        for split in task.eval_splits:
            outputs: dict[int, np.ndarray] = {}
            for batch in prefetch(task.eval_batches(split, BATCH), impl.torch_device):
                batch = batch.to(impl.torch_device)
                with impl.autocast():
                    out = net(batch, head, masks, theta)
                    rows = task.outputs_by_row(out, batch)  # under autocast, because it may run a teacher
                if not torch.isfinite(out.logits).all():
                    raise Diverged(f"the network's output on {split} is not finite; lower the learning rate")
                outputs |= rows
                countdown.advance(len(rows))
            predictions[split] = task.predict(split, outputs)
    metrics = task.metrics(predictions)
    return Evaluation(pd.concat(predictions.values(), ignore_index=True), metrics, metrics[task.score])
