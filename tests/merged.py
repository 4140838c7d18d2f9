"""The configuration of some options, merged from the files of conf/ without Hydra.

Hydra composes in 80 ms, this in less than one, and a table of settings needs thousands of configurations.
`tests/test_conf.py` compares the two for every method, task, fit, model and other option.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

CONF = Path(__file__).parents[1] / "conf"
REFERENCE = re.compile(r"\$\{([\w.]+)\}")
CALL = re.compile(r"\$\{(published|oc\.select|when|by_pattern):(.+)\}")
Tree = dict[str, Any]


def options(group: str) -> list[str]:
    """The names of a group's options, sorted."""
    return sorted(p.stem for p in (CONF / group).glob("*.yaml"))


@cache
def read(name: str) -> tuple[str | None, list[Any], Tree]:
    """Read a yaml of conf/: the package of its first line, its list of defaults, and its values as written."""
    text = (CONF / f"{name}.yaml").read_text()
    package = re.match(r"# @package (\S+)", text)
    values: Any = OmegaConf.to_container(OmegaConf.create(text))
    defaults = values.pop("defaults", [])
    return package and package[1], defaults if "_self_" in defaults else [*defaults, "_self_"], values


def chosen(**options: Any) -> dict[str, str]:
    """The option of every group: those of config.yaml, of the experiment, of the method, and the given ones."""
    primary = read("config")[1]
    found = {group: option for entry in primary if isinstance(entry, dict) for group, option in entry.items()}
    found = {group: option for group, option in found.items() if " " not in group} | _groups(options, found)
    for file in (f"method/{found['method']}", f"experiment/{found['experiment']}"):
        found |= _overridden(file) if not file.endswith("/None") else {}
    return found | _groups(options, found)


def _groups(options: dict[str, Any], groups: dict[str, str]) -> dict[str, str]:
    return {group: option for group, option in options.items() if group in groups}


def _overridden(name: str) -> dict[str, str]:
    """The options that a file chooses by its defaults: `override /task: rte`."""
    entries = [item for entry in read(name)[1] if isinstance(entry, dict) for item in entry.items()]
    return {re.sub(r"override /|@.*", "", group): option for group, option in entries}


def written(**options: Any) -> Tree:
    """Merge the files of some options in the order of config.yaml, their references as written.

    Args:
        options: the option of a group (`task="rte"`), or the value of a key (`sparsity=0.5`, `{"method.tau": 0.1}`).
    """
    groups, config = chosen(**options), {}
    for entry in read("config")[1]:
        if entry == "_self_":
            merge(config, read("config")[2])
            continue
        ((group, option),) = entry.items()
        if group.startswith("optional "):
            group = group.removeprefix("optional ")
            option = re.sub(r"\$\{(\w+)\}", lambda match: str(groups[match[1]]), option)
            if (CONF / group / f"{option}.yaml").exists():
                include(config, group, option)
        elif groups.get(group):  # not `override hydra/job_logging`
            include(config, group, groups[group])
    for key, value in options.items():
        if key not in groups:
            merge(config, nested(key, value))
    config.pop("hydra", None)
    return config


def include(config: Tree, group: str, option: str, package: str | None = None) -> None:
    """Merge a file, and those that its defaults name, into a configuration."""
    header, defaults, values = read(f"{group}/{option}")
    package = package or header or group
    for entry in defaults:
        if entry == "_self_":
            merge(config, values if package == "_global_" else nested(package.replace("/", "."), values))
        elif isinstance(entry, dict):
            ((place, choice),) = entry.items()
            if not place.startswith("override "):  # `/method@pruner: gmp`
                folder, _, below = place.removeprefix("/").partition("@")
                below = below.removeprefix("_global_.") if below.startswith("_global_.") else f"{package}.{below}"
                include(config, folder, choice, below)
        elif isinstance(entry, str):
            child, _, place = entry.partition("@")
            folder, child = child[1:].rsplit("/", 1) if child.startswith("/") else (group, child)
            include(config, folder, child, package if place == "_here_" else None)


def merge(into: Tree, values: Tree) -> None:
    """Merge values into a tree in place. A mapping is merged key by key, everything else replaces."""
    for key, value in values.items():
        if isinstance(value, dict):
            if not isinstance(into.get(key), dict):
                into[key] = {}
            merge(into[key], value)
        else:
            into[key] = value


def nested(key: str, value: Any) -> Tree:
    """A tree with one value, at a dotted key."""
    for part in reversed(key.split(".")):
        value = {part: value}
    tree: Tree = value
    return tree


def config(**options: Any) -> Tree:
    """The configuration of some options (see `written`), resolved."""
    tree = written(**options)
    resolved_tree: Tree = resolved(tree, tree)
    return resolved_tree


def select(config: Tree, key: str) -> Any:
    """The value at a dotted key. Raises KeyError."""
    node: Any = config
    for part in key.split("."):
        node = node[part]
    return node


def resolved(value: Any, config: Tree) -> Any:
    """A value without references. `${x}` is what stands at x; `${name:...}` is a call of a resolver of ours."""
    if isinstance(value, dict):
        return {key: resolved(child, config) for key, child in value.items()}
    if not (isinstance(value, str) and "${" in value):
        return value
    if match := REFERENCE.fullmatch(value):
        return resolved(select(config, match[1]), config)
    match = CALL.fullmatch(value)
    if not match:
        raise ValueError(f"{value}: no reference that is read here")
    arguments = match[2].split(",")
    if match[1] == "published":
        return arguments[0] if config["prunable"] == "paper" else config["prunable"]
    if match[1] == "oc.select":
        try:
            return resolved(select(config, arguments[0]), config)
        except KeyError:
            return number(arguments[1])
    if match[1] == "by_pattern":
        kept, _, group = str(config["method"].get("pattern", "none")).partition(":")
        return 1 - int(kept) / int(group) if group else number(arguments[0])
    given, wanted, then, otherwise = arguments  # of `when`
    return number(then if resolved(given, config) == number(wanted) else otherwise)


def number(text: str) -> Any:
    """The value of a text of YAML. PyYAML takes 2e-5 for text."""
    value = yaml.safe_load(text)
    return float(value) if isinstance(value, str) and re.fullmatch(r"\d+e-\d+", value) else value
