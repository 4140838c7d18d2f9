"""Map the classes that a network was trained on to those of another task, as `task.map` says (HANS after MNLI)."""

from __future__ import annotations

from typing import Any

from prunebert.errors import BadInput, shown
from prunebert.tasks.files import listed
from prunebert.tasks.label_text import key_of, text_of

EXAMPLE = "task.map=[entailment:entailment,neutral:non-entailment]"


def parse(value: Any) -> list[tuple[str, str]]:
    """Return the pairs (trained class, class of the task) of task.map.

    Args:
        value: {trained: class}, a list of texts "trained:class", or one text with such pairs and commas in between.

    Raises BadInput for anything else, and for a trained class that stands twice.
    """
    if isinstance(value, dict):
        pairs = [(_text(trained, value), _text(target, value)) for trained, target in value.items()]
    else:
        pairs = [_pair(item, value) for item in (value.split(",") if isinstance(value, str) else value)]
    for i, (trained, _) in enumerate(pairs):
        if any(key_of(trained) == key_of(other) for other, _ in pairs[:i]):
            raise BadInput(f"task.map={shown(value)}: {trained} is mapped twice")
    return pairs


def resolve(value: Any, trained: list[str], labels: list[str], task: str) -> dict[str, str]:
    """Return {trained class: class of the task} in the order of `trained`, spelt as these two spell them.

    Pairs for classes that are not in `trained` are left out, so one map can serve runs on several tasks.

    Args:
        value: see `parse`.
        trained: the classes that the network was trained on.
        labels: the classes of the task.
        task: its name, for messages.

    Raises BadInput for a trained class without a pair, and for a target that is no class of the task.
    """
    pairs = parse(value)
    sides = f"the run was trained for {listed(trained)}, and task={task} has {listed(labels)}"
    by_key = {key_of(label): label for label in labels}
    for _, target in pairs:
        if key_of(target) not in by_key:
            raise BadInput(f"task.map={shown(value)}: {target} is no class of task={task}; {sides}")
    targets = {key_of(name): by_key[key_of(target)] for name, target in pairs}
    unmapped = [name for name in trained if key_of(name) not in targets]
    if unmapped:
        raise BadInput(f"task.map={shown(value)}: {listed(unmapped)} is not mapped; {sides}")
    return {name: targets[key_of(name)] for name in trained}


def never_predicted(mapped: dict[str, str], labels: list[str]) -> list[str]:
    """Return the classes of the task to which no trained class is mapped.

    Args:
        mapped: from `resolve`.
        labels: the classes of the task.
    """
    return [label for label in labels if label not in mapped.values()]


def _pair(item: Any, value: Any) -> tuple[str, str]:
    trained, colon, target = item.partition(":") if isinstance(item, str) else ("", "", "")
    if not colon or ":" in target:
        raise BadInput(
            f"task.map={shown(value)}: {shown(item)} is no pair trained:class, as in {EXAMPLE}; for names with a colon "
            r"write 'task.map={a\:b: c}'"
        )
    return _text(trained, value), _text(target, value)


def _text(name: Any, value: Any) -> str:
    try:
        return text_of(name)
    except ValueError as error:
        raise BadInput(f"task.map={shown(value)}: an entry {error}") from None
