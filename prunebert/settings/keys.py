"""Each key of an option of conf/: its default, what is allowed, and what it means. Neither torch nor Hydra is needed.

The default comes from the yaml, what is allowed from the annotation of the parameter, and the meaning from the comment
in the yaml, or from the source of what the key configures.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from prunebert import choices, ranges
from prunebert.errors import BadInput, bad_choice, shown
from prunebert.settings import checks, comments, meanings, source, values

CONF = "pkg://prunebert.conf"
OPTION_GROUPS = (*checks.OPTION_GROUPS, "hydra/launcher")
TEMPLATE = re.compile(r"optional exceptions/(\w+): (.+)")
REFERENCE = re.compile(r"\$\{(?:published:)?([\w.:]+)\}")
SELECTED = re.compile(r"\$\{oc\.select:[\w.]+,([\w.]+)\}")  # a key that may be missing, and the value without it
WHEN = re.compile(r"\$\{when:\$\{([\w.]+)\},([^,]+),([^,]+),([^,]+)\}")
BY_PATTERN = re.compile(r"\$\{by_pattern:(.+)\}")  # a sparsity that method.pattern may set
VALUE = re.compile(r"[\w|]+: ")
LONGEST = 60  # characters of a mapping
GENERAL = {  # the keys that belong to no group
    "sparsity": f"a number, {ranges.usual(get_args(ranges.Fraction)[1])}",
    "prunable": ", ".join(("paper", *choices.PRUNABLE)),
    "seed": f"a whole number, {ranges.usual(get_args(ranges.Seed)[1])}",
    "tuned": "a file that experiment=tune wrote, or null",
    "rerun": "true or false",
    "dry": "true or false",
}


@dataclass(frozen=True)
class Key:
    """One key of the configuration.

    Attributes:
        path: dotted, as a command line names it.
        default: as a command line writes it; `as X` where the key has the value of X.
        allowed: the type, the range or the choices, in words. Empty where the source does not state it.
        meaning: one or two sentences. Empty where nothing documents the key.
    """

    path: str
    default: str
    allowed: str
    meaning: str


@dataclass(frozen=True)
class Combination:
    """The values that a combination of options sets.

    Attributes:
        options: the other options, as `fit=paper task=squad`.
        settings: key -> value, as a command line writes them.
        reason: the paragraph at the top of the file.
    """

    options: str
    settings: dict[str, str]
    reason: str


@dataclass(frozen=True)
class Option:
    """An option of a group.

    Attributes:
        line: what it is, in a line.
        summary: what it is, in one sentence or a few, the line included.
        commands: example commands.
        keys: its keys, with those of the option that it extends.
        target: the dotted name of what it configures; empty where it configures several things.
        chosen: the options of other groups that it chooses, as `task=squad`.
    """

    group: str
    name: str
    line: str
    summary: str
    commands: list[str]
    keys: list[Key]
    target: str = ""
    chosen: list[str] = field(default_factory=list)


def option(group: str, name: str, folders: Iterable[str] = ()) -> Option:
    """Return an option of a group.

    Args:
        group: the folder, such as "method" or "hydra/launcher".
        name: the file in it, without its ending.
        folders: more configuration folders, as hydra.searchpath names them.

    Raises:
        BadInput: there is no such option, or its file cannot be read.
    """
    places = [place for folder in (CONF, *folders) if (place := _place(folder))]
    file, root, chosen = _with_parents(group, name, places)
    nodes = root.entries or {}
    if file.package == "_global_" or group.startswith("hydra/"):
        prefix = f"{file.package}." if file.package not in ("", "_global_") else ""
        keys = [key for top, entry in nodes.items() for key in _of_entry(f"{prefix}{top}", entry)]
    else:
        keys = list(_of_node(group, root))
    target = nodes["_target_"].text if "_target_" in nodes else ""
    return Option(group, name, file.line, file.header, file.commands, keys, target, chosen)


def names(group: str, folders: Iterable[str] = ()) -> list[str]:
    """Return the names of a group's options. Those in folders of the group are for other options to extend."""
    places = [place for folder in (CONF, *folders) if (place := _place(folder))]
    return [name for name in _names(group, places) if "/" not in name]


def general() -> list[Key]:
    """Return the keys of config.yaml that belong to no group."""
    root = comments.read(_home() / "config.yaml").root.entries or {}
    keys = [
        Key(name, BY_PATTERN.sub(r"\1", root[name].text), allowed, _sentence(root[name].comment))
        for name, allowed in GENERAL.items()
    ]
    return [*keys, *_of_node("checkpoint", root["checkpoint"])]


def combinations(group: str, name: str, folders: Iterable[str] = ()) -> list[Combination]:
    """Return the values that other options set together with this one, in the order in which they are read."""
    found = []
    places = [place for folder in (CONF, *folders) if (place := _place(folder))]
    for template in comments.read(_home() / "config.yaml").defaults:
        named = TEMPLATE.fullmatch(template)
        if not named or f"${{{group}}}" not in template:
            continue
        pattern = re.escape(named[2]).replace(re.escape(f"${{{group}}}"), re.escape(name))
        pattern = re.sub(r"\\\$\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", pattern)
        for other in _names(f"exceptions/{named[1]}", places):
            if others := re.fullmatch(pattern, other):
                file, root, _ = _with_parents(f"exceptions/{named[1]}", other, places)
                options = " ".join(f"{key}={value}" for key, value in others.groupdict().items())
                found.append(Combination(options, dict(_leaves("", root)), file.header))
    return found


def shown_default(text: str) -> str:
    """Return a value as a command line writes it.

    `${published:encoder}` is encoder, `${oc.select:padding,longest}` is longest, and `${fit}` is "as fit".
    `${when:${method.objective},kd,2e-5,5e-5}` is "5e-5 (2e-5 with method.objective=kd)".
    """
    if selected := SELECTED.fullmatch(text):
        return selected[1]
    if text.startswith("${published:"):
        return text[len("${published:") : -1]
    if found := WHEN.fullmatch(text):
        key, value, then, otherwise = found.groups()
        return f"{otherwise} ({then} with {key}={value})"
    return f"as {found[1]}" if (found := REFERENCE.fullmatch(text)) else text


def _leaves(path: str, entry: comments.Entry) -> Iterator[tuple[str, str]]:
    """Each value below an entry with its path; Hydra's own keys are left out, except a `_target_`."""
    if entry.entries is None:
        yield path, shown_default(entry.text)
    for name, below in (entry.entries or {}).items():
        if not name.startswith("_") or name == "_target_":
            yield from _leaves(f"{path}.{name}".lstrip("."), below)


def _of_entry(path: str, entry: comments.Entry) -> Iterator[Key]:
    """The keys at and below an entry that may be a node, a mapping or a value."""
    if entry.entries and "_target_" in entry.entries:
        yield from _of_node(path, entry)
        return
    for name, below in (entry.entries or {}).items():
        yield from _of_entry(f"{path}.{name}", below)
    if entry.entries is None:
        yield Key(path, shown_default(entry.text), "", _sentence(entry.comment))


def _of_node(path: str, node: comments.Entry) -> Iterator[Key]:
    """The keys of a node with a `_target_`, those that only the signature names included."""
    entries = node.entries or {}
    target = entries["_target_"].text if "_target_" in entries else ""
    try:
        parameters = source.parameters(target) or {}
    except BadInput:  # an optional package that is not installed, such as a launcher's
        parameters = {}
    documented = meanings.of(target) if target.startswith("prunebert.") else {}
    given_later = {n for g in checks.GROUPS.values() if f"{target}.".startswith(f"{g.home}.") for n in g.given_later}
    unset = {
        name: comments.Entry(_literal(parameter))
        for name, parameter in parameters.items()
        if name not in entries and name not in given_later and parameter.default not in (None, source.LATER)
    }
    for name, entry in (entries | unset).items():
        if name.startswith("_"):
            continue
        annotation = parameters[name].annotation if name in parameters else None
        allowed = values.description(annotation) if annotation is not None else ""
        meaning = entry.comment or documented.get(name, "")
        inner = f"{path}.{name}"
        if entry.entries and "_target_" in entry.entries:
            yield Key(inner, entry.entries["_target_"].text, allowed, _sentence(meaning))
            yield from _of_node(inner, entry)
        else:
            text = shown_default(entry.text) if entry.entries is None else _mapping(entry)
            yield Key(inner, text, allowed, _sentence(meaning))


def _mapping(entry: comments.Entry) -> str:
    """Return a mapping as a command line writes it; a long one without what it holds."""
    text = entry.text or "{" + ", ".join(f"{key}: …" for key in entry.entries or ()) + "}"
    return text if len(text) <= LONGEST else "{…}"


def _sentence(meaning: str) -> str:
    """Return a comment as a sentence. One that begins with a value, such as `true: …`, keeps its first letter."""
    text = meaning if VALUE.match(meaning) else meaning[:1].upper() + meaning[1:]
    return text if not text or text.endswith((".", "…")) else f"{text}."


def _literal(parameter: source.Parameter) -> str:
    """Return a signature's default as a command line writes it."""
    if parameter.default is None:
        return ""
    try:
        return shown(ast.literal_eval(parameter.default))
    except ValueError:  # a name or a call
        return ast.unparse(parameter.default)


def _with_parents(group: str, name: str, places: list[Path]) -> tuple[comments.File, comments.Entry, list[str]]:
    """Return an option's file, its values over those of the options that it extends, and what it chooses."""
    path = next((there for place in places if (there := place / group / f"{name}.yaml").is_file()), None)
    if path is None:
        raise bad_choice(group, name, _names(group, places))
    file = comments.read(path)
    root, chosen = comments.Entry("", entries={}), []
    nested: dict[str, comments.Entry] = {}
    for item in file.defaults:
        if not item.startswith("override ") and ": " in item:  # `/method@pruner: gmp`
            nested |= _nested(item, places)
            continue
        words = item.removeprefix("override ").lstrip("/")
        if ":" in words:
            chosen.append(f"{re.split('[@:]', words)[0]}={words.rpartition(': ')[2]}")
        elif words != "_self_":
            above = "" if item.startswith("/") else group  # /GROUP/OPTION is read from the root
            _, parent, _ = _with_parents(above, words.split("@")[0], places)
            root = root.merged(parent)
    root = root.merged(file.root)
    own = root.entries or {}
    root.entries = own | {node: entry.merged(own[node]) if node in own else entry for node, entry in nested.items()}
    return file, root, chosen


def _nested(item: str, places: list[Path]) -> dict[str, comments.Entry]:
    """Return a node of an option, by name, with another option's values: `/method@pruner: gmp`; {} if it is global."""
    where, option = item.split(": ")
    group, _, node = where.removeprefix("/").partition("@")
    if node.startswith("_global_"):
        return {}
    _, entry, _ = _with_parents(group, option, places)
    return {node: entry}


def _names(group: str, places: list[Path]) -> list[str]:
    """Return the options of a group, those of its folders as `folder/option`."""
    folders = [place / group for place in places]
    files = {file.relative_to(folder).with_suffix("") for folder in folders for file in folder.rglob("*.yaml")}
    return sorted(file.as_posix() for file in files)


def _home() -> Path:
    """Return prunebert's own configuration folder."""
    place = _place(CONF)
    assert place is not None  # the package contains it
    return place


def _place(folder: str) -> Path | None:
    """Return the folder that an entry of hydra.searchpath names; None where there is none."""
    scheme, separator, rest = folder.rpartition("://")
    if scheme != "pkg":
        return Path(rest if separator else folder)
    try:
        spec = importlib.util.find_spec(rest.replace("/", "."))
    except (ImportError, ValueError):
        return None
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None
