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
from prunebert.tasks import files, hub_sets, layouts
from prunebert.tasks.files import is_unicode, kind_of, read, row_of
from prunebert.tasks.groups import names as group_names

Tables = dict[str, pd.DataFrame]  # "train" and the evaluation splits by name
# (raw table, columns of text, column or columns of labels, source) -> table with the common columns, as `columns`
# returns it
Pick = Callable[[pd.DataFrame, list[str], Any, str], pd.DataFrame]
OTHER_SOURCES = (
    "a folder in GLUE's layout (task.data_dir=FOLDER), your own files (task=file task.train=FILE), "
    "or the embedded data (task=rotten_tomatoes, from prunebert[demo])"
)


def columns(
    table: pd.DataFrame, text: list[str], label: str | list[str], source: str, groups: str | None = None
) -> pd.DataFrame:
    """Pick the text and label columns and give them their common names. `groups` is a column that groups the rows.

    Numbers become text, and bytes are decoded. Of several columns of labels, a row's label is the list of its values.

    Raises BadInput for a column that is missing or exists twice, and for a row without text.
    """
    if not 1 <= len(text) <= 2:
        raise BadInput(f"task.text={text}: one or two columns of text are allowed")
    label_columns = label if isinstance(label, list) else [label]
    wanted = [*(("task.text", t) for t in text), *(("task.label", column) for column in label_columns)]
    names = require_columns(table, wanted, source)
    if isinstance(label, list):
        values = [table.iloc[:, names.index(column)].tolist() for column in label]
        labels = pd.Series(list(map(list, zip(*values, strict=True))), dtype=object)
    else:
        labels = table.iloc[:, names.index(label)].reset_index(drop=True)  # of its own type: text may be no Unicode
    picked = pd.DataFrame({"id": range(len(table)), "label": labels})
    for name, column in zip(["text_a", "text_b"], text, strict=False):
        picked[name] = _texts(table.iloc[:, names.index(column)], column, source)
    if groups:
        if groups not in names:
            raise BadInput(
                f"task.groups={groups}: {source} has no such column; it has {files.listed(names)}; "
                "task.groups=null leaves it out"
            )
        picked["group"] = group_names(table.iloc[:, names.index(groups)], groups, source)
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
    key: str = "task.hub",
    tuning: bool = False,
    *,
    path: str,
    config: str | None,
    text: list[str],
    label: str | list[str],
    train: str,
    eval: dict[str, str] | None,
    revision: str = hub_sets.MAIN,
) -> Tables:
    """Load a data set from the hub or its cache. Raises BadInput within seconds if there is neither.

    Args:
        task: the task's name, for messages.
        pick: gives the columns their common names.
        key: begins the keys of the settings below, for messages.
        tuning: whether training rows replace the evaluation data.
        path, config: the data set's name and configuration on the hub; None if it has only one.
        text: one or two columns of text.
        label: the column or columns of labels.
        train: the training split.
        eval: {name here: split on the hub} of the evaluation splits; None: see hub_sets.evaluation_splits.
        revision: a branch, tag or commit.

    Returns the tables. `attrs["origin"]` of each has the configuration and the commit that were read.
    """
    with hub.explained(f"task={task} ({path})", OTHER_SOURCES):
        loaded = hub_sets.load(path, config, revision, key)
    tables, several = {}, isinstance(label, list)
    for name, split in {"train": train, **hub_sets.evaluation_splits(loaded, eval, path, tuning)}.items():
        if split not in loaded:
            setting = f"{key}.{'train' if name == 'train' else 'eval'}={split}"
            raise BadInput(f"{setting}: {path} has no split {split}; it has {', '.join(loaded)}")
        tables[name] = pick(loaded[split].to_pandas(), text, label, f"{path} {split}")
        tables[name].attrs["classes"] = None if several else classes_of(loaded[split].features[label])
        tables[name].attrs["origin"] = {
            "config": getattr(loaded[split], "config_name", None),
            "revision": hub_sets.commit_of(loaded[split]),
        }
    return tables


def classes_of(feature: Any) -> list[str] | None:
    """Return the names of the classes that the numbers, or the lists of numbers, of a column of the hub stand for."""
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", feature)
    return getattr(inner, "names", None)


def with_names(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the names of the hub's classes in place of its numbers, if the hub names them.

    A number that is no index stays: the hub marks rows without a label with -1.
    """
    if not (classes := table.attrs.get("classes")):
        return table

    def named(value: Any) -> Any:
        if isinstance(value, list | np.ndarray):
            return [named(item) for item in value]
        return classes[value] if isinstance(value, int | np.integer) and 0 <= value < len(classes) else value

    renamed = table.assign(label=pd.Series([named(value) for value in table.label.tolist()], table.index, object))
    renamed.attrs = table.attrs
    return renamed


def from_folder(
    task: str,
    data_dir: str,
    pick: Pick = columns,
    *,
    name: str,
    text: list[str],
    label: str | list[str],
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
        label: the column or columns of labels.
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
    label: str | list[str],
    pick: Pick = columns,
    parse: Callable[[str, str], pd.DataFrame] = read,
) -> Tables:
    """Load your own CSV, TSV, JSON, JSON lines or Parquet files. Without `eval` the only split is "train".

    Args:
        eval: one evaluation file, or {split: file}.
        text: one or two columns of text.
        label: the column or columns of labels.
        pick: gives the columns their common names.
        parse: (file, its key) -> raw table.
    """
    evaluation = layouts.evaluation_files(eval)
    tables = {"train": _own(parse(train, layouts.key_of_training_file(train, eval)), train, text, label, pick)}
    for split, file in evaluation.items():
        tables[split] = _own(parse(file, "task.eval"), file, text, label, pick)
    return tables


def _own(raw: pd.DataFrame, file: str, text: list[str], label: str | list[str], pick: Pick) -> pd.DataFrame:
    """Pick the columns of a user's file, in which every row needs a label."""
    table = pick(raw, text, label, file)
    missing = (table.label.isna() | (table.label.map(str).str.strip() == "")).to_numpy(bool)
    if missing.any():
        raise BadInput(f"task.label={label}: {row_of(int(missing.argmax()), file)} has no label")
    return table


def from_package(
    pick: Pick = columns, *, file: str, where: dict[str, str], text: list[str], label: str | list[str], **package: Any
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
