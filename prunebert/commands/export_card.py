"""The README of an exported folder: what it is, how to load it, what it scored, how to repeat it."""

from __future__ import annotations

from typing import Any

from prunebert.commands import export_model
from prunebert.commands.info import DENOMINATORS
from prunebert.runs.load import Loaded

PIPELINES = {
    "AutoModelForSequenceClassification": "text-classification",
    "AutoModelForQuestionAnswering": "question-answering",
    "AutoModelForMaskedLM": "fill-mask",
    "AutoModel": "feature-extraction",
}
READ = """tokenizer = AutoTokenizer.from_pretrained("{out}")
{model}
inputs = tokenizer({texts}, truncation={truncation}, max_length={length}, padding=True, return_tensors="pt")
with torch.no_grad():
"""
MIX = """    hidden = model(**inputs, output_hidden_states=True).hidden_states[1:]
layers = torch.stack([h{cls} for h in hidden])
mixed = torch.einsum("l,l...->...", head["mix"].softmax(0), layers)
logits = linear(relu(linear(mixed, head["hidden.weight"], head["hidden.bias"])), head["out.weight"], head["out.bias"])
"""
IMPORTS = {"AutoModel": "from safetensors.torch import load_file\nfrom torch.nn.functional import linear, relu\n"}


def card(run: Loaded, out: str) -> str:
    """Markdown, with the front matter that the Hugging Face hub reads. `out`: the folder's name."""
    facts, auto = run.facts, export_model.auto(run)
    removed = "\n".join(f"| {words} | {facts[key]:.6f} |" for key, words in DENOMINATORS.items())
    scores = "\n".join(f"| {n} | {v:.6f} | {facts['majority'][n]:.6f} |" for n, v in facts["metrics"].items())
    return f"""---
library_name: transformers
base_model: {facts["model"]}
pipeline_tag: {PIPELINES[auto]}
tags: [pruning, prunebert]
---

# {facts["model"]} on {facts["task"]}, pruned by {facts["method"]}

{_which(run, auto)}

```python
{_snippet(run, auto, out)}```

Removed weights are stored as zeros, so the file is as large as the dense one; the fraction removed is

| of | sparsity |
|---|---|
{removed}

On the run's evaluation data, seed {facts["seed"]}:

| metric | score | constant answer |
|---|---|---|
{scores}

Made by prunebert {facts["versions"]["prunebert"]} with

    {facts["command"]}
"""


def _which(run: Loaded, auto: str) -> str:
    if auto == "AutoModel":
        return (
            "No class of transformers has this method's head, a network on a learned average of every layer's [CLS]. "
            "So the folder holds the encoder, and the head in head.safetensors; the last lines apply it."
        )
    if auto == "AutoModelForMaskedLM" and not run.form.masked_lm:
        where = "every token" if run.form.span else "[CLS], position 0"
        return f"The classes are words of the vocabulary, told by the masked-LM head at {where} (prunebert.json)."
    return f"Loads with {auto}."


def _snippet(run: Loaded, auto: str, out: str) -> str:
    """Python that ends with `logits`, as the run computed them."""
    form, family = run.form, run.net.model.family
    more = "".join(f", {k}={v}" for k, v in family.load.items()) if auto == "AutoModel" else ""
    model = f'model = {auto}.from_pretrained("{out}"{more}).eval()'
    if auto == "AutoModel":
        model += f'\nhead = load_file("{out}/head.safetensors")'
    names = form.label_words if form.span else form.labels
    words = dict(zip(names or ["score"], export_model.word_ids(run), strict=False))
    if words:
        model += f"\nwords = {words}"
    texts = (
        '["a question"], ["its context"]' if form.span else '["a text"], ["its second"]' if form.pair else '["a text"]'
    )
    read = READ.format(
        out=out, model=model, texts=texts, truncation='"only_second"' if form.span else True, length=form.max_length
    )
    if auto == "AutoModel":
        tail = MIX.format(cls="" if form.span else "[:, 0]")
    elif words:
        tail = f"    logits = model(**inputs).logits[:, {':' if form.span else 0}, list(words.values())]\n"
    elif form.span:
        tail = "    outputs = model(**inputs)\nlogits = torch.stack([outputs.start_logits, outputs.end_logits], -1)\n"
    else:
        tail = "    logits = model(**inputs).logits\n"
    return f"import torch\n{IMPORTS.get(auto, '')}from transformers import {auto}, AutoTokenizer\n\n{read}{tail}"


def facts_of(run: Loaded) -> dict[str, Any]:
    """prunebert.json: the same for programs."""
    words = [{"word": w, "id": i} for w, i in zip(run.form.label_words or [], export_model.word_ids(run), strict=False)]
    kept = ("method", "task", "model", "seed", "command", "form", "head", "metric", "score", "metrics", "weights_hash")
    read = {"position": None if run.form.span else 0, "label_words": words} if words else {}
    return {"class": export_model.auto(run), **read} | {k: run.facts[k] for k in (*kept, *DENOMINATORS)}
