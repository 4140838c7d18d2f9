"""Write files whole or not at all, and store tensors with a checksum.

A file is written under a temporary name beside its place and renamed once its content is on the disk. A tensor file is
a safetensors file whose metadata holds `sha256` and, if there are any, `facts` (text). Checkpoints and shared teachers
are tensor files. A mask file has a published format with a checksum of its own (masks/maskfile.py).

torch and filelock are imported where they are needed: `prunebert info` works without them.
"""

from __future__ import annotations

import atexit
import errno
import functools
import glob
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from prunebert.errors import BadInput, reason
from prunebert.masks import header
from prunebert.runs import made, reading
from prunebert.system import distributed
from prunebert.system.names import encodable

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)
ROWS = "rows/"  # + name: the numbers of the rows that are stored of an unmasked matrix, in a task delta


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Yield the path of an empty temporary file beside `file`. At the end it becomes `file`.

    After an exception, and where a signal ends the process, it is removed. A symbolic link named `file` is replaced;
    what it points to stays as it is. Raises OSError that names `file`.
    """
    partial = _partial(file)
    remove = functools.partial(partial.unlink, missing_ok=True)
    atexit.register(remove)
    try:
        with naming(file):
            partial.unlink(missing_ok=True)
            partial.open("xb").close()
            yield partial
            with partial.open("rb") as stream:
                os.fsync(stream.fileno())
            partial.replace(file)
    finally:
        with suppress(OSError):  # the folder is gone
            remove()
        atexit.unregister(remove)


def detach(file: Path) -> None:
    """Make `file` a file of its own, so that appending to it changes no other file.

    A symbolic link, and a hard link that shares its content with another name, become a copy. A symbolic link to
    nothing is removed. Raises OSError, also for a pipe or a device.
    """
    if not file.exists():
        file.unlink(missing_ok=True)
    elif not file.is_file():
        raise OSError(errno.EINVAL, "it is no regular file", str(file))
    elif file.is_symlink() or file.stat().st_nlink > 1:
        with replacing(file) as copy:
            shutil.copyfile(file, copy)


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """Let an OSError name `file`, which the system's errors of a full disk do not, and not a temporary file."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(file)) from error


@contextmanager
def _errors_of_the_system(file: Path) -> Iterator[None]:
    """Raise an OSError that names `file` for what safetensors and tokenizers report as "… (os error 28)"."""
    try:
        yield
    except Exception as error:  # tokenizers raises the bare class
        if isinstance(error, OSError) or not (number := re.search(r"\(os error (\d+)\)", str(error))):
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(file)) from error


def _partial(path: Path) -> Path:
    """Return the temporary path beside `path`. File systems allow names of 255 bytes, which need not be UTF-8."""
    name = os.fsencode(path.name)[:200].decode(errors="ignore")
    return path.parent / f".{name}.{os.getpid()}"


def _remove_partials_of_the_dead(path: Path) -> None:
    """Remove the temporary files and folders beside `path` of processes that do not live any more."""
    prefix = _partial(path).name.rpartition(".")[0]
    with suppress(OSError):  # they are in nobody's way
        for other in path.parent.glob(f"{glob.escape(prefix)}.*"):
            process = other.name.removeprefix(f"{prefix}.")
            if not process.isascii() or not process.isdigit() or other.is_symlink() or _lives(int(process)):
                continue
            if other.is_dir():
                shutil.rmtree(other)
            else:
                other.unlink()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True


def write(folder: Path, name: str, content: bytes) -> None:
    """Write folder/name whole or not at all, even if the machine stops in between. Raises OSError."""
    with replacing(folder / name) as partial:
        partial.write_bytes(content)


def refuse_full(folder: Path) -> None:
    """Raise BadInput if `folder` exists and is anything but an empty folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} exists and is not empty; choose another folder")


@contextmanager
def new_folder(root: Path) -> Iterator[Path]:
    """Yield a temporary folder to write into. At the end it becomes `root`; after an exception it is removed.

    Raises BadInput if `root` exists and is not empty, or cannot be made.
    """
    refuse_full(root)
    partial = _partial(root)
    remove = functools.partial(shutil.rmtree, partial, ignore_errors=True)
    atexit.register(remove)
    try:
        _remove_partials_of_the_dead(root)
        made.make(root.parent)
        partial.mkdir()
        with _errors_of_the_system(root):
            yield partial
        for file in partial.iterdir():
            file.chmod(partial.stat().st_mode & 0o666)  # safetensors lets only the owner read its files
        partial.replace(root)
    except OSError as error:
        raise BadInput(f"{root} cannot be written to: {reason(error)}") from error
    finally:
        remove()
        atexit.unregister(remove)


def checksum(tensors: Mapping[str, Tensor], facts: str = "") -> str:
    """sha256 over the tensors' names, shapes and values, and over `facts` if there are any."""
    from prunebert.network.models import hash_of

    tensor_hash = hash_of(dict(tensors))
    return hashlib.sha256((tensor_hash + facts).encode()).hexdigest() if facts else tensor_hash


def write_tensors(file: Path, tensors: Mapping[str, Tensor], facts: str = "") -> None:
    """Write a tensor file. Raises OSError, also for a full disk, which safetensors reports as an error of its own."""
    from safetensors import torch as safetensors

    metadata = {"sha256": checksum(tensors, facts)} | ({"facts": facts} if facts else {})
    with replacing(file) as partial:
        partial.touch()
        mode = partial.stat().st_mode
        with _errors_of_the_system(file):
            safetensors.save_file(dict(tensors), partial, metadata)
        with partial.open("r+b") as stream:
            header.sort_metadata(stream)
        partial.chmod(mode)  # safetensors lets only the owner read its files


def encode_tensors(tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """Return the bytes of a safetensors file, the same for the same content."""
    from safetensors.torch import save

    return header.in_order(save({n: x.detach().cpu().contiguous() for n, x in tensors.items()}, metadata))


@contextmanager
def _utf8_path(file: Path) -> Iterator[str]:
    """Yield a path of `file` for safetensors, which takes none that is no valid UTF-8: that of an open descriptor."""
    if encodable(str(file)) == str(file):
        yield str(file)
        return
    with file.open("rb") as stream:
        yield f"/proc/self/fd/{stream.fileno()}"


def load_finite(file: Path) -> dict[str, Tensor]:
    """Read a safetensors file of finite float32 values. Tensors under ROWS are int32.

    Raises BadInput for a damaged file, other types, NaN and infinity.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        with _utf8_path(file) as path:
            tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadInput(f"{file} is damaged: {str(error).splitlines()[0]}") from error
    for name, value in tensors.items():
        expected = torch.int32 if name.startswith(ROWS) else torch.float32
        if value.dtype != expected:
            raise BadInput(f"{file} is damaged: {name} is of {value.dtype}, not of {expected}")
        if not value.isfinite().all():
            raise BadInput(f"{file} is damaged: {name} has values that are not finite")
    return tensors


def read_tensors(file: Path) -> tuple[dict[str, Tensor], str]:
    """Return a tensor file's tensors, mapped into memory, and its facts.

    Raises ValueError for a damaged file, OSError for one that cannot be read.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors import torch as safetensors

    if not reading.is_file(file):
        raise ValueError("it is no regular file")
    try:
        with _utf8_path(file) as path, safe_open(path, "pt") as stream:
            tensors = safetensors.load_file(path)
            metadata = stream.metadata() or {}
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    facts = metadata.get("facts", "")
    if any(x.dtype.is_floating_point and x.element_size() < 4 for x in tensors.values()):
        raise ValueError("it has tensors of less than single precision")
    if metadata.get("sha256") != checksum(tensors, facts):
        raise ValueError("its checksum does not match its content")
    return tensors, facts


@contextmanager
def made_once(file: Path, setting: str) -> Iterator[dict[str, Tensor] | None]:
    """Yield the tensors in `file`, or None if the caller has to make them and `keep` them.

    A lock is held meanwhile, so another process that needs the same file waits for it; the system frees the lock of a
    process that died. Of several ranks the first holds the lock; either all of them get the tensors or none does.
    A damaged file counts as missing, with a warning. setting: the key and value that named the file's place.

    Raises BadInput, beginning with `setting`, if the file cannot be read or the folder cannot be written to.
    """
    from filelock import FileLock

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file.with_suffix(".lock")).acquire() if distributed.FIRST else nullcontext()
    except OSError as error:
        raise BadInput(f"{setting} cannot be written to: {reason(error)}") from error
    with lock:
        tensors = _read_intact(file, setting) if distributed.FIRST else None
        if distributed.broadcast(tensors is not None) and tensors is None:
            tensors = _read_intact(file, setting)
        yield tensors


def keep(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write what `made_once` found missing. Of several ranks only the first writes. Raises OSError."""
    if not distributed.FIRST:
        return
    for partial in file.parent.glob(f".{file.stem}.*"):  # of a process that died while it wrote
        partial.unlink(missing_ok=True)
    write_tensors(file, tensors)


def _read_intact(file: Path, setting: str) -> dict[str, Tensor] | None:
    """Return the file's tensors; None if it does not exist or is damaged."""
    if not file.exists():
        return None
    try:
        return read_tensors(file)[0]
    except PermissionError as error:
        raise BadInput(f"{setting}: {file} cannot be read: {reason(error)}") from error
    except (OSError, ValueError) as error:
        log.warning("%s is damaged (%s) and is made again", file, error)
        return None
