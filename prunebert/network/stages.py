"""The stages of a head: what happens to a hidden state on its way to the logits, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, relu

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": relu, "gelu": gelu}


@dataclass(frozen=True)
class Dense:
    """A linear layer, or in a masked-LM head a module of the checkpoint, under the stock class's name.

    Attributes:
        path: its name.
        bias: the configuration's key that says whether it has a bias; "" if it always has one.
        kept: the stock class takes its weights from the checkpoint where it holds them.
    """

    path: str
    bias: str = ""
    kept: bool = False


@dataclass(frozen=True)
class Norm:
    """A layer norm under the stock class's name."""

    path: str
    kept: bool = False


@dataclass(frozen=True)
class Act:
    """An activation: one of ACTIVATIONS, or with `key` the one that the configuration names."""

    name: str = ""
    key: str = ""

    def function(self, config: Any) -> Callable[[Tensor], Tensor]:
        """Return the activation."""
        if not self.key:
            return ACTIVATIONS[self.name]
        from transformers.activations import ACT2FN

        found: Callable[[Tensor], Tensor] = ACT2FN[getattr(config, self.key)]
        return found


@dataclass(frozen=True)
class Drop:
    """Dropout. Its rate is the first of these keys of the configuration that has a value; 0 if none has."""

    keys: tuple[str, ...]

    def module(self, config: Any) -> nn.Dropout:
        """Return the layer."""
        rates = [getattr(config, key, None) for key in self.keys]
        return nn.Dropout(next((rate for rate in rates if rate is not None), 0.0))


Stage = Dense | Norm | Act | Drop
Stages = tuple[Stage, ...]
Initial = Callable[[nn.Linear, Any, bool], None]  # draws a layer's weights: (layer, config, whether it is the last one)


def normal(layer: nn.Linear, config: Any, last: bool) -> None:
    """Draw weights from a normal distribution of the configuration's initializer_range; biases are 0."""
    nn.init.normal_(layer.weight, std=config.initializer_range)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def attach(root: nn.Module, path: str, module: nn.Module) -> str:
    """Attach `module` to `root` under a dotted path, which gives its parameters the stock names. Returns the path."""
    *parents, name_in_parent = path.split(".")
    for name in parents:
        if name not in root._modules:
            root.add_module(name, nn.Module())
        root = root.get_submodule(name)
    root.add_module(name_in_parent, module)
    return path
