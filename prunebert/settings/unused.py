"""Warn of words on the command line that change nothing.

A key outside the method, the task and the like is read only through references such as ${sparsity}. A key of a function
may be read only beside another one, which its annotation says: "read with control=none" (see ranges.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from prunebert.settings import source, values
from prunebert.settings.expansion import REFERENCE

# Nodes and values that every run reads. `experiment` and Hydra's own words are no part of a configuration.
READ = ("method", "task", "model", "augment", "impl", "tracking", "checkpoint", "seed", "tune", "tuned", "rerun", "dry")
CONDITION = re.compile(r"read (with|without) (\w+)(?:=(\w+))?")
IN_A_RUN = ("hydra.sweep.", "hydra.launcher.", "hydra/launcher=", "hydra.sweeper.", "hydra.callbacks.around.report=")
Node = dict[str, Any]


def of_run(fields: Node, as_written: Node, choices: dict[str, str], words: list[str]) -> Iterator[str]:
    """Yield a warning for each choice and each word of a run that nothing reads.

    Args:
        fields: the whole configuration, resolved.
        as_written: the same before references are resolved.
        choices: config group -> the option that was chosen.
        words: the words of the command line.
    """
    method = choices["method"]
    reached = _reached(fields, as_written)
    said = set()
    if choices["distill"] != "none" and "distill" not in reached:
        said.add("distill")
        yield f"method={method} takes no teacher: distill={choices['distill']} is not used"
    if fields["prunable"] != "paper" and "prunable" not in reached and {"sparsity", "prunable"} & reached:
        said.add("prunable")
        yield f"method={method} takes no prunable: prunable={fields['prunable']} is not used"
    for key, word in _by_key(words).items():
        top = key.partition(".")[0]
        if key in said or top not in as_written:
            continue
        if top not in reached:
            chosen = ", ".join(f"{group}={choices[group]}" for group in ("method", "task", "distill"))
            yield f"{word} changes nothing: nothing in this run reads {top} ({chosen})"
        elif why := _fails(fields, key):
            yield f"{word} changes nothing: {why}"


def of_hydra(words: Iterable[str], multirun: bool) -> Iterator[str]:
    """Yield a warning for each of Hydra's words that has no effect in a run, or in a sweep."""
    for word in words:
        plain = word.lstrip("+")
        if not multirun and plain.startswith(IN_A_RUN):
            yield f"{word} changes nothing: it belongs to a sweep, which needs -m"
        if multirun and plain.startswith("hydra.run.dir="):
            yield f"{word} changes nothing: the directory of a sweep is hydra.sweep.dir=FOLDER"


def _by_key(words: list[str]) -> dict[str, str]:
    """Return {key: the last word that sets it} of the words that set one."""
    pairs = ((word.lstrip("+").partition("=")[0], word) for word in words if "=" in word and word[0] not in "-~")
    return {key: word.lstrip("+") for key, word in pairs}


def _reached(fields: Node, as_written: Node) -> set[str]:
    """Return the top-level keys that a run reads: those of READ, and those that they refer to, and so on."""
    reached: set[str] = set()
    queue = [name for name in READ if name in as_written]
    while queue:
        name = queue.pop()
        if name not in reached and name in as_written:
            reached.add(name)
            queue.extend(_references(as_written[name], fields[name]))
    return reached


def _references(written: Any, resolved: Any) -> Iterator[str]:
    """Yield the top-level keys to which a value refers, without those in arguments that are not read."""
    if isinstance(written, dict) and isinstance(resolved, dict):
        conditions = _conditions(resolved)
        for key, value in written.items():
            if not _unmet(conditions.get(key, []), resolved):
                yield from _references(value, resolved.get(key))
    elif isinstance(written, list) and isinstance(resolved, list):
        for value, of_value in zip(written, resolved, strict=False):
            yield from _references(value, of_value)
    elif isinstance(written, str):
        yield from (key.partition(".")[0] for dots, key in REFERENCE.findall(written) if not dots)
        if "${published:" in written:
            yield "prunable"


def of_key(node: Node, key: str) -> str:
    """Return why a method does not read one of its keys beside its other ones; empty if it does."""
    if unmet := _unmet(_conditions(node).get(key, []), node):
        how, name, value = unmet
        return f"it is read only {how} method.{name}{f'={value}' if value else ''}"
    return ""


def _fails(fields: Node, key: str) -> str:
    """Return why a key is not read, or the node that it is in; empty if it is read."""
    node: Any = fields
    path = ""
    for part in key.split("."):
        if not isinstance(node, dict):
            return ""
        if unmet := _unmet(_conditions(node).get(part, []), node):
            how, name, value = unmet
            given = f"{path}{name}={value}" if value else f"{path}{name}"
            return f"{path}{part} is read only {how} {given}"
        node, path = node.get(part), f"{path}{part}."
    return ""


def _conditions(node: Node) -> dict[str, list[tuple[str, str, str]]]:
    """Return {parameter: (with or without, another parameter, its value)} of the function that a node names."""
    target = node.get("_target_")
    parameters = source.parameters(target) if isinstance(target, str) else None
    annotations = {name: p.annotation for name, p in (parameters or {}).items() if p.annotation is not None}
    return {
        name: [(found[1], found[2], found[3] or "") for words in texts if (found := CONDITION.fullmatch(words))]
        for name, annotation in annotations.items()
        if (texts := values.metadata(annotation))
    }


def _unmet(conditions: list[tuple[str, str, str]], node: Node) -> tuple[str, str, str] | None:
    """Return the first condition that the other keys of a node do not meet."""
    for how, name, value in conditions:
        holds = str(node.get(name)) == value if value else bool(node.get(name))
        if holds is (how == "without"):
            return how, name, value
    return None
