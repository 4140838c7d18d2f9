"""The words of a command line as Hydra reads them, and configurations composed of them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import cache
from typing import Any, cast

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString, RangeSweep, ValueType
from hydra.errors import HydraException, InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from prunebert.errors import BadInput, shown
from prunebert.settings import checks, expansion, quoting, repeated_keys, resolvers, tuning
from prunebert.settings import explain as explanations
from prunebert.settings.hydra_part import hydra_references

MAX_VALUES = 100_000  # of one range in a sweep
Fields = dict[str, Any]
Build = Callable[[Any], Any]
resolvers.register()


def compose(words: list[str], whole: bool = False) -> DictConfig:
    """The configuration that the words of a command line mean. whole: with Hydra's part. Raises Hydra's errors."""
    inside = GlobalHydra.instance().is_initialized()  # of `hydra.main`
    with nullcontext() if inside else hydra.initialize_config_module("prunebert.conf", version_base="1.3"):
        return hydra.compose("config", overrides=words, return_hydra_config=whole)


def packaged(words: list[str]) -> Fields:
    """The resolved configuration of some words in prunebert's own conf/, inside a command with a search path too."""
    outside, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None
    try:
        return container(compose(words), words)
    finally:
        GlobalHydra.instance().hydra = outside


def checked(words: list[str]) -> tuple[Fields, Build]:
    """The configuration of some words, resolved and checked, and `build`. Raises BadInput."""
    refuse_bad_words(words)
    fields = described(words)[0]
    checks.config(fields)
    return fields, build


def described(words: list[str]) -> tuple[Fields, Fields, dict[str, str]]:
    """The configuration of some words, resolved and as written, and the option of each group. Raises BadInput."""
    try:
        config = compose(words, whole=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise BadInput(explain(error)) from error
    choices = dict(config.hydra.runtime.choices)
    with hydra_references(config):
        OmegaConf.set_struct(config, False)
        del config["hydra"]
        as_written: Any = OmegaConf.to_container(config)
        return container(config, words), as_written, choices


def sweeper_params(words: list[str]) -> dict[str, str]:
    """What an experiment among some words sweeps: key -> values as on a command line. Raises BadInput."""
    try:
        params = compose(words, whole=True).hydra.sweeper.get("params") or {}
    except (HydraException, OmegaConfBaseException) as error:
        raise BadInput(explain(error)) from error
    return {str(key): str(value) for key, value in params.items()}


def refuse_bad_words(words: list[str]) -> None:
    """Raise BadInput for a word that no configuration could mean, before anything is composed."""
    for word in words:
        key = word[1:].partition("=")[0]
        if word.startswith("~") and key in checks.KEYS and key not in checks.OPTIONAL:
            raise BadInput(f"{key}: is needed and cannot be removed ({shown(word)})")
        if word.lstrip("+~").startswith("hydra.sweeper.params"):
            raise BadInput(f"{shown(word)}: write what a sweep varies as words of their own, as in -m seed=0,1,2")
    pairs = values(words)
    checks.words(pairs)
    expansion.refuse_files(searched(pairs))


def searched(pairs: list[tuple[str, Any]]) -> list[str]:
    """The folders that the words' hydra.searchpath names."""
    given = [value for key, value in pairs if key == "hydra.searchpath"]
    return [str(folder) for value in given for folder in (value if isinstance(value, list) else [value])]


def flags(words: list[str]) -> argparse.Namespace:
    """Hydra's flags among the words, and as `overrides` the words that are none.

    Raises:
        BadInput: an unknown flag, or a word that is not KEY=VALUE.
    """
    parser = get_args_parser()

    def refuse(message: str) -> None:
        raise BadInput(f"{' '.join(message.split())}; `prunebert --hydra-help` lists the flags")

    vars(parser)["error"] = refuse  # argparse would print several lines and exit
    found = parser.parse_args(words)
    for word in found.overrides:
        if "=" not in word and not word.startswith("~"):
            hint = f"; write {meant}" if (meant := quoting.without_spaces(words)) else ""
            raise BadInput(f"{shown(word)}: must be KEY=VALUE (a command such as info comes first, by itself){hint}")
    return found


def build(node: Any) -> Any:
    """The object that a node with a `_target_` describes. Raises what its constructor raises."""
    try:
        return hydra.utils.instantiate(node, _convert_="all")
    except InstantiationException as error:
        raise error.__cause__ or error from None


def resolved(config: DictConfig | Fields) -> Fields:
    """A configuration without Hydra's own part, its interpolations resolved."""
    words = list(config["hydra"].overrides.task) if "hydra" in config else []
    fields: Any = OmegaConf.to_container(OmegaConf.create(config))
    without_hydra = OmegaConf.create({key: value for key, value in fields.items() if key != "hydra"})
    return container(without_hydra, words)


def container(config: DictConfig, words: list[str]) -> Fields:
    """A configuration as plain dicts and lists, its interpolations resolved. Raises BadInput where a value refers to
    what does not exist; it begins with the word that says so, if one does.
    """
    unresolved: Any = OmegaConf.to_container(config)
    expansion.refuse_values(unresolved)
    try:
        return cast(Fields, OmegaConf.to_container(_with_tried_rates(config), resolve=True))
    except OmegaConfBaseException as failed:
        for key, value in values(words):
            if isinstance(value, str) and "${" in value:
                try:
                    OmegaConf.select(config, key)
                except OmegaConfBaseException as error:
                    raise BadInput(f"{key}={shown(value)}: {explanations.reason(error)}") from error
        raise BadInput(explain(failed)) from failed


def _with_tried_rates(config: DictConfig) -> DictConfig:
    """The configuration with the rates of its try, if it is one of experiment=tune. Raises BadInput."""
    if "tune" not in config or config.tune is None:
        return config
    changed, tune = config.copy(), cast(Fields, OmegaConf.to_container(config.tune, resolve=True))
    for key, rate in tuning.rates_of_try(tune, lambda key: OmegaConf.select(config, key)).items():
        expansion.refuse_key_of_reference(OmegaConf.to_container(config), key)
        OmegaConf.update(changed, key, rate)
    return changed


def parsed(words: Iterable[str]) -> list[Override]:
    """The overrides among some words, in order; flags such as --multirun are left out. Raises BadInput."""
    return [_parsed(word) for word in words if "=" in word and not word.startswith("-")]


@cache  # a sweep repeats its words in every cell, and parsing takes a millisecond
def _parsed(word: str) -> Override:
    """One override. Raises BadInput, which says how to quote it."""

    def read(word: str) -> Override:
        try:
            override = OverridesParser.create().parse_override(word)
            word.encode()
        except (HydraException, RecursionError) as error:
            raise ValueError(str(error)) from error
        if not override.key_or_group:
            raise ValueError("no key")
        return override

    try:
        return repeated_keys.checked(read(word), word)
    except ValueError as error:
        raise BadInput(explanations.unreadable(word, lambda other: read(other).value())) from error


def values(words: list[str]) -> list[tuple[str, Any]]:
    """(key, value) of each override, a sweep's values one by one. Raises BadInput."""
    pairs = []
    for override in parsed(words):
        if override.value_type in (ValueType.GLOB_CHOICE_SWEEP, ValueType.INTERVAL_SWEEP):
            continue  # a glob stands for options of a group, an interval is for an optimising sweeper
        if override.is_sweep_override():
            _refuse_long_range(override)
        values = override.sweep_iterator() if override.is_sweep_override() else [override.value()]
        pairs += [(override.key_or_group, _without_quotes(value)) for value in values]
    return pairs


def _without_quotes(value: Any) -> Any:
    """Return a value of a sweep as Hydra passes it to a run: Hydra's own class for quoted text becomes the text."""
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [_without_quotes(item) for item in value]
    return {key: _without_quotes(item) for key, item in value.items()} if isinstance(value, dict) else value


def axis(word: str) -> list[str]:
    """The overrides `key=value` that Hydra's sweeper makes of one word. Raises BadInput where it takes another sweeper,
    or options that only Hydra can list.
    """
    (override,) = parsed([word])
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep() or override.value_type == ValueType.GLOB_CHOICE_SWEEP:
        raise BadInput(f"{word}: only lists, choice() and range() can be enumerated")
    _refuse_long_range(override)
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def _refuse_long_range(override: Override) -> None:
    """Raise BadInput for a range with more values than a sweep can have, before it is expanded."""
    swept = override.value()
    if not isinstance(swept, RangeSweep) or swept.start is None or swept.stop is None:
        return
    try:
        number = (swept.stop - swept.start) / swept.step
    except (OverflowError, ZeroDivisionError):
        number = math.inf
    if number > MAX_VALUES:
        values = f"{math.ceil(number):,} values" if math.isfinite(number) else "too many values to count"
        raise BadInput(
            f"{shown(override.input_line or override.key_or_group)}: the range has {values}, and a sweep takes at most "
            f"{MAX_VALUES:,} for one key"
        )


@cache
def canonical(word: str) -> str:
    """One spelling for all overrides that mean the same, as sparsity=0.90 and sparsity=.9. Raises BadInput."""
    (override,) = parsed([word])
    value = override.value()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{override.key_or_group}={float(value)!r}".removesuffix(".0")
    return f"{override.key_or_group}={override.get_value_element_as_str()}".replace("'", "").replace('"', "")


def for_every_cell(words: list[str], axes: list[str]) -> list[str]:
    """The words as Hydra needs them for a sweep and for a dry run. axes: what the experiment sweeps besides.

    `method.key=value` beside `method=a,b` is meant for a and b. Hydra would look for the key in the default method, so
    the word gets `++`. A dry run needs neither Hydra's records nor a launcher: a launcher would ask a cluster, and its
    workers keep to themselves what they refuse.
    """
    given = [w for w in words if "=" in w and not w.startswith("-")]
    overrides = dict(zip(given, parsed(given), strict=True))
    keys = {o.key_or_group for o in (*overrides.values(), *parsed(axes)) if o.is_sweep_override()}
    swept = tuple(f"{key}." for key in keys | ({"distill"} if "method" in keys else set()))  # a method chooses it
    dry = {w for w, o in overrides.items() if o.key_or_group == "dry" and o.value() is True}
    words = [f"++{w}" if w in given and w.startswith(swept) else w for w in words]
    if dry:
        words = [w for w in words if not w.lstrip("+~").startswith(("hydra/launcher=", "hydra.launcher."))]
    return [each for word in words for each in ([word, "hydra.output_subdir=null"] if word in dry else [word])]


def explain(error: Exception) -> str:
    """An error of Hydra or OmegaConf in one line, with the allowed values."""
    return explanations.explain(error, _known_keys)


def _known_keys() -> list[str]:
    """Every key of the default configuration, dotted, and the config groups."""
    config = OmegaConf.to_container(compose([]))

    def walk(node: Any, path: str) -> list[str]:
        children = node.items() if isinstance(node, dict) else ()
        below = [key for name, child in children for key in walk(child, f"{path}.{name}")]
        return [path.removeprefix("."), *(key for key in below if "._" not in key)]

    return walk(config, "")
