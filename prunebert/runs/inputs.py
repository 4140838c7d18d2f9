"""Check a configuration and the files, folders, runs and packages that it names, before torch is imported.

Each check is the function that the later reader calls too, so a fault gives the same message early and late.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from prunebert.choices import ALLOCATIONS, PRUNER, PRUNER_KEYS
from prunebert.errors import BadInput, did_you_mean, renamed, shown
from prunebert.masks import pattern
from prunebert.network import checkpoint
from prunebert.runs import allocation_file, artifacts, reading
from prunebert.settings import checks, unused
from prunebert.system import packaged, paths
from prunebert.tasks import arguments, layouts

Node = dict[str, Any]
NODES = ("task", "corpus", "model", "method")
RUNS = {"masks": True, "upstream": False}  # a method's keys that name a run, and whether a mask file is enough
LOCAL_LAUNCHERS = {"laptop", "joblib", "basic"}
PRETRAINED = "pretrained"  # the value of distill.teacher that names no run


def check(fields: Node) -> None:
    """Raise BadInput for a value that is not allowed, and for something named in a configuration that is missing."""
    checks.config(fields)
    require(fields)


def check_for(words: list[str]) -> Callable[[Node], None]:
    """Return the check of a sweep's cells: `check`, or only that of the values if another machine runs the cells.

    words: of the sweep's command line. A cluster's nodes may have files that this machine lacks.
    """
    launchers = [word.partition("=")[2] for word in words if word.startswith("hydra/launcher=")]
    return check if set(launchers) <= LOCAL_LAUNCHERS else checks.config


def require(fields: Node, nodes: tuple[str, ...] = NODES) -> None:
    """Raise BadInput for the first file, folder, run or package that is missing.

    Only prunebert's own loaders are known. The user's own code checks its files itself.

    Args:
        fields: a whole configuration, resolved and checked.
        nodes: the groups to check.
    """
    for name in nodes:
        for path, target, node in _targets(fields.get(name), name):
            is_pruners = f"{path}.".startswith(f"{PRUNER}.")
            with renamed(PRUNER_KEYS) if is_pruners else nullcontext():
                _require_of(target, node)


def _require_of(target: str, node: Node) -> None:
    """Raise BadInput for the first file, folder, run or package that one node names and that is missing."""
    if target == "prunebert.tasks.text.text_task":
        _text(node)
    elif target == "prunebert.tasks.squad.squad_task":
        _squad(node)
    elif target == "prunebert.tasks.corpus.corpus":
        _corpus(node)
    elif target == "prunebert.network.models.load":
        require_model(node["name"], node.get("package"))
    elif target.startswith("prunebert.methods."):
        for key, or_file in RUNS.items():
            require_run(node.get(key), f"method.{key}=", or_file)
        require_allocation(node.get("allocation", "uniform"))
        pattern.parse(node.get("pattern", pattern.NONE))
        if node.get("pattern", pattern.NONE) != pattern.NONE and (why := unused.of_key(node, "pattern")):
            raise BadInput(f"method.pattern={node['pattern']}: {why}; leave it out")
    elif target.startswith("prunebert.distill.") and node.get("teacher") != PRETRAINED:
        require_run(node.get("teacher"), "distill.teacher=")


def require_own_files(task: Node) -> None:
    """Raise BadInput for the first missing file of task.train and task.eval, and for what can be no task.path."""
    if task.get("revision"):
        arguments.hub_path(task.get("path"))
        arguments.hub_splits(task.get("eval"))
        return  # its train and eval are splits
    if isinstance(task.get("train"), str):
        paths.find(task["train"], "task.train")
    for file in layouts.evaluation_files(task.get("eval")).values():
        paths.find(file, "task.eval")


def require_model(name: str, package: Node | None = None) -> None:
    """Raise BadInput if a model's folder or package is missing. A hub id is not looked up."""
    if package:
        packaged.installed(package["name"], package["version"], package["extra"])
    else:
        checkpoint.local(name)


def require_run(value: Any, key: str = "", or_file: bool = False) -> None:
    """Raise BadInput, beginning with `key`, unless `value` names a finished run.

    Args:
        value: a path; anything else names nothing.
        or_file: a mask file is accepted, too.
    """
    if not isinstance(value, str | Path):
        return
    root = artifacts.resolve_pointer(reading.home(value))
    if not (or_file and reading.is_file(root)):
        artifacts.result(root, key)


def require_allocation(value: str) -> None:
    """Raise BadInput unless `value` is an allocation's word, a file with sparsities, a finished run or a mask file."""
    path = reading.home(value)
    if value in ALLOCATIONS:
        return
    if allocation_file.is_one(path):
        allocation_file.table(path, "method.allocation")
        return
    allowed = (
        f"allowed are {', '.join(ALLOCATIONS)}, a finished run, a mask file, or "
        f"a file with sparsities ({', '.join(allocation_file.ENDINGS)})"
    )
    if not os.path.lexists(path):
        former = "; uniform is the word for local" if value == "local" else did_you_mean(value, ALLOCATIONS)
        raise BadInput(f"method.allocation={shown(value)}: {allowed}{former}")
    try:
        require_run(value, "method.allocation=", or_file=True)
    except BadInput as error:
        raise BadInput(f"{error}; {allowed}") from error


def _targets(value: Any, path: str) -> Iterator[tuple[str, str, Node]]:
    """Yield the path, the target and the node of each node with a `_target_` in a value, itself included."""
    if isinstance(value, dict):
        if isinstance(value.get("_target_"), str):
            yield path, value["_target_"], value
        for key, inner in value.items():
            yield from _targets(inner, f"{path}.{key}")


def _text(node: Node) -> None:
    name = node.get("seed_name") or node["name"]
    arguments.words("task.label_words", node["label_words"])
    released = node.get("folder")
    arguments.own_columns(node["train"], node["eval"], node["text"], node["label"], node["kind"], released)
    if node["train"] or node.get("revision"):
        require_own_files(node)
    elif node["data_dir"]:
        folder = node["folder"] or layouts.refuse_without_layout(name, node["data_dir"])
        layouts.glue(name, node["data_dir"], folder["name"], [folder["train"], *folder["eval"].values()])
    elif node["package"]:
        _package(node)
    elif not node["hub"]:
        layouts.refuse_without_source(name)


def _squad(node: Node) -> None:
    arguments.words("task.label_words", node["label_words"])
    if node["train"]:
        require_own_files(node)
    elif node["data_dir"]:
        layouts.squad(node["data_dir"], node["no_answer"])


def _corpus(node: Node) -> None:
    if node["file"]:
        layouts.corpus(node["file"])
    elif node["package"]:
        _package(node)


def _package(node: Node) -> None:
    package = node["package"]
    packaged.installed(package["name"], package["version"], package["extra"])
