"""Read questions from the hub, from a folder with SQuAD's files, or from your own JSON files in SQuAD's layout.

Each source gives one data frame per split. Its columns: id, context, question, golds (the gold answers, a list of
texts), first and last (the half-open character range of the first gold answer in the context, -1 without an answer).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pandas as pd

from prunebert.errors import BadInput
from prunebert.system import hub, paths
from prunebert.tasks import files, layouts
from prunebert.tasks.holdout import HOLDOUT, REMEDIES, refuse_bad_fraction

Tables = dict[str, pd.DataFrame]  # "train" and "validation"
OTHER_SOURCES = (
    "a folder with SQuAD's files (task.data_dir=FOLDER), your own files in its layout (task.train=FILE task.eval=FILE) "
    "or the embedded data (task=rotten_tomatoes, from prunebert[demo])"
)
TYPE_NAMES = {list: "list", str: "text", int: "whole number", (str, int): "text or number"}


class Question(NamedTuple):
    """A question as in the data, unchecked."""

    id: str
    context: str
    question: str
    texts: list[str]  # of the gold answers
    starts: list[int]  # their first characters in the context


def from_hub(task: str, no_answer: bool, *, path: str) -> Tables:
    """Load a data set from the hub or its cache. Raises BadInput within seconds if there is neither."""
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
        source = f"{path} {split}"
        paragraphs = [{"context": r["context"], "qas": [r | {"answers": _answers(r, source)}]} for r in loaded]
        content = {"data": [{"paragraphs": paragraphs}]}
        tables[split] = _table(_questions(content, source), source, no_answer)
    return tables


def _answers(row: dict[str, Any], source: str) -> Any:
    """Return the gold answers of a hub's row as SQuAD's files have them. The hub has a list of texts and one of starts.

    Raises BadInput for lists of different lengths. `_questions` checks the values.
    """
    answers = row["answers"]
    if not isinstance(answers, dict):
        return answers
    texts, starts = answers.get("text"), answers.get("answer_start")
    if not isinstance(texts, list) or not isinstance(starts, list):
        return None
    if len(texts) != len(starts):
        raise BadInput(f"{source}: question {row['id']} has {len(texts)} answers and {len(starts)} answer_start")
    return [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]


def from_folder(data_dir: str, no_answer: bool) -> Tables:
    """Load a folder with the published files of SQuAD 1.1, or of SQuAD 2.0 if `no_answer` is true."""
    found = layouts.squad(data_dir, no_answer)
    train, validation = (_from_file(str(file), "task.data_dir", no_answer) for file in found)
    return {"train": train, "validation": validation}


def from_files(train: str, eval: str | None, holdout: float, no_answer: bool) -> Tables:
    """Load your own files.

    Args:
        eval: the evaluation file. None: a fraction `holdout` of the training contexts, with all their questions, is the
            validation split. It is the same for every seed and machine.
        no_answer: a question may have no answer.
    """
    table = _from_file(train, layouts.key_of_training_file(train, eval), no_answer)
    if eval is not None:
        return {"train": table, "validation": _from_file(eval, "task.eval", no_answer)}
    return hold_out(table, float(holdout), HOLDOUT)


def hold_out(table: pd.DataFrame, part: float | int, key: str) -> Tables:
    """Split a table of questions by their contexts. The split is the same for every seed and machine.

    Args:
        part: the fraction (float) or the number (int) of the contexts of "validation".
        key: the key that asks for the split, for messages.

    Raises BadInput for a fraction outside (0, 1), and for too few contexts.
    """
    refuse_bad_fraction(part, key)
    from sklearn.model_selection import GroupShuffleSplit  # a second to import

    splitter = GroupShuffleSplit(n_splits=1, test_size=part, random_state=0)
    try:
        train_index, validation_index = next(splitter.split(table, groups=pd.factorize(table.context)[0]))
    except ValueError as error:  # too few contexts
        raise BadInput(f"{key}={part}: {str(error).splitlines()[0]}; or {REMEDIES[key]}") from error
    indices = {"train": train_index, "validation": validation_index}
    return {split: table.iloc[index].reset_index(drop=True) for split, index in indices.items()}


def _from_file(file: str, key: str, no_answer: bool) -> pd.DataFrame:
    path = paths.find(file, key)
    with files.readable(f"{key}={file}", "as JSON"):
        text = files.read_text(path)
        if not text.strip():
            raise ValueError("it is empty")
        content = files.parse_json(text)
    return _table(_questions(content, f"{key}={file}"), f"{key}={file}", no_answer)


def _questions(content: Any, source: str) -> Iterator[Question]:
    """Flatten SQuAD's nesting of articles, paragraphs, questions and answers. Unused keys are not checked."""

    def need(record: Any, path: str, key: str, kind: Any) -> Any:
        missing = f"{source} is not in SQuAD's layout: {path} has no {key!r} ({TYPE_NAMES[kind]})"
        if not isinstance(record, dict):
            raise BadInput(f"{missing}, it is {files.kind_of(record)}")
        if key not in record:
            raise BadInput(missing)
        value = record[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise BadInput(f"{missing}, it is {files.kind_of(value)}")
        if isinstance(value, str) and not files.is_unicode(value):
            raise BadInput(f"{source}: {path} has half of a character (a lone surrogate) in {key!r}, no valid text")
        return value

    for a, article in enumerate(need(content, "the file", "data", list)):
        for p, paragraph in enumerate(need(article, f"data[{a}]", "paragraphs", list)):
            path = f"data[{a}].paragraphs[{p}]"
            context = need(paragraph, path, "context", str)
            for q, item in enumerate(need(paragraph, path, "qas", list)):
                question_path = f"{path}.qas[{q}]"
                golds = need(item, question_path, "answers", list)
                if golds and item.get("is_impossible") is True:
                    raise BadInput(f"{source}: {question_path} has is_impossible=true and answers; remove one of them")
                yield Question(
                    str(need(item, question_path, "id", (str, int))),
                    context,
                    need(item, question_path, "question", str),
                    [need(x, f"{question_path}.answers[{i}]", "text", str) for i, x in enumerate(golds)],
                    [need(x, f"{question_path}.answers[{i}]", "answer_start", int) for i, x in enumerate(golds)],
                )


def _table(questions: Iterable[Question], source: str, no_answer: bool) -> pd.DataFrame:
    """Check the questions of a split and return them as a table. Raises BadInput with the first bad question's id."""
    rows: dict[str, dict[str, Any]] = {}
    for name, context, question, texts, starts in questions:
        if name in rows:
            raise BadInput(f"{source}: two questions have the id {name}")
        if not texts and not no_answer:
            raise BadInput(
                f"{source}: question {name} has no answer, which task.no_answer=false does not allow; use task=squad_v2"
            )
        ranges = []
        if len(texts) != len(starts):
            raise BadInput(f"{source}: question {name} has {len(texts)} answers and {len(starts)} answer_start")
        for text, start in zip(texts, starts, strict=True):
            characters = _character_range(context, text, start)
            if characters is None:
                raise BadInput(
                    f"{source}: question {name}, answer_start={start}: the context has no {text[:60]!r} there"
                )
            ranges.append(characters)
        first, last = ranges[0] if ranges else (-1, -1)
        question = question.lstrip()
        rows[name] = dict(id=name, context=context, question=question, golds=list(texts), first=first, last=last)
    if not rows:
        raise BadInput(f"{source} has no questions")
    return pd.DataFrame(list(rows.values()))


def _character_range(context: str, text: str, start: int) -> tuple[int, int] | None:
    """Return the half-open character range of an answer without the spaces around it; None if it is not at `start`.

    It may be up to two characters away, because a few of SQuAD's published answers start one before their text.
    """
    for begin in (start, start + 1, start - 1, start + 2, start - 2):
        if begin >= 0 and text.strip() and context.startswith(text, begin):
            return begin + len(text) - len(text.lstrip()), begin + len(text.rstrip())
    return None
