"""Artifacts: the one file that knows what lies where in a run's directory, and that writes it, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebert.errors import BadInput
from prunebert.runs import files

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from prunebert.masks.maskfile import MaskFile, Packed

log = logging.getLogger(__name__)
SWEEP = "multirun.yaml"
QUEUE = ".submitit"
POINTER, LOCK, CHECKPOINT = "elsewhere.json", ".lock", "checkpoint"
RESULT, TOPOLOGY, MASKS, METRICS = "result.json", "topology.json", "masks.safetensors", "metrics.jsonl"
HEAD, WEIGHTS, DELTA, PREDICTIONS, LOG, CONFIG = (
    "head.safetensors",
    "weights.safetensors",
    "delta.safetensors",
    "predictions.parquet",
    "run.log",
    ".hydra",
)


class Artifacts:
    """The directory of one run. result.json is written last: a directory that has it is complete."""

    def __init__(self, root: Path, *, resumed: bool = False) -> None:
        """Prepare the directory. resumed: keep metrics.jsonl.

        Raises BadInput if `root` cannot be made or written to.
        """
        self.root = root
        prepare(root)
        for left in (RESULT, MASKS, HEAD, WEIGHTS, PREDICTIONS, TOPOLOGY):  # by a run that broke off here
            (root / left).unlink(missing_ok=True)
        if not resumed:
            (root / METRICS).unlink(missing_ok=True)

    def record(self, line: dict[str, Any]) -> None:
        """One more line of metrics.jsonl."""
        with (self.root / METRICS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def save_masks(self, file: MaskFile) -> None:
        """masks.safetensors."""
        from prunebert.masks import maskfile

        files.write(self.root, MASKS, maskfile.encode(file))

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
        """HEAD or WEIGHTS; nothing if there are no tensors."""
        from safetensors.torch import save

        if tensors:
            files.write(self.root, name, save({n: x.detach().cpu().contiguous() for n, x in tensors.items()}, metadata))

    def save_predictions(self, table: pd.DataFrame) -> None:
        """predictions.parquet."""
        stream = io.BytesIO()
        table.to_parquet(stream, index=False)
        files.write(self.root, PREDICTIONS, stream.getvalue())

    def save_json(self, name: str, content: dict[str, Any]) -> None:
        """TOPOLOGY, or RESULT as the very last, with its checksum."""
        if name == RESULT:
            content = json.loads(json.dumps(content))  # as it is read again
            content["checksum"] = checksum(content)
        files.write(self.root, name, (json.dumps(content, indent=1) + "\n").encode())


def prepare(root: Path) -> None:
    """Make a run's directory. Raises BadInput if it cannot be made or written to."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe = root / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise BadInput(f"hydra.run.dir={root} cannot be written to: {error.strerror}") from error


def is_started(root: Path) -> bool:
    """Whether a run was in training here, or is finished."""
    return (root / METRICS).exists() or is_finished(root)


def is_finished(root: Path) -> bool:
    """Whether there is a result."""
    return (root / RESULT).is_file()


def holds_result_of(root: Path, identity: str) -> bool:
    """Whether the run in `root` is finished; a damaged result is told, and is none. Raises BadInput for a sound result
    of another identity, which must not be written over.
    """
    if not is_finished(root):
        return False
    try:
        row = _json(root / RESULT)
    except BadInput as error:
        log.warning("%s; the run is done once more", error)
        return False
    if "checksum" in row and row["checksum"] != checksum(row):
        log.warning("%s is damaged (its checksum does not fit); the run is done once more", root / RESULT)
        return False
    if row.get("identity") != identity:
        raise BadInput(
            f"{root} holds a finished run on other data, weights or settings; choose another directory, or rerun=true "
            "to write over it"
        )
    return True


def checksum(row: Mapping[str, Any]) -> str:
    """sha256 of a result without its own checksum."""
    rest = {k: v for k, v in row.items() if k != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def write_pointer(root: Path, target: Path) -> None:
    """Say in a sweep's cell that its run lies elsewhere."""
    files.write(root, POINTER, json.dumps({"directory": os.path.relpath(target, root)}).encode())


def result(root: Path, key: str = "") -> dict[str, Any]:
    """result.json of a finished run. Raises BadInput (beginning with `key`) for a directory that holds none."""
    file = root / RESULT
    if not root.is_dir():
        raise BadInput(f"{key}{root}: there is no such directory")
    if not is_finished(root):
        started = (root / CONFIG).is_dir() or (root / METRICS).exists()
        raise BadInput(
            f"{key}{root}: the run did not finish ({RESULT} is missing)"
            if started
            else f"{key}{root} is not a run's directory"
        )
    return _json(file)


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} is damaged: {error}") from error
    if not isinstance(found, dict):
        raise BadInput(f"{file} is damaged: it holds no table of names and values")
    return found


def runs(root: Path) -> list[Path]:
    """Every directory below `root`, itself included, in which a run was started; for a cell whose run lies elsewhere,
    that place."""
    found = (p.parent for p in root.rglob(CONFIG) if p.is_dir())
    return sorted({resolve_pointer(p) for p in found})


def resolve_pointer(root: Path) -> Path:
    """`root`, or of a sweep's cell whose run lies elsewhere that place."""
    if not (root / POINTER).is_file():
        return root
    return Path(os.path.normpath(root / str(_json(root / POINTER)["directory"])))


def predictions(root: Path) -> pd.DataFrame:
    """predictions.parquet of a run. Raises BadInput if it cannot be read."""
    import pandas as pd

    try:
        return pd.read_parquet(root / PREDICTIONS)
    except (OSError, ValueError) as error:  # pyarrow's errors are among them
        raise BadInput(f"{root / PREDICTIONS} cannot be read: {str(error).splitlines()[0]}") from error


def report_folder(root: Path) -> Path:
    """Where the report on the runs below `root` goes, unless it is told where."""
    return root / "report"


def file_sizes(root: Path) -> dict[str, int]:
    """Path within the run -> bytes."""
    return {str(p.relative_to(root)): p.stat().st_size for p in sorted(root.rglob("*")) if p.is_file()}


def topology(root: Path) -> dict[str, Any]:
    """topology.json of a run; empty for a task delta, which has none. Raises BadInput if it cannot be read."""
    return _json(root / TOPOLOGY) if (root / TOPOLOGY).is_file() else {}


def config(root: Path) -> str:
    """The configuration of a run, as Hydra recorded it (YAML)."""
    file = root / CONFIG / "config.yaml"
    return file.read_text("utf-8") if file.is_file() else f"({file} is missing)"


def masks(path: Path) -> MaskFile:
    """masks.safetensors of a run, or a mask file of its own, verified."""
    from prunebert.masks import maskfile

    path = resolve_pointer(path)
    return maskfile.read(path / MASKS if path.is_dir() else path)


def packed_masks(root: Path) -> Packed:
    """The masks of a run, eight weights to a byte."""
    from prunebert.masks import maskfile

    return maskfile.read_packed(root / MASKS)


def write_masks(path: Path, file: MaskFile) -> None:
    """A mask file of its own, which `masks` reads. Raises BadInput if it cannot be written."""
    from prunebert.masks import maskfile

    try:
        files.write(path.parent, path.name, maskfile.encode(file))
    except OSError as error:
        raise BadInput(f"{path} cannot be written to: {error.strerror}") from error


def finished_runs(root: Path) -> list[Path]:
    """`root` if it is a finished run, else every finished run below it. Raises BadInput, as `result` does, for none."""
    root = resolve_pointer(root)
    if not (root / CONFIG).is_dir():
        found = [p for p in runs(root) if is_finished(p)]
        if found:
            return found
    result(root)
    return [root]
