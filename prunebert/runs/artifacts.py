"""Write and read the files of a run's directory.

No other module knows which file of a run holds what. Every file is written whole or not at all. Every file that is read
is verified first: result.json by its checksum, the others by their hashes in it (seal.py).
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebert.errors import BadInput
from prunebert.runs import files, made, reading, schema, seal, walk
from prunebert.runs.seal import checksum
from prunebert.system.names import in_order

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow
    from torch import Tensor

    from prunebert.masks.maskfile import MaskFile, Packed

__all__ = ["checksum"]  # other modules know it by this name
log = logging.getLogger(__name__)
SWEEP = "multirun.yaml"  # Hydra's record of a sweep
QUEUE = ".submitit"
POINTER, LOCK, CHECKPOINT = "elsewhere.json", ".lock", "checkpoint"
RESULT, TOPOLOGY, MASKS, METRICS = "result.json", "topology.json", "masks.safetensors", "metrics.jsonl"
HEAD, WEIGHTS, DELTA = "head.safetensors", "weights.safetensors", "delta.safetensors"
PREDICTIONS, LOG, CONFIG = "predictions.parquet", "run.log", ".hydra"


class Artifacts:
    """The directory of one run, to write into. result.json is written last: a directory that has it is complete."""

    def __init__(self, root: Path, *, resumed: bool = False) -> None:
        """Make the directory and remove what an interrupted run left in it. resumed: keep metrics.jsonl.

        Raises BadInput if `root` cannot be made or written to, or a folder has the name of a result file.
        """
        self.root = root
        self.hashes: dict[str, str] = {}  # sha256 of the files written so far, by name
        prepare(root)
        if keep_metrics := resumed and reading.is_file(root / METRICS):
            files.detach(root / METRICS)
        for name in (RESULT, MASKS, HEAD, WEIGHTS, PREDICTIONS, TOPOLOGY, *([] if keep_metrics else [METRICS])):
            try:
                (root / name).unlink(missing_ok=True)
            except OSError as error:
                raise BadInput(f"{root / name} is in the way and cannot be removed: {error.strerror}") from error

    def record(self, line: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        file = self.root / METRICS
        with files.naming(file), file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def save_masks(self, file: MaskFile) -> None:
        """Write masks.safetensors."""
        from prunebert.masks import maskfile

        self._write(MASKS, maskfile.encode(file))

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
        """Write `name` (HEAD or WEIGHTS); write nothing if there are no tensors."""
        if tensors:
            self._write(name, files.encode_tensors(tensors, metadata))

    def save_predictions(self, table: pd.DataFrame) -> None:
        """Write predictions.parquet."""
        stream = io.BytesIO()
        table.to_parquet(stream, index=False)
        self._write(PREDICTIONS, stream.getvalue())

    def save_json(self, name: str, content: dict[str, Any]) -> None:
        """Write `name`: TOPOLOGY, or RESULT, sealed, as the very last file. NaN and infinity become null."""
        if name == RESULT:
            metrics = {METRICS: reading.sha256(self.root / METRICS)} if (self.root / METRICS).is_file() else {}
            content = seal.sealed(content, self.hashes | metrics)
        self._write(name, seal.encoded(content))

    def _write(self, name: str, content: bytes) -> None:
        self.hashes[name] = hashlib.sha256(content).hexdigest()
        files.write(self.root, name, content)


def prepare(root: Path, key: str = "hydra.run.dir") -> None:
    """Make a run's directory, which `key` named. Raises BadInput if it cannot be made or written to."""
    try:
        made.make(root)
        with tempfile.TemporaryFile(dir=root):  # it has no name, so nothing of it can be left
            pass
    except OSError as error:
        raise BadInput(f"{key}={root} cannot be written to: {error.strerror}") from error


def is_started(root: Path) -> bool:
    """Return whether a run in `root` began to train, or is finished."""
    return (root / METRICS).exists() or is_finished(root)


def is_finished(root: Path) -> bool:
    """Return whether `root` holds a result."""
    return reading.is_file(root / RESULT)


def holds_result_of(root: Path, identity: str) -> bool:
    """Return whether `root` holds the intact result files of the run `identity`; warn if one of them is damaged.

    Raises BadInput for an intact result of another identity, which must not be overwritten.
    """
    if not is_finished(root):
        return False
    try:
        row = result(root)
    except BadInput as error:
        log.warning("%s; the run is repeated", error)
        return False
    if row.get("identity") != identity:
        raise BadInput(
            f"{root} holds a finished run on other data, weights or settings; choose another directory, or remove this "
            "one first"
        )
    for message in (damaged := seal.damaged(root, row)).values():
        log.warning("%s; the run is repeated", message)
    return not damaged


def write_pointer(root: Path, target: Path) -> None:
    """Record in `root`, a cell of a sweep, that the cell's run is in the directory `target`."""
    files.write(root, POINTER, json.dumps({"directory": os.path.relpath(target, root)}).encode())


def resolve_pointer(root: Path) -> Path:
    """Return the directory that a pointer in `root` names; `root` itself if there is no pointer.

    Raises BadInput for a damaged pointer: one that names no run's directory, or another pointer.
    """
    file = root / POINTER
    if not reading.is_file(file):
        return root
    name = reading.json_table(file).get("directory")
    if not isinstance(name, str) or "\0" in name:
        raise BadInput(f"{file} is damaged: it names no directory")
    target = Path(os.path.normpath(root / name))
    if not any(reading.is_file(target / x) for x in (RESULT, METRICS)) and not reading.is_folder(target / CONFIG):
        raise BadInput(f"{file} names {target}, which is not a run's directory")
    if os.path.lexists(target / POINTER):
        raise BadInput(f"{file} is damaged: it names {target}, which holds a pointer and no run")
    return target


def result(root: Path, key: str = "") -> dict[str, Any]:
    """Read and verify result.json of a finished run.

    Raises BadInput, beginning with `key`, if there is none, or if it is damaged or was edited.
    """
    if not reading.is_folder(root):
        raise BadInput(f"{key}{reading.no_folder(root)}")
    if not is_finished(root):
        if os.path.lexists(root / RESULT):
            raise BadInput(f"{key}{root / RESULT} is damaged: it is no regular file")
        started = (root / CONFIG).is_dir() or (root / METRICS).exists()
        raise BadInput(
            f"{key}{root}: the run did not finish ({RESULT} is missing)"
            if started
            else f"{key}{root} is not a run's directory"
        )
    try:
        return schema.in_todays_words(seal.read_result(root / RESULT))
    except BadInput as error:
        raise BadInput(f"{key}{error}") from error


def runs(root: Path) -> list[Path]:
    """List every directory below `root`, itself included, in which a run was started; pointers are followed.

    A record of another program that uses Hydra is no run. A damaged pointer gives a warning; the list then has the
    pointer's own directory.
    """
    directories = set()
    for started in recorded(root):
        try:
            directories.add(resolve_pointer(started))
        except BadInput as error:
            log.warning("%s", error)
            directories.add(started)
    return sorted(directories, key=in_order)


def recorded(root: Path) -> list[Path]:
    """List every directory below `root` with the record of a run. Pointers are not followed."""
    folders = [folder for folder, _ in walk.holding(root, (CONFIG,)) if (folder / CONFIG).is_dir()]
    return [folder for folder in folders if not _is_of_another_program(folder)]


def _is_of_another_program(root: Path) -> bool:
    if (root / POINTER).exists() or is_started(root):
        return False
    try:
        return not reading.yaml_content(root / CONFIG / "config.yaml", dict).keys() >= schema.RECORDED
    except BadInput:  # a damaged record may be a run's
        return False


def finished_runs(root: Path) -> list[Path]:
    """Return [root] if it is a finished run, else every finished run below it. Its files may be damaged.

    Raises BadInput, as `result` does, if there is none, and for a damaged result of `root` itself.
    """
    root = resolve_pointer(root)
    is_run = reading.is_folder(root / CONFIG) and not _is_of_another_program(root)
    if not is_run and (below := [p for p in runs(root) if is_finished(p)]):
        return below
    result(root)
    return [root]


def predictions(root: Path) -> pd.DataFrame:
    """Read and verify predictions.parquet of a run. Raises BadInput if it is damaged, missing or cannot be read."""
    file = seal.intact(root, PREDICTIONS, result(root))
    if file is None:
        raise BadInput(f"{root / PREDICTIONS} cannot be read: it is missing")
    return reading.parquet(file)


def prediction_columns(root: Path, names: Sequence[str], row: Mapping[str, Any] | None = None) -> pyarrow.Table:
    """Read and verify the same; return those of the columns that the file has. row: see `topology`."""
    content = seal.content(root, PREDICTIONS, result(root) if row is None else row)
    if content is None:
        raise BadInput(f"{root / PREDICTIONS} cannot be read: it is missing")
    return reading.parquet_columns(root / PREDICTIONS, content, names)


def tensors(root: Path, name: str) -> dict[str, Tensor]:
    """Read and verify the tensors in `name` (HEAD, WEIGHTS or DELTA); empty if the run has no such file.

    Raises BadInput if the file is damaged, or holds anything but finite float32 (in DELTA also whole numbers).
    """
    file = seal.intact(root, name, result(root))
    return {} if file is None else files.load_finite(file)


def topology(root: Path, row: Mapping[str, Any] | None = None, keys: Collection[str] = ()) -> dict[str, Any]:
    """Read and verify topology.json of a run; empty for a task delta, which has none. Raises BadInput if damaged.

    row: the run's verified result; None to read it. The same holds for the functions below.
    keys: if given, only these entries are sure to be in the result. This is faster.
    """
    row = result(root) if row is None else row
    content = seal.content(root, TOPOLOGY, row, reading.MAX_TEXT)  # without a hash only the parser checks it
    return {} if content is None else seal.read_topology(root / TOPOLOGY, content, keys if "files" in row else ())


def config(root: Path) -> str:
    """Return the configuration of a run as Hydra recorded it (YAML), or a remark that it cannot be read."""
    try:
        return reading.yaml_text(root / CONFIG / "config.yaml")
    except BadInput as error:
        return f"({error})"


def masks(path: Path) -> MaskFile:
    """Read and verify the masks of a run's directory, or a mask file given by its own path."""
    from prunebert.masks import maskfile

    return maskfile.unpack(packed_masks(path))


def packed_masks(path: Path, row: Mapping[str, Any] | None = None) -> Packed:
    """Read and verify the same masks, packed eight weights to a byte.

    Raises BadInput if the file is damaged, holds no masks, or one that is not of a matrix.
    """
    from prunebert.masks import maskfile

    root = resolve_pointer(path)
    file = root / MASKS if reading.is_folder(root) else root
    if os.path.lexists(root / RESULT) and seal.intact(root, MASKS, result(root) if row is None else row) is None:
        raise BadInput(f"{file} is missing")
    return maskfile.read_matrices(file)


def write_masks(path: Path, file: MaskFile) -> None:
    """Write a mask file of its own, which `masks` reads. Raises BadInput if it cannot be written."""
    from prunebert.masks import maskfile

    try:
        files.write(path.parent, path.name, maskfile.encode(file))
    except OSError as error:
        raise BadInput(f"{path} cannot be written to: {error.strerror}") from error
