"""Build the stock transformers model that computes the same as a run's network, with θ ⊙ M as its weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from prunebert.errors import BadInput
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
    return "AutoModelForQuestionAnswering" if run.form.span else "AutoModelForSequenceClassification"


def encoder_weights(run: Loaded, masked: bool = True) -> dict[str, Tensor]:
    """Return θ ⊙ M of the encoder by full name, or the dense θ if not `masked`."""
    weights = {n: p.detach() for n, p in run.net.parameters_of().items()} | run.theta
    return {n: x * run.masks[n] if masked and n in run.masks else x for n, x in weights.items()}


def stock(run: Loaded, masked: bool = True) -> Any:
    """Return an instance of `auto_class`, in evaluation mode on the CPU."""
    import transformers

    name, config = auto_class(run), _config(run)
    state = {n: x.cpu() for n, x in encoder_weights(run, masked).items()}
    if name == "AutoModel":
        encoder = copy.deepcopy(run.net.encoder).cpu()
        encoder.config = config
        encoder.load_state_dict({n.removeprefix(run.net.prefix): x for n, x in state.items()})
        return encoder.eval()
    if name == "AutoModelForMaskedLM":
        return _masked_lm(run, config, state)
    model = getattr(transformers, name).from_config(config)
    return _fill(model, state | {n: p.detach().cpu() for n, p in run.net.heads[run.head].named_parameters()})


def _config(run: Loaded) -> Any:
    """Return the configuration of the exported model: the checkpoint's network, and the run's task.

    Nothing of the task that the checkpoint was trained on before is left, because stock classes and pipelines read it.
    """
    config = copy.deepcopy(run.net.model.config)
    config.architectures = None  # save_pretrained sets it
    if auto_class(run) == "AutoModelForSequenceClassification":
        config.num_labels = run.form.outputs
        config.problem_type = "regression" if run.form.regression else "single_label_classification"
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
    import transformers

    source: Any = run.net.model.masked_lm()
    decoder, embeddings = source.get_output_embeddings(), run.net.prefix + run.net.model.family.embeddings
    head: dict[str, Tensor] = {n: p.detach().cpu() for n, p in run.net.heads[run.head].named_parameters()}
    words, bias, ids = head.pop("words"), head.pop("bias"), word_ids(run) or list(range(len(decoder.bias)))
    weight, all_biases = decoder.weight.detach().clone(), decoder.bias.detach().clone()
    weight[ids], all_biases[ids] = words, bias
    if not torch.equal(weight[ids], words):
        raise BadInput(
            "two label words are the same word but were trained to different weights; no stock class can represent that"
        )
    config.tie_word_embeddings = bool(config.tie_word_embeddings) and torch.equal(weight, state[embeddings])
    model: Any = transformers.AutoModelForMaskedLM.from_config(config)
    checkpoint = source.state_dict()
    path = next(n for n, m in source.named_modules() if m is decoder)
    biases = [n for n, x in checkpoint.items() if x.data_ptr() == decoder.bias.data_ptr()]  # BERT's has two names
    decoder_state = {f"{path}.weight": weight} | dict.fromkeys(biases, all_biases)
    return _fill(model, checkpoint | state | head | decoder_state)


def _fill(model: nn.Module, state: dict[str, Tensor]) -> Any:
    """Load `state` into `model`. Weights that the model lacks, as a pooler that nothing reads, are left out."""
    model.load_state_dict({n: state[n] for n in model.state_dict()})
    return model.eval()
