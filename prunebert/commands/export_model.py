"""Build the stock transformers model that computes the same as a run's network, with θ ⊙ M as its weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from prunebert.errors import BadInput
from prunebert.network import fused, masked_lm
from prunebert.network.heads import word_id
from prunebert.runs.load import Loaded


def auto_class(run: Loaded) -> str:
    """Return the name of the AutoModel… class.

    A label-words head is the masked-LM head, which only AutoModelForMaskedLM has. No stock class has AbP's head on all
    layers' [CLS], so only the encoder is exported with it.
    """
    kind = run.net.kind_of(run.head)
    if kind == "label_words":
        return "AutoModelForMaskedLM"
    if kind == "layer_mix":
        return "AutoModel"
    if run.form.tokens:
        return "AutoModelForTokenClassification"
    if run.form.choices:
        return _choice_class(run.net.model.config)
    return "AutoModelForQuestionAnswering" if run.form.span else "AutoModelForSequenceClassification"


def _choice_class(config: Any) -> str:
    """Return the AutoModel… class that scores choices as a new head does.

    A new head for choices is the family's classification head with one output. Some families have other layers in their
    …ForMultipleChoice, such as RoBERTa a pooler that its classification head does not read.
    """
    import transformers

    if type(config) not in transformers.MODEL_FOR_MULTIPLE_CHOICE_MAPPING:
        return "AutoModelForSequenceClassification"
    config = copy.deepcopy(config)
    config.num_labels = 1
    with torch.device("meta"):
        classes = (transformers.AutoModelForMultipleChoice, transformers.AutoModelForSequenceClassification)
        choosing, scoring = ({n: x.shape for n, x in c.from_config(config).named_parameters()} for c in classes)
    return "AutoModelForMultipleChoice" if choosing == scoring else "AutoModelForSequenceClassification"


def encoder_weights(run: Loaded, masked: bool = True) -> dict[str, Tensor]:
    """Return θ ⊙ M of the encoder by its stock class's names, or the dense θ if not `masked`."""
    weights = {n: p.detach() for n, p in run.net.parameters_of().items()} | run.theta
    products = {n: x * run.masks[n] if masked and n in run.masks else x for n, x in weights.items()}
    return fused.joined(products, run.net.model.family)


def stock(run: Loaded, masked: bool = True) -> Any:
    """Return an instance of `auto_class`, in evaluation mode on the CPU."""
    name, config = auto_class(run), _config(run)
    state = {n: x.cpu() for n, x in encoder_weights(run, masked).items()}
    if name == "AutoModel":
        encoder = _new(name, run, config, run.net.model.family.load)
        return _fill(encoder, {n.removeprefix(run.net.prefix): x for n, x in state.items()})
    if name == "AutoModelForMaskedLM":
        return _masked_lm(run, config, state)
    model = _new(name, run, config)
    return _fill(model, state | {n: p.detach().cpu() for n, p in run.net.heads[run.head].named_parameters()})


def _config(run: Loaded) -> Any:
    """Return the configuration of the exported model: the checkpoint's network, and the run's task.

    Nothing of the task that the checkpoint was trained on before is left, because stock classes and pipelines read it.
    """
    config = copy.deepcopy(run.net.model.config)
    config.architectures = None  # save_pretrained sets it
    name = auto_class(run)
    if run.form.choices:
        config.num_labels, config.problem_type = 1, None  # one score for each choice
    elif name in ("AutoModelForSequenceClassification", "AutoModelForTokenClassification"):
        config.num_labels = run.form.outputs
        if name == "AutoModelForSequenceClassification":
            several = "multi_label_classification" if run.form.multilabel else "single_label_classification"
            config.problem_type = "regression" if run.form.regression else several
        if not run.form.regression:
            config.id2label = dict(enumerate(run.form.labels))
            config.label2id = {label: i for i, label in enumerate(run.form.labels)}
    return config


def word_ids(run: Loaded) -> list[int]:
    """Return the vocabulary indices of a label-words head.

    The list is empty for other heads, and for a masked-LM task, whose head has the whole vocabulary.
    """
    if run.form.masked_lm or run.net.kind_of(run.head) != "label_words":
        return []
    return [word_id(run.net.model, word) for word in run.form.label_words or []]


def _masked_lm(run: Loaded, config: Any, state: dict[str, Tensor]) -> Any:
    """Return the checkpoint's own masked-LM model with the run's encoder and head.

    Its decoder is no longer tied to the word embeddings if the run's mask, training or head has made the two differ.
    """
    source: Any = run.net.model.masked_lm()
    dense, dense_bias = masked_lm.decoder(source)
    embeddings = run.net.prefix + run.net.model.family.embeddings
    head: dict[str, Tensor] = {n: p.detach().cpu() for n, p in run.net.heads[run.head].named_parameters()}
    words, bias, ids = head.pop("words"), head.pop("bias", None), word_ids(run) or list(range(len(dense)))
    weight = dense.detach().clone()
    weight[ids] = words
    if not torch.equal(weight[ids], words):
        raise BadInput(
            "two label words are the same word but were trained to different weights; no stock class can represent that"
        )
    config.tie_word_embeddings = bool(config.tie_word_embeddings) and torch.equal(weight, state[embeddings])
    checkpoint = source.state_dict()
    decoders = [n for n, x in checkpoint.items() if x.data_ptr() == dense.data_ptr() and n != embeddings]
    if not decoders and not torch.equal(weight, state[embeddings]):
        raise BadInput(
            f"model {run.net.model.name}: its masked-LM head reads the word embeddings themselves (legacy=false), and "
            "the run has changed one of both; no stock class can represent that"
        )
    decoder_state = dict.fromkeys(decoders, weight)
    if bias is not None and dense_bias is not None:
        all_biases = dense_bias.detach().clone()
        all_biases[ids] = bias
        same = [n for n, x in checkpoint.items() if x.data_ptr() == dense_bias.data_ptr()]  # BERT's has two names
        decoder_state |= dict.fromkeys(same, all_biases)
    return _fill(_new("AutoModelForMaskedLM", run, config), checkpoint | state | head | decoder_state)


def _new(name: str, run: Loaded, config: Any, arguments: dict[str, Any] | None = None) -> Any:
    """Return a new stock model of this class."""
    import transformers

    attention = run.net.model.family.attention
    return getattr(transformers, name).from_config(config, attn_implementation=attention, **(arguments or {}))


def _fill(model: nn.Module, state: dict[str, Tensor]) -> Any:
    """Load `state` into `model`. Weights that the model lacks, as a pooler that nothing reads, are left out."""
    model.load_state_dict({n: state[n] for n in model.state_dict()})
    return model.eval()
