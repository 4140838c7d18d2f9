"""A yaml file of conf/ with its comments: what each key is set to, and what its comment says about it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from prunebert.errors import BadInput

PACKAGE = re.compile(r"@package (\S+)")
# A command in a header stands on a line of its own, or behind two spaces.
COMMAND = re.compile(r"(?:^|\s{2,})(prunebert (?:-m )?[\w/]+=[^:]*)$")


@dataclass
class Entry:
    """One value of a yaml file.

    Attributes:
        text: the value as the file writes it, without quotes.
        comment: the comment on the key's line, or the lines of comment above it. Empty if there is none.
        entries: of a mapping, its keys; None for any other value.
    """

    text: str
    comment: str = ""
    entries: dict[str, Entry] | None = None

    def merged(self, child: Entry) -> Entry:
        """Return this value with another one over it, as Hydra merges an option over its defaults."""
        comment = child.comment or self.comment
        if self.entries is None or child.entries is None:
            return Entry(child.text, comment, child.entries)
        entries = dict(self.entries)
        for key, entry in child.entries.items():
            entries[key] = entries[key].merged(entry) if key in entries else entry
        return Entry(child.text, comment, entries)


@dataclass
class File:
    """A yaml file.

    Attributes:
        line: the first line at its top.
        header: the paragraph at its top, that line included, without the commands.
        commands: the example commands of the header, a note behind a command as a shell's comment.
        package: where its keys belong, from `@package`: "_global_", "hydra", or "" for the group's own node.
        root: its mapping, without `defaults`.
        defaults: its list of defaults, as written.
    """

    line: str
    header: str
    commands: list[str]
    package: str
    root: Entry
    defaults: list[str] = field(default_factory=list)


def read(path: Path) -> File:
    """Read a yaml file with its comments. Raises BadInput if it is no valid yaml mapping."""
    try:
        text = path.read_text()
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(f"{path} cannot be read as yaml: {' '.join(str(error).split())}") from error
    if node is not None and not isinstance(node, yaml.MappingNode):
        raise BadInput(f"{path} cannot be read as yaml: it must be a mapping of keys to values")
    lines = text.splitlines()
    top = 0
    while top < len(lines) and lines[top].startswith("#"):
        top += 1
    header = [line.lstrip("#").strip() for line in lines[:top]]
    package = [found[1] for line in header if (found := PACKAGE.fullmatch(line))]
    commands = [
        "  # ".join(re.split(r"\s{2,}", found[1].strip())) for line in header if (found := COMMAND.search(line))
    ]
    prose = list(filter(None, (COMMAND.sub("", line).strip() for line in header if not PACKAGE.fullmatch(line))))
    root = _entry(node, lines, top) if node is not None else Entry("", entries={})
    defaults = (root.entries or {}).pop("defaults", None)
    listed = [value for key, value in node.value if key.value == "defaults"] if node is not None and defaults else []
    items = [_default(item) for value in listed for item in value.value]
    line = prose[0] if prose else ""
    return File(line, " ".join(prose), commands, package[0] if package else "", root, items)


def _default(item: yaml.Node) -> str:
    """Return an entry of a defaults list: `quick`, or `override /task: sst2`."""
    pairs = item.value if isinstance(item, yaml.MappingNode) else []
    return ", ".join(f"{key.value}: {value.value}" for key, value in pairs) or str(item.value)


def _entry(node: yaml.Node, lines: list[str], top: int) -> Entry:
    """Return a node's value with its keys' comments. The comment lines before line `top` belong to the header."""
    if isinstance(node, yaml.ScalarNode):
        return Entry(node.value)
    if not isinstance(node, yaml.MappingNode):
        return Entry(_source(node, lines))
    entries = {}
    for key, value in node.value:
        entry = _entry(value, lines, top)
        entry.comment = _beside(key, value, lines) or _above(key, lines, top)
        entries[str(key.value)] = entry
    return Entry(_source(node, lines) if node.flow_style else "", entries=entries)


def _source(node: yaml.Node, lines: list[str]) -> str:
    """Return a node's text in one line."""
    start, end = node.start_mark, node.end_mark
    rows = lines[start.line : end.line + 1]
    rows[-1] = rows[-1][: end.column] if end.line < len(lines) else rows[-1]
    rows[0] = rows[0][start.column :]
    return " ".join(" ".join(rows).split())


def _beside(key: yaml.Node, value: yaml.Node, lines: list[str]) -> str:
    """Return the comment at the end of the line of a key, or of a value in one line."""
    is_block = isinstance(value, yaml.CollectionNode) and not value.flow_style
    mark = key.end_mark if is_block else value.end_mark
    rest = lines[mark.line][mark.column :].lstrip(" :") if mark.line < len(lines) else ""
    return rest[1:].strip() if rest.startswith("#") else ""


def _above(key: yaml.Node, lines: list[str], top: int) -> str:
    """Return the lines of comment directly above a key that begins its line."""
    row = key.start_mark.line
    if lines[row][: key.start_mark.column].strip():
        return ""
    found: list[str] = []
    while row > top and lines[row - 1].strip().startswith("#"):
        row -= 1
        found.insert(0, lines[row].strip().lstrip("#").strip())
    return " ".join(found)
