"""Where rows come from: the hub, a folder in GLUE's layout, files of your own, or an installed package.

Each source gives a data frame a split with the columns id, text_a, text_b (pairs only) and label, as they stand there.
"""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prunebert.errors import BadInput, did_you_mean
from prunebert.system import hub, packaged

# index_col: without it a row longer than the header shifts every value one column to the left
PLAIN: dict[str, Any] = {"dtype": str, "keep_default_na": False, "encoding": "utf-8-sig", "index_col": False}
Tables = dict[str, pd.DataFrame]  # "train" and the evaluation splits by name
OTHER_SOURCES = (
    "a folder in GLUE's layout (task.data_dir=FOLDER), your own files (task=file task.train=FILE), "
    "or the embedded data (task=rotten_tomatoes, from prunebert[demo])"
)


def from_hub(
    task: str, *, path: str, config: str, text: list[str], label: str, train: str, eval: dict[str, str]
) -> Tables:
    """A data set of the hub (or of its cache). Raises BadInput in seconds if there is neither network nor cache."""
    hub.prepare()
    import datasets

    datasets.disable_progress_bars()
    with hub.explained(f"task={task} ({path})", OTHER_SOURCES):
        loaded = datasets.load_dataset(path, config)
    tables = {}
    for name, split in {"train": train, **eval}.items():
        if split not in loaded:
            raise BadInput(f"{path} has no split {split}; it has {', '.join(loaded)}")
        tables[name] = columns(loaded[split].to_pandas(), text, label, f"{path} {split}")
    return tables


def from_folder(
    task: str,
    data_dir: str,
    *,
    name: str,
    text: list[str],
    label: str,
    train: str,
    eval: dict[str, str],
    header: list[str] | None = None,
) -> Tables:
    """A folder in GLUE's own download layout: `data_dir` is the folder of all tasks or the task's own.

    GLUE's tab-separated files have no quoting. `header` names the columns of files without a first line of names.
    """
    root = Path(data_dir).expanduser()
    place = root / name if (root / name).is_dir() else root
    tables = {}
    for split, file in {"train": train, **eval}.items():
        if not (place / file).is_file():
            raise BadInput(f"task.data_dir={data_dir} is not GLUE's layout for {task}: {name}/{file} is not there")
        with _readable(f"task.data_dir={data_dir}: {name}/{file}"):
            table = pd.read_csv(
                place / file,
                sep="\t",
                quoting=csv.QUOTE_NONE,
                header=None if header else 0,
                names=header,
                on_bad_lines="skip",  # a few of QQP's lines break off
                **PLAIN,
            )
        table = columns(table, text, label, str(place / file))
        tables[split] = table[table.label != ""].reset_index(drop=True)
        if tables[split].empty:
            raise BadInput(f"task.data_dir={data_dir}: no row of {name}/{file} has a label")
    return tables


def from_files(train: str, eval: str | dict[str, str] | None, text: list[str], label: str) -> Tables:
    """Your own CSV, TSV, JSON, JSON lines or Parquet files; without `eval` there is only the split "train"."""
    files = {"train": train} | ({} if eval is None else eval if isinstance(eval, dict) else {"validation": eval})
    tables = {}
    for split, file in files.items():
        table = columns(read(file, f"task.{'train' if split == 'train' else 'eval'}"), text, label, file)
        missing = (table.label.isna() | (table.label.astype(str).str.strip() == "")).to_numpy()
        if missing.any():
            raise BadInput(f"task.label={label}: row {int(missing.argmax())} of {file} has no label")
        tables[split] = table
    return tables


def from_package(*, file: str, where: dict[str, str], text: list[str], label: str, **package: Any) -> Tables:
    """A CSV inside an installed package (see packaged.folder), only the rows whose columns equal `where`."""
    table = read(str(packaged.folder(**package) / file), "task.package")
    for column, value in where.items():
        table = table[table[column] == value]
    return {"train": columns(table.reset_index(drop=True), text, label, file)}


def read(file: str, key: str) -> pd.DataFrame:
    """A table from a file, its format told by the ending. TSV has no quoting, CSV has. Raises BadInput with `key`."""
    path = Path(file).expanduser()
    if not path.is_file():
        raise BadInput(f"{key}={file}: there is no such file")
    readers: dict[str, Callable[[], pd.DataFrame]] = {
        ".csv": lambda: pd.read_csv(path, **PLAIN),
        ".tsv": lambda: pd.read_csv(path, sep="\t", quoting=csv.QUOTE_NONE, **PLAIN),
        ".jsonl": lambda: pd.DataFrame(_records(path.read_text("utf-8-sig"))),
        ".json": lambda: pd.DataFrame(_records(path.read_text("utf-8-sig"))),
        ".parquet": lambda: pd.read_parquet(path),
    }
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise BadInput(f"{key}={file}: the ending {path.suffix or '(none)'} is not known, only {', '.join(readers)}")
    with _readable(f"{key}={file}"):
        return readers[suffix]()


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """A parser's errors, and pandas' warning that it cuts long rows off, as one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except (ValueError, OSError, KeyError, pd.errors.ParserWarning) as error:  # pandas' and pyarrow's are ValueErrors
        raise BadInput(f"{what} cannot be read: {str(error).splitlines()[0]}") from error


def _records(text: str) -> list[Any]:
    """JSON lines, a list of records, or records by id."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        if lines and not _is_json(lines[0][1]):  # no lines of JSON, but one broken text
            raise ValueError(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
        content = [_record(*line) for line in lines]
    if isinstance(content, dict) and all(isinstance(v, dict) for v in content.values()):
        return list(content.values())
    return [content] if isinstance(content, dict) else content


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


def _record(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {number}, column {error.colno}: {error.msg}") from error


def columns(table: pd.DataFrame, text: list[str], label: str, source: str) -> pd.DataFrame:
    """The columns that matter under their common names. Raises BadInput for a column that is not there, or no rows."""
    if not 1 <= len(text) <= 2:
        raise BadInput(f"task.text={text}: one or two columns of text are allowed")
    if table.empty:
        raise BadInput(f"{source} has no rows")
    for key, column in [*(("task.text", t) for t in text), ("task.label", label)]:
        if column not in table.columns:
            there = [str(c) for c in table.columns]
            raise BadInput(
                f"{key}={column}: {source} has no such column; it has {', '.join(there)}{did_you_mean(column, there)}"
            )
    picked = pd.DataFrame({"id": range(len(table)), "label": table[label].to_numpy()})
    for name, column in zip(["text_a", "text_b"], text, strict=False):
        empty = table[column].isna()
        if empty.any():
            raise BadInput(f"{source}: row {int(empty.to_numpy().argmax())} has no {column}")
        several = table[column].map(lambda x: isinstance(x, list | dict | np.ndarray)).to_numpy()
        if several.any():
            raise BadInput(f"{source}: row {int(several.argmax())} has no text in {column}, but several values")
        picked[name] = table[column].astype(str).to_numpy()
    return picked
