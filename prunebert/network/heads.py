"""Heads turn hidden states into a task's logits. Which one a task gets, and those that the checkpoint has."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from prunebert.choices import HEADS
from prunebert.errors import BadInput, bad_choice
from prunebert.network import masked_lm
from prunebert.network.interface import IGNORED, Batch, Form
from prunebert.network.models import Model
from prunebert.network.new_heads import Choice, Classes, EveryToken, LayerMix
from prunebert.network.stages import attach
from prunebert.network.words import ids_inside


class LabelWords(nn.Module):
    """Label words, scored by the model's own masked-LM head at [CLS]: logit_y = decode(transform(h_[CLS]))_y.

    SMP's paper (§4.2) writes a bare dot product of h_[CLS] and the word's embedding. Its released code runs the whole
    masked-LM head: dense, activation, LayerNorm, then the tied decoder's rows and bias. This head follows the code.
    It adds no template and no [MASK]. Nothing in it is new: a method that freezes its weights freezes this head too.
    """

    kind = "label_words"
    pretrained = True
    needs = ()
    pooled = False

    def __init__(self, model: Model, words: list[str] | None) -> None:
        super().__init__()
        stock: Any = model.masked_lm()
        weight, bias = masked_lm.decoder(stock)
        ids = torch.tensor(word_ids(model, words)) if words else torch.arange(len(weight))
        if words and int(ids.max()) >= len(weight):
            raise BadInput(
                f"task.label_words: {words[int(ids.argmax())]!r} is token {int(ids.max())}, and the masked-LM head of "
                f"{model.name} has {len(weight)} words; choose another word"
            )
        self._stages = masked_lm.stages(stock, model.family)
        for path, stage in self._stages:
            if isinstance(stage, nn.Module) and path:
                attach(self, path, stage)
        self.words = nn.Parameter(weight.detach()[ids].clone())  # [labels, width]
        self.bias = None if bias is None else nn.Parameter(bias.detach()[ids].clone())
        self.last = ("words",) if bias is None else ("words", "bias")

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """Return [batch, words] from the encoder's output."""
        return self._decode(encoded.last_hidden_state[:, 0])

    def _decode(self, h: Tensor) -> Tensor:
        for path, stage in self._stages:
            h = self.get_submodule(path)(h) if path else stage(h)
        return linear(h, self.words, self.bias)


class SpanWords(LabelWords):
    """Two label words, scored at every token, for an answer's start and end (SMP on SQuAD: start = Yes, end = No)."""

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """Return [batch, length, 2]."""
        return self._decode(encoded.last_hidden_state)


class MaskedLM(LabelWords):
    """The model's whole masked-LM head at the target tokens: every word of the vocabulary is a label word.

    The decoder is a copy and not tied to the word embeddings. A mask over the embeddings leaves it whole, as in TAMT's
    code.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model, None)

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """Return [target tokens, vocabulary]."""
        return self._decode(encoded.last_hidden_state[batch.labels != IGNORED])


class States(nn.Module):
    """No head, for tasks that read hidden states only. It has no parameters; its logits are [CLS]'s last state."""

    kind = "states"
    pretrained = True
    needs = ("hidden",)
    pooled = False

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """Return [batch, width]."""
        cls: Tensor = encoded.last_hidden_state[:, 0]
        return cls


def word_id(model: Model, word: str) -> int:
    """Return the vocabulary index of a label word, as it is inside a text.

    Raises BadInput if the word is not one token.
    """
    ids = ids_inside(model.tokenizer, word)
    if len(ids) == 1 and ids[0] in model.tokenizer.all_special_ids:
        token = model.tokenizer.convert_ids_to_tokens(ids[0])
        raise BadInput(f"task.label_words: {word!r} is the special token {token} in {model.name}; choose another word")
    if len(ids) != 1:
        raise BadInput(
            f"task.label_words: {word!r} is not one token of {model.name}'s vocabulary (it has {len(ids)} tokens); "
            f"choose another word{_such_as(model, word)}"
        )
    return ids[0]


def _such_as(model: Model, word: str) -> str:
    """Return ", such as 'Good'" if the word is one token in another case, else ""."""
    for other in dict.fromkeys((word.lower(), word.capitalize(), word.upper())):
        ids = ids_inside(model.tokenizer, other)
        if len(ids) == 1 and ids[0] not in model.tokenizer.all_special_ids:
            return f", such as {other!r}"
    return ""


def word_ids(model: Model, words: list[str]) -> list[int]:
    """Return the vocabulary indices of label words. Raises BadInput if two are one token, as their scores are equal."""
    ids = [word_id(model, word) for word in words]
    for i, (word, token) in enumerate(zip(words, ids, strict=True)):
        if token in ids[:i]:
            raise BadInput(
                f"task.label_words: {words[ids.index(token)]!r} and {word!r} are the same token "
                f"{model.tokenizer.convert_ids_to_tokens(token)!r} of {model.name}, so their scores are always equal; "
                "choose other words"
            )
    return ids


def build(kind: str, model: Model, task: Form) -> nn.Module:
    """Make the head of a task.

    Args:
        kind: which head.
            "linear": a new head, as in the stock classes.
            "label_words": the model's own masked-LM head.
            "layer_mix": a new head, AbP's.
            "states": no head. For a masked-LM task that reads hidden states only; method.head does not allow it.
        task: the task's form. A masked-LM task always gets the model's own masked-LM head, or "states".

    Raises BadInput for an unknown kind, a task for which the family has no head, and label words that do not match the
    task's outputs.
    """
    if kind == "states" and task.masked_lm:
        return States()
    if kind not in HEADS:
        raise bad_choice("method.head", kind, HEADS)
    if task.masked_lm:
        return MaskedLM(model)
    if kind == "layer_mix":
        outputs = 1 if task.choices else 2 if task.span else task.outputs
        return LayerMix(model, outputs, task.every_token)
    if kind == "linear":
        return _linear(model, task)
    if task.tokens or task.choices:
        raise BadInput(f"method.head=label_words: task={task.name} {task.outputs_named()}; use method.head=linear")
    if not task.label_words or len(task.label_words) != task.outputs:
        raise BadInput(
            f"method.head=label_words: the task needs task.label_words, {task.outputs} words, one for each output "
            f"(given: {task.label_words or 'none'}); or use method.head=linear"
        )
    return (SpanWords if task.span else LabelWords)(model, task.label_words)


def _linear(model: Model, task: Form) -> nn.Module:
    if task.choices:
        return Choice(model)
    if task.tokens:
        return EveryToken(model, model.family.tokens, task.outputs)
    if not task.span:
        return Classes(model, task.outputs)
    if not model.family.spans:
        raise BadInput(
            f"task={task.name}: transformers has no head for answers on a {model.config.model_type}; use another "
            "model, such as model=bert-base, or a task over texts"
        )
    return EveryToken(model, model.family.spans, 2)


class Mapped(nn.Module):
    """A head's prediction as a class of another task. The logits are 1 for the class that is meant, and 0 for others.

    The prediction is the arg max over the head's own classes. It is mapped afterwards, so probabilities of classes that
    mean the same are never added (McCoy et al. 2019, HANS).
    """

    def __init__(self, head: Any, targets: list[int], outputs: int) -> None:
        """Wrap a head of len(targets) classes; class i means class targets[i] of `outputs` classes."""
        super().__init__()
        self.head, self.outputs = head, outputs
        self.kind, self.pretrained, self.needs, self.pooled = head.kind, head.pretrained, head.needs, head.pooled
        self.register_buffer("targets", torch.tensor(targets), persistent=False)

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """Return [batch, outputs]. A logit that is not finite gives NaN, because its arg max means nothing."""
        logits = self.head(encoded, batch).float()
        targets: Any = self.targets
        meant = nn.functional.one_hot(targets[logits.argmax(-1)], self.outputs).float()
        return meant.masked_fill(~torch.isfinite(logits).all(-1, keepdim=True), float("nan"))


def reordered(head: Any, order: list[int]) -> nn.Module:
    """Return a copy of a head with its outputs in another order: output i is the old output order[i]."""
    copy = deepcopy(head)
    with torch.no_grad():
        for name in head.last:  # the parameters that have one row for each output
            copy.get_parameter(name).copy_(head.get_parameter(name)[order])
    return copy
