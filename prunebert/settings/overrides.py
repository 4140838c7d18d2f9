"""The words of a command line as Hydra reads them, configurations composed of them, and Hydra's errors in one line.

Only this file and cli.py import Hydra.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf

from prunebert.errors import BadInput, bad_choice, did_you_mean
from prunebert.settings import checks, signature
from prunebert.settings.labels import search

NOT_IN_FOLDER_NAMES = ("experiment", "hydra.mode", "rerun", "dry")  # as exclude_keys in conf/config.yaml has it
EXTRAS = {"hydra_submitit": "slurm", "hydra_joblib": "parallel"}  # package of a launcher -> the extra that installs it
PACKAGES_OF_LAUNCHERS = ("submitit", "joblib", "ray")
Fields = dict[str, Any]
Build = Callable[[Any], Any]


def compose(words: list[str]) -> DictConfig:
    """The configuration that the words of a command line mean, outside `hydra.main`. Raises Hydra's errors."""
    with hydra.initialize_config_module("prunebert.conf", version_base="1.3"):
        return hydra.compose("config", overrides=words)


def checked(words: list[str]) -> tuple[Fields, Build]:
    """The configuration of some words, resolved and checked, and `build`. Raises BadInput and Hydra's errors."""
    checks.words(values(words))
    fields: Any = OmegaConf.to_container(compose(words), resolve=True)
    checks.config(fields)
    return fields, build


def build(node: Any) -> Any:
    """The object that a node with a `_target_` describes. Raises what its constructor raises."""
    try:
        return hydra.utils.instantiate(node, _convert_="all")
    except InstantiationException as error:
        raise error.__cause__ or error from None


def resolved(config: DictConfig) -> Fields:
    """A configuration without Hydra's own part, its interpolations resolved."""
    fields: Any = OmegaConf.to_container(config)
    without_hydra = OmegaConf.create({key: value for key, value in fields.items() if key != "hydra"})
    container: Any = OmegaConf.to_container(without_hydra, resolve=True)
    return container


def parsed(words: Iterable[str]) -> list[Override]:
    """The overrides among some words, in order; flags such as --multirun are left out. Raises Hydra's parse error."""
    return OverridesParser.create().parse_overrides([w for w in words if "=" in w and not w.startswith("-")])


def values(words: list[str]) -> list[tuple[str, Any]]:
    """(key, value) of each override, a sweep's values one by one. Raises Hydra's parse error."""
    pairs = []
    for override in parsed(words):
        if override.value_type in (ValueType.GLOB_CHOICE_SWEEP, ValueType.INTERVAL_SWEEP):
            continue  # a glob stands for options of a group, an interval is for an optimising sweeper
        values = override.sweep_iterator() if override.is_sweep_override() else [override.value()]
        pairs += [(override.key_or_group, value) for value in values]
    return pairs


def axis(word: str) -> list[str]:
    """The overrides `key=value` that Hydra's sweeper makes of one word. Raises BadInput where it takes another sweeper,
    or options that only Hydra can list.
    """
    try:
        (override,) = parsed([word])
        key = override.get_key_element()
        if not override.is_sweep_override():
            return [f"{key}={override.get_value_element_as_str()}"]
        if not override.is_discrete_sweep() or override.value_type == ValueType.GLOB_CHOICE_SWEEP:
            raise BadInput(f"{word}: only lists, choice() and range() can be enumerated")
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    except (HydraException, ValueError) as error:
        raise BadInput(explain(error)) from error


@cache  # a sweep repeats its words in every cell, and parsing takes a millisecond
def canonical(word: str) -> str:
    """One spelling for all overrides that mean the same, as sparsity=0.90 and sparsity=.9. Raises BadInput."""
    try:
        (override,) = parsed([word])
    except (HydraException, ValueError) as error:
        raise BadInput(explain(error)) from error
    value = override.value()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{override.key_or_group}={float(value)!r}".removesuffix(".0")
    return f"{override.key_or_group}={override.get_value_element_as_str()}".replace("'", "").replace('"', "")


def for_every_cell(words: list[str]) -> list[str]:
    """The words as Hydra needs them for a sweep and for a dry run.

    `method.key=value` beside `method=a,b` is meant for a and b. Hydra would look for the key in the default method, so
    the word gets `++`. A dry run needs neither Hydra's records nor a launcher: a launcher would ask a cluster, and its
    workers keep to themselves what they refuse.
    """
    given = [w for w in words if "=" in w and not w.startswith("-")]
    overrides = dict(zip(given, parsed(given), strict=True))
    swept = tuple(f"{o.key_or_group}." for o in overrides.values() if o.is_sweep_override())
    dry = {w for w, o in overrides.items() if o.key_or_group == "dry" and o.value() is True}
    words = [f"++{w}" if w in given and w.startswith(swept) else w for w in words]
    if dry:
        words = [w for w in words if not w.lstrip("+~").startswith(("hydra/launcher=", "hydra.launcher."))]
    return [each for word in words for each in ([word, "hydra.output_subdir=null"] if word in dry else [word])]


def refuse_unread_keys(words: list[str]) -> None:
    """Raise BadInput for a `method.key=value` beside `method=a,b` that no method of the sweep takes."""
    pairs = values(words)
    methods = [str(value) for key, value in pairs if key == "method"]
    keys = list(dict.fromkeys(key.split(".")[1] for key, _ in pairs if key.startswith("method.")))
    if len(methods) < 2 or not keys:
        return
    targets = [compose([*search(words), f"method={m}"]).method._target_ for m in methods]
    signatures = [signature.names(target) for target in targets]
    if None in signatures:
        return
    taken = sorted({name for names in signatures for name in names or []})
    for key in keys:
        if key not in taken:
            raise BadInput(f"method.{key}: none of {', '.join(methods)} takes {key}{did_you_mean(key, taken)}")


def folder_of(words: list[str]) -> str:
    """The folder that Hydra gives the cell of a sweep with these words. Raises BadInput if they cannot be read."""
    try:
        overrides = OverridesParser.create().parse_overrides(words)
    except OverrideParseException as error:
        raise BadInput(explain(error)) from error
    named = [o for o in overrides if o.key_or_group not in NOT_IN_FOLDER_NAMES]
    return checks.cell(",".join(sorted(f"{o.get_key_element()}={o.get_value_element_as_str()}" for o in named)))


def explain(error: Exception) -> str:
    """An error of Hydra or OmegaConf in one line, with the allowed values."""
    text = str(error)
    if isinstance(error, MissingConfigException) and error.options is not None and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return str(bad_choice(group, name, [o for o in error.options if not o.startswith("_")]))
    if isinstance(error, OverrideParseException):
        return f"{error.override}: cannot be read as key=value ({text.splitlines()[0]})"
    unknown = re.search(r"Could not override '([^']+)'", text)
    if isinstance(error, ConfigCompositionException) and unknown:
        key = unknown[1].split("@")[0]
        return f"{key}: there is no such key{did_you_mean(key, _known_keys())} (`prunebert --cfg job` shows all)"
    return " ".join(text.split())


def explain_launcher(error: Exception) -> tuple[str, int] | None:
    """Message and exit status where a launcher is missing, its cluster refuses, or its worker was killed; None for any
    other error.
    """
    text = " ".join(str(error).partition("\n\n")[0].split())
    if text.startswith("Unknown plugin class"):
        needed = [extra for package, extra in EXTRAS.items() if package in text]
        message = f"it needs an extra: pip install 'prunebert[{needed[0]}]'" if needed else text
        return f"hydra/launcher: {message}", 2
    if type(error).__module__.partition(".")[0] in PACKAGES_OF_LAUNCHERS:
        return f"{text} (`prunebert status` lists what is left of a sweep; the same command goes on)", 1
    return None


def _known_keys() -> list[str]:
    """Every key of the default configuration, dotted, and the config groups."""
    config = OmegaConf.to_container(compose([]))

    def walk(node: Any, path: str) -> list[str]:
        children = node.items() if isinstance(node, dict) else ()
        below = [key for name, child in children for key in walk(child, f"{path}.{name}")]
        return [path.removeprefix("."), *(key for key in below if "._" not in key)]

    return walk(config, "")


def _published(paper: str, *, _root_: DictConfig) -> str:
    """The prunable set of a method's paper, unless one set is asked for all methods."""
    return paper if _root_.prunable == "paper" else str(_root_.prunable)


OmegaConf.register_new_resolver("cell", checks.cell, replace=True)
OmegaConf.register_new_resolver("published", _published, replace=True)
