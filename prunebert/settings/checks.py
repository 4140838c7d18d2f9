"""Checks of a configuration that need no import of torch, and that come before anything is built or read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

from prunebert import ranges
from prunebert.choices import PADDINGS, PRUNABLE
from prunebert.errors import BadInput, bad_choice, did_you_mean, shown
from prunebert.fit import Fit
from prunebert.schedules import Cubic, Linear
from prunebert.settings import quoting, signature, task_name


@dataclass(frozen=True)
class Group:
    """What a group's node makes, and how prunebert calls it.

    Attributes:
        home: the module or object of prunebert whose targets belong here. Targets of the user's may lie anywhere.
        positional: how many arguments prunebert gives by position.
        given_later: the arguments that prunebert gives by name.
        partial: whether the node makes a function that is called later; None: it may be either.
    """

    home: str
    positional: int = 0
    given_later: tuple[str, ...] = ()
    partial: bool | None = True


GROUPS = {
    "method": Group("prunebert.methods", positional=2),
    "task": Group("prunebert.tasks", given_later=("tokenizer", "positions", "augment")),
    "model": Group("prunebert.network.models.load", partial=False),
    "corpus": Group("prunebert.tasks.corpus.corpus"),
    "distill": Group("prunebert.distill", positional=2),
    "augment": Group("prunebert.tasks.augment", positional=1, given_later=("model", "device"), partial=None),
    "impl": Group("prunebert.system.impl.Impl", partial=False),
    "tracking": Group("prunebert.system.trackers", positional=2),
}
FITS = ("fit", "teacher_fit", "mask_fit")
NODES = GROUPS | {
    **{name: Group("prunebert.fit.Fit", partial=False) for name in FITS},
    "checkpoint": Group("prunebert.training.checkpoints.Every", partial=False),
    "prune_distill": GROUPS["distill"],  # of the pruner inside sparse_transfer
}
# Not every method reads a corpus, only some budgets choose the padding, only a method with a pruner inside gives that
# one a teacher, and records of earlier versions lack `tuned`.
OPTIONAL = ("corpus", "padding", "prune_distill", "tuned")
KEYS = (*NODES, "sparsity", "prunable", "padding", "seed", "tuned", "rerun", "dry")
OPTION_GROUPS = (*GROUPS, "fit", "experiment")  # `group=option` chooses a file of conf/
SMALL = {"prunebert.fit.Fit": Fit, "prunebert.schedules.Cubic": Cubic, "prunebert.schedules.Linear": Linear}
SEED = ranges.parse(get_args(ranges.Seed)[1])


def words(values: Iterable[tuple[str, Any]]) -> None:
    """Raise BadInput for a value on the command line that no configuration could have, a sweep's values one by one.

    These are a sparsity or seed that is out of range, and a group's option that is no name.
    """
    for key, value in values:
        if key == "sparsity" and not _is_interpolation(value):
            sparsity(value)
        if key == "seed" and not _is_interpolation(value):
            seed(value)
        if key in OPTION_GROUPS:
            option(key, value)


def of_training(words: Iterable[str]) -> None:
    """Raise BadInput for a word of a run or a sweep that only `prunebert evaluate` reads."""
    for word in words:
        if word.lstrip("+").partition("=")[0].split(".")[:2] == ["task", "map"]:
            raise BadInput(
                f"{shown(word)}: a run is trained and scored on its task's own classes; task.map belongs to "
                "prunebert evaluate RUN"
            )


def option(group: str, value: Any) -> None:
    """Raise BadInput unless `value` can be the name of a group's option."""
    if isinstance(value, list):
        names = ",".join(shown(item) for item in value)
        raise BadInput(f"{group}={shown(value)}: must be one option; a sweep over several is -m {group}={names}")
    if not isinstance(value, str) or not value or value.startswith("/") or ".." in value:
        raise BadInput(f"{group}={shown(value)}: must be the name of an option; `prunebert --help` lists them")


def config(cfg: dict[str, Any]) -> None:
    """Raise BadInput for the first key or value of a composed configuration that is not allowed."""
    for key, value in cfg.items():
        if key not in KEYS and not isinstance(value, dict):  # interpolations may refer to a group of the user's own
            raise BadInput(f"{key}: there is no such key{did_you_mean(key, KEYS)}")
    for key in KEYS:
        if key not in cfg and key not in OPTIONAL:
            raise BadInput(f"{key} is needed and not given")
    sparsity(cfg["sparsity"])
    seed(cfg["seed"])
    for key in ("rerun", "dry"):
        if not isinstance(cfg[key], bool):
            raise BadInput(f"{key}={shown(cfg[key])}: must be true or false")
    if not isinstance(cfg.get("tuned"), str | None):
        raise BadInput(f"tuned={shown(cfg['tuned'])}: must be a file that experiment=tune wrote, or null")
    if cfg["prunable"] not in ("paper", *PRUNABLE):
        raise bad_choice("prunable", cfg["prunable"], ("paper", *PRUNABLE))
    if "padding" in cfg and cfg["padding"] not in PADDINGS:
        raise bad_choice("padding", cfg["padding"], PADDINGS)
    # Budgets come first, then teachers, because other nodes hold copies of them.
    for name in sorted(NODES.keys() & cfg.keys(), key=lambda n: (not n.endswith("fit"), not n.endswith("distill"), n)):
        node(name, cfg[name])
    if (own_file := cfg["task"].get("seed_name")) and cfg["task"].get("name") is not None:
        task_name.refuse_bad(cfg["task"], own_file)


def node(name: str, value: Any) -> None:
    """Raise BadInput unless the node of a group, or a budget, describes what belongs there."""
    group = NODES[name]
    if not (isinstance(value, dict) and isinstance(value.get("_target_"), str)):
        where = f"{name}._target_" if isinstance(value, dict) and "_target_" in value else name
        wrong = value["_target_"] if where != name else value
        choice = "" if name == "checkpoint" else f"; choose one with {'fit' if name in FITS else name}=OPTION"
        raise BadInput(f"{where}={shown(wrong)}: must be a mapping with a _target_{choice}")
    target = value["_target_"]
    if target.startswith("prunebert.") and not f"{target}.".startswith(f"{group.home}."):
        raise BadInput(f"{name}._target_={target}: must be in {group.home}, or code of your own")
    if group.partial is not None and value.get("_partial_", False) is not group.partial:
        raise BadInput(f"{name}._partial_={shown(value.get('_partial_', False))}: must be {shown(group.partial)}")
    later = bool(value.get("_partial_"))
    signature.check(value, name, group.given_later if later else (), group.positional if later else 0)
    for path, inner in _nodes(value, name):
        if inner["_target_"] in SMALL:
            _try(SMALL[inner["_target_"]], inner, path)


def _nodes(value: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The nodes with a `_target_` in a value, itself included, with their paths."""
    if isinstance(value, dict):
        if "_target_" in value:
            yield path, value
        for key, inner in value.items():
            yield from _nodes(inner, f"{path}.{key}")


def _try(kind: Any, node: dict[str, Any], path: str) -> None:
    """Make the object, which checks its values against each other. Raises BadInput that begins with the path."""
    try:
        kind(**{key: value for key, value in node.items() if key not in signature.HYDRAS})
    except BadInput as error:
        name = "fit" if kind is Fit else "schedule"  # an object does not know its place in the configuration
        text = str(error).replace(f"{name}.", f"{path}.")
        raise BadInput(text if text.startswith(path) else f"{path}: {text}") from None


def sparsity(value: Any) -> None:
    """Raise BadInput unless 0 <= sparsity < 1."""
    if not (_is_number(value) and 0 <= value < 1):
        raise BadInput(
            f"sparsity={shown(value)}: the fraction removed must be a number, at least 0 and below 1, e.g. 0.9"
            f"{_without_quotes('sparsity', value)}"
        )


def seed(value: Any) -> None:
    """Raise BadInput unless it is a whole number that every generator of random numbers takes."""
    if not (_is_number(value) and isinstance(value, int) and SEED and SEED.holds(value)):
        allowed = SEED.words if SEED else ""
        raise BadInput(f"seed={shown(value)}: must be a whole number, {allowed}{_without_quotes('seed', value)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_interpolation(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def _without_quotes(key: str, value: Any) -> str:
    return f"; write it without quotes: {key}={value}" if quoting.is_quoted_number(value) else ""
