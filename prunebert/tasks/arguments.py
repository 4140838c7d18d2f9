"""Check settings of a task that its annotations cannot describe: nested tables, column names, label words."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

from prunebert.errors import BadInput, did_you_mean


def table(key: str, values: Any, function: Callable[..., Any], given: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a nested table of settings, which are the keyword arguments of `function`.

    Args:
        key: the table's key, such as task.hub.
        given: keywords that the caller passes itself.

    Raises BadInput for a key that the function does not take, one that it needs, and a value of a wrong type.
    """
    if not isinstance(values, dict):
        raise BadInput(f"{key}={values}: must be a table of settings, as in the task's YAML, or null")
    hints = typing.get_type_hints(function)
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in given
    }
    open_ended = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())
    for name, value in values.items():
        if name not in parameters and not open_ended:
            raise BadInput(
                f"{key}.{name}: there is no such key; allowed are {', '.join(parameters)}"
                f"{did_you_mean(name, parameters)}"
            )
        if name in parameters and not _fits(value, hints[name]):
            raise BadInput(f"{key}.{name}={value}: must be {_words(hints[name])}")
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in values:
            raise BadInput(f"{key}: {name} is needed and not given; the keys are {', '.join(parameters)}")
    return values


def _fits(value: Any, hint: Any) -> bool:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, parts[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(k, parts[0]) and _fits(v, parts[1]) for k, v in value.items())
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _words(hint: Any) -> str:
    """Return a type in a user's words: list[str] is "a list of text"."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_words(part) for part in parts)
    if origin is list:
        return f"a list of {_words(parts[0])}"
    if origin is dict:
        return f"a table of {_words(parts[1])}"
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
    return names.get(hint, str(hint))


def column(key: str, value: Any) -> str:
    """Return the name of a column, which may be a whole number in the configuration.

    Raises BadInput for a value that is neither text nor a whole number, with how to quote it.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, list | dict):
        raise BadInput(f"{key}={text}: must be the name of a column")
    raise BadInput(
        f"{key}={text}: must be the name of a column; if a column has this name, write it in quotes: \"{key}='{text}'\""
    )


def words(key: str, values: Any) -> list[str] | None:
    """Return label words. Raises BadInput for anything but a list of different words, with how to quote others."""
    if values is None:
        return None
    if not isinstance(values, list | tuple):
        raise BadInput(f"{key}={values}: must be a list with a word for each class, as {key}=[bad,good]")
    shown = ["null" if v is None else str(v).lower() if isinstance(v, bool) else str(v) for v in values]
    for word, text in zip(values, shown, strict=True):
        if not isinstance(word, str):
            quoted = ",".join(f"'{t}'" for t in shown)
            raise BadInput(
                f"{key}=[{','.join(shown)}]: {text} is no text; to use it as a word, write it in quotes: "
                f'"{key}=[{quoted}]"'
            )
        if not word.strip():
            raise BadInput(f"{key}={shown}: a word is empty")
    twice = next((word for i, word in enumerate(values) if word in values[:i]), None)
    if twice is not None:
        raise BadInput(
            f"{key}=[{','.join(shown)}]: {twice} stands for two classes; every class needs a word of its own"
        )
    return list(values)
