"""Hash the user's own Python files that a configuration names: other code is another run."""

from __future__ import annotations

import hashlib
import importlib.util
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

LIBRARIES = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")]
OURS = Path(__file__).resolve().parents[1]


def hashes(config: Any) -> dict[str, str]:
    """Return a hash of each file of the user's that a configuration names, by the module's name.

    Named are files in `_target_: module.function` and in `task.metric=module:Class`. What they import is not followed.
    Files of prunebert and of installed packages do not count.
    """
    files = {module: file for name in set(_names(config)) for module, file in _file_of(name)}
    return {module: hashlib.sha256(file.read_bytes()).hexdigest() for module, file in sorted(files.items())}


def _names(node: Any) -> Iterator[str]:
    """Yield the dotted names of code in a configuration."""
    for key, value in node.items() if isinstance(node, dict) else ():
        if isinstance(value, str) and (key == "_target_" or (key == "metric" and ":" in value)):
            yield value.replace(":", ".")
        yield from _names(value)
    for item in node if isinstance(node, list) else ():
        yield from _names(item)


def _file_of(name: str) -> Iterator[tuple[str, Path]]:
    """Yield the module that a dotted name is in, with its file, if the file is the user's own."""
    module = name.rpartition(".")[0]
    while module:
        spec = None
        with suppress(ImportError, AttributeError, ValueError):  # a class inside the module, or no module at all
            spec = importlib.util.find_spec(module)
        if spec is not None and spec.origin is not None:
            file = Path(spec.origin).resolve()
            if file.is_file() and not any(folder in file.parents for folder in [OURS, *LIBRARIES]):
                yield module, file
            return
        module = module.rpartition(".")[0]
