"""The state of a phase in training: saved as named tensors and plain values, and restored from them."""

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
    """Everything that a phase in training has at one step. `tensors` copies the state, `restore` writes into it."""

    net: SubNetwork  # its masks belong to the state
    phase: Phase  # its memory belongs to the state
    trained: dict[str, Tensor]  # the tensors in training, by name
    optimizers: list[Optimizer]
    history: History
    best: Best

    def tensors(self) -> dict[str, Tensor]:
        """Return copies on the CPU by dotted names.

        They are the trained tensors, masks, memory, optimizers, random generators, history and best state.
        """
        copies: dict[str, Tensor] = {"rng.cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            copies["rng.cuda"] = torch.cuda.get_rng_state()
        copies |= _under("trained", self.trained) | _under("masks", self.net.masks)
        copies |= _under("memory", {k: v for k, v in self.phase.memory.items() if isinstance(v, Tensor)})
        for i, optimizer in enumerate(self.optimizers):
            for j, state in optimizer.state_dict()["state"].items():
                copies |= _under(f"optimizer.{i}.{j}", {k: v for k, v in state.items() if isinstance(v, Tensor)})
        copies |= _under("history", self.history.tensors())
        copies |= _under("best", self.best.state) | _under("best_masks", self.best.masks)
        return {n: x.detach().to("cpu", copy=True).contiguous() for n, x in copies.items()}

    def values(self) -> dict[str, Any]:
        """Return the part of the state that is not tensors, as JSON takes it."""
        return {
            "memory": {k: v for k, v in self.phase.memory.items() if not isinstance(v, Tensor)},
            "history": self.history.steps,
            "best": [self.best.score, self.best.step],
        }

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Set the state to what `tensors` and `values` returned."""
        device = next(self.net.parameters()).device

        def stored(name: str) -> dict[str, Tensor]:
            start = f"{name}."
            return {n.removeprefix(start): x for n, x in tensors.items() if n.startswith(start)}

        def part(name: str) -> dict[str, Tensor]:
            return {n: x.to(device) for n, x in stored(name).items()}

        for n, x in part("trained").items():
            self.trained[n].copy_(x)
        self.net.masks = part("masks")
        self.phase.memory.clear()
        self.phase.memory.update(values["memory"] | part("memory"))
        for i, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            for name, x in stored(f"optimizer.{i}").items():  # it places the tensors itself: some count on the CPU
                j, _, key = name.partition(".")
                state.setdefault(int(j), {})[key] = x
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        self.history.restore(part("history"), values["history"])
        self.best.state, self.best.masks = stored("best"), stored("best_masks")
        self.best.score, self.best.step = values["best"]
        torch.set_rng_state(tensors["rng.cpu"])
        if "rng.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["rng.cuda"])


def _under(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put `name` and a dot before every tensor's name."""
    return {f"{name}.{n}": x for n, x in tensors.items()}


class Best:
    """The trained tensors and the masks at the best score so far; of equal scores the earliest counts."""

    def __init__(self, trained: dict[str, Tensor], net: SubNetwork) -> None:
        self.trained, self.net = trained, net
        self.score, self.step = -math.inf, 0
        self.state: dict[str, Tensor] = {}
        self.masks: dict[str, Tensor] = {}

    def offer(self, score: float, step: int) -> None:
        """Copy the tensors and the network's masks if `score` beats every earlier one."""
        if score > self.score:
            self.score, self.step = score, step
            self.state = {n: x.detach().to("cpu", copy=True) for n, x in self.trained.items()}
            self.masks = {n: m.detach().to("cpu", copy=True) for n, m in self.net.masks.items()}

    def restore(self) -> int:
        """Restore the best state and its masks; return its step."""
        device = next(self.net.parameters()).device
        with torch.no_grad():
            for name, tensor in self.trained.items():
                tensor.copy_(self.state[name])
        self.net.masks = {n: m.to(device) for n, m in self.masks.items()}
        return self.step
