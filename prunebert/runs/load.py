"""Load a finished run, ready to predict: `prunebert.load(RUN)`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prunebert.entities import OUTSIDE
from prunebert.errors import BadInput
from prunebert.masks.top_v import Masks
from prunebert.network import models
from prunebert.network.interface import IGNORED, Batch, Form
from prunebert.network.subnetwork import SubNetwork
from prunebert.network.tokenizers import require_known_ids
from prunebert.runs import artifacts, heads, reading
from prunebert.runs import weights as runs_weights
from prunebert.tasks import spans, words
from prunebert.tasks.batching import padding_of
from prunebert.tasks.files import kind_of

BATCH = 32
WORDS = (list, tuple, np.ndarray)  # what holds a sentence's words, or a question's choices
Second = list[Any] | None  # a text for each row; for multiple choice a list of texts for each row


@dataclass
class ProductBuffers:
    """The buffers for θ ⊙ M that all runs on one backbone share. They hold the product of one run at a time."""

    owner: str = ""  # key of the head of the run whose product they hold
    product: dict[str, Tensor] = field(default_factory=dict)  # θ ⊙ M by matrix


@dataclass(frozen=True)
class Loaded:
    """A finished run in memory. Several may share one `net`."""

    net: SubNetwork  # with the checkpoint's weights
    masks: Masks
    theta: dict[str, Tensor]  # the encoder weights that the run trained, by full name; they replace the checkpoint's
    head: str  # the key of the run's head in `net`
    frozen_head: bool  # the head was never trained
    form: Form
    facts: dict[str, Any]  # result.json
    buffers: ProductBuffers

    @property
    def tokenizer(self) -> Any:
        """The checkpoint's tokenizer, as the run's task used it."""
        return words.for_words(self.net.model.tokenizer) if self.form.tokens else self.net.model.tokenizer

    def logits(self, texts: list[Any], second: Second = None) -> Tensor:
        """Return the logits.

        Their shape is [texts, outputs]; for spans [windows, length, 2]; for labels of words [texts, length, outputs];
        for multiple choice [questions, choices]; for masked-LM [[MASK] tokens, vocabulary].
        """
        return torch.cat(self._logits(self._rows(self._tokenised(texts, second))))

    def predict(self, texts: list[Any], second: Second = None) -> list[Any]:
        """Predict for a list of texts.

        Args:
            texts: the texts, or the questions; for labels of words, each text as a list of its words.
            second: the second text of each pair, or the question's context. For multiple choice, the list of each
                question's choices: predict(["what was it"], [["a film", "a plot"]]). Where the task's questions have
                two columns of text, the second one begins each choice.

        Returns:
            For each text its label or number; where a text has several labels, the list of those above a probability of
            0.5. For labels of words a list with a label for each word. A word without a token, such as one beyond the
            task's max_length, has the label "O"; None if the task has no such label. For a question the answer, "" for
            no answer. For multiple choice the position of the chosen text, from 0. For masked-LM the text's words for
            its [MASK]s.

        Raises:
            BadInput: a single text was given in place of a list, or the texts do not fit the run's task.
        """
        if isinstance(texts, str) or isinstance(second, str):
            raise BadInput("predict takes a list of texts, even for one text: predict([text])")
        if self.form.span:
            return self._answers(texts, second or [])
        if self.form.tokens:
            return self._labels_of_words(texts, second)
        tokenizer = self.net.model.tokenizer
        rows = self._rows(self._tokenised(texts, second))
        logits = torch.cat(self._logits(rows))
        if self.form.masked_lm:
            counts = [int((torch.tensor(row["input_ids"]) == tokenizer.mask_token_id).sum()) for row in rows]
            return [tokenizer.convert_ids_to_tokens(part.argmax(-1)) for part in logits.split(counts)]
        if self.form.regression:
            return logits[:, 0].tolist()
        if self.form.choices:
            return list(logits.argmax(-1).tolist())
        if len(self.form.labels) < logits.shape[-1]:
            count = len(self.form.labels)
            raise BadInput(f"{self.form.name} has {count} labels for {logits.shape[-1]} outputs; use logits instead")
        if self.form.multilabel:
            return [[self.form.labels[i] for i in row.nonzero()[:, 0].tolist()] for row in logits > 0]
        return [self.form.labels[i] for i in logits.argmax(-1).tolist()]

    def _labels_of_words(self, sentences: list[list[str]], second: list[str] | None) -> list[list[str | None]]:
        columns = self._tokenised(sentences, second)
        absent = OUTSIDE if OUTSIDE in self.form.labels else None
        labels: list[list[str | None]] = [[absent] * len(sentence) for sentence in sentences]
        logits = torch.cat(self._logits(self._rows(columns)))
        for row, first in enumerate(columns["word"]):
            for token, word in enumerate(first):
                if word != words.NO_WORD:
                    labels[row][word] = self.form.labels[int(logits[row, token].argmax())]
        return labels

    def weights(self) -> dict[str, Tensor]:
        """Return the encoder weights that differ from the checkpoint: trained weights and θ ⊙ M.

        They are valid until another run on this backbone predicts. The product is computed only after another run used
        the buffers, because it costs as much as a prediction.
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

    def _tokenised(self, texts: list[Any], second: Second) -> dict[str, list]:
        """Tokenise as the run's task does. Returns columns: a list for each input of the network."""
        if self.form.pair != (second is not None):
            raise BadInput(f"{self.form.name} reads {'two texts' if self.form.pair else 'one text'} at a time")
        if second is not None and len(second) != len(texts):
            raise BadInput(f"{len(texts)} first texts and {len(second)} second texts do not make pairs")
        if not texts:
            raise BadInput("there are no texts")
        tokenizer, form = self.net.model.tokenizer, self.form
        if form.choices:
            texts, second = self._paired(texts, second or [])
        if not form.tokens:
            _require_texts([*texts, *(second or [])], form.name)
        if form.span:
            return self._windows(texts, second or [])
        if form.tokens:
            if any(not isinstance(text, WORDS) or not all(isinstance(word, str) for word in text) for text in texts):
                raise BadInput(f"{form.name} reads lists of words: predict([['a', 'sentence']])")
            return words.encode(self.tokenizer, texts, form.max_length, spans.input_columns(tokenizer))
        return tokenizer(texts, second, truncation=True, max_length=form.max_length).data

    def _paired(self, questions: list[str], choices: list[Any]) -> tuple[list[str], list[str]]:
        """Return a pair of texts for each choice. Raises BadInput for another number of choices than the task's."""
        count = self.form.choices
        for row, of_row in enumerate(choices):
            if not isinstance(of_row, WORDS) or len(of_row) != count:
                is_list = isinstance(of_row, WORDS)
                found = (
                    f"{len(of_row)} texts" if is_list else "one text" if isinstance(of_row, str) else kind_of(of_row)
                )
                raise BadInput(f"{self.form.name} needs a list of {count} choices for question {row + 1}, not {found}")
        return [q for q in questions for _ in range(count)], [choice for of_row in choices for choice in of_row]

    def _rows(self, columns: dict[str, list]) -> list[dict[str, list[int]]]:
        """Return the network's inputs, one dict for each text (for spans: for each window)."""
        inputs = spans.input_columns(self.net.model.tokenizer)
        require_known_ids(self.net.model.tokenizer, {c: np.concatenate(columns[c]) for c in inputs})
        return [dict(zip(inputs, row, strict=True)) for row in zip(*(columns[c] for c in inputs), strict=True)]

    def _windows(self, questions: list[str], contexts: list[str]) -> dict[str, list]:
        rows = range(len(questions))
        columns = {"id": [*rows], "row": [*rows], "first": [-1 for _ in rows], "last": [-1 for _ in rows]}
        return spans.windows(
            columns | {"question": [q.lstrip() for q in questions], "context": contexts},
            self.net.model.tokenizer,
            self.form.max_length,
            self.form.stride,
        )

    def _logits(self, rows: list[dict[str, list[int]]]) -> list[Tensor]:
        """Return each batch's logits, on the CPU. All rows are padded to one length, as the run's task does."""
        tokenizer = self.net.model.tokenizer
        padding, length = padding_of(tokenizer), self.form.width(max(len(row["input_ids"]) for row in rows))
        logits, texts = [], self.form.choices or 1  # of a row
        step = max(1, BATCH // texts) * texts
        with torch.no_grad():  # `load` has put the network into evaluation mode
            theta = self.weights()
            for start in range(0, len(rows), step):
                part = rows[start : start + step]
                inputs = {
                    c: torch.tensor([row[c] + [padding[c]] * (length - len(row[c])) for row in part]) for c in part[0]
                }
                ids = inputs["input_ids"]
                labels = torch.where(ids == tokenizer.mask_token_id, ids, IGNORED)  # only a masked-LM head reads them
                batch = Batch(inputs, labels, torch.arange(start, start + len(part), texts) // texts)
                batch = batch.to(next(self.net.parameters()).device)
                logits.append(self.net(batch, self.head, theta=theta).logits.cpu())
        return logits

    def _answers(self, questions: list[str], contexts: list[str]) -> list[str]:
        columns = self._tokenised(questions, contexts)
        logits = torch.cat(self._logits(self._rows(columns))).numpy()
        answers = []
        for row, context in enumerate(contexts):
            windows = [w for w, question in enumerate(columns["row"]) if question == row]
            offsets = [np.stack([columns["char_from"][w], columns["char_to"][w]], axis=1) for w in windows]
            answer = spans.answer(
                context,
                [logits[w] for w in windows],
                offsets,
                self.form.n_best,
                self.form.max_answer,
                self.form.no_answer,
            )
            answers.append(answer.text)
        return answers


def _require_texts(texts: list[Any], task: str) -> None:
    """Raise BadInput for anything but texts: a tokenizer would take a list of two texts for a pair."""
    for text in texts:
        if not isinstance(text, str):
            raise BadInput(f"{task} reads texts, and one of these is {kind_of(text)}")


def load(run: str | Path, *, model: str | None = None, on: Loaded | None = None, device: str = "cpu") -> Loaded:
    """Load a finished run, or a task delta (`prunebert export --sparse`). Needs the checkpoint of the run's model.

    Args:
        run: the run's directory.
        model: where the checkpoint is now, if it is no longer where the run read it.
        on: a loaded run whose backbone to share. This run then costs only its masks, its head and the weights that it
            trained, if any.
        device: of the network; unused with `on`.

    Raises:
        BadInput: the run did not finish, one of its files is damaged, or it does not belong to this checkpoint.
    """
    root = artifacts.resolve_pointer(reading.home(run))
    facts = artifacts.result(root)
    if not {"checkpoint", "form", "head"} <= facts.keys():
        raise BadInput(
            f"{root}: written by an older prunebert, which did not record what loading needs; repeat the run"
        )
    if on:
        net = on.net
    else:
        source = {"name": model} if model else facts["checkpoint"]
        if Path(source["name"]).is_absolute() and not reading.is_folder(Path(source["name"])):
            raise BadInput(f"{root}: its model {source['name']} does not exist; give its place (--model, or model=)")
        net = SubNetwork(models.load(**source), facts["seed"])
        net.to(device).eval()
    weights = {n: x.to(next(net.parameters()).device) for n, x in runs_weights.read_trained(root, net).items()}
    form = _form(root, facts["form"])
    key = net.add_head_as(f"loaded_{len(net.heads)}", facts["head"], form)
    heads.require_same(facts, net.model.heads_read, str(root))
    parameters = net.parameters_of() | {f"head.{n}": p for n, p in net.heads[key].named_parameters()}
    for name, tensor in weights.items():
        if name not in parameters or parameters[name].shape != tensor.shape:
            raise BadInput(f"{root}: {name} is not in {facts['model']} with a head {facts['head']}")
    with torch.no_grad():
        for name in weights.keys() & {f"head.{n}" for n, _ in net.heads[key].named_parameters()}:
            parameters[name].copy_(weights[name])
    theta = {n: x for n, x in weights.items() if not n.startswith("head.")}
    frozen = not any(n.startswith("head.") for n in weights)
    masks = net.use(artifacts.masks(root)).masks
    return Loaded(net, masks, theta, key, frozen, form, facts, on.buffers if on else ProductBuffers())


def _form(root: Path, recorded: dict[str, Any]) -> Form:
    """Return the recorded form of a run's task. Raises BadInput if it has keys that this version does not know."""
    unknown = sorted(recorded.keys() - {f.name for f in fields(Form)})
    if unknown:
        raise BadInput(f"{root}: the form of its task has {unknown[0]}, which this prunebert does not know")
    return Form(**recorded)
