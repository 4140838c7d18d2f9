"""Errors of Hydra and OmegaConf in one line that begins with the key and ends with what is allowed or how to quote.

Of prunebert, only cli.py and files of this folder import Hydra or OmegaConf.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException

from prunebert.errors import LONGEST, BadInput, bad_choice, cut, did_you_mean, shown, visible
from prunebert.settings import checks, former, quoting

EXTRAS = {"hydra_submitit": "slurm", "hydra_joblib": "parallel"}  # package of a launcher -> the extra that installs it
PACKAGES_OF_LAUNCHERS = ("submitit", "joblib", "ray")
KEY = re.compile(r"[+~]{0,2}[\w.$/@:-]+", re.ASCII)
HOLDER = "hydra.job.env_set"  # a map of Hydra's whose keys the user names


def explain(error: Exception, known_keys: Callable[[], list[str]]) -> str:
    """Return an error of Hydra or OmegaConf in one line.

    known_keys: returns every key of the default configuration, for suggestions.
    """
    text = str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing_option(error)
    if isinstance(error, OverrideParseException):
        return f"{shown(error.override)}: cannot be read as KEY=VALUE"
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        return str(_bad_input(error) or f"{error.full_key}: {reason(error)}")
    several = re.search(r"Ambiguous value for argument '(.+)'\n|Sweep parameters '(.+)' requires --multirun", text)
    if isinstance(error, ConfigCompositionException) and several:
        key, _, value = (several[1] or several[2]).partition("=")
        if "." not in key and key not in (known := known_keys()) and not key.startswith("+"):
            return f"{shown(key)}: there is no such key{did_you_mean(key, known)} (`prunebert --cfg job` shows all)"
        text_word = quoting.word(key, value)
        return f"{key}={shown(value)}: several values are a sweep; add -m; for text write {text_word}"
    unknown = re.search(r"Could not override '([^']*)'", text)
    if isinstance(error, ConfigCompositionException) and unknown:
        if "@" in unknown[1]:
            group = unknown[1].split("@")[0]
            return f"{shown(unknown[1])}: a group has one place in the configuration; write {group}=OPTION"
        return _unknown_key(unknown[1], error, known_keys)
    if found := re.search(r"Could not delete (?:from config\. )?'([^']*)'", text):
        return f"{shown(found[1])}: there is nothing that ~ could remove"
    if found := re.search(r"Error merging override (.+)", text):
        return f"{shown(found[1])}: this key does not take such a value"
    return visible(" ".join(text.split()))


def _unknown_key(key: str, error: Exception, known_keys: Callable[[], list[str]]) -> str:
    """Suggest a key, and name those that the chosen option has beside the one that it lacks."""
    above = key.rpartition(".")[0]
    is_known = any(known.startswith(f"{above}.") for known in known_keys()) if above else False
    beside = getattr(error.__cause__, "parent_node", None) if is_known else None  # of an unknown group it is the root
    names = [str(name) for name in beside or () if not str(name).startswith("_")]
    candidates = [f"{above}.{name}" for name in names] if names else known_keys()
    problem = "there is no such key"
    if above and key in known_keys():  # of the default option, and another one was chosen
        problem = f"the chosen {key.partition('.')[0]} has no such key"
    listed = f"; {above} has {', '.join(names)}" if names else ""
    last = key.rpartition(".")[2]
    deeper = [f"{above}.{name}.{last}" for name in names if _has(beside, name, last)]
    hint = former.hint(key) or (f"; did you mean {deeper[0]}?" if deeper else did_you_mean(key, candidates))
    if above == HOLDER:
        hint = f"; +{shown(key)}=VALUE adds it"
    part = "hydra" if key.startswith("hydra.") else "job"
    return f"{shown(key)}: {problem}{hint}{listed} (`prunebert --cfg {part}` shows all)"


def _has(node: Any, name: str, key: str) -> bool:
    """Return whether the node below `name` is a map that has a key."""
    below: Any = node.get(name) if hasattr(node, "get") else None
    return hasattr(below, "keys") and key in below.keys()  # noqa: SIM118 (OmegaConf's map)


def _missing_option(error: MissingConfigException) -> str:
    """Name the options of a group. Hydra names the file of the option that does not exist."""
    file = str(error.missing_cfg_file)
    groups = (*checks.OPTION_GROUPS, "hydra/launcher", file.rpartition("/")[0])
    group = next(group for group in groups if file.startswith(f"{group}/") or not group)
    name = file[len(group) + 1 :]
    refused = str(bad_choice(group or "config", name, [o for o in error.options or () if not o.startswith("_")]))
    named = f"; a folder, or a name of the hub, is model.name={name}"
    return refused + (named if group == "model" and "did you mean" not in refused else "")


def reason(error: OmegaConfBaseException) -> str:
    """Return why a value that refers to another cannot be read."""
    text = str(error).split("\n    full_key:")[0]
    if isinstance(error, InterpolationKeyError) and (found := re.search(r"Interpolation key '(.+)' not found", text)):
        return f"it refers to ${{{found[1]}}}, and there is no such key"
    if "Recursive interpolation" in text:
        return "it refers to itself"
    if bad_input := _bad_input(error):
        return str(bad_input)
    text = re.sub(r"^\w+ raised while resolving interpolation: ", "", text)  # an exception's name says nothing here
    return f"what it refers to cannot be found: {visible(' '.join(text.split()))}"


def _bad_input(error: BaseException) -> BadInput | None:
    """Return the BadInput that an error was raised for; None if there is none. Each reference of a chain wraps it."""
    cause = error.__cause__ or error.__context__
    return cause if cause is None or isinstance(cause, BadInput) else _bad_input(cause)


def unreadable(word: str, read: Callable[[str], object]) -> str:
    """Return why a word of the command line cannot be read as KEY=VALUE, and how to quote it.

    read: returns the value of a word, or raises ValueError.
    """
    key, _, value = word.partition("=")
    start = cut(f"{key}={value}")
    if any("\ud800" <= c <= "\udfff" for c in word):
        return f"{start}: this name is no valid UTF-8; rename the file, or use a link to it"
    if not key.strip("+~"):
        return f"{shown(word)}: there is no key before the ="
    if not KEY.fullmatch(key):
        return f"{start}: a key has letters, digits, dots and underscores only"
    if re.fullmatch(r"[+-]?[\d_]{1000,}", value):
        return f"{start}: the number has too many digits"
    quoted = f"{key}={quoting.for_hydra(value)}"
    try:
        is_right = read(quoted) == value
    except ValueError:
        is_right = False
    if not is_right or visible(value) != value or len(value) > LONGEST:
        return f"{start}: cannot be read; put the value in quotes"
    paste = quoting.for_shell(quoted)
    return f"{start}: a value with such characters needs quotes; for text write {paste}"


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
