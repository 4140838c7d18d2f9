"""Movement pruning with the means taken out: which part of its score gradient, and of its masks, does the harm?

PYTHONPATH=scripts prunebert 'hydra.searchpath=[file://scripts/centred_conf]' method=centred_movement …

Let a matrix W read the inputs x_t of the tokens t, and let δ_t be the loss's gradient at its output. Movement's score
gradient is Σ_t δ_t x_tᵀ ⊙ W. With the mean input x̄ it is the sum of two parts:

    Σ_t δ_t (x_t - x̄)ᵀ ⊙ W      the centred part, which depends on how tokens differ
    (Σ_t δ_t) x̄ᵀ ⊙ W            the mean part, which is the same for every token

x̄ is the mean over the batch, one for the first tokens (which the head reads) and one for all others.

A mask changes the mean output by (W ⊙ M - W) x̄, the shift. With means=restored the bias is corrected by the opposite of
the shift whenever the mask changes, so the mean output stays that of the dense matrix. The result is still an ordinary
sub-network. Here x̄ is a running mean over all tokens.

With score_gradient=full and means=masked this is movement itself, bit for bit (tests/scripts/test_centred_movement.py).
"""

# ruff: noqa: N803, N806 - S, M and W are the papers' symbols, as in prunebert/methods
from __future__ import annotations

import logging
import statistics
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from prunebert.choices import Head, Prunable
from prunebert.distill import Distill
from prunebert.fit import Fit
from prunebert.masks.apply import straight_through
from prunebert.masks.top_v import Masks, Scores, sparsity
from prunebert.methods.movement import initial_scores
from prunebert.network.subnetwork import SubNetwork
from prunebert.ranges import NonNegative, Text
from prunebert.runs.reuse import ranking
from prunebert.schedules import ToSparsity
from prunebert.tasks.task import Task
from prunebert.training.phase import Group, Phase, weights

log = logging.getLogger("prunebert.centred_movement")  # what does not begin so stays out of run.log
MOMENTUM = 0.9  # of the running mean of the inputs
LINES = 50  # lines of the log in a run


def centred(
    net: SubNetwork,
    task: Task,
    *,
    fit: Fit,
    schedule: ToSparsity,
    score_lr: NonNegative,
    score_init: Literal["zero", "magnitude"],
    score_gradient: Literal["full", "centred", "mean"],
    means: Literal["masked", "restored"],
    allocation: Text,
    prunable: Prunable,
    head: Head,
    distill: Distill,
    train_embeddings: bool = False,
    pattern: Text = "none",
) -> Iterator[Phase]:
    """Train scores and weights together. Phases: (teacher,) prune.

    score_gradient: the part of the score gradient that trains the scores.
    means: whether biases follow the masks.
    """
    key = net.add_head(task.form(), head)
    kd = yield from distill(net, task)
    S = initial_scores(net, prunable, score_init)
    rank = ranking(net, prunable, allocation, pattern, schedule.final)
    inputs = Inputs(net, S, {"full": 0, "centred": -1, "mean": 1}[score_gradient])
    biases = Biases(net, {n: torch.ones_like(s, dtype=torch.bool) for n, s in S.items()})
    steps = fit.steps_for(task.train_rows)

    def masks(t: float, hard: bool) -> Masks:
        M = rank(S, schedule(t))
        if means == "restored":
            biases.follow(M, inputs.running)
        return M if hard or score_gradient == "mean" else straight_through(M, S)

    def after(t: float) -> None:
        if round(t * steps) % max(1, steps // LINES) == 0:
            M = rank(S, schedule(t))
            if (removed := sparsity(M)) > 0:
                log.info("sparsity %.3f: shift %.2f, of random masks %.2f", removed, *shifts(net, M, inputs.running))

    with inputs:
        yield Phase(
            name="prune",
            task=task,
            head=key,
            fit=fit,
            train=[*weights(net, key, fit, embeddings=train_embeddings), Group(name="scores", tensors=S, lr=score_lr)],
            masks=masks,
            loss=lambda out, batch, t: kd(out, batch, task.loss(out, batch)),
            after=after,
            needs=kd.needs,
            settled=schedule.end,
            checkpointed=False,  # no checkpoint holds the running means
        )


class MeanPart(torch.autograd.Function):
    """Zeros [2, out] in the forward pass. In the backward pass S gets sign · Σ_t δ_t x̄_tᵀ ⊙ W."""

    @staticmethod
    def forward(ctx: Any, S: Tensor, W: Tensor, x_means: Tensor, sign: int) -> Tensor:
        """S, W: [out, in]; x_means: [2, in], of first tokens and of all others."""
        ctx.save_for_backward(W, x_means)
        ctx.sign = sign
        return x_means.new_zeros(2, len(S))

    @staticmethod
    def backward(ctx: Any, *deltas: Tensor) -> tuple[Tensor, None, None, None]:
        """Return the gradient of S. deltas: [2, out], δ summed over first tokens and over all others."""
        W, x_means = ctx.saved_tensors
        return ctx.sign * (deltas[0].T @ x_means) * W, None, None, None


class Inputs:
    """Watches what the masked matrices read while it is entered, and adds MeanPart to their outputs in training.

    Attributes:
        running: x̄ of each matrix, [in], a running mean over all tokens of the training batches.
    """

    def __init__(self, net: SubNetwork, S: Scores, sign: int) -> None:
        """sign: of MeanPart; 0 leaves the outputs alone."""
        self.net, self.S, self.sign = net, S, sign
        self.running: dict[str, Tensor] = {}
        self.is_token = torch.empty(0)
        self.handles: list[Any] = []

    def __enter__(self) -> Inputs:
        modules, W = dict(self.net.encoder.named_modules()), self.net.prunable("encoder")
        self.handles = [self.net.encoder.register_forward_pre_hook(self._see_batch, with_kwargs=True)]
        for n in self.S:
            module = modules[n.removeprefix(self.net.prefix).removesuffix(".weight")]
            self.handles.append(module.register_forward_hook(lambda _, args, y, n=n: self._output(n, W[n], args[0], y)))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _see_batch(self, _: object, __: object, inputs: dict[str, Any]) -> None:
        self.is_token = inputs["attention_mask"].float()

    def _output(self, n: str, W: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return the output [texts, length, out] for the input x, [texts, length, in]."""
        if not torch.is_grad_enabled():
            return y
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            weight = self.is_token.unsqueeze(-1)
            sums = (x.float() * weight).sum(0)  # [length, in]
            tokens = weight.sum(0)  # [length, 1]
            mean = sums.sum(0) / tokens.sum()
            self.running[n] = mean if n not in self.running else torch.lerp(mean, self.running[n], MOMENTUM)
            x_means = torch.stack([sums[0] / tokens[0], sums[1:].sum(0) / tokens[1:].sum()])
        if not self.sign:
            return y
        first, others = MeanPart.apply(self.S[n], W.detach(), x_means, self.sign).to(y.dtype)
        return y + torch.cat([first[None], others.expand(y.shape[1] - 1, -1)])


class Biases:
    """The biases of masked matrices, which make up for the shift of the mean outputs."""

    def __init__(self, net: SubNetwork, M: Masks) -> None:
        self.net, self.M = net, M

    @torch.no_grad()
    def follow(self, M: Masks, x_means: dict[str, Tensor]) -> None:
        """Add to each bias (W ⊙ M_before - W ⊙ M) x̄, where M_before are the masks of the last call.

        x_means: x̄ of each matrix, [in]. Before the first batch it is empty, and nothing happens.
        """
        theta = self.net.parameters_of()
        for n, x_mean in x_means.items():
            if M[n] is not self.M[n]:
                change = self.M[n].float() - M[n].float()
                theta[n.removesuffix("weight") + "bias"].add_((theta[n] * change) @ x_mean)
                self.M = {**self.M, n: M[n]}


@torch.no_grad()
def shifts(net: SubNetwork, M: Masks, x_means: dict[str, Tensor]) -> tuple[float, float]:
    """Return the median over matrices of |(W ⊙ M - W) x̄| ÷ |W x̄|, and what random masks of the same sparsity give.

    The latter is the root of the expected square: s² |W x̄|² + s (1 - s) Σ_ij W_ij² x̄_j², divided by |W x̄|².
    """
    ratios = []
    for n, W in net.prunable("encoder").items():
        x_mean, s = x_means[n], 1 - float(M[n].float().mean())
        shift, mean = (W * ~M[n]) @ x_mean, W @ x_mean
        scatter = (W**2 @ x_mean**2).sum() / mean.norm() ** 2
        ratios.append((float(shift.norm() / mean.norm()), float((s**2 + s * (1 - s) * scatter).sqrt())))
    measured, of_random = (statistics.median(column) for column in zip(*ratios, strict=True))
    return measured, of_random
