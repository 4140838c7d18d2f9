"""Heads: from hidden states to a task's logits. Parameters carry the names of the stock transformers classes."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, relu

from prunebert.choices import HEADS
from prunebert.errors import BadInput, bad_choice
from prunebert.network.interface import IGNORED, Batch, Form
from prunebert.network.models import Model

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "gelu": gelu}


class Linear(nn.Module):
    """The family's own classification head on [CLS], as its `…ForSequenceClassification` has it.

    BERT: dropout, linear, on the pooler's output (`pooled`). The others: dropout (not DistilBERT), linear, activation,
    dropout, linear.
    """

    kind = "linear"
    pretrained = False
    needs = ()

    def __init__(self, model: Model, outputs: int) -> None:
        super().__init__()
        width = model.config.hidden_size
        hidden, activation, out = model.family.head
        self.pooled = not hidden
        rate = getattr(model.config, "classifier_dropout", None)
        self.dropout = nn.Dropout(getattr(model.config, model.family.dropout) if rate is None else rate)
        self._first = model.family.dropout_first
        self._activation = ACTIVATIONS[activation] if hidden else None
        self._hidden = _place(self, hidden, _new(width, width, model)) if hidden else ""
        self._out = _place(self, out, _new(width, outputs, model))
        self.last = (f"{out}.weight", f"{out}.bias")

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """[batch, outputs] from the encoder's output."""
        if self._activation is None:
            cls = encoded.pooler_output
        else:
            cls = encoded.last_hidden_state[:, 0]
            cls = self.dropout(cls) if self._first else cls
            cls = self._activation(self.get_submodule(self._hidden)(cls))
        return self.get_submodule(self._out)(self.dropout(cls))


class LabelWords(nn.Module):
    """Label words through the model's own masked-LM head, read at [CLS]: logit_y = decode(transform(h_[CLS]))_y.

    SMP, §4.2 of its paper, writes a bare dot product of h_[CLS] and the word's embedding; its released code runs the
    whole masked-LM head first (dense, activation, LayerNorm; then the tied decoder's rows and bias), as here. No
    template and no [MASK] is added. Nothing in it is new, so a method that freezes its weights freezes this too.
    """

    kind = "label_words"
    pretrained = True
    needs = ()
    pooled = False
    last = ("words", "bias")

    def __init__(self, model: Model, words: list[str] | None) -> None:
        super().__init__()
        stock: Any = model.masked_lm()
        decoder = stock.get_output_embeddings()
        ids = torch.tensor([word_id(model, word) for word in words]) if words else torch.arange(len(decoder.bias))
        self._stages = [
            stage if stage in ACTIVATIONS else _place(self, stage, stock.get_submodule(stage))
            for stage in model.family.mlm
        ]
        self.words = nn.Parameter(decoder.weight.detach()[ids].clone())  # [labels, width]
        self.bias = nn.Parameter(decoder.bias.detach()[ids].clone())

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """[batch, words] from the encoder's output."""
        return self._decode(encoded.last_hidden_state[:, 0])

    def _decode(self, h: Tensor) -> Tensor:
        for stage in self._stages:
            h = ACTIVATIONS[stage](h) if stage in ACTIVATIONS else self.get_submodule(stage)(h)
        return linear(h, self.words, self.bias)


class SpanWords(LabelWords):
    """Start and end of an answer as two label words read at every token (SMP on SQuAD: start = Yes, end = No)."""

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """[batch, length, 2]."""
        return self._decode(encoded.last_hidden_state)


class MaskedLM(LabelWords):
    """The model's whole masked-LM head at the tokens asked for: every word of the vocabulary is a label word.

    The decoder is a copy, no longer tied to the word embeddings: a mask over these leaves it whole, as in TAMT's code.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model, None)

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """[tokens asked, vocabulary]."""
        return self._decode(encoded.last_hidden_state[batch.labels != IGNORED])


class States(nn.Module):
    """No head: hidden states are what is read, and nothing in it is trained. The logits are [CLS]'s last state."""

    kind = "states"
    pretrained = True
    needs = ("hidden",)
    pooled = False

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """[batch, width]."""
        cls: Tensor = encoded.last_hidden_state[:, 0]
        return cls


class Span(nn.Module):
    """Start and end logits of every token, as `…ForQuestionAnswering` has it."""

    kind = "linear"
    pretrained = False
    needs = ()
    pooled = False

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.dropout = nn.Dropout(getattr(model.config, "qa_dropout", 0.0))  # DistilBERT's
        self.qa_outputs = _new(model.config.hidden_size, 2, model)

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """[batch, length, 2]."""
        return self.qa_outputs(self.dropout(encoded.last_hidden_state))


class LayerMix(nn.Module):
    """AbP's head (its §3): a network with one hidden ReLU layer, of the encoder's width, on a learned weighted average
    of every layer's [CLS]; for spans, of every layer's token. The weights are softmax(mix), equal at first [U]; the
    embeddings' output is not among the layers, as [CLS] is the same there for every text [U].
    """

    kind = "layer_mix"
    pretrained = False
    needs = ("hidden",)
    pooled = False
    last = ("out.weight", "out.bias")

    def __init__(self, model: Model, outputs: int, span: bool) -> None:
        super().__init__()
        width = model.config.hidden_size
        self.span = span
        self.mix = nn.Parameter(torch.zeros(model.config.num_hidden_layers))
        self.hidden, self.out = _new(width, width, model), _new(width, outputs, model)

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """[batch, outputs], or [batch, length, 2] for spans."""
        layers = [h if self.span else h[:, 0] for h in encoded.hidden_states[1:]]
        return self.out(relu(self.hidden(torch.einsum("l,l...->...", self.mix.softmax(0), torch.stack(layers)))))


def word_id(model: Model, word: str) -> int:
    """The vocabulary index of a label word (for RoBERTa, after a space). Raises BadInput if it is not one token."""
    text = f" {word}" if model.family.prefix == "roberta" else word
    ids = model.tokenizer.encode(text, add_special_tokens=False)
    if len(ids) != 1 or ids[0] == model.tokenizer.unk_token_id:
        raise BadInput(
            f"task.label_words: {word!r} is not one token of {model.name}'s vocabulary but {len(ids)}; choose another"
        )
    return ids[0]


def build(kind: str, model: Model, task: Form) -> nn.Module:
    """The head of a task. `kind`: "linear", new, as the stock classes have it; "label_words", the model's own masked-LM
    head; "layer_mix", new, AbP's. A masked-LM task is always read through the model's own head, or where only hidden
    states are wanted through none ("states", which is not for method.head).
    """
    if kind == "states" and task.masked_lm:
        return States()
    if kind not in HEADS:
        raise bad_choice("method.head", kind, HEADS)
    if task.masked_lm:
        return MaskedLM(model)
    if kind == "layer_mix":
        return LayerMix(model, 2 if task.span else task.outputs, task.span)
    if kind == "linear":
        return Span(model) if task.span else Linear(model, task.outputs)
    if not task.label_words or len(task.label_words) != task.outputs:
        raise BadInput(
            f"method.head=label_words: the task needs task.label_words, {task.outputs} of them, one for each output "
            f"({task.label_words or 'none'} given); or use method.head=linear"
        )
    return (SpanWords if task.span else LabelWords)(model, task.label_words)


def reordered(head: Any, order: list[int]) -> nn.Module:
    """A copy whose output i is the old one's order[i]."""
    copy = deepcopy(head)
    with torch.no_grad():
        for name in head.last:  # the parameters with a row an output
            copy.get_parameter(name).copy_(head.get_parameter(name)[order])
    return copy


def _new(width: int, outputs: int, model: Model) -> nn.Linear:
    """A linear layer as the family initialises its own: normal weights, zero biases."""
    layer = nn.Linear(width, outputs)
    nn.init.normal_(layer.weight, std=model.config.initializer_range)
    nn.init.zeros_(layer.bias)
    return layer


def _place(root: nn.Module, path: str, module: nn.Module) -> str:
    """Put `module` under a dotted `path`, so that its parameters get the stock names. Returns the path."""
    *parents, last = path.split(".")
    for name in parents:
        if name not in root._modules:
            root.add_module(name, nn.Module())
        root = root.get_submodule(name)
    root.add_module(last, module)
    return path
