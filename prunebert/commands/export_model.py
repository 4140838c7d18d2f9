"""Stock: the transformers class that computes what a run's network does, with θ ⊙ M in its weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from prunebert.errors import BadInput
from prunebert.network.heads import word_id
from prunebert.runs.load import Loaded


def auto(run: Loaded) -> str:
    """The name of the AutoModel… class.

    A head of label words is the masked-LM head, and no other stock class has it. AbP's head on all layers' [CLS] is in
    no stock class at all: the encoder alone is exported for it.
    """
    kind = run.net.kind_of(run.head)
    if kind == "label_words":
        return "AutoModelForMaskedLM"
    if kind == "layer_mix":
        return "AutoModel"
    return "AutoModelForQuestionAnswering" if run.form.span else "AutoModelForSequenceClassification"


def theta(run: Loaded, masked: bool = True) -> dict[str, Tensor]:
    """θ ⊙ M of the encoder by full name; with masked=False θ, dense."""
    weights = {n: p.detach() for n, p in run.net.parameters_of().items()} | run.theta
    return {n: x * run.masks[n] if masked and n in run.masks else x for n, x in weights.items()}


def stock(run: Loaded, masked: bool = True) -> Any:
    """An instance of the class that `auto` names, in evaluation mode on the CPU."""
    import transformers

    name, config = auto(run), copy.deepcopy(run.net.model.config)
    state = {n: x.cpu() for n, x in theta(run, masked).items()}
    if name == "AutoModel":
        encoder = copy.deepcopy(run.net.encoder).cpu()
        encoder.load_state_dict({n.removeprefix(run.net.prefix): x for n, x in state.items()})
        return encoder.eval()
    if name == "AutoModelForMaskedLM":
        return _masked_lm(run, config, state)
    if name == "AutoModelForSequenceClassification":
        config.num_labels = run.form.outputs
        if run.form.regression:
            config.problem_type = "regression"
        else:
            config.id2label = dict(enumerate(run.form.labels))
            config.label2id = {label: i for i, label in enumerate(run.form.labels)}
    model = getattr(transformers, name).from_config(config)
    return _filled(model, state | {n: p.detach().cpu() for n, p in run.net.heads[run.head].named_parameters()})


def word_ids(run: Loaded) -> list[int]:
    """Vocabulary indices of a label-words head; [] for other heads, and for a masked-LM task, which has them all."""
    if run.form.masked_lm or run.net.kind_of(run.head) != "label_words":
        return []
    return [word_id(run.net.model, word) for word in run.form.label_words or []]


def _masked_lm(run: Loaded, config: Any, state: dict[str, Tensor]) -> Any:
    """The checkpoint's own masked-LM model with the run's encoder and head in it. Its decoder is a copy of the word
    embeddings no more where the run's mask, training or head has made the two differ.
    """
    import transformers

    source: Any = run.net.model.masked_lm()
    decoder, embeddings = source.get_output_embeddings(), run.net.prefix + run.net.model.family.embeddings
    own: dict[str, Tensor] = {n: p.detach().cpu() for n, p in run.net.heads[run.head].named_parameters()}
    words, bias, ids = own.pop("words"), own.pop("bias"), word_ids(run) or list(range(len(decoder.bias)))
    weight, offset = decoder.weight.detach().clone(), decoder.bias.detach().clone()
    weight[ids], offset[ids] = words, bias
    if not torch.equal(weight[ids], words):
        raise BadInput("two label words are one and the same, and were trained apart: no stock class can hold that")
    config.tie_word_embeddings = bool(config.tie_word_embeddings) and torch.equal(weight, state[embeddings])
    model: Any = transformers.AutoModelForMaskedLM.from_config(config)
    rest = source.state_dict()
    place = next(n for n, m in source.named_modules() if m is decoder)
    biases = [n for n, x in rest.items() if x.data_ptr() == decoder.bias.data_ptr()]  # BERT's has two names
    return _filled(model, rest | state | own | {f"{place}.weight": weight} | dict.fromkeys(biases, offset))


def _filled(model: nn.Module, state: dict[str, Tensor]) -> Any:
    """`model` with every weight from `state`; what it has no place for (a pooler that nothing reads) is left out."""
    wanted = model.state_dict()
    model.load_state_dict({n: state[n] for n in wanted})
    return model.eval()
