"""Checks a config node against the signature of its target. The signature is read from the source, not imported.

The signature is the schema: names, Literal choices and plain types. A mistyped value is therefore refused within a
second; importing torch alone takes longer.
"""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from prunebert.errors import BadInput, bad_choice, did_you_mean

LATER = ast.Constant(...)  # the default of a parameter that the caller gives, not the configuration
PLAIN = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,), "None": (type(None),)}


def check(node: dict[str, Any], path: str, given_later: tuple[str, ...] = ()) -> None:
    """Check a node with a `_target_`, and the nodes inside it.

    Args:
        path: the dotted key of the node in the configuration.
        given_later: parameters that the caller gives, so the node need not have them.

    Raises:
        BadInput: a key that the target does not take, a missing key, or a value of a wrong type or choice.
    """
    for key, value in node.items():
        if isinstance(value, dict) and "_target_" in value:
            check(value, f"{path}.{key}")
    parameters = _parameters(str(node["_target_"]))
    if parameters is None:
        return
    for key, value in node.items():
        if key in ("_target_", "_partial_", "_convert_"):
            continue
        if key not in parameters:
            raise BadInput(
                f"{path}.{key}: {node['_target_']} takes no {key}; it takes {', '.join(parameters)}"
                f"{did_you_mean(key, parameters)}"
            )
        annotation, _ = parameters[key]
        if annotation is not None and not (isinstance(value, dict) and "_target_" in value):
            _check_value(f"{path}.{key}", value, annotation)
    for key, (_, default) in parameters.items():
        if not (default or key in node or key in given_later) and "_partial_" not in node:
            raise BadInput(f"{path}.{key} is needed by {node['_target_']} and not given")


def names(target: str) -> list[str] | None:
    """The parameter names of a target; None where its source does not list them."""
    parameters = _parameters(target)
    return None if parameters is None else list(parameters)


def _check_value(path: str, value: Any, annotation: ast.expr) -> None:
    """Raise BadInput where the annotation has only plain types and Literals, and `value` is none of them."""
    choices: list[Any] = []
    plain: list[str] = []
    for part in _union(annotation):
        if isinstance(part, ast.Subscript) and ast.unparse(part.value) == "Literal":
            choices += ast.literal_eval(
                part.slice if isinstance(part.slice, ast.Tuple) else ast.Tuple([part.slice], ast.Load())
            )
        elif ast.unparse(part) in PLAIN:
            plain.append(ast.unparse(part))
        else:
            return
    types = tuple(t for name in plain for t in PLAIN[name])
    fits = value in choices or (isinstance(value, types) and (not isinstance(value, bool) or "bool" in plain))
    if fits:
        return
    if choices and not plain:
        raise bad_choice(path, value, map(str, choices))
    words = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false", "None": "null"}
    raise BadInput(f"{path}={value}: must be {' or '.join([*map(str, choices), *(words[p] for p in plain)])}")


@cache
def defaults(target: str) -> dict[str, Any]:
    """Keyword name -> default, for the defaults that the signature writes as plain values."""
    values = {}
    for name, (_, default) in (_parameters(target) or {}).items():
        try:
            values[name] = ast.literal_eval(default or LATER)
        except ValueError:
            continue
    return {name: value for name, value in values.items() if value is not ...}


def _union(annotation: ast.expr) -> list[ast.expr]:
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return _union(annotation.left) + _union(annotation.right)
    return [annotation]


@cache
def _parameters(target: str) -> dict[str, tuple[ast.expr | None, ast.expr | None]] | None:
    """Keyword name -> (annotation, default) of a function or dataclass; None where the source does not list them."""
    module, _, name = target.rpartition(".")
    file = _source(module)
    if file is None:
        raise BadInput(f"_target_={target}: there is no Python module {module}")
    tree = _Aliases(module).visit(ast.parse(file.read_text("utf-8")))
    definitions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    definition = definitions.get(name)
    if definition is None:
        raise BadInput(f"_target_={target}: {module} defines no {name}{did_you_mean(name, definitions)}")
    if isinstance(definition, ast.FunctionDef):
        if definition.args.kwarg:
            return None
        keyword_only = zip(definition.args.kwonlyargs, definition.args.kw_defaults, strict=True)
        positional = {a.arg: (a.annotation, LATER) for a in definition.args.args}  # net and task are given at the call
        return positional | {a.arg: (a.annotation, default) for a, default in keyword_only}
    if not any("dataclass" in ast.unparse(d) for d in definition.decorator_list):
        return None
    fields = {
        n.target.id: (n.annotation, n.value)
        for n in definition.body
        if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
    }
    inherited: dict[str, tuple[ast.expr | None, ast.expr | None]] = {}
    for base in definition.bases:
        inherited |= _parameters(f"{module}.{ast.unparse(base)}") or {} if ast.unparse(base) in definitions else {}
    return inherited | fields


class _Aliases(ast.NodeTransformer):
    """Replaces a name by its `Literal[...]`, which the module or a module of prunebert that it imports defines."""

    def __init__(self, module: str) -> None:
        self.known = _literals(module)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.known.get(node.id, node) if isinstance(node.ctx, ast.Load) else node


@cache
def _literals(module: str) -> dict[str, ast.expr]:
    """The `Name = Literal[...]` statements of a module and of the modules of prunebert it imports names from."""
    file = _source(module)
    literals: dict[str, ast.expr] = {}
    for node in ast.parse(file.read_text("utf-8")).body if file else ():
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prunebert."):
            theirs = _literals(str(node.module))
            literals |= {alias.asname or alias.name: theirs[alias.name] for alias in node.names if alias.name in theirs}
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("Literal["):
            literals |= {ast.unparse(target): node.value for target in node.targets}
    return literals


@cache
def _source(module: str) -> Path | None:
    """The file of a Python module; None if there is none.

    Only the top package is imported: `find_spec` on prunebert.distill.teacher would import prunebert.distill, and torch
    with it.
    """
    top, *below = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not below:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, *below)
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                return file
    return None
