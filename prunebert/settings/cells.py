"""Name the directory of a sweep's cell by what the sweep varies: method-smp_sparsity-0.9_seed-1.

A name has only letters, digits, dots, hyphens and underscores, which mean nothing to a shell or to Hydra's grammar. A
value that has other characters, or capitals, gets a hash, so no two values share a name.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from prunebert.errors import BadInput, shown
from prunebert.settings import overrides
from prunebert.settings.checks import OPTION_GROUPS
from prunebert.settings.hydra_part import hydra_references

LONGEST = 100  # bytes of a name
SINGLE = "single"  # the cell of a sweep that varies nothing
VARIED = "hydra.callbacks.around.varied"  # the key by which a cell knows what the sweep varies
NUMBERED = re.compile(r"\$\{(hydra[.:]job\.(num|id)\}|cell:)")  # subdirs that no two cells share


def varied(words: Sequence[str], params: Mapping[str, Any]) -> list[str]:
    """Return the keys of which a sweep has several values, in the order of Hydra's sweeper.

    Args:
        words: the sweep's words. One of them replaces the parameter of the same key.
        params: hydra.sweeper.params, which an experiment sets.
    """
    return [key.lstrip("+~") for key, word in _axes(words, params).items() if _has_several_values(word)]


def name(words: Sequence[str], keys: Sequence[str]) -> str:
    """Return the name of a cell's directory.

    Args:
        words: the cell's words, one value for each key.
        keys: what the sweep varies, as `varied` returns it.
    """
    labels = _labels(keys)
    parts = [f"{labels[key]}-{_safe(value, labels.values())}" for key, value in varied_words(words, keys).items()]
    whole = "_".join(parts) or SINGLE
    return whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 13]}-{_hash(whole, 12)}"


def varied_words(words: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    """Return {key: its value as a command line writes it} of what a sweep varies, for one cell. Arguments as `name`."""
    values = {o.get_key_element().lstrip("+~"): o.get_value_element_as_str() for o in overrides.parsed(words)}
    return {key: values[key] for key in keys if key in values}


def earlier_name(override_dirname: str) -> str:
    """Return the name that earlier versions gave a cell: all its words, or the first of them and a hash."""
    text = re.sub(r"(^|,)\+{1,2}", r"\1", override_dirname).replace("/", "_") or "default"
    content = text.encode("utf-8", "surrogateescape")
    if len(text) <= 200 and len(content) <= 255:
        return text
    return f"{content[:180].decode('utf-8', 'ignore')}-{hashlib.sha256(content).hexdigest()[:12]}"


def prepare(config: DictConfig) -> None:
    """Name a sweep's directory, and add what it varies to every cell's words: a cell's configuration does not show it.

    config: of the sweep, with Hydra's part.

    Raises BadInput if a hydra.sweep.subdir of the user's gives two cells one directory.
    """
    refuse_moving_directory(config)
    config.hydra.sweep.dir = str(config.hydra.sweep.dir)  # Hydra reads it before its references mean anything
    refuse_shared_directories(config)
    keys = varied(*_of_sweep(config))
    config.hydra.overrides.hydra.append(f"{VARIED}=[{','.join(map(repr, keys))}]")


def refuse_unknown_options(config: DictConfig) -> None:
    """Raise BadInput if a group has no such option. Hydra refuses it too, but only after the sweep's warnings.

    config: of the sweep, with Hydra's part.
    """
    loader = GlobalHydra.instance().config_loader()
    words = _axes(*_of_sweep(config)).values()
    for group, option in overrides.values(list(words)):
        if group not in OPTION_GROUPS or not isinstance(option, str) or option in loader.get_group_options(group):
            continue
        try:
            loader.load_sweep_config(config, [f"{group}={option}"])  # knows hydra.searchpath too
        except MissingConfigException as error:
            raise BadInput(overrides.explain(error)) from error
        except HydraException:  # about other words, which the sweep itself has
            continue


def refuse_moving_directory(config: DictConfig) -> None:
    """Raise BadInput if hydra.sweep.dir refers to a key that the words set: a sweep has one directory for all cells.

    config: of the sweep, with Hydra's part. It has the defaults of these keys.
    """
    folder = str(as_written(config.hydra.sweep)["dir"])
    named = {name.partition(".")[0] for name in re.findall(r"\$\{(?:hydra:runtime\.choices\.)?(\w[\w.]*)\}", folder)}
    if of_job := re.search(r"\$\{hydra:job\.(override_dirname|num|id)\}", folder):
        raise BadInput(
            f"hydra.sweep.dir={shown(folder)}: a sweep has one directory for all its cells, which cannot refer to "
            f"hydra.job.{of_job[1]}; use hydra.sweep.subdir"
        )
    for key in _axes(*_of_sweep(config)):
        if (root := key.lstrip("+").partition(".")[0]) in named:
            raise BadInput(
                f"hydra.sweep.dir={shown(folder)}: a sweep has one directory for all its cells, which cannot refer to "
                f"{root}; write its value, or use hydra.sweep.subdir"
            )


def refuse_shared_directories(config: DictConfig) -> None:
    """Raise BadInput if a hydra.sweep.subdir of the user's gives two cells of a sweep one directory.

    config: of the sweep, with Hydra's part. A sweep whose cells only Hydra can list is left to the cells.
    """
    subdir = OmegaConf.to_container(config.hydra.sweep)["subdir"]  # type: ignore[index, call-overload]
    if NUMBERED.search(str(subdir)):
        return
    axes = _axes(*_of_sweep(config))
    values = [_values(word) for word in axes.values()]
    if any(listed is None for listed in values):
        return
    first: dict[str, tuple[str, ...]] = {}
    shared_words = as_written(config.hydra.overrides.hydra)
    for cell in itertools.product(*(listed or [] for listed in values)):
        composed = overrides.compose([*shared_words, *cell], whole=True) if "${" in subdir else config
        try:
            with hydra_references(composed):
                directory = os.path.normpath(composed.hydra.sweep.subdir)
        except OmegaConfBaseException:  # it names what Hydra sets later
            return
        if first.setdefault(directory, cell) != cell:
            raise BadInput(
                f"hydra.sweep.subdir={shown(subdir)}: {' '.join(sorted({*first[directory]} - {*cell}))} and "
                f"{' '.join(sorted({*cell} - {*first[directory]}))} would share the directory {directory}; add "
                "${hydra.job.num} to it, or leave it out"
            )


def as_written(node: Any) -> Any:
    """Return a node of a configuration with its references. Iterating it would replace them by the sweep's defaults."""
    return OmegaConf.to_container(node, resolve=False)


def _of_sweep(config: DictConfig) -> tuple[list[str], dict[str, Any]]:
    """Return a sweep's words and its hydra.sweeper.params, for `varied`. config: with Hydra's part."""
    return as_written(config.hydra.overrides.task), as_written(config.hydra.sweeper).get("params") or {}


def _axes(words: Sequence[str], params: Mapping[str, Any]) -> dict[str, str]:
    """Return the word of each key, as Hydra's sweeper combines them: the last one, at the place of the first."""
    given = [*(f"{key}={value}" for key, value in params.items()), *(word for word in words if "=" in word)]  # no ~key
    return {o.get_key_element(): word for o, word in zip(overrides.parsed(given), given, strict=True)}


def _values(word: str) -> list[str] | None:
    """Return the overrides that a word of a sweep stands for; None if only a sweeper can list them."""
    try:
        return overrides.axis(word)
    except BadInput:
        return None


def _has_several_values(word: str) -> bool:
    values = _values(word)
    return values is None or len(set(values)) > 1


def _labels(keys: Sequence[str]) -> dict[str, str]:
    """Return what stands for each key: its last part, or the whole key where two keys have the same last part."""
    last = {key: re.split(r"[./@]", key)[-1] for key in keys}
    shared = [part.casefold() for part in last.values()]
    return {key: _safe(key if shared.count(part.casefold()) > 1 else part, ()) for key, part in last.items()}


def _safe(text: str, labels: Any) -> str:
    """Return a text in safe characters. One that loses something, or that only case tells apart, gets a hash."""
    text = text.lower() if text in ("True", "False") else text
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", text)
    reads_as_another = any(f"_{label}-" in text for label in labels)
    if safe == text == text.lower() and text and not text.endswith(".") and not reads_as_another:
        return text
    return f"{safe.strip('-.')}-{_hash(text, 8)}".lstrip("-")


def _hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:digits]


def _directory(override_dirname: str, *, _root_: DictConfig) -> str:
    """The resolver ${cell:…}: the directory of an earlier version where the sweep has one, or else the cell's name."""
    node = _root_.hydra
    earlier = earlier_name(override_dirname)
    if (Path(node.sweep.dir) / earlier).is_dir():
        return earlier
    return name(node.overrides.task, node.callbacks.around.varied)


OmegaConf.register_new_resolver("cell", _directory, replace=True)
