"""Read a checkpoint's files. Every loader of models, tokenizers and configurations in prunebert goes through this door.

Only JSON, text and safetensors are read. Nothing in a checkpoint runs: no Python file, no pickle, no kernel of the hub.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from prunebert.errors import BadInput
from prunebert.system import hub

if TYPE_CHECKING:
    from torch import Tensor

CONFIG, ADAPTER = "config.json", "adapter_config.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
# Weights that are not safetensors, as folders have them. They are never opened.
OTHER_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack")
# The types that can be widened or rounded to float32 without a scale. Others are quantised.
FLOATS = ("F16", "BF16", "F32", "F64")
LFS = b"version https://git-lfs"

OTHER_SOURCES = (
    "a folder with config.json and model.safetensors, or the embedded model=tiny; for data use a folder "
    "(task.data_dir=FOLDER), files of your own (task=file task.train=FILE) or the embedded data (task=rotten_tomatoes)"
)


@dataclass(frozen=True)
class Place:
    """Where a checkpoint lies.

    Attributes:
        name: model.name as the user gave it.
        path: a folder, or the hub's id.
        revision: the hub's branch, tag or commit.
        setting: begins every message, before the name.
    """

    name: str
    path: str
    revision: str
    setting: str = "model.name="

    @property
    def remote(self) -> bool:
        """Whether the checkpoint is on the hub."""
        return not Path(self.path).is_dir()

    def bad(self, reason: str) -> BadInput:
        """Return the error for this checkpoint, in one line."""
        return BadInput(f"{self.setting}{self.name}: {one_line(reason)}")

    def absent(self, reason: str) -> OSError:
        """Return the error for a checkpoint that lacks a file. `hub.explained` adds whether the hub answers."""
        return OSError(one_line(reason))

    def file(self, name: str) -> Path | None:
        """Return the local path of a file, downloaded if necessary, or None if the checkpoint has no such file.

        Raises BadInput for a folder or device of that name, for a git-lfs pointer, and for a file that cannot be read.
        """
        if self.remote:
            return self._downloaded(name)
        path = Path(self.path) / name
        try:
            if not path.exists():
                if path.is_symlink():
                    raise self.bad(f"{name} is a link to a file that does not exist")
                return None
            if not path.is_file():
                raise self.bad(f"{name} is not a file")
            with path.open("rb") as stream:
                start = stream.read(len(LFS))
        except OSError as error:
            raise self.bad(f"{name} cannot be read: {error.strerror}") from error
        if not start:
            raise self.bad(f"{name} is empty")
        if start == LFS:
            raise self.bad(f"{name} is a git-lfs pointer and not the file itself; run git lfs pull in the folder")
        return path

    def _downloaded(self, name: str) -> Path | None:
        """Return the cached copy of a file on the hub. Raises OSError, which `hub.explained` explains."""
        from transformers.utils import cached_file

        try:
            found = cached_file(self.path, name, revision=self.revision, _raise_exceptions_for_missing_entries=False)
        except OSError:
            raise
        except Exception as error:  # the hub's client raises its HTTP library's own exceptions, which differ by version
            raise OSError(f"{name} was not downloaded: {error}") from error
        return Path(found) if found else None

    def json(self, name: str) -> dict[str, Any] | None:
        """Return the JSON object in a file, or None if the checkpoint has no such file. Raises BadInput otherwise."""
        path = self.file(name)
        if path is None:
            return None
        try:
            content = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise self.bad(f"{name} is not JSON: {error}") from error
        if not isinstance(content, dict):
            raise self.bad(f"{name} holds {type(content).__name__}, and a JSON object is needed")
        return content


def one_line(text: object) -> str:
    """Return the beginning of a message in one line of at most 300 characters."""
    return shorten(re.sub(r"\s+", " ", str(text)).strip(), 300, placeholder=" …")


def place(name: str, folder: str | None, revision: str) -> Place:
    """Return where `model.name=name` lies: in `folder`, in a folder of that name, or on the hub.

    Raises BadInput for an empty name, a file, and a path that does not exist.
    """
    if folder is not None:
        return Place(name, folder, revision)
    if own := local(name, revision):
        return own
    hub.prepare()
    return Place(name, name, revision)


def local(name: str, revision: str = "main") -> Place | None:
    """Return the folder that `model.name=name` names; None if it can only be the hub's id.

    Raises BadInput for an empty name, a file, a path that does not exist, and a folder without a configuration.
    """
    if not name.strip():
        raise BadInput(f"model.name={name!r}: is empty; give a folder or a hub id")
    try:
        path = Path(name).expanduser()
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, RuntimeError) as error:  # a name that is too long, or ~ of an unknown user
        raise BadInput(f"model.name={one_line(name)}: {getattr(error, 'strerror', None) or error}") from error
    if is_folder:
        place = Place(name, str(path), revision)
        with hub.explained(f"model.name={name}", OTHER_SOURCES, remote=False):
            if place.file(CONFIG) is None:
                raise place.absent(f"{CONFIG} is missing")
        return place
    if exists:
        raise BadInput(f"model.name={name}: is a file; give the folder that holds {CONFIG} and {WEIGHTS}")
    if name.startswith((".", "/", "~")):
        raise BadInput(f"model.name={name}: there is no such folder")
    if not name.isprintable():
        raise BadInput(f"model.name={name!r}: is no folder, and a hub id has no such characters")
    return None


def read_tensors(source: Place) -> dict[str, Tensor]:
    """Return a checkpoint's tensors by their names in the file, as they are stored.

    Raises BadInput for a missing or damaged file, a shard outside the folder, a tensor that is in two shards or in
    none, and quantised tensors.
    """
    return read_files(source, _shards(source))


def read_files(source: Place, files: list[tuple[Path, set[str]]]) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint's files, each given with the names that it must have at least.

    Raises BadInput as read_tensors does.
    """
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, Tensor] = {}
    for file, expected in files:
        try:
            with safe_open(file, "pt") as stream:
                names = list(stream.keys())
                for name in names:
                    kind = stream.get_slice(name).get_dtype()
                    if kind not in FLOATS and not name.endswith("position_ids"):
                        raise source.bad(
                            f"{file.name}: {name} is {kind}; quantised weights cannot be used, only {', '.join(FLOATS)}"
                        )
                    if name in tensors:
                        raise source.bad(f"{file.name}: {name} is in two shards")
                    tensors[name] = stream.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise source.bad(f"{file.name} is damaged or incomplete: {error}") from error
        if absent := sorted(expected - set(names)):
            raise source.bad(f"{file.name} lacks {absent[0]}, which {INDEX} lists there")
    return tensors


def _shards(source: Place) -> list[tuple[Path, set[str]]]:
    """Return the files of weights, each with the tensors that the index says it has."""
    single = source.file(WEIGHTS)
    if single is not None:
        return [(single, set())]
    index = source.json(INDEX)
    if index is None:
        converted = _converted(source)
        if converted is not None:
            return [(converted, set())]
        other = [name for name in OTHER_WEIGHTS if not source.remote and (Path(source.path) / name).exists()]
        reason = f"; {other[0]} is not read, because its format can run code: save it as safetensors" if other else ""
        raise source.absent(f"{WEIGHTS} is missing{reason}")
    placement = index.get("weight_map")
    if not isinstance(placement, dict) or not placement:
        raise source.bad(f"{INDEX} lacks weight_map, which says in which file each tensor is")
    for name, file in placement.items():
        if not isinstance(file, str) or not re.fullmatch(r"[^/\\]+\.safetensors", file):
            raise source.bad(f"{INDEX} places {name} in {file!r}; only .safetensors files beside it are read")
    shards = []
    for file in sorted(set(placement.values())):
        path = source.file(file)
        if path is None:
            raise source.absent(f"{file} is missing, which {INDEX} names")
        shards.append((path, {name for name, other in placement.items() if other == file}))
    return shards


def _converted(source: Place) -> Path | None:
    """Return the safetensors file that the hub offers as a pull request for an older repository, if there is one."""
    import huggingface_hub

    if not source.remote or source.revision != "main" or huggingface_hub.is_offline_mode():
        return None
    from transformers.safetensors_conversion import auto_conversion

    found = auto_conversion(source.path, ignore_errors_during_conversion=True, revision="main")
    return Path(found[0]) if found and found[0] and not found[-1] else None  # (file, revision, whether it is sharded)
