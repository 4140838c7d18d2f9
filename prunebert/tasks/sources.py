"""Read rows from the hub, from a folder in GLUE's layout, from your own files, or from an installed package.

Each source gives one data frame per split. Its columns: id, text_a, text_b (pairs only) and label, unconverted.
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

# without index_col, a row longer than the header shifts every value one column to the left
PLAIN: dict[str, Any] = {"dtype": str, "keep_default_na": False, "encoding": "utf-8-sig", "index_col": False}
Tables = dict[str, pd.DataFrame]  # "train" and the evaluation splits by name
OTHER_SOURCES = (
    "a folder in GLUE's layout (task.data_dir=FOLDER), your own files (task=file task.train=FILE), "
    "or the embedded data (task=rotten_tomatoes, from prunebert[demo])"
)


def from_hub(
    task: str, *, path: str, config: str, text: list[str], label: str, train: str, eval: dict[str, str]
) -> Tables:
    """Load a data set from the hub or its cache. Raises BadInput within seconds if there is neither.

    Args:
        path, config: the data set's name and configuration on the hub.
        text: one or two columns of text.
        label: the column of labels.
        train: the training split.
        eval: {name here: split on the hub} of the evaluation splits.
    """
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
    """Load a task from a folder in the layout of GLUE's own download. Its tab-separated files have no quoting.

    Args:
        task: the task's name, for messages.
        data_dir: the folder of all tasks, or the task's own.
        name: the task's folder in `data_dir`.
        text: one or two columns of text.
        label: the column of labels.
        train: the training file.
        eval: {split: file} of the evaluation files.
        header: the columns' names, for files without a header line.
    """
    root = Path(data_dir).expanduser()
    folder = root / name if (root / name).is_dir() else root
    tables = {}
    for split, file in {"train": train, **eval}.items():
        if not (folder / file).is_file():
            raise BadInput(f"task.data_dir={data_dir} is not GLUE's layout for {task}: {name}/{file} is missing")
        with _readable(f"task.data_dir={data_dir}: {name}/{file}"):
            table = pd.read_csv(
                folder / file,
                sep="\t",
                quoting=csv.QUOTE_NONE,
                header=None if header else 0,
                names=header,
                on_bad_lines="skip",  # a few of QQP's lines are broken
                **PLAIN,
            )
        table = columns(table, text, label, str(folder / file))
        tables[split] = table[table.label != ""].reset_index(drop=True)
        if tables[split].empty:
            raise BadInput(f"task.data_dir={data_dir}: no row of {name}/{file} has a label")
    return tables


def from_files(train: str, eval: str | dict[str, str] | None, text: list[str], label: str) -> Tables:
    """Load your own CSV, TSV, JSON, JSON lines or Parquet files. Without `eval` the only split is "train".

    Args:
        eval: one evaluation file, or {split: file}.
        text: one or two columns of text.
        label: the column of labels.
    """
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
    """Load a CSV inside an installed package.

    Args:
        file: the CSV's name.
        where: {column: value}; only rows with these values are loaded.
        package: arguments of packaged.folder.
    """
    table = read(str(packaged.folder(**package) / file), "task.package")
    for column, value in where.items():
        table = table[table[column] == value]
    return {"train": columns(table.reset_index(drop=True), text, label, file)}


def read(file: str, key: str) -> pd.DataFrame:
    """Read a table from a file. The ending gives the format; CSV has quoting, TSV has not.

    Args:
        key: the configuration's key for the file, for messages.

    Raises BadInput for a file that does not exist, has an unknown ending or cannot be parsed.
    """
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
        raise BadInput(
            f"{key}={file}: the ending {path.suffix or '(none)'} is not known; allowed are {', '.join(readers)}"
        )
    with _readable(f"{key}={file}"):
        return readers[suffix]()


@contextmanager
def _readable(source: str) -> Iterator[None]:
    """Turn a parser's errors, and pandas' warning that it shortens long rows, into one-line BadInput."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except (ValueError, OSError, KeyError, pd.errors.ParserWarning) as error:  # pandas' and pyarrow's are ValueErrors
        raise BadInput(f"{source} cannot be read: {str(error).splitlines()[0]}") from error


def _records(text: str) -> list[Any]:
    """Parse JSON lines, a list of records, or a dict of records by id."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        if lines and not _is_json(lines[0][1]):  # not JSON lines, but one broken JSON text
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
    """Pick the text and label columns and give them their common names. Raises BadInput if any is missing."""
    if not 1 <= len(text) <= 2:
        raise BadInput(f"task.text={text}: one or two columns of text are allowed")
    if table.empty:
        raise BadInput(f"{source} has no rows")
    for key, column in [*(("task.text", t) for t in text), ("task.label", label)]:
        if column not in table.columns:
            names = [str(c) for c in table.columns]
            raise BadInput(
                f"{key}={column}: {source} has no such column; it has {', '.join(names)}{did_you_mean(column, names)}"
            )
    picked = pd.DataFrame({"id": range(len(table)), "label": table[label].to_numpy()})
    for name, column in zip(["text_a", "text_b"], text, strict=False):
        empty = table[column].isna()
        if empty.any():
            raise BadInput(f"{source}: row {int(empty.to_numpy().argmax())} has no {column}")
        has_several = table[column].map(lambda x: isinstance(x, list | dict | np.ndarray)).to_numpy()
        if has_several.any():
            raise BadInput(f"{source}: row {int(has_several.argmax())} has no text in {column}, but several values")
        picked[name] = table[column].astype(str).to_numpy()
    return picked
