"""What the result of a finished run says, in the words and numbers that `prunebert info` shows."""

from __future__ import annotations

import shlex
from typing import Any

HALF_A_POINT = 0.005  # a score less than this above the constant baseline is marked


def measured(row: dict[str, Any]) -> float:
    """Return the measured sparsity under the denominator of the run's target, which is its prunable set."""
    return row[f"sparsity_{row['prunable']}"]


def removes(row: dict[str, Any]) -> bool:
    """Return whether weights were to be removed, or are."""
    return bool(row["sparsity"] or row["sparsity_model"])


def decimal(value: float | None) -> str:
    """Return a number with four digits; a dash for a number that was not finite."""
    return "–" if value is None else f"{value:.4f}"


def duration(seconds: float) -> str:
    """Return a time in seconds, with a digit behind the point below 10."""
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"


def constant(row: dict[str, Any]) -> str:
    """Return what the constant baseline predicts; "" for a run of an early version, which did not record its form."""
    form = row.get("form")
    if not form:
        return ""
    kinds = {
        "regression": "always the mean",
        "span": "never an answer",
        "masked_lm": "always the commonest token",
        "choices": "always the commonest position",
        "multilabel": "always the labels that most training rows have",
    }
    if form.get("tokens") and row.get("data", {}).get("scheme") != "none":
        return "never an entity"
    return next((words for kind, words in kinds.items() if form.get(kind)), "always the commonest label")


def is_near_chance(row: dict[str, Any]) -> bool:
    """Return whether the score is less than half a point above the constant baseline."""
    return row["majority_score"] is not None and row["score"] - row["majority_score"] < HALF_A_POINT


def trained_weights(row: dict[str, Any]) -> int | None:
    """Return how many of the network's parameters the last phase trained; None if the run did not record it."""
    scores = row.get("trained_scores")
    return None if scores is None else row["trained_parameters"] - scores


def trained_share(row: dict[str, Any]) -> str | None:
    """Return the share of the network's parameters that the last phase trained; None if the run did not record it."""
    trained = trained_weights(row)
    return None if trained is None or "model_parameters" not in row else percent(trained / row["model_parameters"])


def words(row: dict[str, Any]) -> list[str]:
    """Return the words of the command that repeats a run; none if the recorded text is no command line."""
    try:
        return shlex.split(row["command"])
    except ValueError:
        return []


def percent(fraction: float) -> str:
    """Return a share in percent. Only nothing is 0%, and only everything is 100%."""
    if 0 < fraction < 0.001:
        return "<0.1%"
    if 0.999 < fraction < 1:
        return ">99.9%"
    return f"{fraction:.0%}" if fraction in (0, 1) else f"{fraction:.1%}"
