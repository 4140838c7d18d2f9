"""Evaluate the networks on the line between two finished runs: their loss and their score."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prunebert.analysis import barrier
from prunebert.errors import BadInput
from prunebert.runs import seal
from prunebert.tasks.over_tables import OverTables
from prunebert.training.evaluate import evaluate

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from prunebert.network.interface import Batch, Outputs
    from prunebert.runs.load import Loaded
    from prunebert.system.impl import Impl
    from prunebert.tasks.task import Task

OWN, UNION = "sparse", "union"  # the two lines, as barrier.json names them
LOWER = "perplexity"  # the only metric that is better where it is lower


class WithLoss:
    """A task that also adds up the loss of the rows that it is asked for, and counts them.

    Attributes:
        eval_splits: what is evaluated.
        score: the metric of these splits that is the score.
        total: the sum of the loss over what was weighed.
        weight: what was weighed: rows, windows of spans, hidden tokens or labelled words.
    """

    def __init__(self, task: Task, on: str, advance: Callable[[int], None]) -> None:
        """Start at 0. on: "eval" or "train". advance: is called with the rows that are done.

        Raises BadInput for "train" where a task's training rows cannot be scored.
        """
        self.task, self.advance = task, advance
        self.eval_splits, self.score = task.eval_splits, task.score
        if on == "train":
            if not isinstance(task, OverTables):
                raise BadInput(f"--on=train: task={task.name} cannot score its training rows; use --on=eval")
            self.score = task.score.removesuffix(f"_{task.eval_splits[0]}")
            self.eval_splits = ("train",)
        self.total = self.weight = 0.0

    def eval_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """Yield every row of a split once."""
        return self.task.eval_batches(split, batch_size)

    def outputs_by_row(self, out: Outputs, batch: Batch) -> dict[int, np.ndarray]:
        """Return what the task does, and add the batch to the loss."""
        from prunebert.network.interface import IGNORED

        of_tokens = self.task.tokens or self.task.masked_lm
        weight = int((batch.labels != IGNORED).sum()) if of_tokens else len(batch.rows)
        self.total += float(sum(self.task.loss(out, batch).values())) * weight
        self.weight += weight
        self.advance(len(batch.rows))
        return self.task.outputs_by_row(out, batch)

    def predict(self, split: str, outputs: dict[int, np.ndarray]) -> pd.DataFrame:
        """Return the task's predictions."""
        return self.task.predict(split, outputs)

    def metrics(self, predictions: dict[str, pd.DataFrame]) -> dict[str, float]:
        """Return the task's metrics."""
        return self.task.metrics(predictions)


class Lines:
    """The lines between loaded runs that share a backbone, evaluated on one task."""

    def __init__(self, runs: Sequence[Loaded], task: Task, impl: Impl, on: str, alphas: Sequence[float]) -> None:
        """Take the runs, whose network is on the device of `impl`. on: "eval" or "train"."""
        self.runs, self.task, self.impl, self.on, self.alphas = runs, task, impl, on, alphas
        self.metric = WithLoss(task, on, lambda rows: None).score
        self.ends: dict[int, tuple[float, float]] = {}  # loss and score of each run, which all its pairs share

    def rows(self) -> int:
        """Return the rows of one evaluation; for spans, the windows."""
        facts = self.task.facts()
        of_splits = facts.get("windows") or facts["rows"]
        return sum(count for split, count in of_splits.items() if (split == "train") == (self.on == "train"))

    def of_pair(self, a: int, b: int, advance: Callable[[int], None]) -> dict[str, Any]:
        """Return both lines of a pair, as barrier.json has them.

        Args:
            a: the index of the run at α = 0.
            b: the index of the run at α = 1.
            advance: is called with the rows that are done.
        """
        first, second = self.runs[a], self.runs[b]
        names = first.theta.keys() | second.theta.keys() | first.masks.keys() | second.masks.keys()
        theta, other = (self._weights(run, names) for run in (first, second))
        sizes = {name: theta[name].numel() for name in first.masks.keys() | second.masks.keys()}
        either = barrier.union(first.masks, second.masks)
        removed = [1 - barrier.kept_fraction(masks, sizes) for masks in (first.masks, second.masks, either)]
        found: dict[str, Any] = {"a": a, "b": b, "sparsity": dict(zip(("a", "b", "union"), removed, strict=True))}
        found["weights"] = int(sum(sizes.values()))
        found["same_masks"] = found["sparsity"]["a"] == found["sparsity"]["b"] == found["sparsity"]["union"]
        for line, masks in ((OWN, (first.masks, second.masks)), (UNION, (either, either))):
            if line == UNION and found["same_masks"]:
                found[UNION] = found[OWN]
                advance(len(self.alphas) * self.rows())
                continue
            points = []
            for alpha in self.alphas:
                end = {0.0: a, 1.0: b}.get(alpha) if line == OWN else None
                if end in self.ends:
                    points.append(self.ends[end])
                    advance(self.rows())
                    continue
                points.append(self._evaluate(barrier.between(theta, other, masks, alpha), advance))
                if end is not None:
                    self.ends[end] = points[-1]
            found[line] = self._line(points)
        return found

    def _weights(self, run: Loaded, names: set[str]) -> dict[str, Tensor]:
        """Return the dense weights of a run by name, the head's under `head.…`."""
        base, device = run.net.parameters_of(), self.impl.torch_device
        weights = {name: run.theta[name] if name in run.theta else base[name] for name in sorted(names)}
        head = {f"head.{name}": p for name, p in run.net.heads[run.head].named_parameters()}
        return {name: x.detach().to(device) for name, x in (weights | head).items()}

    def _evaluate(self, theta: dict[str, Tensor], advance: Callable[[int], None]) -> tuple[float, float]:
        """Return the loss and the score of a network. Its removed weights are zeros in `theta`."""
        net, task = self.runs[0].net.use({}), WithLoss(self.task, self.on, advance)
        found = evaluate(net, task, self.runs[0].head, self.impl, theta)  # type: ignore[arg-type]
        return task.total / task.weight, found.score

    def _line(self, points: list[tuple[float, float]]) -> dict[str, Any]:
        loss, score = ([point[i] for point in points] for i in (0, 1))
        errors = score if self.metric.startswith(LOWER) else [-value for value in score]
        found = {"loss": barrier.heights(loss, self.alphas), "error": barrier.heights(errors, self.alphas)}
        return {"loss": loss, "score": score, "height": found}


def of_removed(run: Loaded) -> str:
    """Return whose values the removed weights of a run have: "run", or "checkpoint" if it stores none of its own.

    A run that trained encoder weights stores all of them. A task delta has the kept ones only.
    """
    return "checkpoint" if seal.is_delta(run.facts) or not run.masks.keys() & run.theta.keys() else "run"
