"""Write and read the files of a run's directory.

No other module knows which file of a run holds what. Every file is written whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebert.errors import BadInput
from prunebert.runs import files, made

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from prunebert.masks.maskfile import MaskFile, Packed

log = logging.getLogger(__name__)
SWEEP = "multirun.yaml"  # Hydra's record of a sweep
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
    """The directory of one run, to write into. result.json is written last: a directory that has it is complete."""

    def __init__(self, root: Path, *, resumed: bool = False) -> None:
        """Make the directory and remove what an interrupted run left in it. resumed: keep metrics.jsonl.

        Raises BadInput if `root` cannot be made or written to.
        """
        self.root = root
        prepare(root)
        for name in (RESULT, MASKS, HEAD, WEIGHTS, PREDICTIONS, TOPOLOGY):
            (root / name).unlink(missing_ok=True)
        if not resumed:
            (root / METRICS).unlink(missing_ok=True)

    def record(self, line: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        file = self.root / METRICS
        with files.naming(file), file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def save_masks(self, file: MaskFile) -> None:
        """Write masks.safetensors."""
        from prunebert.masks import maskfile

        files.write(self.root, MASKS, maskfile.encode(file))

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
        """Write `name` (HEAD or WEIGHTS); write nothing if there are no tensors."""
        from safetensors.torch import save

        if tensors:
            files.write(self.root, name, save({n: x.detach().cpu().contiguous() for n, x in tensors.items()}, metadata))

    def save_predictions(self, table: pd.DataFrame) -> None:
        """Write predictions.parquet."""
        stream = io.BytesIO()
        table.to_parquet(stream, index=False)
        files.write(self.root, PREDICTIONS, stream.getvalue())

    def save_json(self, name: str, content: dict[str, Any]) -> None:
        """Write `name`: TOPOLOGY, or RESULT with its checksum as the very last file."""
        if name == RESULT:
            content = json.loads(json.dumps(content))  # as it will be read
            content["checksum"] = checksum(content)
        files.write(self.root, name, (json.dumps(content, indent=1) + "\n").encode())


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
    return (root / RESULT).is_file()


def holds_result_of(root: Path, identity: str) -> bool:
    """Return whether `root` holds the intact result of the run `identity`; warn if the result is damaged.

    Raises BadInput for an intact result of another identity, which must not be overwritten.
    """
    if not is_finished(root):
        return False
    try:
        row = _json(root / RESULT)
    except BadInput as error:
        log.warning("%s; the run is repeated", error)
        return False
    if "checksum" in row and row["checksum"] != checksum(row):
        log.warning("%s is damaged (its checksum does not match); the run is repeated", root / RESULT)
        return False
    if row.get("identity") != identity:
        raise BadInput(
            f"{root} holds a finished run on other data, weights or settings; choose another directory, or rerun=true "
            "to overwrite it"
        )
    return True


def checksum(row: Mapping[str, Any]) -> str:
    """Return sha256 of a result without its own checksum."""
    rest = {k: v for k, v in row.items() if k != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def write_pointer(root: Path, target: Path) -> None:
    """Record in `root`, a cell of a sweep, that the cell's run is in the directory `target`."""
    files.write(root, POINTER, json.dumps({"directory": os.path.relpath(target, root)}).encode())


def resolve_pointer(root: Path) -> Path:
    """Return the directory that a pointer in `root` names; `root` itself if there is no pointer."""
    if not (root / POINTER).is_file():
        return root
    return Path(os.path.normpath(root / str(_json(root / POINTER)["directory"])))


def result(root: Path, key: str = "") -> dict[str, Any]:
    """Read result.json of a finished run. Raises BadInput, beginning with `key`, if there is none."""
    if not root.is_dir():
        raise BadInput(f"{key}{root}: there is no such directory")
    if not is_finished(root):
        started = (root / CONFIG).is_dir() or (root / METRICS).exists()
        raise BadInput(
            f"{key}{root}: the run did not finish ({RESULT} is missing)"
            if started
            else f"{key}{root} is not a run's directory"
        )
    return _json(root / RESULT)


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise BadInput(f"{file} is damaged: it holds no table of names and values")
    return content


def runs(root: Path) -> list[Path]:
    """List every directory below `root`, itself included, in which a run was started; pointers are followed."""
    started = (p.parent for p in root.rglob(CONFIG) if p.is_dir())
    return sorted({resolve_pointer(p) for p in started})


def finished_runs(root: Path) -> list[Path]:
    """Return [root] if it is a finished run, else every finished run below it.

    Raises BadInput, as `result` does, if there is none.
    """
    root = resolve_pointer(root)
    if not (root / CONFIG).is_dir() and (below := [p for p in runs(root) if is_finished(p)]):
        return below
    result(root)
    return [root]


def predictions(root: Path) -> pd.DataFrame:
    """Read predictions.parquet of a run. Raises BadInput if it cannot be read."""
    import pandas as pd

    try:
        return pd.read_parquet(root / PREDICTIONS)
    except (OSError, ValueError) as error:  # pyarrow's errors are subclasses of these
        raise BadInput(f"{root / PREDICTIONS} cannot be read: {str(error).splitlines()[0]}") from error


def report_folder(root: Path) -> Path:
    """Return where the report on the runs below `root` goes by default."""
    return root / "report"


def file_sizes(root: Path) -> dict[str, int]:
    """Return the size in bytes of every file in `root`, by its path within `root`."""
    return {str(p.relative_to(root)): p.stat().st_size for p in sorted(root.rglob("*")) if p.is_file()}


def topology(root: Path) -> dict[str, Any]:
    """Read topology.json of a run; empty for a task delta, which has none. Raises BadInput if it cannot be read."""
    return _json(root / TOPOLOGY) if (root / TOPOLOGY).is_file() else {}


def config(root: Path) -> str:
    """Return the configuration of a run as Hydra recorded it (YAML)."""
    file = root / CONFIG / "config.yaml"
    return file.read_text("utf-8") if file.is_file() else f"({file} is missing)"


def masks(path: Path) -> MaskFile:
    """Read and verify the masks of a run's directory, or a mask file given by its own path."""
    from prunebert.masks import maskfile

    path = resolve_pointer(path)
    return maskfile.read(path / MASKS if path.is_dir() else path)


def packed_masks(root: Path) -> Packed:
    """Read and verify the masks of a run, packed eight weights to a byte."""
    from prunebert.masks import maskfile

    return maskfile.read_packed(root / MASKS)


def write_masks(path: Path, file: MaskFile) -> None:
    """Write a mask file of its own, which `masks` reads. Raises BadInput if it cannot be written."""
    from prunebert.masks import maskfile

    try:
        files.write(path.parent, path.name, maskfile.encode(file))
    except OSError as error:
        raise BadInput(f"{path} cannot be written to: {error.strerror}") from error
