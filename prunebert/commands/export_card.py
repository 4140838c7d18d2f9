"""The README of an exported folder: what the model is, how to load it, its scores, and the command that repeats it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from prunebert.commands import export_model, export_onnx
from prunebert.commands.info import DENOMINATORS
from prunebert.network.interface import Form
from prunebert.runs.load import Loaded

PIPELINES = {
    "AutoModelForSequenceClassification": "text-classification",
    "AutoModelForTokenClassification": "token-classification",
    "AutoModelForQuestionAnswering": "question-answering",
    "AutoModelForMultipleChoice": "multiple-choice",
    "AutoModelForMaskedLM": "fill-mask",
    "AutoModel": "feature-extraction",
}
LOAD = """tokenizer = AutoTokenizer.from_pretrained("{out}")
{model}
inputs = tokenizer({texts}, truncation={truncation}, max_length={length}, padding={padding}, return_tensors="pt")
with torch.no_grad():
"""
LAYER_MIX = """    hidden = model(**inputs, output_hidden_states=True).hidden_states[1:]
layers = torch.stack([h{cls} for h in hidden])
mixed = torch.einsum("l,l...->...", head["mix"].softmax(0), layers)
logits = linear(relu(linear(mixed, head["hidden.weight"], head["hidden.bias"])), head["out.weight"], head["out.bias"])
"""
SEVERAL = (
    " A text may have several labels. Its labels are those with a logit above 0: a sigmoid above 0.5. This threshold "
    "was not tuned."
)
IMPORTS = {"AutoModel": "from safetensors.torch import load_file\nfrom torch.nn.functional import linear, relu\n"}


def card(run: Loaded, out: str, graph: dict[str, Any] | None = None) -> str:
    """Return the README in Markdown, with the front matter that the Hugging Face hub reads.

    Args:
        run: the exported run.
        out: the folder's name, for the example.
        graph: what the check of model.onnx found, if the folder has one.
    """
    facts, auto_class = run.facts, export_model.auto_class(run)
    sparsities = "\n".join(f"| {name} | {facts[key]:.6f} |" for key, name in DENOMINATORS.items())
    scores = "\n".join(f"| {n} | {v:.6f} | {facts['majority'][n]:.6f} |" for n, v in facts["metrics"].items())
    origin = facts["checkpoint"]
    on_the_hub = not origin.get("package") and re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(origin.get("name")))
    base = f"base_model: {origin['name']}\n" if on_the_hub and not Path(origin["name"]).exists() else ""
    return f"""---
library_name: transformers
{base}pipeline_tag: {PIPELINES[auto_class]}
tags: [pruning, prunebert]
---

# {facts["model"]} on {facts["task"]}, pruned by {facts["method"]}

{_loading(run, auto_class)}{SEVERAL if run.form.multilabel else ""}

```python
{_snippet(run, auto_class, out)}```
{_graph(run, graph) if graph else ""}
Removed weights are stored as zeros, so the file is as large as the dense one. The fraction removed:

| of | sparsity |
|---|---|
{sparsities}

On the run's evaluation data, seed {facts["seed"]}:

| metric | score | constant baseline |
|---|---|---|
{scores}

Made by prunebert {facts["versions"]["prunebert"]} with

    {facts["command"]}
"""


def _graph(run: Loaded, graph: dict[str, Any]) -> str:
    """Return a section about model.onnx."""
    shape = "[texts, outputs]"
    if run.form.masked_lm:
        shape = "[texts, length, vocabulary]"
    elif run.form.every_token:
        shape = "[texts, length, outputs]"
    elif run.form.choices:
        shape = "[texts, 1], a score for each pair of a question and a choice"
    checks = "\n\n".join(export_onnx.lines(graph))
    return f"""
`{graph["file"]}` has the same network with its head. Its inputs are the tokenizer's, [texts, length] each, of any size.
Its output `logits` is {shape}.

{checks}
"""


def _loading(run: Loaded, auto_class: str) -> str:
    """Return a paragraph about the class that loads the folder."""
    if auto_class == "AutoModel":
        return (
            "No class of transformers has this method's head, a network on a learned average of every layer's [CLS]. "
            "The folder therefore contains the encoder, and the head is in head.safetensors. The last lines apply it."
        )
    if auto_class == "AutoModelForMaskedLM" and not run.form.masked_lm:
        position = "every token" if run.form.span else "[CLS], position 0"
        return (
            f"The classes are words of the vocabulary. The masked-LM head predicts them at {position} (prunebert.json)."
        )
    if run.form.choices:
        shape = " in a row of `input_ids`" if auto_class == "AutoModelForMultipleChoice" else ", the model's one output"
        return (
            f"Loads with {auto_class}. Each choice is a pair of texts, the question and the choice, and has a score"
            f"{shape}. The choice with the highest score is the answer. Where the task's questions have two texts, the "
            "second one begins each choice."
        )
    return f"Loads with {auto_class}."


def _snippet(run: Loaded, auto_class: str, out: str) -> str:
    """Return Python code whose last line assigns `logits`, as the run computed them."""
    form, family = run.form, run.net.model.family
    options = "".join(f", {k}={v}" for k, v in family.load.items()) if auto_class == "AutoModel" else ""
    model = f'model = {auto_class}.from_pretrained("{out}"{options}).eval()'
    if auto_class == "AutoModel":
        model += f'\nhead = load_file("{out}/head.safetensors")'
    names = form.label_words if form.span else form.labels
    words = dict(zip(names or ["score"], export_model.word_ids(run), strict=False))
    if words:
        model += f"\nwords = {words}"
    if form.choices:
        listed = ", ".join(f'"choice {i}"' for i in range(form.choices))
        model += f'\nquestion, choices = "a question", [{listed}]'
    load = LOAD.format(
        out=out,
        model=model,
        texts=_texts(form),
        truncation='"only_second"' if form.span else True,
        length=form.max_length,
        padding=True if form.padding == "longest" else f'"{form.padding}"',
    )
    if auto_class == "AutoModel":
        last_lines = LAYER_MIX.format(cls="" if form.every_token else "[:, 0]")
    elif auto_class == "AutoModelForMultipleChoice":
        last_lines = "    logits = model(**{name: x[None] for name, x in inputs.items()}).logits  # [1, choices]\n"
    elif words:
        last_lines = f"    logits = model(**inputs).logits[:, {':' if form.span else 0}, list(words.values())]\n"
    elif form.span:
        last_lines = (
            "    outputs = model(**inputs)\nlogits = torch.stack([outputs.start_logits, outputs.end_logits], -1)\n"
        )
    else:
        last_lines = "    logits = model(**inputs).logits\n"
    if form.choices and auto_class != "AutoModelForMultipleChoice":
        last_lines += "logits = logits.view(1, -1)  # [1, choices]\n"
    imports = f"import torch\n{IMPORTS.get(auto_class, '')}from transformers import {auto_class}, AutoTokenizer"
    return f"{imports}\n\n{load}{last_lines}"


def _texts(form: Form) -> str:
    """Return the code of the tokenizer's arguments: one example's texts, or the pairs of one question."""
    if form.choices:
        return "[question] * len(choices), choices"
    if form.tokens:
        return '[["a", "sentence", "in", "words"]], is_split_into_words=True'
    if form.span:
        return '["a question"], ["its context"]'
    return '["a text"], ["its second"]' if form.pair else '["a text"]'


def facts_of(run: Loaded) -> dict[str, Any]:
    """Return the content of prunebert.json: what a program needs to load the folder, and the run's facts."""
    words = [{"word": w, "id": i} for w, i in zip(run.form.label_words or [], export_model.word_ids(run), strict=False)]
    copied = (
        "method",
        "task",
        "model",
        "seed",
        "command",
        "form",
        "head",
        "metric",
        "score",
        "metrics",
        "weights_hash",
    )
    head = {"position": None if run.form.span else 0, "label_words": words} if words else {}
    return {"class": export_model.auto_class(run), **head} | {k: run.facts[k] for k in (*copied, *DENOMINATORS)}
