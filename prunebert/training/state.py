"""Moment: everything a phase in training has at one step, as named tensors and plain values, and back again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from prunebert.masks.history import History
from prunebert.network.subnetwork import SubNetwork
from prunebert.training.phase import Phase


@dataclass
class Moment:
    """The tensors are those in training: `put` writes into them, `tensors` copies from them."""

    net: SubNetwork
    phase: Phase
    trained: dict[str, Tensor]
    optimizers: list[Optimizer]
    history: History
    best: Best

    def tensors(self) -> dict[str, Tensor]:
        """Copies on the CPU, by dotted names: what is trained, masks, optimizers, random generators, history, best."""
        found: dict[str, Tensor] = {"rng.cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            found["rng.cuda"] = torch.cuda.get_rng_state()
        found |= _under("trained", self.trained) | _under("masks", self.net.masks)
        found |= _under("memory", {k: v for k, v in self.phase.memory.items() if isinstance(v, Tensor)})
        for i, optimizer in enumerate(self.optimizers):
            for j, state in optimizer.state_dict()["state"].items():
                found |= _under(f"optimizer.{i}.{j}", {k: v for k, v in state.items() if isinstance(v, Tensor)})
        for part in ("stays", "ever", "flips", "first"):
            found |= _under(f"history.{part}", getattr(self.history, part))
        found |= _under("best", self.best.state)
        return {n: x.detach().to("cpu", copy=True).contiguous() for n, x in found.items()}

    def values(self) -> dict[str, Any]:
        """What is no tensor; JSON."""
        return {
            "memory": {k: v for k, v in self.phase.memory.items() if not isinstance(v, Tensor)},
            "history": self.history.steps,
            "best": [self.best.score, self.best.step],
        }

    @torch.no_grad()
    def put(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """The inverse of both."""
        device = next(self.net.parameters()).device

        def part(name: str) -> dict[str, Tensor]:
            start = f"{name}."
            return {n.removeprefix(start): x.to(device) for n, x in tensors.items() if n.startswith(start)}

        for n, x in part("trained").items():
            self.trained[n].copy_(x)
        self.net.masks = part("masks")
        self.phase.memory.clear()
        self.phase.memory.update(values["memory"] | part("memory"))
        for i, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for name, x in part(f"optimizer.{i}").items():
                j, _, key = name.partition(".")
                state.setdefault(int(j), {})[key] = x
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        self.history.stays, self.history.ever = part("history.stays"), part("history.ever")
        self.history.flips, self.history.first = part("history.flips"), part("history.first")
        self.history.steps = values["history"]
        self.best.state = {n: x.cpu() for n, x in part("best").items()}
        self.best.score, self.best.step = values["best"]
        torch.set_rng_state(tensors["rng.cpu"])
        if "rng.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["rng.cuda"])


def _under(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}.{n}": x for n, x in tensors.items()}


class Best:
    """The state of the trained tensors at the best score so far; the earliest of equals."""

    def __init__(self, trained: dict[str, Tensor]) -> None:
        self.trained = trained
        self.score, self.step = -math.inf, 0
        self.state: dict[str, Tensor] = {}

    def offer(self, score: float, step: int) -> None:
        """Copy the tensors if `score` beats what was offered before."""
        if score > self.score:
            self.score, self.step = score, step
            self.state = {n: x.detach().to("cpu", copy=True) for n, x in self.trained.items()}

    def restore(self) -> int:
        """Put the best state back; returns its step."""
        with torch.no_grad():
            for name, tensor in self.trained.items():
                tensor.copy_(self.state[name])
        return self.step
