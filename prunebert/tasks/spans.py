"""Answers as spans of text: windows over a context, the span a model's logits mean, what SQuAD's metrics say of it.

Pure functions. Characters are half-open (first, last), tokens inclusive (start, end), both from 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from prunebert.errors import BadInput

NULL_THRESHOLD = 0.0  # SQuAD 2.0: no answer where the null score beats the best span by more than this


class Answer(NamedTuple):
    """A prediction: its text ("" for none), the best span's start + end logit, and the lowest one of [CLS]."""

    text: str
    score: float
    null: float


def answer(
    context: str,
    logits: list[np.ndarray],
    offsets: list[np.ndarray],
    n_best: int,
    max_answer: int,
    no_answer: bool,
) -> Answer:
    """The best span of all windows of one question (Devlin et al. 2019, §4.2 and §4.3).

    logits: a window each, [length, 2], start and end; rows for pads may follow. offsets: a window each, [length, 2],
    the token's characters in `context`, equal where it is not of the context. Without any span: "", score -inf.
    """
    spans = [best_span(one, where, n_best, max_answer) for one, where in zip(logits, offsets, strict=True)]
    window = int(np.argmax([score for score, _, _ in spans]))
    score, start, end = spans[window]
    null = min(float(one[0].sum()) for one in logits)
    if score == -np.inf or (no_answer and null - score > NULL_THRESHOLD):
        return Answer("", score, null)
    return Answer(context[offsets[window][start, 0] : offsets[window][end, 1]], score, null)


def best_span(logits: np.ndarray, offsets: np.ndarray, n_best: int, max_answer: int) -> tuple[float, int, int]:
    """(score, start, end) of the best span of a window among its `n_best` starts x `n_best` ends in the context.

    A span has at most `max_answer` tokens; the score is -inf where there is none.
    """
    tokens = np.flatnonzero(offsets[:, 1] > offsets[:, 0])
    if not len(tokens):
        return -np.inf, 0, 0
    starts, ends = (tokens[np.argsort(-logits[tokens, side], kind="stable")[:n_best]] for side in (0, 1))
    lengths = ends - starts[:, None] + 1  # [starts, ends]
    scores = np.where((lengths >= 1) & (lengths <= max_answer), logits[starts, 0][:, None] + logits[ends, 1], -np.inf)
    i, j = np.unravel_index(scores.argmax(), scores.shape)
    return float(scores[i, j]), int(starts[i]), int(ends[j])


def token_span(offsets: np.ndarray, first: int, last: int) -> tuple[int, int]:
    """(start, end) of the tokens that hold the characters first..last; [CLS], (0, 0), if the window lacks a part."""
    tokens = np.flatnonzero(offsets[:, 1] > offsets[:, 0])
    begins, stops = offsets[tokens].T
    if first < 0 or not len(tokens) or begins[0] > first or stops[-1] < last:
        return 0, 0
    i, j = np.searchsorted(stops, first, side="right"), np.searchsorted(begins, last, side="left") - 1
    return (int(tokens[i]), int(tokens[j])) if i <= j else (0, 0)


def windows(batch: dict[str, list], tokenizer: Any, max_length: int, stride: int) -> dict[str, list]:
    """Questions (id, row, question, context, first, last) -> windows, the question before each part of the context.

    A question's windows follow each other and share `stride` tokens of the context. Columns: the encoder's inputs,
    char_from and char_to (a token's characters in the context, 0 and 0 outside it), row, and the label start, end.
    Raises BadInput for a question that leaves too little room for a window to move on.
    """
    room = max_length - tokenizer.num_special_tokens_to_add(pair=True) - stride
    questions = tokenizer(batch["question"], add_special_tokens=False)["input_ids"]
    for name, question in zip(batch["id"], questions, strict=True):
        if len(question) >= room:
            raise BadInput(
                f"task.max_length={max_length}: with task.stride={stride} a question may have at most "
                f"{room - 1} tokens, and {name} has {len(question)}"
            )
    encoded = tokenizer(
        batch["question"],
        batch["context"],
        truncation="only_second",
        max_length=max_length,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    own: dict[str, list] = {"row": [], "start": [], "end": [], "char_from": [], "char_to": []}
    for window, example in enumerate(encoded["overflow_to_sample_mapping"]):
        inside = np.array([sequence == 1 for sequence in encoded.sequence_ids(window)])
        offsets = np.array(encoded["offset_mapping"][window], dtype=np.int32) * inside[:, None]
        start, end = token_span(offsets, batch["first"][example], batch["last"][example])
        values = (batch["row"][example], start, end, offsets[:, 0], offsets[:, 1])
        for column, value in zip(own.values(), values, strict=True):
            column.append(value)
    return {c: encoded[c] for c in input_columns(tokenizer)} | own


def input_columns(tokenizer: Any) -> list[str]:
    """The tokenizer's columns that the encoder takes."""
    return [c for c in tokenizer.model_input_names if c != "special_tokens_mask"]
