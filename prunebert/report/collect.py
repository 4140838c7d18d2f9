"""Read finished runs into one table, a row per run, and list every run that is missing, damaged or replaced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from prunebert.errors import BadInput, describe_os_error
from prunebert.report import executions, facts, namesakes, rows, table_files, table_rows, topologies, variants
from prunebert.report.executions import Repeat
from prunebert.report.statistics import elsewhere
from prunebert.report.trouble import Trouble, constant_baselines, location, mixed, off_target, scores_only
from prunebert.runs import artifacts, discover, evaluations, reading, seal
from prunebert.runs import sweep as runs_sweep
from prunebert.system.console import short
from prunebert.system.countdown import track

NAMED = 5  # reasons in a message where no run can be read


@dataclass(frozen=True)
class Collected:
    """All runs that were read, and the problems met on the way.

    Besides the fields of result.json, `runs` has these columns:
        row: the whole result.json.
        directory: the run's directory.
        has_files: whether that directory can be read; False for a row of an earlier report's table.
        source: the file of that table, or "".
        position: that table and the number of the row; NaN for a directory.
        own_run: the directory that a row records, if it was looked at and holds the row's run; or None.
        topology: what topology.json says, see `topologies.Topology`; None for a row of a table.
        disk_bytes: the size of masks, weights and head, see `discover.saved_bytes`; NaN if it is unknown.
        seal: the hashes of the run's files ("files"), which its verified result had; None for a row of a table.
        table, variant, label, short_label, denominator, order: see `variants.add_labels`.
    """

    runs: pd.DataFrame  # a row per run
    troubles: list[Trouble]
    finished: int  # finished runs, including those that a newer run replaced
    tables: list[Path] = field(default_factory=list)  # the results tables that were read
    repeats: list[Repeat] = field(default_factory=list)  # experiments that were executed more than once
    agreeing: Counter[str] = field(default_factory=Counter)  # rows of each table that their own run confirms
    identities: frozenset[str] = frozenset()  # of all runs that were found, also of those in no table


def collect(roots: Iterable[Path], replaced: Collection[Path] = ()) -> Collected:
    """Read every run below `roots`, and the results tables in them; a root may also be such a table.

    Args:
        roots: directories and results tables.
        replaced: absolute paths of tables that are not read where they are found in a directory.

    Raises:
        BadInput: a root is neither a directory nor a results table, or no run has finished.
    """
    troubles, results = [], []
    seen: set[Path] = set()
    tables: dict[Path, Path] = {}  # by absolute path
    recorded: dict[Path, list[list[str]]] = {}
    roots = list(dict.fromkeys(roots))
    for root in roots:
        is_table = rows.is_table(root)
        if not is_table:
            directories = _new_directories(root, seen)
            recorded |= {directory: runs_sweep.recorded_words(directory) for directory in directories}
            root_results, unused = _read_directories(directories)
            results += root_results
            troubles += unused
        for file in [root] if is_table else table_files.in_folder(root, replaced):
            if file.resolve() not in tables:
                rows_read, unused = (table_rows.read if is_table else table_rows.from_folder)(file)
                tables[file.resolve()] = file
                results += rows_read
                troubles += unused
    identities = frozenset(facts["identity"] for facts in results if facts["identity"])
    settled = executions.settle(results)
    troubles += settled.troubles
    if not settled.results:
        raise _nothing(roots, troubles)
    started = [words for run_words in recorded.values() for words in run_words]
    for sweep in dict.fromkeys(s for root in roots for s in discover.sweeps(root)):
        troubles += [Trouble("missing", short(sweep), cell) for cell in runs_sweep.missing(sweep, started, recorded)]
    runs = variants.add_labels(pd.DataFrame(settled.results))
    runs, older = _newest(runs)
    troubles += older + scores_only(runs) + off_target(runs) + mixed(runs) + constant_baselines(runs)
    troubles += namesakes.troubles(runs[~runs["row"].map(lambda row: bool(row.get("tuning")))])
    found = [*tables.values()]
    return Collected(runs, troubles, len(settled.results), found, settled.repeats, settled.agreeing, identities)


def _nothing(roots: list[Path], troubles: list[Trouble]) -> BadInput:
    """Return the error for roots without a run: why some were not used, or where results tables are instead."""
    names = ", ".join(map(str, roots))
    reasons = "".join(f"; {t.location} {t.kind}, {t.reason}" for t in troubles[:NAMED])
    more = f"; and {len(troubles) - NAMED} more" if len(troubles) > NAMED else ""
    below = [] if troubles else [short(folder) for root in roots for folder in table_files.below(root)]
    hint = f"; there are results tables in {', '.join(below[:NAMED])}: name that folder to read them" if below else ""
    return BadInput(f"{names}: there is no finished run that can be read{reasons}{more}{hint}")


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
            found = facts.of_result(facts.with_escapes(row), "its result.json")
            topology = topologies.read(directory, row)
            origin = {"directory": directory, "has_files": True, "source": "", "topology": topology, "own_run": None}
            origin |= {"seal": {"files": row.get("files")}, "has_pooler": topology.has_pooler}
            origin |= {"written": discover.finish_time(directory), "disk_bytes": discover.saved_bytes(directory, row)}
            kept, unused = evaluations.read(directory, row)
            if kept:
                found["row"][elsewhere.COLUMN] = elsewhere.by_name(facts.with_escapes(each) for each in kept)
            results.append(found | origin)
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
