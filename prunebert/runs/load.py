"""`prunebert.load(RUN)`: a finished run as something that answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prunebert.errors import BadInput
from prunebert.masks.top_v import Masks
from prunebert.network import models
from prunebert.network.interface import IGNORED, Batch, Form
from prunebert.network.subnetwork import SubNetwork
from prunebert.runs import artifacts
from prunebert.runs import weights as runs_weights
from prunebert.tasks import spans
from prunebert.tasks.batching import padding_of

BATCH = 32


@dataclass
class ProductBuffers:
    """The one set of buffers in which the runs on a backbone have their θ ⊙ M, each when it is its turn."""

    owner: str = ""
    product: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Loaded:
    """What a run made of its checkpoint, whose weights `net` has. Several may share a `net`.

    theta: the encoder weights that the run trained, by full name; they stand in for the checkpoint's. head: the key of
    its head; frozen_head: it was never trained. facts: its result.json.
    """

    net: SubNetwork
    masks: Masks
    theta: dict[str, Tensor]
    head: str
    frozen_head: bool
    form: Form
    facts: dict[str, Any]
    buffers: ProductBuffers

    def logits(self, texts: list[str], second: list[str] | None = None) -> Tensor:
        """[texts, outputs]; for spans [windows, length, 2], for masked-LM [[MASK] tokens, vocabulary]."""
        return torch.cat(self._logits(self._read(texts, second)))

    def predict(self, texts: list[str], second: list[str] | None = None) -> list[Any]:
        """Each text's label, or number; of a question and its context (`second`) the answer, "" for none; masked-LM:
        each text's words for its [MASK]s. Raises BadInput for one text where a list is meant.
        """
        if isinstance(texts, str) or isinstance(second, str):
            raise BadInput("predict takes a list of texts, also of one: predict([text])")
        if self.form.span:
            return self._answers(texts, second or [])
        tokenizer = self.net.model.tokenizer
        rows = self._read(texts, second)
        logits = torch.cat(self._logits(rows))
        if self.form.masked_lm:
            counts = [int((torch.tensor(row["input_ids"]) == tokenizer.mask_token_id).sum()) for row in rows]
            return [tokenizer.convert_ids_to_tokens(part.argmax(-1)) for part in logits.split(counts)]
        if self.form.regression:
            return logits[:, 0].tolist()
        return [self.form.labels[i] for i in logits.argmax(-1).tolist()]

    def weights(self) -> dict[str, Tensor]:
        """What of the encoder is not as in the checkpoint: θ ⊙ M, valid until another run on this backbone is asked.

        Computed when the turn comes to this run, not at every call: a product as large as the matrices costs as much
        as an answer.
        """
        product = self.buffers.product
        if self.buffers.owner != self.head:
            dense = self.net.parameters_of() | self.theta
            for name, mask in self.masks.items():
                if name not in product:
                    product[name] = torch.empty_like(dense[name])
                torch.mul(dense[name].detach(), mask, out=product[name])
            self.buffers.owner = self.head
        return self.theta | {n: product[n] for n in self.masks}

    def _read(self, texts: list[str], second: list[str] | None) -> list[dict[str, list[int]]]:
        """What the network reads, a row each (for spans: a window each)."""
        return self._rows(self._tokenised(texts, second))

    def _tokenised(self, texts: list[str], second: list[str] | None) -> dict[str, list]:
        """In columns, as the run's task does it."""
        if self.form.pair != (second is not None):
            raise BadInput(f"{self.form.name} reads {'two texts' if self.form.pair else 'one text'} at a time")
        if second is not None and len(second) != len(texts):
            raise BadInput(f"{len(texts)} first texts and {len(second)} second ones are no pairs")
        if not texts:
            raise BadInput("there are no texts")
        tokenizer, form = self.net.model.tokenizer, self.form
        if form.span:
            return self._windows(texts, second or [])
        return tokenizer(texts, second, truncation=True, max_length=form.max_length).data

    def _rows(self, columns: dict[str, list]) -> list[dict[str, list[int]]]:
        wanted = spans.input_columns(self.net.model.tokenizer)
        return [dict(zip(wanted, row, strict=True)) for row in zip(*(columns[c] for c in wanted), strict=True)]

    def _windows(self, questions: list[str], contexts: list[str]) -> dict[str, list]:
        count = range(len(questions))
        asked = {"id": [*count], "row": [*count], "first": [-1 for _ in count], "last": [-1 for _ in count]}
        return spans.windows(
            asked | {"question": [q.lstrip() for q in questions], "context": contexts},
            self.net.model.tokenizer,
            self.form.max_length,
            self.form.stride,
        )

    def _logits(self, rows: list[dict[str, list[int]]]) -> list[Tensor]:
        """By batches, on the CPU, all padded to the longest row."""
        tokenizer = self.net.model.tokenizer
        padding, length = padding_of(tokenizer), max(len(row["input_ids"]) for row in rows)
        found = []
        with torch.no_grad():  # `load` has put the network into evaluation mode
            theta = self.weights()
            for start in range(0, len(rows), BATCH):
                part = rows[start : start + BATCH]
                inputs = {
                    c: torch.tensor([row[c] + [padding[c]] * (length - len(row[c])) for row in part]) for c in part[0]
                }
                ids = inputs["input_ids"]
                asked = torch.where(ids == tokenizer.mask_token_id, ids, IGNORED)  # read by a masked-LM head alone
                batch = Batch(inputs, asked, torch.arange(start, start + len(part)))
                batch = batch.to(next(self.net.parameters()).device)
                found.append(self.net(batch, self.head, theta=theta).logits.cpu())
        return found

    def _answers(self, questions: list[str], contexts: list[str]) -> list[str]:
        columns = self._tokenised(questions, contexts)
        logits = torch.cat(self._logits(self._rows(columns))).numpy()
        answers = []
        for row, context in enumerate(contexts):
            own = [w for w, of in enumerate(columns["row"]) if of == row]
            offsets = [np.stack([columns["char_from"][w], columns["char_to"][w]], axis=1) for w in own]
            answer = spans.answer(
                context,
                [logits[w] for w in own],
                offsets,
                self.form.n_best,
                self.form.max_answer,
                self.form.no_answer,
            )
            answers.append(answer.text)
        return answers


def load(run: str | Path, *, model: str | None = None, on: Loaded | None = None, device: str = "cpu") -> Loaded:
    """A finished run, or a task delta (`prunebert export --sparse`), ready to be asked. Needs its model's checkpoint.

    model: where that checkpoint is now, if no longer where the run read it. on: share the backbone of a run that is
    loaded already, so that this one costs its masks and head alone, and the weights that it trained, if any.
    Raises BadInput where something does not fit.
    """
    root = artifacts.resolve_pointer(Path(run).expanduser())
    facts = artifacts.result(root)
    if "checkpoint" not in facts:
        raise BadInput(f"{root}: an older prunebert wrote it, which did not record what loading needs; repeat the run")
    if on:
        net = on.net
    else:
        source = {"name": model} if model else facts["checkpoint"]
        if Path(source["name"]).is_absolute() and not Path(source["name"]).is_dir():
            raise BadInput(f"{root}: its model {source['name']} is not there; tell where it is (--model, or model=)")
        net = SubNetwork(models.load(**source), facts["seed"])
        net.to(device).eval()
    weights = {n: x.to(next(net.parameters()).device) for n, x in runs_weights.read_trained(root, net).items()}
    form = Form(**facts["form"])
    key = net.place_head(f"loaded_{len(net.heads)}", facts["head"], form)
    own = net.parameters_of() | {f"head.{n}": p for n, p in net.heads[key].named_parameters()}
    for name, tensor in weights.items():
        if name not in own or own[name].shape != tensor.shape:
            raise BadInput(f"{root}: {name} is not in {facts['model']} with a head {facts['head']}")
    with torch.no_grad():
        for name in weights.keys() & {f"head.{n}" for n, _ in net.heads[key].named_parameters()}:
            own[name].copy_(weights[name])
    theta = {n: x for n, x in weights.items() if not n.startswith("head.")}
    frozen = not any(n.startswith("head.") for n in weights)
    masks = net.use(artifacts.masks(root)).masks
    return Loaded(net, masks, theta, key, frozen, form, facts, on.buffers if on else ProductBuffers())
