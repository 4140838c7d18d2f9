"""One value of a configuration against the annotation of its parameter."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from prunebert import ranges
from prunebert.errors import BadInput, bad_choice, shown
from prunebert.settings import quoting, source

PLAIN = {
    "int": ("a whole number", (int,)),
    "float": ("a number", (int, float)),
    "str": ("text", (str,)),
    "bool": ("true or false", (bool,)),
    "None": ("null", (type(None),)),
}
TEXT = ast.Name("str", ast.Load())
LISTS, MAPPINGS = ("list", "tuple", "Sequence", "Iterable"), ("dict", "Mapping")
# What a mapping holds: the arguments of one function or two, some more texts, and what the caller gives instead.
ARGUMENTS = re.compile(r"arguments of ([\w.]+)(?: and ([\w.]+))?(?:, with ([\w, ]+))?(?:, without ([\w, ]+))?")
# A range for one key of a node: "final: at least 0 and below 1".
PART = re.compile(r"(\w+): (.+)")


def check(path: str, value: Any, annotation: ast.expr) -> None:
    """Raise BadInput where the annotation is known and the value does not fit it.

    Known are plain types, Literal, Annotated with a range, lists, mappings, Callable, and prunebert's own classes. A
    value for any other annotation passes.

    Args:
        path: the dotted key of the value.
        annotation: resolved, as `source.parameters` returns it.
    """
    parts = _union(annotation)
    if not all(_is_known(part) for part in parts):
        return
    choices = [choice for part in parts for choice in _choices(part)]
    if any(value == choice and type(value) is type(choice) for choice in choices):
        return
    candidates = [part for part in parts if _has_type(value, part)]
    for part in candidates:
        if _name(part) in LISTS or _name(part) in MAPPINGS:
            _check_items(path, value, part)
            return
        if _is_node(part):
            _check_node(path, value, part)
            return
        if _in_range(value, part):
            return
    if choices and len(parts) == 1:
        raise bad_choice(path, value, map(str, choices))
    raise BadInput(f"{path}={shown(value)}: must be {_described(parts, _description)}{_hint(path, value, parts)}")


def description(annotation: ast.expr) -> str:
    """Say in words what an annotation allows; empty where it is not known. Limits that only keep numbers finite, such
    as 1e30, are left out.
    """
    parts = _union(annotation)
    return _described(parts, lambda part: _description(part, usual=True)) if all(map(_is_known, parts)) else ""


def _described(parts: list[ast.expr], describe: Callable[[ast.expr], str]) -> str:
    """Say in words what several types allow together."""
    choices = [str(choice) for part in parts for choice in _choices(part)]
    described = [*choices, *(describe(part) for part in parts if not _choices(part))]
    if len(choices) == len(described) > 2:
        return f"{', '.join(choices[:-1])} or {choices[-1]}"
    return (", or " if any("," in text for text in described) else " or ").join(described)


@cache
def _union(annotation: ast.expr) -> list[ast.expr]:
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return _union(annotation.left) + _union(annotation.right)
    if _name(annotation) == "Optional" and isinstance(annotation, ast.Subscript):
        return [*_union(annotation.slice), ast.Constant(None)]
    return [annotation]


def _bare(part: ast.expr) -> ast.expr:
    """Return an annotation without `Annotated`."""
    while isinstance(part, ast.Subscript) and ast.unparse(part.value) == "Annotated":
        part = part.slice.elts[0] if isinstance(part.slice, ast.Tuple) else part.slice
    return part


@cache
def _metadata(part: ast.expr) -> list[str]:
    """Return the texts of `Annotated`."""
    if not (isinstance(part, ast.Subscript) and ast.unparse(part.value) == "Annotated"):
        return []
    elements = part.slice.elts if isinstance(part.slice, ast.Tuple) else [part.slice]
    texts = [e.value for e in elements[1:] if isinstance(e, ast.Constant) and isinstance(e.value, str)]
    return texts + _metadata(elements[0])


@cache
def metadata(annotation: ast.expr) -> list[str]:
    """Return the texts of `Annotated` in an annotation, those of each part of `X | None` included."""
    return [words for part in _union(annotation) for words in _metadata(part)]


def choices(annotation: ast.expr) -> list[Any]:
    """Return the values of the Literals in an annotation."""
    return [choice for part in _union(annotation) for choice in _choices(part)]


@cache
def _name(part: ast.expr) -> str:
    """Return the name of a type without its arguments: `list` of `list[str]`."""
    bare = _bare(part)
    return ast.unparse(bare.value if isinstance(bare, ast.Subscript) else bare)


@cache
def _items(part: ast.expr) -> list[ast.expr]:
    """Return the arguments of a type: `str` of `list[str]`."""
    bare = _bare(part)
    if not isinstance(bare, ast.Subscript):
        return []
    return list(bare.slice.elts) if isinstance(bare.slice, ast.Tuple) else [bare.slice]


@cache
def _choices(part: ast.expr) -> list[Any]:
    return [ast.literal_eval(item) for item in _items(part)] if _name(part) == "Literal" else []


@cache
def _is_node(part: ast.expr) -> bool:
    """Whether the value must be a node with a `_target_`."""
    return _name(part) == "Callable" or _name(part).startswith("prunebert.")


@cache
def _is_known(part: ast.expr) -> bool:
    return _name(part) in (*PLAIN, *LISTS, *MAPPINGS, "Literal") or _is_node(part)


def _has_type(value: Any, part: ast.expr) -> bool:
    name = _name(part)
    if name in PLAIN:
        return isinstance(value, PLAIN[name][1]) and (not isinstance(value, bool) or name == "bool")
    if name in LISTS:
        return isinstance(value, list | tuple)
    if name in MAPPINGS:
        return isinstance(value, dict) and "_target_" not in value
    return _is_node(part) and isinstance(value, dict) and "_target_" in value


def _in_range(value: Any, part: ast.expr) -> bool:
    """Return whether a value of the right type is in the ranges of its annotation. A float without one is finite."""
    allowed = [range_ for words in _metadata(part) if (range_ := ranges.parse(words))]
    if not allowed and _name(part) == "float":
        return ranges.is_finite(value)
    return all(range_.holds(value) for range_ in allowed)


def positional(annotation: ast.expr) -> int | None:
    """Return how many arguments a `Callable[[…], …]` is called with; None for another annotation."""
    for part in _union(annotation):
        if _name(part) == "Callable" and _items(part) and isinstance(arguments := _items(part)[0], ast.List):
            return len(arguments.elts)
    return None


def _check_items(path: str, value: Any, part: ast.expr) -> None:
    """Check the elements of a list, or the keys and values of a mapping."""
    items = _items(part)
    if isinstance(value, list | tuple):
        for i, element in enumerate(value if items else ()):
            check(f"{path}[{i}]", element, items[0])
        return
    for words in _metadata(part):
        if named := ARGUMENTS.fullmatch(words):
            _check_arguments(path, value, named)
    for key, element in value.items():
        if not (isinstance(key, str) or (items and any(_has_type(key, kind) for kind in _union(items[0])))):
            raise BadInput(f"{path}={shown(value)}: the key {shown(key)} must be text; write it in quotes")
        if len(items) == 2:
            check(f"{path}.{key}", element, items[1])


def _check_arguments(path: str, value: dict[str, Any], named: re.Match[str]) -> None:
    """Check a mapping that is handed to a function as its keyword arguments."""
    first, second, more, without = named.groups()
    taken: dict[str, ast.expr | None] = {name: TEXT for name in (more or "").split(", ") if name}
    needed = set(taken)
    for function in (first, second):
        for name, parameter in (source.keywords(function) if function else {}).items():
            taken[name] = parameter.annotation
            needed |= {name} if parameter.default is None else set()
    for name in (without or "").split(", "):
        taken.pop(name, None)
    for key, element in value.items():
        if key not in taken:
            raise BadInput(f"{path}.{key}: there is no such key; it takes {', '.join(taken)}")
        if (annotation := taken[key]) is not None:
            check(f"{path}.{key}", element, annotation)
    for key in sorted(needed & taken.keys() - value.keys()):
        raise BadInput(f"{path}.{key} is needed and not given")


def _check_node(path: str, value: dict[str, Any], part: ast.expr) -> None:
    """Check that a node makes what the annotation asks for, as far as prunebert's own targets tell."""
    kind, target = _name(part), value["_target_"]
    if not isinstance(target, str):
        raise BadInput(f"{path}._target_={shown(target)}: must be text, such as module.function")
    if kind == "Callable":
        if value.get("_partial_") is not True:
            raise BadInput(
                f"{path}._partial_={shown(value.get('_partial_'))}: must be true, because it is called later"
            )
        return
    ours = target.startswith("prunebert.")
    if ours:
        try:
            source.parameters(target)
        except BadInput as error:
            raise BadInput(f"{path}.{error}") from error
    if ours and not source.is_a(target, kind):
        raise BadInput(f"{path}._target_={target}: must be {kind}, or a class derived from it")
    for words in _metadata(part):
        if not (named := PART.fullmatch(words)):
            continue
        number, allowed = value.get(named[1]), ranges.parse(named[2])
        if isinstance(number, int | float) and allowed and not allowed.holds(number):  # its type is checked later
            raise BadInput(f"{path}.{named[1]}={shown(number)}: must be {named[2]}")


@cache
def _description(part: ast.expr, usual: bool = False) -> str:
    """Say in words what a type allows. usual: without the limits that only keep numbers finite."""
    name = _name(part)
    limits = [words for words in _metadata(part) if ranges.parse(words)]
    limits = list(filter(None, map(ranges.usual, limits))) if usual else limits
    if name in PLAIN:
        return ", ".join([PLAIN[name][0], *limits])
    if name in LISTS:
        items = [_description(item) for item in _items(part)[:1] if all(_is_known(p) for p in _union(item))]
        inner = {"text": " of texts", "a number": " of numbers", "a whole number": " of whole numbers"}
        return "a list" + inner.get(items[0] if items else "", "")
    if name in MAPPINGS:
        return "a mapping" if usual else "a mapping such as {name: value}"
    if usual:
        return f"the keys of {name}" if name.startswith("prunebert.") else "a mapping with a _target_"
    example = name if name.startswith("prunebert.") else "module.function"
    return f"a mapping with a _target_ such as {{_target_: {example}}}"


def _hint(path: str, value: Any, parts: list[ast.expr]) -> str:
    """Say how the value would have to be written, where only quotes or brackets are wrong."""
    names = {_name(part) for part in parts}
    if isinstance(value, str):
        if names & {"int", "float"} and quoting.is_quoted_number(value):
            return f"; write it without quotes: {path}={value}"
        if names & set(LISTS) and value and "str" not in names and "=" not in value:
            return f"; a list of one is {quoting.for_shell(f'{path}=[{value}]')}"
    elif "str" in names and isinstance(value, int | float | bool):
        if not re.search(r"\[\d+\]$", path):
            return f"; for text write {quoting.word(path, shown(value))}"
        return f"; for text write '{shown(value)}' in quotes"
    return ""
