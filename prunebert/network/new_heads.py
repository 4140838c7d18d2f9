"""New heads: what trains from nothing. Their parameters have the names of the stock transformers classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from prunebert.network.interface import Batch
from prunebert.network.models import Model
from prunebert.network.stages import Act, Dense, Drop, Norm, Stages, attach

MEANS = ("mean", "late")  # over all tokens: of their states, or of their logits


class Classes(nn.Module):
    """The family's own classification head, as in its `…ForSequenceClassification`. Its stages are in families.py.

    It reads the first token's state, the pooler's output (`pooled` is true), the mean of all tokens' states, or every
    token's state, and then the mean of their logits. The family or the configuration's classifier_pooling decides.
    """

    kind = "linear"
    pretrained = False
    needs = ()

    def __init__(self, model: Model, outputs: int) -> None:
        super().__init__()
        family = model.family
        self.pooling = model.config.classifier_pooling if family.pooling == "configuration" else family.pooling
        self.pooled = self.pooling == "pooler"
        self._stages = _new(self, family.classes, model, outputs)
        self.last = _last(self, family.classes)

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """Return [batch, outputs] from the encoder's output."""
        if self.pooled:
            return _run(self._stages, encoded.pooler_output)
        h = encoded.last_hidden_state
        if self.pooling not in MEANS:
            return _run(self._stages, h[:, 0])
        real = batch.inputs["attention_mask"].unsqueeze(-1)
        if self.pooling == "late":
            return (_run(self._stages, h) * real).sum(1) / real.sum(1)
        return _run(self._stages, (h * real).sum(1) / real.sum(1))


class Choice(Classes):
    """The family's classification head with one output for each of a question's choices.

    The rows of the batch's inputs are the choices of the first question, then those of the second, and so on.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model, 1)

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """Return [batch, choices] from the encoder's output."""
        return super().forward(encoded, batch).view(len(batch.rows), -1)


class EveryToken(nn.Module):
    """A new head on every token's state: the family's own stages for labels of tokens, or for answers.

    They are those of its `…ForTokenClassification` and `…ForQuestionAnswering`.
    """

    kind = "linear"
    pretrained = False
    needs = ()
    pooled = False

    def __init__(self, model: Model, stages: Stages, outputs: int) -> None:
        super().__init__()
        self._stages = _new(self, stages, model, outputs)
        self.last = _last(self, stages)

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """Return [batch, length, outputs]."""
        return _run(self._stages, encoded.last_hidden_state)


class LayerMix(nn.Module):
    """AbP's head (§3 of its paper): one hidden ReLU layer on a learned weighted average of every layer's [CLS].

    For spans and labels of tokens it averages every layer's token instead of [CLS]. The hidden layer has the encoder's
    width. The average's weights are softmax(mix), equal at first [U]. The embeddings' output is not among the layers,
    because its [CLS] is the same for every text [U].
    """

    kind = "layer_mix"
    pretrained = False
    needs = ("hidden",)
    pooled = False
    last = ("out.weight", "out.bias")

    def __init__(self, model: Model, outputs: int, every_token: bool) -> None:
        super().__init__()
        width = model.config.hidden_size
        self.every_token = every_token
        self.mix = nn.Parameter(torch.zeros(model.config.num_hidden_layers))
        self.hidden, self.out = _new_linear(width, width, model), _new_linear(width, outputs, model)

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """Return [batch, outputs], or [batch, length, outputs] for every token."""
        layers = [h if self.every_token else h[:, 0] for h in encoded.hidden_states[1:]]
        logits = self.out(relu(self.hidden(torch.einsum("l,l...->...", self.mix.softmax(0), torch.stack(layers)))))
        return logits.view(len(batch.rows), *logits.shape[1:]) if self.every_token else logits.view(len(batch.rows), -1)


def _new(head: nn.Module, stages: Stages, model: Model, outputs: int) -> list[Callable[[Tensor], Tensor]]:
    """Make a head's stages and attach those with parameters to `head`, under their stock names."""
    config, width = model.config, model.config.hidden_size
    made: list[Callable[[Tensor], Tensor]] = []
    for index, stage in enumerate(stages):
        if isinstance(stage, Act):
            made.append(stage.function(config))
            continue
        if isinstance(stage, Drop):
            module: nn.Module = stage.module(config)
            head.add_module(f"dropout_{index}", module)
        elif isinstance(stage, Norm):
            module = nn.LayerNorm(width, eps=config.norm_eps, bias=config.norm_bias)
        else:
            last = stage == stages[-1]
            bias = getattr(config, stage.bias) if stage.bias else True
            module = nn.Linear(width, outputs if last else width, bias=bias)
            model.family.initial(module, config, last)
        if isinstance(stage, Dense | Norm):
            attach(head, stage.path, module)
            if stage.kept:
                _keep(module, stage.path, model)
        made.append(module)
    return made


def _keep(module: nn.Module, path: str, model: Model) -> None:
    """Give a new module the checkpoint's weights, if it holds some under this name."""
    found = model.head_tensors(path)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name in found:
                parameter.copy_(found[name])


def _run(stages: list[Callable[[Tensor], Tensor]], h: Tensor) -> Tensor:
    for stage in stages:
        h = stage(h)
    return h


def _last(head: nn.Module, stages: Stages) -> tuple[str, ...]:
    """Return the names of the parameters that have one row for each output."""
    path = next(stage.path for stage in reversed(stages) if isinstance(stage, Dense))
    return tuple(f"{path}.{name}" for name, _ in head.get_submodule(path).named_parameters())


def _new_linear(width: int, outputs: int, model: Model) -> nn.Linear:
    """Make a linear layer with the family's initialisation."""
    layer = nn.Linear(width, outputs)
    model.family.initial(layer, model.config, False)
    return layer
