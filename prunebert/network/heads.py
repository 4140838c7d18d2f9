"""Heads turn hidden states into a task's logits. Their parameters have the names of the stock transformers classes."""

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
    """The family's own classification head on [CLS], as in its `…ForSequenceClassification`.

    BERT: dropout and linear, on the pooler's output (`pooled` is true).
    The other families: dropout (not DistilBERT), linear, activation, dropout, linear.
    """

    kind = "linear"
    pretrained = False
    needs = ()

    def __init__(self, model: Model, outputs: int) -> None:
        super().__init__()
        width = model.config.hidden_size
        hidden, activation, out = model.family.head
        self.pooled = not hidden
        rates = [getattr(model.config, name, None) for name in model.family.dropout]
        self.dropout = nn.Dropout(next(rate for rate in rates if rate is not None))
        self._dropout_first = model.family.dropout_first
        self._activation = ACTIVATIONS[activation] if hidden else None
        self._hidden = _attach(self, hidden, _new_linear(width, width, model)) if hidden else ""
        self._out = _attach(self, out, _new_linear(width, outputs, model))
        self.last = (f"{out}.weight", f"{out}.bias")

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """Return [batch, outputs] from the encoder's output."""
        if self._activation is None:
            cls = encoded.pooler_output
        else:
            cls = encoded.last_hidden_state[:, 0]
            cls = self.dropout(cls) if self._dropout_first else cls
            cls = self._activation(self.get_submodule(self._hidden)(cls))
        return self.get_submodule(self._out)(self.dropout(cls))


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
    last = ("words", "bias")

    def __init__(self, model: Model, words: list[str] | None) -> None:
        super().__init__()
        stock: Any = model.masked_lm()
        decoder = stock.get_output_embeddings()
        ids = torch.tensor(word_ids(model, words)) if words else torch.arange(len(decoder.bias))
        if words and int(ids.max()) >= len(decoder.bias):
            raise BadInput(
                f"task.label_words: {words[int(ids.argmax())]!r} is token {int(ids.max())}, and the masked-LM head of "
                f"{model.name} has {len(decoder.bias)} words; choose another word"
            )
        self._stages = [
            stage if stage in ACTIVATIONS else _attach(self, stage, stock.get_submodule(stage))
            for stage in model.family.mlm
        ]
        self.words = nn.Parameter(decoder.weight.detach()[ids].clone())  # [labels, width]
        self.bias = nn.Parameter(decoder.bias.detach()[ids].clone())

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """Return [batch, words] from the encoder's output."""
        return self._decode(encoded.last_hidden_state[:, 0])

    def _decode(self, h: Tensor) -> Tensor:
        for stage in self._stages:
            h = ACTIVATIONS[stage](h) if stage in ACTIVATIONS else self.get_submodule(stage)(h)
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


class Span(nn.Module):
    """Start and end logits of every token, as in the family's `…ForQuestionAnswering`."""

    kind = "linear"
    pretrained = False
    needs = ()
    pooled = False

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.dropout = nn.Dropout(getattr(model.config, "qa_dropout", 0.0))  # only DistilBERT has one
        self.qa_outputs = _new_linear(model.config.hidden_size, 2, model)

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """Return [batch, length, 2]."""
        return self.qa_outputs(self.dropout(encoded.last_hidden_state))


class LayerMix(nn.Module):
    """AbP's head (§3 of its paper): one hidden ReLU layer on a learned weighted average of every layer's [CLS].

    For spans it averages every layer's token instead of [CLS]. The hidden layer has the encoder's width.
    The average's weights are softmax(mix), equal at first [U]. The embeddings' output is not among the layers, because
    its [CLS] is the same for every text [U].
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
        self.hidden, self.out = _new_linear(width, width, model), _new_linear(width, outputs, model)

    def forward(self, encoded: Any, batch: Batch) -> Tensor:
        """Return [batch, outputs], or [batch, length, 2] for spans."""
        layers = [h if self.span else h[:, 0] for h in encoded.hidden_states[1:]]
        return self.out(relu(self.hidden(torch.einsum("l,l...->...", self.mix.softmax(0), torch.stack(layers)))))


def word_id(model: Model, word: str) -> int:
    """Return the vocabulary index of a label word, for RoBERTa after a space.

    Raises BadInput if the word is not one token.
    """
    text = f" {word}" if model.family.prefix == "roberta" else word
    ids = model.tokenizer.encode(text, add_special_tokens=False)
    if len(ids) == 1 and ids[0] in model.tokenizer.all_special_ids:
        token = model.tokenizer.convert_ids_to_tokens(ids[0])
        raise BadInput(f"task.label_words: {word!r} is the special token {token} in {model.name}; choose another word")
    if len(ids) != 1:
        raise BadInput(
            f"task.label_words: {word!r} is not one token of {model.name}'s vocabulary (it has {len(ids)} tokens); "
            "choose another word"
        )
    return ids[0]


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

    Raises BadInput for an unknown kind, and for label words that do not match the task's outputs.
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
            f"method.head=label_words: the task needs task.label_words, {task.outputs} words, one for each output "
            f"(given: {task.label_words or 'none'}); or use method.head=linear"
        )
    return (SpanWords if task.span else LabelWords)(model, task.label_words)


def reordered(head: Any, order: list[int]) -> nn.Module:
    """Return a copy of a head with its outputs in another order: output i is the old output order[i]."""
    copy = deepcopy(head)
    with torch.no_grad():
        for name in head.last:  # the parameters that have one row for each output
            copy.get_parameter(name).copy_(head.get_parameter(name)[order])
    return copy


def _new_linear(width: int, outputs: int, model: Model) -> nn.Linear:
    """Make a linear layer with the family's initialisation: normal weights, zero biases."""
    layer = nn.Linear(width, outputs)
    nn.init.normal_(layer.weight, std=model.config.initializer_range)
    nn.init.zeros_(layer.bias)
    return layer


def _attach(root: nn.Module, path: str, module: nn.Module) -> str:
    """Attach `module` to `root` under a dotted path, which gives its parameters the stock names. Returns the path."""
    *parents, name_in_parent = path.split(".")
    for name in parents:
        if name not in root._modules:
            root.add_module(name, nn.Module())
        root = root.get_submodule(name)
    root.add_module(name_in_parent, module)
    return path
