"""Read finished runs into one table, a row per run, and list every run that is missing, damaged or replaced."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from prunebert.choices import PRUNABLE
from prunebert.errors import BadInput, describe_os_error
from prunebert.report import rows, topologies, variants
from prunebert.report.rows import REQUIRED, TEXT_FIELDS
from prunebert.report.statistics import elsewhere
from prunebert.report.trouble import Trouble, location, mixed, off_target, scores_only
from prunebert.runs import artifacts, discover, evaluations, reading, seal
from prunebert.runs import sweep as runs_sweep
from prunebert.system.console import short
from prunebert.system.countdown import track
from prunebert.system.names import encodable

NUMBERS = ("majority_score", "seconds", "seconds_per_step", "steps", "peak_memory_bytes")
TRAINED = ("trained_parameters", "trained_scores")  # the second is missing in runs of earlier versions
SPARSITIES = tuple(f"sparsity_{prunable}" for prunable in (*PRUNABLE, "model"))
NAMED = 5  # reasons in a message where no run can be read
EMPTY = ("architecture", "overlaps")  # no columns of a table where they are empty


@dataclass(frozen=True)
class Collected:
    """All runs that were read, and the problems met on the way.

    Besides the fields of result.json, `runs` has these columns:
        row: the whole result.json.
        directory: the run's directory.
        has_files: whether that directory can be read; False for a row of an earlier report's table.
        source: the file of that table, or "".
        topology: what topology.json says, see `topologies.Topology`; None for a row of a table.
        disk_bytes: the size of masks, weights and head, see `discover.saved_bytes`; NaN if it is unknown.
        seal: the hashes of the run's files ("files"), which its verified result had; None for a row of a table.
        table, variant, label, short_label, denominator, order: see `variants.add_labels`.
    """

    runs: pd.DataFrame  # a row per run
    troubles: list[Trouble]
    finished: int  # finished runs, including those that a newer run replaced


def collect(roots: Iterable[Path]) -> Collected:
    """Read every run below `roots`; a root may also be the results table of an earlier report.

    Raises:
        BadInput: a root is neither a directory nor a results table, or no run has finished.
    """
    troubles, results = [], []
    seen: set[Path] = set()
    recorded: dict[Path, list[list[str]]] = {}
    roots = list(dict.fromkeys(roots))
    for root in roots:
        if rows.is_table(root):
            root_results, unused = _read_table(root)
        else:
            directories = _new_directories(root, seen)
            recorded |= {directory: runs_sweep.recorded_words(directory) for directory in directories}
            root_results, unused = _read_directories(directories)
        results += root_results
        troubles += unused
    if not results:
        names = ", ".join(map(str, roots))
        reasons = "".join(f"; {t.location} {t.kind}, {t.reason}" for t in troubles[:NAMED])
        more = f"; and {len(troubles) - NAMED} more" if len(troubles) > NAMED else ""
        raise BadInput(f"{names}: there is no finished run that can be read{reasons}{more}")
    started = [words for run_words in recorded.values() for words in run_words]
    for sweep in dict.fromkeys(s for root in roots for s in discover.sweeps(root)):
        troubles += [Trouble("missing", short(sweep), cell) for cell in runs_sweep.missing(sweep, started, recorded)]
    results = _without_duplicates(results)
    runs = variants.add_labels(pd.DataFrame(results))
    runs, replaced = _newest(runs)
    troubles += replaced + scores_only(runs) + off_target(runs) + mixed(runs)
    return Collected(runs, troubles, len(results))


def _new_directories(root: Path, seen: set[Path]) -> list[Path]:
    """Return every run's directory below `root` that is not in `seen`, and add it to `seen`.

    Raises:
        BadInput: `root` is not a directory.
    """
    if not reading.is_folder(root):
        problem = " is neither a directory nor a results.csv or results.parquet"
        raise BadInput(f"{root}{problem if reading.is_file(root) else ': there is no such directory'}")
    by_path = {directory.resolve(): directory for directory in reversed(list(discover.started_runs(root)))}
    new = [directory for path, directory in reversed(by_path.items()) if path not in seen]
    seen.update(by_path)
    return new


def _read_directories(directories: list[Path]) -> tuple[list[dict[str, Any]], list[Trouble]]:
    """Return the facts of each finished run, and a trouble for each run that is unfinished or damaged."""
    results, troubles = [], []
    for directory in track(directories, "reading runs"):
        try:
            if not artifacts.is_finished(directory):
                running = "" if " ERROR " in discover.last_entry(directory) else "it may still be running; "
                reason = f"{running}the last line of its log: {discover.last_words(directory)}"
                troubles.append(Trouble("did not finish", short(directory), reason))
                continue
            row = artifacts.result(directory)
            if seal.is_delta(row):
                raise BadInput("it is a task delta, which `prunebert export --sparse` made of a run")
            facts = _facts(_encodable(row), "its result.json")
            topology = topologies.read(directory, row)
            origin = {"directory": directory, "has_files": True, "source": "", "topology": topology}
            origin |= {"seal": {"files": row.get("files")}, "has_pooler": topology.has_pooler}
            origin |= {"written": discover.finish_time(directory), "disk_bytes": discover.saved_bytes(directory, row)}
            kept, unused = evaluations.read(directory, row)
            facts["row"] |= {elsewhere.COLUMN: elsewhere.by_name(_encodable(each) for each in kept)} if kept else {}
            results.append(facts | origin)
            troubles += [Trouble("not among the evaluations", short(directory), why) for why in unused]
            troubles += _damaged_predictions(directory, row)
        except BadInput as error:
            troubles.append(Trouble("not used", short(directory), str(error)))
        except OSError as error:  # it cannot be read, or vanished meanwhile
            troubles.append(Trouble("not used", short(directory), describe_os_error(error)))
    return results, troubles


def _damaged_predictions(directory: Path, row: dict[str, Any]) -> list[Trouble]:
    """Return a trouble if predictions.parquet is not what the run wrote, for then no test over examples uses it."""
    try:
        seal.intact(directory, artifacts.PREDICTIONS, row)
    except BadInput as error:
        return [Trouble("not in the tests", short(directory), str(error))]
    return []


def _read_table(file: Path) -> tuple[list[dict[str, Any]], list[Trouble]]:
    """Return the same for the rows of an earlier report's table. Such a row counts as older than any directory.

    Raises:
        BadInput: the file is not a results table.
    """
    results, troubles = [], []
    names, cells = rows.read(file)
    for number, line in enumerate(cells, 1):
        try:
            row = rows.parse_row(names, line)
            origin = {"directory": row.pop("directory", "unknown"), "has_files": False, "source": short(file)}
            denominator = row.pop("of", "")  # older tables lack it; then `prunable` is trusted
            has_pooler = (denominator, row.get("prunable")) != ("encoder", "encoder_pooler")
            origin |= {"topology": None, "seal": None, "disk_bytes": _size(row.pop("disk_bytes", None))}
            facts = _facts(row, "it")
            _refuse_implausible(row)
            results.append(facts | origin | {"written": -math.inf, "has_pooler": has_pooler})
        except BadInput as error:
            troubles.append(Trouble("not used", f"{short(file)}, row {number}", str(error)))
    return results, troubles


def _facts(row: dict[str, Any], name: str) -> dict[str, Any]:
    """Return one row of the table.

    Args:
        row: a result.json.
        name: what error messages call it.

    Raises:
        BadInput: a field is missing or has the wrong type.
    """
    for key, kind in REQUIRED.items():
        value = row.get(key)
        fits = isinstance(value, int | float) if kind is float else isinstance(value, kind)
        if not fits or isinstance(value, bool):
            raise BadInput(f"{name} is damaged: {key} is {str(value)[:60]}, not {kind.__name__}")
    if not math.isfinite(row["score"]):
        raise BadInput(f"its score is {row['score']}")
    measured = {key: _number(row.get(key)) for key in (*NUMBERS, *TRAINED, *SPARSITIES)}
    return {
        **{key: row[key] for key in REQUIRED},
        **measured,
        **{key: str(row.get(key) or ("none" if key in ("distill", "augment") else "")) for key in TEXT_FIELDS},
        "device": re.sub(r"\b1 threads$", "1 thread", str(row.get("device") or "")),  # as earlier versions wrote it
        "metrics": {k: float(v) for k, v in row["metrics"].items() if math.isfinite(_number(v))},
        "measured": measured.get(f"sparsity_{row['prunable']}", math.nan),
        "row": {k: v for k, v in row.items() if k != "files" and not (k in EMPTY and not v)},  # no columns of a table
    }


def _encodable(value: Any) -> Any:
    """Return a result with the lone surrogates of its texts as escapes, because no table can hold them."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return _with_escapes(value)
    return value


def _with_escapes(value: Any) -> Any:
    if isinstance(value, dict):
        return {encodable(key): _with_escapes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_escapes(item) for item in value]
    return encodable(value) if isinstance(value, str) else value


def _refuse_implausible(row: dict[str, Any]) -> None:
    """Raise BadInput for numbers that contradict each other or cannot be: the table was damaged or edited.

    A table cannot keep the checksum of a result.json, because it does not distinguish 1 from 1.0.
    """
    main = row["metrics"].get(row["metric"])
    if isinstance(main, int | float) and not math.isclose(main, row["score"], rel_tol=1e-9, abs_tol=1e-12):
        raise BadInput(f"it is damaged or edited: score is {row['score']}, but metrics.{row['metric']} is {main}")
    for key in ("sparsity", *SPARSITIES):
        value = _number(row.get(key, 0.0))
        if not 0 <= value <= 1:
            raise BadInput(f"it is damaged: {key} is {str(row.get(key))[:60]}, not a fraction from 0 to 1")


def _number(value: Any) -> float:
    """Return the value as a float, or NaN if it is not a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _size(value: Any) -> float:
    """Return a table's `disk_bytes`; NaN if the table has none. Raises BadInput if it is no size."""
    if value is not None and not _number(value) >= 0:
        raise BadInput(f"it is damaged: disk_bytes is {str(value)[:60]}, not a number of bytes")
    return _number(value)


def _without_duplicates(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop each table row whose run's directory was read as well, or that a later row repeats."""
    in_directories = {facts["identity"] for facts in results if facts["has_files"]}
    last_index = {facts["identity"]: k for k, facts in enumerate(results)}
    return [
        facts
        for k, facts in enumerate(results)
        if facts["has_files"]
        or not facts["identity"]
        or (facts["identity"] not in in_directories and last_index[facts["identity"]] == k)
    ]


def _newest(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[Trouble]]:
    """Of the runs with the same settings and seed, keep only the one written last."""
    runs = runs.sort_values("written", kind="stable")
    key = ["table", "variant", "sparsity", "seed"]
    newest = runs.drop_duplicates(key, keep="last")
    older = runs[runs.duplicated(key, keep="last")]
    by_key = {tuple(row[c] for c in key): row for _, row in newest.iterrows()} if len(older) else {}
    troubles = []
    for _, row in older.iterrows():
        newer = by_key[tuple(row[c] for c in key)]
        why = "which was written later" if newer["has_files"] else f"a later row of {newer['source']}"
        troubles.append(Trouble("replaced", location(row), f"same settings and seed as {location(newer)}, {why}"))
    return newest.sort_values("order", kind="stable").reset_index(drop=True), troubles
