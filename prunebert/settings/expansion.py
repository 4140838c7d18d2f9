"""Refuse a configuration whose few lines stand for very many values: YAML aliases, and values that refer to others.

Ten lists of ten aliases each are ten billion values. Composing them would take hours and all memory, so they are
counted first, which takes time only for what is written.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from prunebert.errors import BadInput

MOST = 100_000  # values of a configuration, and of a YAML file; the default one has about 200
LONGEST = 10_000_000  # characters of a value that is put together from others
MAX_DEPTH = 100  # of YAML; PyYAML has no bound of its own
MAX_FILES = 20_000  # that are looked at below a search path, the nearest first
SIZE = 16 << 20  # bytes of a YAML file
REFERENCE = re.compile(r"\$\{\s*(\.*)([^{}:\s]*)\s*\}")  # ${key}, ${.key}, ${..key}; calls of resolvers have a colon
Size = tuple[int, int]  # values, characters


def refuse_files(folders: Iterable[str]) -> None:
    """Raise BadInput for a YAML file below one of the folders that is too large, too deep or stands for too much.

    folders: as hydra.searchpath has them: pkg://PACKAGE, file://FOLDER, or a folder.
    """
    for folder in folders:
        for file in _files(folder):
            _refuse_file(file, f"hydra.searchpath={folder}")


def refuse_values(config: dict[str, Any]) -> None:
    """Raise BadInput if the references in a configuration, which are not resolved yet, stand for too many values."""
    Sizes(config).refuse()


def _files(folder: str) -> Iterator[Path]:
    """Yield the YAML files below a folder of a search path, the nearest first, without hidden folders and links."""
    scheme, separator, rest = folder.partition("://")
    queue: deque[Path] = deque()
    if separator and scheme == "pkg":
        try:
            spec = importlib.util.find_spec(rest.strip("/").replace("/", "."))
        except (ImportError, ValueError):  # Hydra says that it is missing
            return
        queue.extend(Path(place) for place in (spec and spec.submodule_search_locations) or ())
    else:
        queue.append(Path(rest if separator else folder))
    seen = 0
    while queue and seen < MAX_FILES:
        try:
            entries = sorted(os.scandir(queue.popleft()), key=lambda entry: entry.name)
        except (OSError, ValueError):  # no folder, or not allowed
            continue
        for entry in entries[:MAX_FILES]:
            seen += 1
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                queue.append(Path(entry.path))
            elif entry.name.endswith((".yaml", ".yml")) and entry.is_file():
                yield Path(entry.path)


def _refuse_file(file: Path, setting: str) -> None:
    import yaml

    try:
        if file.stat().st_size > SIZE:
            raise BadInput(f"{setting}: {file} has more than {SIZE >> 20} MiB")
        text = file.read_text("utf-8")
    except (OSError, ValueError):  # Hydra says why it cannot be read, if it is needed
        return
    if "*" not in text:  # an alias is *NAME
        return
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    sizes: dict[str | None, int] = {}  # values by anchor
    anchors: list[str | None] = [None]  # of the open collections, from the outermost
    counts = [0]  # of values in each of them so far
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.CollectionStartEvent):
                anchors.append(event.anchor)
                counts.append(1)
            elif isinstance(event, yaml.CollectionEndEvent):
                sizes[anchors.pop()] = values = counts.pop()
                counts[-1] += values
            elif isinstance(event, yaml.AliasEvent):
                counts[-1] += sizes.get(event.anchor, 1)
            elif isinstance(event, yaml.ScalarEvent):
                sizes[event.anchor] = 1
                counts[-1] += 1
            if len(counts) > MAX_DEPTH:
                raise BadInput(f"{setting}: {file} is nested more than {MAX_DEPTH} levels deep")
            if counts[-1] > MOST:
                raise BadInput(f"{setting}: {file} stands for more than {MOST:,} values through its YAML aliases")
    except yaml.YAMLError:  # Hydra says where, if it is needed
        return


class Sizes:
    """The number of values that each key of a configuration stands for. Each key is counted once."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.known: dict[tuple[str, ...], Size] = {}
        self.open: set[tuple[str, ...]] = set()

    def refuse(self) -> None:
        """Raise BadInput, which names the first key that stands for too much."""
        try:
            self._of((), self.config)
        except RecursionError as error:
            raise BadInput("the configuration refers from value to value through too many steps") from error

    def _of(self, path: tuple[str, ...], node: Any) -> Size:
        if path in self.known:
            return self.known[path]
        if path in self.open:  # it refers to itself; OmegaConf refuses that
            return (1, 1)
        self.open.add(path)
        size = self._sum(path, node)
        self.open.discard(path)
        if size[0] > MOST or size[1] > LONGEST:
            raise BadInput(
                f"{'.'.join(path) or 'the configuration'}: it refers to other values so often that it stands for more "
                f"than {MOST:,} values or {LONGEST:,} characters"
            )
        self.known[path] = size
        return size

    def _sum(self, path: tuple[str, ...], node: Any) -> Size:
        if isinstance(node, dict | list):
            items = node.items() if isinstance(node, dict) else enumerate(node)
            parts = [self._of((*path, str(key)), value) for key, value in items]
        elif isinstance(node, str):
            found = REFERENCE.findall(node)
            parts = [self._of(target, value) for target, value in (self._target(path, *f) for f in found)]
            parts.append((0, len(node)))
        else:
            parts = []
        return 1 + sum(values for values, _ in parts), sum(characters for _, characters in parts)

    def _target(self, path: tuple[str, ...], dots: str, key: str) -> tuple[tuple[str, ...], Any]:
        """Return the path and the value of what a reference at `path` names; nothing where there is no such key."""
        above = path[: len(path) - len(dots)] if dots else ()
        target = (*above, *re.findall(r"[^.\[\]]+", key))
        node: Any = self.config
        for part in target:
            if isinstance(node, dict) and part in node:
                node = node[part]
            elif isinstance(node, list) and part.isdecimal() and int(part) < len(node):
                node = node[int(part)]
            else:
                return target, None
        return target, node


def refuse_key_of_reference(as_written: Any, key: str) -> None:
    """Raise BadInput for a key such as method.fit.clip, where method.fit is the same as fit."""
    *path, name = key.split(".")
    for part in path:
        as_written = as_written.get(part) if isinstance(as_written, dict) else None
    if isinstance(as_written, str) and (referred := re.fullmatch(r"\$\{([\w.]+)\}", as_written)):
        raise BadInput(f"{key}: {'.'.join(path)} is the same as {referred[1]}; write {referred[1]}.{name}=VALUE")
