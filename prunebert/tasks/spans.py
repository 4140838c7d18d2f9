"""Answers as spans of text: cut contexts into windows, and turn a model's logits into the best span.

Pure functions. Both kinds of range count from 0: character ranges are half-open (first, last), token ranges are
inclusive (start, end).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from prunebert.errors import BadInput

NULL_THRESHOLD = 0.0  # SQuAD 2.0: predict no answer if the null score exceeds the best span's by more than this


class Answer(NamedTuple):
    """A predicted answer."""

    text: str  # "" for no answer
    score: float  # the best span's start + end logit
    null: float  # the null score: the lowest start + end logit of [CLS] over all windows


def answer(
    context: str,
    logits: list[np.ndarray],
    offsets: list[np.ndarray],
    n_best: int,
    max_answer: int,
    no_answer: bool,
) -> Answer:
    """Return the best span of all windows of one question (Devlin et al. 2019, §4.2 and §4.3).

    Args:
        logits: of each window, [length, 2], start and end; rows for pads may follow.
        offsets: of each window, [length, 2], the tokens' character ranges in `context`; empty outside the context.
        n_best: starts and ends to combine in a window.
        max_answer: the longest span, in tokens.
        no_answer: the question may have no answer.

    Returns text "" and score -inf if there is no span.
    """
    spans = [best_span(*window, n_best, max_answer) for window in zip(logits, offsets, strict=True)]
    window = int(np.argmax([score for score, _, _ in spans]))
    score, start, end = spans[window]
    null = min(float(window_logits[0].sum()) for window_logits in logits)
    if score == -np.inf or (no_answer and null - score > NULL_THRESHOLD):
        return Answer("", score, null)
    return Answer(context[offsets[window][start, 0] : offsets[window][end, 1]], score, null)


def best_span(logits: np.ndarray, offsets: np.ndarray, n_best: int, max_answer: int) -> tuple[float, int, int]:
    """Return (score, start, end) of a window's best span among its `n_best` starts x `n_best` ends in the context.

    A span has at most `max_answer` tokens. Without any span the score is -inf.
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
    """Return (start, end) of the tokens that contain the characters first..last.

    Returns (0, 0), which is [CLS], if the window lacks a part of them.
    """
    tokens = np.flatnonzero(offsets[:, 1] > offsets[:, 0])
    begins, stops = offsets[tokens].T
    if first < 0 or not len(tokens) or begins[0] > first or stops[-1] < last:
        return 0, 0
    i, j = np.searchsorted(stops, first, side="right"), np.searchsorted(begins, last, side="left") - 1
    return (int(tokens[i]), int(tokens[j])) if i <= j else (0, 0)


def word_bounds(context: str) -> tuple[np.ndarray, np.ndarray]:
    """Return, for every place 0 … length in a text, where the next word begins and where the last word ended.

    A place inside a word is its own.
    """
    is_word = np.array([not c.isspace() for c in context], dtype=bool)
    places = np.arange(len(context) + 1, dtype=np.int32)
    begins = np.where(np.append(is_word, True), places, len(context))
    ends = np.where(np.append(True, is_word), places, 0)
    return np.minimum.accumulate(begins[::-1])[::-1], np.maximum.accumulate(ends)


def without_spaces(offsets: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return tokens' character ranges without the spaces around a word, which some tokenizers count as the token's.

    A token of spaces alone gets the range (0, 0).

    Args:
        offsets: [length, 2], the ranges as the tokenizer gives them.
        begins, ends: of the context, from `word_bounds`.
    """
    trimmed = np.stack([begins[offsets[:, 0]], ends[offsets[:, 1]]], axis=1)
    return trimmed * (trimmed[:, 1:] > trimmed[:, :1]) * (offsets[:, 1:] > offsets[:, :1])


def windows(batch: dict[str, list], tokenizer: Any, max_length: int, stride: int) -> dict[str, list]:
    """Cut questions into windows. A window is the whole question and a part of its context.

    Args:
        batch: columns id, row, question, context, first, last.
        max_length: the longest window, in tokens.
        stride: tokens of the context that consecutive windows of a question share.

    Returns columns:
        the encoder's inputs;
        row: the question's row;
        start, end: the label, a range of tokens;
        char_from, char_to: each token's character range in the context, 0 and 0 outside it.

    Raises BadInput for a question so long that consecutive windows would not advance.
    """
    room = max_length - tokenizer.num_special_tokens_to_add(pair=True) - stride
    if room < 2:
        raise BadInput(
            f"task.stride={stride}: must be at most {room + stride - 2} with task.max_length={max_length}, or no "
            "question fits into a window"
        )
    questions = tokenizer(batch["question"], add_special_tokens=False)["input_ids"]
    for name, question in zip(batch["id"], questions, strict=True):
        if len(question) >= room:
            raise BadInput(
                f"task.max_length={max_length}: with task.stride={stride} a question may have at most "
                f"{room - 1} tokens, and {name} has {len(question)}"
            )
    bounds = [word_bounds(context) for context in batch["context"]]
    encoded = tokenizer(
        batch["question"],
        batch["context"],
        truncation="only_second",
        max_length=max_length,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    added: dict[str, list] = {"row": [], "start": [], "end": [], "char_from": [], "char_to": []}
    for window, example in enumerate(encoded["overflow_to_sample_mapping"]):
        in_context = np.array([sequence == 1 for sequence in encoded.sequence_ids(window)])
        offsets = np.array(encoded["offset_mapping"][window], dtype=np.int32) * in_context[:, None]
        offsets = without_spaces(offsets, *bounds[example])
        start, end = token_span(offsets, batch["first"][example], batch["last"][example])
        values = (batch["row"][example], start, end, offsets[:, 0], offsets[:, 1])
        for column, value in zip(added.values(), values, strict=True):
            column.append(value)
    return {c: encoded[c] for c in input_columns(tokenizer)} | added


def input_columns(tokenizer: Any) -> list[str]:
    """Return the tokenizer's columns that the encoder takes."""
    return [c for c in tokenizer.model_input_names if c != "special_tokens_mask"]
