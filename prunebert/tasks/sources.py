"""Where rows come from: the hub, a folder in GLUE's layout, files of your own, or an installed package.

Each source gives a data frame a split with the columns id, text_a, text_b (pairs only) and label, as they stand there.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd

from prunebert import hub, packaged
from prunebert.errors import BadInput, did_you_mean

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
        table = pd.read_csv(
            place / file,
            sep="\t",
            quoting=csv.QUOTE_NONE,
            encoding="utf-8-sig",
            dtype=str,
            keep_default_na=False,
            header=None if header else 0,
            names=header,
            on_bad_lines="skip",  # a few of QQP's lines break off
        )
        table = columns(table, text, label, str(place / file))
        tables[split] = table[table.label != ""].reset_index(drop=True)
    return tables


def from_files(train: str, eval: str | dict[str, str] | None, text: list[str], label: str) -> Tables:
    """Your own CSV, TSV, JSON, JSON lines or Parquet files; without `eval` there is only the split "train"."""
    files = {"train": train} | ({} if eval is None else eval if isinstance(eval, dict) else {"validation": eval})
    return {
        split: columns(read(file, f"task.{'train' if split == 'train' else 'eval'}"), text, label, file)
        for split, file in files.items()
    }


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
    plain: dict[str, Any] = {"dtype": str, "keep_default_na": False, "encoding": "utf-8-sig"}
    readers = {
        ".csv": lambda: pd.read_csv(path, **plain),
        ".tsv": lambda: pd.read_csv(path, sep="\t", quoting=csv.QUOTE_NONE, **plain),
        ".jsonl": lambda: pd.DataFrame(
            [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
        ),
        ".json": lambda: _json(path),
        ".parquet": lambda: pd.read_parquet(path),
    }
    if path.suffix not in readers:
        raise BadInput(
            f"{key}={file}: the ending {path.suffix or '(none)'} is not known; known are {', '.join(readers)}"
        )
    try:
        return readers[path.suffix]()
    except (ValueError, OSError, KeyError) as error:  # pandas' and pyarrow's parser errors are ValueErrors
        raise BadInput(f"{key}={file} cannot be read as {path.suffix}: {str(error).splitlines()[0]}") from error


def _json(path: Path) -> pd.DataFrame:
    """JSON lines, a list of records, or records by id."""
    text = path.read_text("utf-8")
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        content = [json.loads(line) for line in text.splitlines() if line.strip()]
    return pd.DataFrame(list(content.values()) if isinstance(content, dict) else content)


def columns(table: pd.DataFrame, text: list[str], label: str, source: str) -> pd.DataFrame:
    """The columns that matter under their common names. Raises BadInput for a column that is not there, or no rows."""
    if not 1 <= len(text) <= 2:
        raise BadInput(f"task.text={text}: one or two columns of text are allowed")
    for key, column in [*(("task.text", t) for t in text), ("task.label", label)]:
        if column not in table.columns:
            there = [str(c) for c in table.columns]
            raise BadInput(
                f"{key}={column}: {source} has no such column; it has {', '.join(there)}{did_you_mean(column, there)}"
            )
    if table.empty:
        raise BadInput(f"{source} has no rows")
    picked = pd.DataFrame({"id": range(len(table)), "label": table[label].to_numpy()})
    for name, column in zip(["text_a", "text_b"], text, strict=False):
        empty = table[column].isna()
        if empty.any():
            raise BadInput(f"{source}: row {int(empty.to_numpy().argmax())} has no {column}")
        picked[name] = table[column].astype(str).to_numpy()
    return picked
