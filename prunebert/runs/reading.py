"""Read files that another program or another person may have written: bounded, strict, and nothing is executed.

Every function raises BadInput, one line that names the file and the reason. This module imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebert.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow

MAX_TEXT = 64 << 20  # bytes of a JSON or YAML file; the largest of ours, topology.json, has less than one million
MAX_DEPTH = 100  # of YAML; a recorded configuration has about ten levels
TAIL = 1 << 20  # bytes read of a log or of metrics


def home(path: str | Path) -> Path:
    """Return the path with `~` and `~NAME` replaced. Where NAME is no user, it is the name of a file."""
    return Path(os.path.expanduser(path))


def is_file(path: Path) -> bool:
    """Return whether `path` is a regular file. A pipe or a device is none, nor is a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long; a null character
        return False


def is_folder(path: Path) -> bool:
    """Return whether `path` is a folder."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def no_folder(path: Path) -> str:
    """Return the message for a path that is not the directory that a command needs."""
    if not is_file(path):
        return f"{path}: there is no such directory"
    hint = f", {path.parent}" if is_file(path.parent / "result.json") else ""
    return f"{path}: this is a file; name the run's directory{hint}"


def require_file(path: Path) -> None:
    """Raise BadInput unless `path` is a regular file. A pipe is never opened: opening one may block for ever."""
    if not is_file(path):
        exists = os.path.lexists(path) if "\0" not in str(path) else False
        raise BadInput(f"{path} is damaged: it is no regular file" if exists else f"{path} is damaged: it is missing")


def sha256(path: Path, size: int | None = None) -> str:
    """Return the sha256 of a file's bytes, or of its first `size` bytes. Raises BadInput if it cannot be read."""
    require_file(path)
    digest, left = hashlib.sha256(), math.inf if size is None else size
    try:
        with path.open("rb") as stream:
            while block := stream.read(int(min(1 << 20, left))):
                digest.update(block)
                left -= len(block)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def whole(path: Path, most: float = math.inf) -> bytes:
    """Return the bytes of a file. Raises BadInput if it has more than `most` bytes or cannot be read."""
    require_file(path)
    try:
        if path.stat().st_size > most:
            raise BadInput(f"{path} is damaged: it has more than {int(most) >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error


def text(path: Path, content: bytes | None = None) -> str:
    """Return a file's text, which is in UTF-8. content: the bytes of the file; None to read them."""
    try:
        return (whole(path, MAX_TEXT) if content is None else content).decode("utf-8")
    except ValueError as error:
        raise BadInput(f"{path} is damaged: {error}") from error


def tail(path: Path) -> list[str]:
    """Return the lines in the last TAIL bytes of a file; none if there is no such file or it cannot be read."""
    if not is_file(path):
        return []
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - TAIL))
            return stream.read(TAIL).decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []


def json_table(path: Path, content: bytes | None = None, keys: Collection[str] = ()) -> dict[str, Any]:
    """Read a JSON file that holds one table of names and values.

    Besides what is no JSON, these are refused: a name that occurs twice, NaN and infinity, a number too large for a
    float, text that is no Unicode, and nesting too deep to read.

    Args:
        path: the file.
        content: its bytes; None to read them.
        keys: if given, only these entries are sure to be in the result. Others may be neither parsed nor checked.
    """
    letters = text(path, content)
    try:
        table = _entries(letters, keys) if keys else None
        table = parsed_json(letters) if table is None else table
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise BadInput(f"{path} is damaged: {reason}") from error
    if not isinstance(table, dict):
        raise BadInput(f"{path} is damaged: it holds no table of names and values")
    return table


def _entries(letters: str, keys: Collection[str]) -> dict[str, Any] | None:
    """Parse entries of a JSON table that is indented by 1, as prunebert writes it; None if it is not such a table.

    A line that begins with one space and a quote is then an entry of the outermost table.
    """
    *entries, last = letters.split('\n "')[1:] or [""]
    ends = [entry.rpartition(",")[0] for entry in entries] + [last.rpartition("\n}")[0]]
    table = {}
    for key in keys:
        begin = f'{key}": '
        found = [entry for entry in ends if entry.startswith(begin)]
        if len(found) != 1:
            return None
        try:
            table[key] = parsed_json(found[0].removeprefix(begin))
        except ValueError:
            return None
    return table


def parsed_json(letters: str) -> Any:
    """Parse JSON as `json_table` does. Raises ValueError or RecursionError."""
    value = json.loads(letters, parse_constant=_refuse_constant)
    if _count_names(value) != letters.count(":"):  # a name occurs twice, a number is too large, or a text has a colon
        value = json.loads(letters, object_pairs_hook=_without_repeats, parse_float=_finite)
    if re.search(r"\\u[dD][89a-fA-F]", letters):  # the only way into JSON for half of a surrogate pair
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _count_names(value: Any) -> int:
    """Return the number of names in all tables of a parsed JSON value; -1 if a number in it is infinite.

    This check takes a third of the time of parsing with functions that Python calls for each table and number.
    """
    count, left = 0, [[value]]
    while left:
        node: Any = left.pop()
        if type(node) is dict:
            count += len(node)
            node = node.values()
        for item in node:
            kind = type(item)
            if kind is float:
                if item - item:  # 0 for a finite number, NaN for an infinite one
                    return -1
            elif kind is dict or kind is list:
                left.append(item)
    return count


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{' '.join(repeated.split())[:60]} occurs twice")
    return table


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"{digits[:40]} is too large")
    return number


def file_sizes(root: Path) -> dict[str, int]:
    """Return the size in bytes of every file in `root`, by its path within `root`."""
    return {str(p.relative_to(root)): p.stat().st_size for p in sorted(root.rglob("*")) if p.is_file()}


def yaml_text(path: Path) -> str:
    """Read a YAML file and return its text.

    A file with aliases is refused: a few lines of them can stand for billions of values. So is one that is nested
    deeper than MAX_DEPTH, because PyYAML's fast loader has no bound of its own and would crash.
    """
    import yaml

    content = text(path)
    indents = (len(line) - len(line.lstrip(" -?:")) for line in content.splitlines())
    if "*" not in content and content.count("[") + content.count("{") + max(indents, default=0) < MAX_DEPTH:
        return content  # an alias is *NAME, and no value is nested deeper than this sum
    depth = 0
    try:
        for event in yaml.parse(content, Loader=_loader()):
            if isinstance(event, yaml.AliasEvent):
                raise BadInput(f"{path} is damaged: it has YAML aliases, which no record of a run has")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise BadInput(f"{path} is damaged: it is nested too deeply")
    except (ValueError, yaml.YAMLError) as error:
        raise BadInput(f"{path} is damaged: {_one_line(error)}") from error
    return content


def yaml_content(path: Path, expected: type) -> Any:
    """Read a YAML file whose content is an `expected` (dict or list)."""
    import yaml

    content = yaml_text(path)
    try:
        value = yaml.load(content, Loader=_loader())
    except yaml.YAMLError as error:
        raise BadInput(f"{path} is damaged: {_one_line(error)}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # yaml's own, for values such as `!!int x`
        raise BadInput(f"{path} is damaged: it has a value of another type ({_one_line(error)})") from error
    if not isinstance(value, expected):
        raise BadInput(f"{path} is damaged: it holds no {expected.__name__}")
    return value


def parquet(path: Path) -> pd.DataFrame:
    """Read a table from a Parquet file."""
    import pandas as pd
    from pyarrow import ArrowException

    try:
        return pd.read_parquet(path)
    except (ArrowException, OSError, ValueError, LookupError, TypeError, AttributeError, NotImplementedError) as error:
        raise BadInput(f"{path} cannot be read: {_one_line(error)}") from error


def parquet_columns(path: Path, content: bytes, names: Sequence[str]) -> pyarrow.Table:
    """Read columns of a Parquet file; those that it lacks are left out. content: the bytes of the file."""
    from pyarrow import ArrowException, BufferReader
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(BufferReader(content)) as file:
            # threads only slow down tables as small as these
            return file.read(columns=[name for name in names if name in file.schema_arrow.names], use_threads=False)
    except (ArrowException, OSError, ValueError, LookupError, TypeError, AttributeError, NotImplementedError) as error:
        raise BadInput(f"{path} cannot be read: {_one_line(error)}") from error


def _loader() -> Any:
    """Return PyYAML's safe loader, the fast one where it is built in. It makes plain values only."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
