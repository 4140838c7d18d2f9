"""Checks a config node against the signature of its target. The signature is read from the source, not imported.

The signature is the schema: names, choices, types and ranges. A wrong value is therefore refused within a second;
importing torch alone takes longer.
"""

from __future__ import annotations

import ast
from functools import cache
from typing import Any

from prunebert.errors import BadInput, bad_choice, did_you_mean, shown
from prunebert.settings import source, values

CONVERSIONS = ("none", "partial", "object", "all")  # of Hydra's `_convert_`
HYDRAS = ("_target_", "_partial_", "_convert_")


def check(node: dict[str, Any], path: str, given_later: tuple[str, ...] = (), positional: int | None = None) -> None:
    """Check a node with a `_target_`, and the nodes inside it.

    Args:
        path: the dotted key of the node in the configuration.
        given_later: parameters that the caller gives by name, so the node need not have them.
        positional: how many arguments the caller gives by position. None: it is not known how the target is called.

    Raises:
        BadInput: a key that the target does not take, a missing key, or a value of a wrong type, range or choice.
    """
    target = node["_target_"]
    if not isinstance(target, str):
        raise BadInput(f"{path}._target_={shown(target)}: must be text, such as module.function")
    _check_hydras(node, path)
    try:
        parameters = source.parameters(target)
    except BadInput as error:
        raise BadInput(f"{path}.{error}") from error
    if parameters is None:
        for key, value in node.items():
            _check_inner(value, f"{path}.{key}", None)
        return
    by_position = [name for name, parameter in parameters.items() if parameter.positional][: positional or 0]
    if positional and len(by_position) < positional:
        raise BadInput(f"{path}._target_={target}: must take {positional} arguments by position")
    for key, value in node.items():
        if key in HYDRAS:
            continue
        if key not in parameters:
            own = [
                name for name in parameters if name not in (*by_position, *given_later)
            ]  # prunebert gives the others
            raise BadInput(
                f"{path}.{key}: {target} takes no {key}; it takes {', '.join(own) or 'no key'}{did_you_mean(key, own)}"
            )
        if key in by_position or (key in given_later and value is not None):
            raise BadInput(f"{path}.{key}={shown(value)}: prunebert sets this itself; leave it out")
        annotation = parameters[key].annotation
        # Code of the user's may be given any object that a node makes.
        if annotation is not None and not (_is_node(value) and not target.startswith("prunebert.")):
            values.check(f"{path}.{key}", value, annotation)
        _check_inner(value, f"{path}.{key}", annotation)
    for key, parameter in parameters.items():
        missing = parameter.default is None or (parameter.default is source.LATER and positional is not None)
        needed = missing and not (key in node or key in given_later or key in by_position)
        if needed and (positional is not None or node.get("_partial_") is not True):
            raise BadInput(f"{path}.{key} is needed by {target} and not given")


def _is_node(value: Any) -> bool:
    return isinstance(value, dict) and "_target_" in value


def _check_inner(value: Any, path: str, annotation: ast.expr | None) -> None:
    """Check a value that is itself a node."""
    if _is_node(value):
        check(value, path, positional=values.positional(annotation) if annotation is not None else None)


def names(target: str) -> list[str] | None:
    """The parameter names of a target; None where its source does not list them."""
    parameters = source.parameters(target)
    return None if parameters is None else list(parameters)


@cache
def defaults(target: str) -> dict[str, Any]:
    """Keyword name -> default, for the defaults that the signature writes as plain values."""
    found = {}
    for name, parameter in (source.parameters(target) or {}).items():
        if parameter.default in (None, source.LATER):
            continue
        try:
            found[name] = ast.literal_eval(parameter.default)
        except ValueError:
            continue
    return found


def _check_hydras(node: dict[str, Any], path: str) -> None:
    """Check the keys of a node that Hydra reads itself."""
    if not isinstance(node.get("_partial_", False), bool):
        raise BadInput(f"{path}._partial_={shown(node['_partial_'])}: must be true or false")
    if node.get("_convert_", "all") not in CONVERSIONS:
        raise bad_choice(f"{path}._convert_", node["_convert_"], CONVERSIONS)
