"""The words of a command line as Hydra reads them, and Hydra's errors in ours. With cli.py all that imports Hydra."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ValueType
from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf

from prunebert.errors import BadInput, bad_choice, did_you_mean
from prunebert.settings import checks, signature
from prunebert.settings.labels import search

UNTOLD = ("experiment", "hydra.mode", "rerun", "dry")  # by a cell's folder: exclude_keys in conf/config.yaml


def values(words: list[str]) -> list[tuple[str, Any]]:
    """(key, value) of the overrides among `words`, each value of a sweep on its own. Raises Hydra's parse error."""
    found = []
    for override in OverridesParser.create().parse_overrides([w for w in words if "=" in w and not w.startswith("-")]):
        if override.value_type in (ValueType.GLOB_CHOICE_SWEEP, ValueType.INTERVAL_SWEEP):
            continue  # names of options, and a sweeper's own affair
        values = override.sweep_iterator() if override.is_sweep_override() else [override.value()]
        found += [(override.key_or_group, value) for value in values]
    return found


def for_every_cell(words: list[str]) -> list[str]:
    """`method.key=value` beside `method=a,b` is meant for a and b: Hydra would ask the default method for it first.

    A dry run leaves out Hydra's own records, and a launcher: it would ask a cluster, and workers keep what they refused
    to themselves.
    """
    given = [w for w in words if "=" in w and not w.startswith("-")]
    overrides = dict(zip(given, OverridesParser.create().parse_overrides(given), strict=True))
    swept = tuple(f"{o.key_or_group}." for o in overrides.values() if o.is_sweep_override())
    dry = {w for w, o in overrides.items() if o.key_or_group == "dry" and o.value() is True}
    words = [f"++{w}" if w in given and w.startswith(swept) else w for w in words]
    if dry:
        words = [w for w in words if not w.lstrip("+~").startswith(("hydra/launcher=", "hydra.launcher."))]
    return [each for word in words for each in ([word, "hydra.output_subdir=null"] if word in dry else [word])]


def nobody_takes(words: list[str]) -> None:
    """Raise BadInput for a `method.key=value` beside `method=a,b` that neither takes: no cell could begin."""
    given = values(words)
    methods = [str(value) for key, value in given if key == "method"]
    keys = list(dict.fromkeys(key.split(".")[1] for key, _ in given if key.startswith("method.")))
    if len(methods) < 2 or not keys:
        return
    with hydra.initialize_config_module("prunebert.conf", version_base="1.3"):
        targets = [hydra.compose("config", [*search(words), f"method={m}"]).method._target_ for m in methods]
    found = [signature.names(target) for target in targets]
    if None in found:
        return
    taken = sorted({name for names in found for name in names or []})
    for key in keys:
        if key not in taken:
            raise BadInput(f"method.{key}: none of {', '.join(methods)} takes {key}{did_you_mean(key, taken)}")


def folder_of(words: list[str]) -> str:
    """The folder that Hydra gives the cell of a sweep with these words. Raises BadInput if they cannot be read."""
    try:
        told = [o for o in OverridesParser.create().parse_overrides(words) if o.key_or_group not in UNTOLD]
    except OverrideParseException as error:
        raise BadInput(explain(error)) from error
    return checks.cell(",".join(sorted(f"{o.get_key_element()}={o.get_value_element_as_str()}" for o in told)))


def explain(error: Exception) -> str:
    """Hydra's and OmegaConf's errors, in one line, with what is allowed."""
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


def of_a_launcher(error: Exception) -> tuple[str, int] | None:
    """What is said, and with which status it ends, where a launcher is missing, its cluster refuses, or what it started
    was killed; None for any other error.
    """
    text = " ".join(str(error).partition("\n\n")[0].split())
    if text.startswith("Unknown plugin class"):
        extra = {"hydra_submitit": "slurm", "hydra_joblib": "parallel"}
        needed = [name for package, name in extra.items() if package in text]
        told = f"it needs an extra: pip install 'prunebert[{needed[0]}]'" if needed else text
        return f"hydra/launcher: {told}", 2
    if type(error).__module__.partition(".")[0] in ("submitit", "joblib", "ray"):
        return f"{text} (`prunebert status` tells what of a sweep is left; the same command goes on)", 1
    return None


def _known_keys() -> list[str]:
    """Every key of the default configuration, dotted, and the config groups."""
    with hydra.initialize_config_module("prunebert.conf", version_base="1.3"):
        cfg = OmegaConf.to_container(hydra.compose("config"))

    def walk(node: Any, path: str) -> list[str]:
        inner = (
            [k for name, child in node.items() for k in walk(child, f"{path}.{name}")] if isinstance(node, dict) else []
        )
        return [path.removeprefix("."), *(k for k in inner if "._" not in k)]

    return walk(cfg, "")


def quicker_help() -> None:
    """Hydra copies its repository of configurations for each of the 150 questions that --help asks it; one will do."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    make = getattr(ConfigLoaderImpl, "_parse_overrides_and_create_caching_repo", None)
    if make is None:  # another Hydra: as slow as it is
        return
    once = cache(lambda loader: make(loader, None, []))

    def repository(loader: ConfigLoaderImpl, name: str | None, overrides: list[str]) -> Any:
        return make(loader, name, overrides) if name or overrides else once(loader)

    ConfigLoaderImpl._parse_overrides_and_create_caching_repo = repository  # type: ignore[assignment,method-assign]
