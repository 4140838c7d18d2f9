"""Checks of a configuration that need no import of torch, and that come before anything is built or read."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from typing import Any

from prunebert.choices import PRUNABLE
from prunebert.errors import BadInput, bad_choice, did_you_mean
from prunebert.fit import Fit
from prunebert.settings import signature

GROUPS = ("method", "task", "model", "corpus", "distill", "augment", "impl", "tracking")
FITS = ("fit", "teacher_fit", "mask_fit")
KEYS = (*GROUPS, *FITS, "sparsity", "prunable", "seed", "rerun", "dry", "checkpoint")
GIVEN_LATER = {"task": ("tokenizer", "positions", "augment")}


def words(values: Iterable[tuple[str, Any]]) -> None:
    """Raise BadInput for a sparsity or seed on the command line that is out of range, a sweep's values one by one."""
    for key, value in values:
        if key == "sparsity":
            sparsity(value)
        if key == "seed":
            seed(value)


def config(cfg: dict[str, Any]) -> None:
    """Raise BadInput for the first key or value of a composed configuration that is not allowed."""
    for key, value in cfg.items():
        if key not in KEYS and not isinstance(value, dict):  # interpolations may refer to a group of the user's own
            raise BadInput(f"{key}: there is no such key{did_you_mean(key, KEYS)}")
    sparsity(cfg["sparsity"])
    seed(cfg["seed"])
    for key in ("rerun", "dry"):
        if not isinstance(cfg[key], bool):
            raise BadInput(f"{key}={cfg[key]}: must be true or false")
    if cfg["prunable"] not in ("paper", *PRUNABLE):
        raise bad_choice("prunable", cfg["prunable"], ("paper", *PRUNABLE))
    nodes = {name: node for name, node in cfg.items() if isinstance(node, dict) and "_target_" in node}
    for name in sorted(
        nodes, key=lambda n: (not n.endswith("fit"), n)
    ):  # budgets come first, as other nodes hold copies of them
        signature.check(nodes[name], name, GIVEN_LATER.get(name, ()))
    for name in FITS:
        try:
            Fit(**{k: v for k, v in cfg[name].items() if k != "_target_"})
        except BadInput as error:
            raise BadInput(
                str(error).replace("fit.", f"{name}.")
            ) from None  # a Fit does not know whether it is teacher_fit


def sparsity(value: Any) -> None:
    """Raise BadInput unless 0 <= sparsity < 1."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and 0 <= value < 1):
        raise BadInput(f"sparsity={value}: the fraction removed must be a number, at least 0 and below 1, e.g. 0.9")


def seed(value: Any) -> None:
    """Raise BadInput unless it is a whole number, 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadInput(f"seed={value}: must be a whole number, 0 or more")


def cell(overrides: str) -> str:
    """A folder name for a sweep's overrides: no slashes, at most 200 characters. A longer one ends with a hash.

    File systems count bytes, of which a character of another script has several; they allow 255.
    """
    name = re.sub(r"(^|,)\+{1,2}", r"\1", overrides).replace("/", "_") or "default"
    content = name.encode("utf-8", "surrogateescape")
    if len(name) <= 200 and len(content) <= 255:
        return name
    return f"{content[:180].decode('utf-8', 'ignore')}-{hashlib.sha256(content).hexdigest()[:12]}"
