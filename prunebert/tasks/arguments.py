"""What a task's and a corpus's settings hold: ranges, keys of nested tables, names of columns, label words."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any

from prunebert.errors import BadInput

# At least two special tokens and a few words; the model has an upper limit of its own.
Tokens = Annotated[int, "at least 8 and at most 1000000"]
Hub = Annotated[dict[str, Any], "arguments of prunebert.tasks.sources.from_hub"]
Folder = Annotated[dict[str, Any], "arguments of prunebert.tasks.sources.from_folder"]
Package = Annotated[
    dict[str, Any], "arguments of prunebert.tasks.sources.from_package and prunebert.system.packaged.folder"
]
HubPath = Annotated[dict[str, Any], "arguments of prunebert.tasks.questions.from_hub, with path"]
CorpusHub = Annotated[dict[str, Any], "arguments of prunebert.tasks.corpus._hub"]
CorpusPackage = Annotated[
    dict[str, Any],
    "arguments of prunebert.tasks.sources.from_package and prunebert.system.packaged.folder, without text, label",
]


def column(key: str, value: Any) -> str:
    """Return the name of a column, which may be a whole number in the configuration.

    Raises BadInput for a value that is neither text nor a whole number, with how to quote it.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, list | dict):
        raise BadInput(f"{key}={text}: must be the name of a column")
    raise BadInput(
        f"{key}={text}: must be the name of a column; if a column has this name, write it in quotes: \"{key}='{text}'\""
    )


def hub_path(path: str | None) -> str:
    """Return the name of a data set of the hub. Raises BadInput for none, and for what can be no such name."""
    example = "as task.path=fancyzhx/ag_news"
    if path is None:
        raise BadInput(f"task=hub needs task.path=NAME, a data set of the hub, {example}")
    if not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", path):
        raise BadInput(
            f"task.path={path}: must be the name of a data set of the hub, {example}; for a file use task=file"
        )
    if os.path.lexists(path):
        raise BadInput(
            f"task.path={path}: a file or folder has this name here, and would be read in place of the hub's data set; "
            "start from another folder, or use task=file"
        )
    return path


def hub_splits(eval: Any) -> dict[str, str] | None:
    """Return {name here: split} of task.eval for a data set of the hub; None if it is not given.

    Raises BadInput for a value that is neither a split nor such a table.
    """
    if eval is None:
        return None
    named = {eval: eval} if isinstance(eval, str) else eval
    if not isinstance(named, dict) or not named or not all(isinstance(x, str) and x for x in (*named, *named.values())):
        raise BadInput(
            f"task.eval={eval}: must be a split, or splits by name, as 'task.eval={{easy: test_easy, hard: test_hard}}'"
        )
    if "train" in named:
        raise BadInput(f"task.eval={eval}: a split for evaluation cannot be named train; give it another name here")
    return named


def own_columns(
    train: str | None,
    eval: Any,
    text: str | int | list[str | int] | None,
    label: Any,
    kind: str = "classification",
    released: dict[str, Any] | None = None,
) -> tuple[list[str], str | list[str]]:
    """Return the columns of text and of labels in the user's own file. Without a file there are no columns of text.

    Args:
        train, eval, text, label, kind: as in the task's yaml. A list of columns of labels is for kind=multilabel: each
            of them is a label.
        released: has `text` and `label`, the columns of the released files of a task. They are used if the user names
            no column; None: the user has to name them.

    Raises:
        BadInput: columns or task.eval without task.train, a file without a column of text, or one column for both.
    """
    several = isinstance(label, list) and kind == "multilabel"
    label = _label_columns(label) if several else column("task.label", label)
    if not train:
        if eval is not None or text is not None or label != "label":
            raise BadInput("task.eval, task.text and task.label describe your own file; name it with task.train=FILE")
        return [], label
    if text is None and label == "label" and released:
        return list(released["text"]), str(released["label"])
    if text is None or text == []:
        raise BadInput("task.text is needed to read your file: name its column of text, or two: task.text=[a,b]")
    columns = [column("task.text", c) for c in (text if isinstance(text, list) else [text])]
    if both := [name for name in (label if several else [label]) if name in columns]:
        raise BadInput(f"task.text={both[0]}: task.label={both[0]} is the same column; name the column of text")
    return columns, label


def choice_columns(kind: str, choices: Any, others: list[str]) -> list[str]:
    """Return the columns of the choices: one for each choice, or one for all; none for another kind of task.

    others: the columns of the question and of the labels.

    Raises BadInput for columns without kind=choices, for none with it, and for a column that is named twice.
    """
    if kind != "choices":
        if choices is not None:
            raise BadInput(f"task.choices={choices}: is read with task.kind=choices only; the kind here is {kind}")
        return []
    if choices is None or choices == []:
        raise BadInput(
            "task.choices is needed for task.kind=choices: name a column for each choice, as task.choices=[a,b,c,d], "
            "or the one that holds a list of texts"
        )
    given = choices if isinstance(choices, list | tuple) else [choices]
    columns = [column("task.choices", c) for c in given]
    for i, name in enumerate(columns):
        if name in [*columns[:i], *others]:
            raise BadInput(f"task.choices=[{','.join(columns)}]: {name} is another choice, text or label")
    return columns


def _label_columns(label: list[Any]) -> list[str]:
    """Return the columns that are a label each. Raises BadInput for fewer than two, and for one that occurs twice."""
    columns = [column("task.label", name) for name in label]
    if len(columns) < 2 or len({*columns}) < len(columns):
        raise BadInput(
            f"task.label=[{','.join(columns)}]: must be two or more different columns of 0 and 1; one column with "
            "lists of names is given without brackets"
        )
    return columns


def words(key: str, values: Any) -> list[str] | None:
    """Return label words. Raises BadInput for anything but a list of different words, with how to quote others."""
    if values is None:
        return None
    if not isinstance(values, list | tuple):
        raise BadInput(f"{key}={values}: must be a list with a word for each class, as {key}=[bad,good]")
    shown = ["null" if v is None else str(v).lower() if isinstance(v, bool) else str(v) for v in values]
    for word, text in zip(values, shown, strict=True):
        if not isinstance(word, str):
            quoted = ",".join(f"'{t}'" for t in shown)
            raise BadInput(
                f"{key}=[{','.join(shown)}]: {text} is no text; to use it as a word, write it in quotes: "
                f'"{key}=[{quoted}]"'
            )
        if not word.strip():
            raise BadInput(f"{key}={shown}: a word is empty")
    twice = next((word for i, word in enumerate(values) if word in values[:i]), None)
    if twice is not None:
        raise BadInput(
            f"{key}=[{','.join(shown)}]: {twice} stands for two classes; every class needs a word of its own"
        )
    return list(values)
