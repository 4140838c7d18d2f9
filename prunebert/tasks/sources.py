"""Read rows from the hub, from a folder in GLUE's layout, from your own files, or from an installed package.

Each source gives one data frame per split. Its columns: id, text_a, text_b (pairs only) and label, unconverted.
`id` is the row's position in its file, from 0. `attrs["source"]` names the file or split, for messages. The hub's
tables have `attrs["classes"]`: the classes that the data set's label numbers stand for, or None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from prunebert.errors import BadInput, did_you_mean
from prunebert.system import hub, packaged
from prunebert.tasks import files, layouts
from prunebert.tasks.files import is_unicode, kind_of, read, row_of

Tables = dict[str, pd.DataFrame]  # "train" and the evaluation splits by name
# (raw table, columns of text, column of labels, source) -> table with the common columns, as `columns` returns it
Pick = Callable[[pd.DataFrame, list[str], str, str], pd.DataFrame]
OTHER_SOURCES = (
    "a folder in GLUE's layout (task.data_dir=FOLDER), your own files (task=file task.train=FILE), "
    "or the embedded data (task=rotten_tomatoes, from prunebert[demo])"
)


def columns(table: pd.DataFrame, text: list[str], label: str, source: str) -> pd.DataFrame:
    """Pick the text and label columns and give them their common names.

    Numbers become text, and bytes are decoded. Raises BadInput for a column that is missing or exists twice, and for a
    row without text.
    """
    if not 1 <= len(text) <= 2:
        raise BadInput(f"task.text={text}: one or two columns of text are allowed")
    names = require_columns(table, [*(("task.text", t) for t in text), ("task.label", label)], source)
    labels = table.iloc[:, names.index(label)].reset_index(drop=True)  # of its own type: text may be no Unicode
    picked = pd.DataFrame({"id": range(len(table)), "label": labels})
    for name, column in zip(["text_a", "text_b"], text, strict=False):
        picked[name] = _texts(table.iloc[:, names.index(column)], column, source)
    picked.attrs["source"] = source
    return picked


def require_columns(table: pd.DataFrame, wanted: list[tuple[str, str]], source: str) -> list[str]:
    """Return the names of a table's columns as text. Raises BadInput if a wanted one is missing or exists twice.

    Args:
        wanted: pairs of a configuration's key and the column that it names.
        source: the file or split, for messages.
    """
    if table.empty:
        raise BadInput(f"{source} has no rows")
    names = [str(name) for name in table.columns]  # Parquet and JSON may have numbers
    twice = {*table.attrs.get("duplicates", ()), *(name for name in names if names.count(name) > 1)}
    for key, column in wanted:
        if column not in names:
            hint = _other_separator(names) or did_you_mean(column, filter(str.isprintable, names))
            raise BadInput(f"{key}={column}: {source} has no such column; it has {files.listed(names)}{hint}")
        if column in twice:
            raise BadInput(f"{key}={column}: {source} has several columns of this name; rename them")
    return names


def from_hub(
    task: str,
    pick: Pick = columns,
    *,
    path: str,
    config: str | None,
    text: list[str],
    label: str,
    train: str,
    eval: dict[str, str],
) -> Tables:
    """Load a data set from the hub or its cache. Raises BadInput within seconds if there is neither.

    Args:
        task: the task's name, for messages.
        pick: gives the columns their common names.
        path, config: the data set's name and configuration on the hub; a null configuration is the only one.
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
        tables[name] = pick(loaded[split].to_pandas(), text, label, f"{path} {split}")
        feature = loaded[split].features[label]
        tables[name].attrs["classes"] = getattr(getattr(feature, "feature", feature), "names", None)  # of a list's too
    return tables


def from_folder(
    task: str,
    data_dir: str,
    pick: Pick = columns,
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
        pick: gives the columns their common names.
        name: the task's folder in `data_dir`.
        text: one or two columns of text.
        label: the column of labels.
        train: the training file.
        eval: {split: file} of the evaluation files.
        header: the columns' names, for files without a header line.
    """
    splits = {"train": train, **eval}
    tables = {}
    found = layouts.glue(task, data_dir, name, list(splits.values()))
    for (split, file), path in zip(splits.items(), found, strict=True):
        with files.readable(f"task.data_dir={data_dir}: {name}/{file}"):
            table = files.read_separated(
                path,
                header=None if header else 0,
                names=header,
                on_bad_lines="skip",  # a few of QQP's lines are broken
                **files.NO_QUOTES,
            )
        table = pick(table, text, label, str(path))
        source = table.attrs["source"]
        table = table[table.label != ""].reset_index(drop=True)
        if table.empty:
            raise BadInput(f"task.data_dir={data_dir}: no row of {name}/{file} has a label")
        tables[split] = table
        tables[split].attrs["source"] = source
    return tables


def from_files(
    train: str,
    eval: str | dict[str, str] | None,
    text: list[str],
    label: str,
    pick: Pick = columns,
    parse: Callable[[str, str], pd.DataFrame] = read,
) -> Tables:
    """Load your own CSV, TSV, JSON, JSON lines or Parquet files. Without `eval` the only split is "train".

    Args:
        eval: one evaluation file, or {split: file}.
        text: one or two columns of text.
        label: the column of labels.
        pick: gives the columns their common names.
        parse: (file, its key) -> raw table.
    """
    evaluation = layouts.evaluation_files(eval)
    tables = {"train": _own(parse(train, "task.train"), train, text, label, pick)}
    for split, file in evaluation.items():
        tables[split] = _own(parse(file, "task.eval"), file, text, label, pick)
    return tables


def _own(raw: pd.DataFrame, file: str, text: list[str], label: str, pick: Pick) -> pd.DataFrame:
    """Pick the columns of a user's file, in which every row needs a label."""
    table = pick(raw, text, label, file)
    missing = (table.label.isna() | (table.label.map(str).str.strip() == "")).to_numpy(bool)
    if missing.any():
        raise BadInput(f"task.label={label}: {row_of(int(missing.argmax()), file)} has no label")
    return table


def from_package(
    pick: Pick = columns, *, file: str, where: dict[str, str], text: list[str], label: str, **package: Any
) -> Tables:
    """Load a CSV inside an installed package.

    Args:
        pick: gives the columns their common names.
        file: the CSV's name.
        where: {column: value}; only rows with these values are loaded.
        package: arguments of packaged.folder.
    """
    table = read(str(packaged.folder(**package) / file), "task.package")
    for column, value in where.items():
        table = table[table[column] == value]
    return {"train": pick(table.reset_index(drop=True), text, label, file)}


def _other_separator(names: list[str]) -> str:
    """Return what to do with a file whose only column seems to be several; empty if it does not."""
    remedies = {
        ";": "semicolons: save it with commas",
        "\t": "tabs: name it .tsv",
        "|": "vertical bars: save it with commas",
        ",": "commas: name it .csv",
    }
    for separator, remedy in remedies.items():
        if len(names) == 1 and separator in names[0]:
            return f"; it seems to be separated by {remedy}"
    return ""


def _texts(values: pd.Series, column: str, source: str) -> np.ndarray:
    """Return a column as text, [rows]. Raises BadInput for a row that has none."""
    empty = values.isna().to_numpy(bool)
    if empty.any():
        raise BadInput(f"{row_of(int(empty.argmax()), source)} has no {column}")
    if values.dtype == object:
        values = pd.Series([_text(v, row, column, source) for row, v in enumerate(values)], dtype=object)
    return values.astype(str).to_numpy()


def _text(value: Any, row: int, column: str, source: str) -> Any:
    """Return a value of a column of text. Raises BadInput for several values, and for what is no Unicode text."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise BadInput(f"{row_of(row, source)} has bytes that are no UTF-8 text in {column}") from None
    if isinstance(value, str) and not is_unicode(value):
        raise BadInput(f"{row_of(row, source)} has half of a character (a lone surrogate) in {column}")
    if isinstance(value, list | tuple | set | dict | np.ndarray):
        raise BadInput(f"{row_of(row, source)} has no text in {column}, but {kind_of(value)}")
    return value
