"""tuned=FILE: the rates that experiment=tune chose for each method, from the yaml that it wrote."""

from __future__ import annotations

import re
from typing import Any

from prunebert.errors import BadInput, describe_os_error, shown
from prunebert.settings import overrides
from prunebert.system import paths

SCHEME = "tuned://"  # of an entry of Hydra's search path, which tuned.py reads
LARGEST = 256 << 10  # bytes; a large YAML file takes minutes
KEY = re.compile(r"(fit|mask_fit|teacher_fit|distill|method)(\.[A-Za-z_]\w*)+", re.ASCII)  # what a method is trained by


def read(file: str) -> dict[str, dict[str, float]]:
    """Return {method: {key: rate}} of a file that experiment=tune wrote.

    Raises BadInput for a file that is missing, cannot be read, or is no such file.
    """
    import yaml

    path = paths.find(file, "tuned")
    try:
        if path.stat().st_size > LARGEST:
            raise BadInput(f"tuned={file}: it has more than {LARGEST >> 10} KiB")
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise BadInput(f"tuned={file}: {describe_os_error(error)}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput(f"tuned={file}: it is damaged: it is no YAML") from error
    methods = content.get("methods") if isinstance(content, dict) else None
    if not isinstance(methods, dict) or not methods:
        raise BadInput(f"tuned={file}: it has no methods; experiment=tune writes such a file")
    return {str(name): _rates(file, str(name), entry) for name, entry in methods.items()}


def _rates(file: str, method: str, entry: Any) -> dict[str, float]:
    rates = entry.get("rates") if isinstance(entry, dict) else None
    if not isinstance(rates, dict) or not rates:
        raise BadInput(f"tuned={file}: methods.{method} has no rates")
    for key, rate in rates.items():
        if not isinstance(key, str) or not KEY.fullmatch(key):
            raise BadInput(f"tuned={file}: methods.{method}.rates has {shown(key)}, which is no key such as fit.lr")
        if not isinstance(rate, int | float) or isinstance(rate, bool) or not 0 < rate < 1e30:
            raise BadInput(f"tuned={file}: methods.{method}.rates.{key}={shown(rate)}: must be a number above 0")
    return {key: float(rate) for key, rate in rates.items()}


def of_method(file: str, method: str) -> dict[str, float]:
    """Return {key: rate} of a method. Raises BadInput if the file has none for it."""
    chosen = read(file)
    if method not in chosen:
        raise BadInput(
            f"tuned={file}: it has no rates of method={method}, only of {', '.join(chosen)}; "
            f"experiment=tune method={method} chooses them"
        )
    return chosen[method]


def file_of(words: list[str]) -> str | None:
    """Return the file that the last `tuned=` names; None if there is none, or `tuned=null`."""
    given = [word for word in words if key_of(word) == "tuned" and "=" in word]
    if not given:
        return None
    values = [value for _, value in overrides.values(given[-1:])]
    if len(values) > 1 or isinstance(values[0], list | dict):
        raise BadInput(f"{shown(given[-1])}: must be one file; a sweep cannot vary it")
    if values[0] is not None and not (isinstance(values[0], str) and values[0].strip()):
        raise BadInput(f"tuned={shown(values[0])}: must be a file that experiment=tune wrote, or null")
    return None if values[0] is None else str(values[0])


def key_of(word: str) -> str:
    return word.lstrip("+").partition("=")[0]
