"""Where the files of a task or corpus lie. Only paths are looked at, so a missing file is refused before torch is
imported.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from prunebert.errors import BadInput
from prunebert.system import paths

SQUAD = {False: ("train-v1.1.json", "dev-v1.1.json"), True: ("train-v2.0.json", "dev-v2.0.json")}  # by no_answer


def glue(task: str, data_dir: str, name: str, files: list[str]) -> list[Path]:
    """Return a task's files in a folder in the layout of GLUE's own download.

    Args:
        task: the task's name, for messages.
        data_dir: the folder of all tasks, or the task's own.
        name: the task's folder in `data_dir`.
        files: the names of its files.

    Raises:
        BadInput: the folder or one of the files is missing.
    """
    root = _folder(data_dir)
    folder = root / name if (root / name).is_dir() else root
    for file in files:
        if not (folder / file).exists():
            raise BadInput(f"task.data_dir={data_dir} is not GLUE's layout for {task}: {name}/{file} is missing")
    return [paths.find(str(folder / file), f"task.data_dir={data_dir}") for file in files]


def refuse_without_layout(task: str, data_dir: str) -> NoReturn:
    """Raise the BadInput for a folder that is given to a task without a folder layout."""
    raise BadInput(f"task.data_dir={data_dir}: task {task} has no folder layout; leave it out, or give task.train=FILE")


def refuse_without_source(task: str) -> NoReturn:
    """Raise the BadInput for a task without any data."""
    raise BadInput(f"task={task} needs task.train=FILE (CSV, TSV, JSON lines or Parquet) and task.text=COLUMN")


def squad(data_dir: str, no_answer: bool) -> list[Path]:
    """Return the published files of SQuAD 1.1, or of SQuAD 2.0 if `no_answer` is true: training, then evaluation.

    Raises:
        BadInput: the folder or one of the files is missing.
    """
    folder, names = _folder(data_dir), SQUAD[no_answer]
    for name in names:
        if not (folder / name).exists():
            raise BadInput(f"task.data_dir={data_dir}: {name} is missing; the folder needs {' and '.join(names)}")
    return [paths.find(str(folder / name), "task.data_dir") for name in names]


def corpus(file: str) -> list[Path]:
    """Return the text file that corpus.file names, or the .txt files of that folder.

    Raises:
        BadInput: there is no such file or folder, or no .txt file in the folder.
    """
    paths.refuse_foreign(file, "corpus.file")
    path = Path(os.path.expanduser(file))
    if os.path.isdir(path):
        found = sorted(path.glob("*.txt"))
        if not found:
            raise BadInput(f"corpus.file={file}: there is no .txt file in this folder")
        return [paths.find(str(p), "corpus.file") for p in found]
    if not os.path.exists(path):
        raise BadInput(f"corpus.file={file}: there is no such text file or folder with .txt files")
    return [paths.find(file, "corpus.file")]


def evaluation_files(eval: str | dict[str, str] | None) -> dict[str, str]:
    """Return {split: file} of task.eval. Raises BadInput for a value that is neither a file nor such a table."""
    if eval is None:
        return {}
    named = {"validation": eval} if isinstance(eval, str) else eval
    if not isinstance(named, dict) or not named or not all(isinstance(x, str) and x for x in (*named, *named.values())):
        raise BadInput(
            f"task.eval={eval}: must be a file, or files by split, as 'task.eval={{matched: a.csv, mismatched: b.csv}}'"
        )
    if "train" in named:
        raise BadInput(f"task.eval={eval}: a split for evaluation cannot be named train; name the file task.train=FILE")
    return named


def key_of_training_file(train: str, eval: str | dict[str, str] | None) -> str:
    """Return the key that messages about the training file name.

    It is task.eval if that names the same file: `prunebert evaluate` reads an evaluation file as the training file too.
    """
    return "task.eval" if train in evaluation_files(eval).values() else "task.train"


def _folder(data_dir: str) -> Path:
    paths.refuse_foreign(data_dir, "task.data_dir")
    root = Path(os.path.expanduser(data_dir))
    if not os.path.exists(root):  # unlike Path.exists, it takes any name
        raise BadInput(f"task.data_dir={data_dir}: there is no such folder")
    return root
