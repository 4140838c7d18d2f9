"""The task of rows of text with labels, from any source: GLUE's nine tasks, the embedded one and your own files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from prunebert.choices import Padding
from prunebert.entities import Scheme
from prunebert.errors import BadInput
from prunebert.ranges import Fraction, Part, Text
from prunebert.tasks import (
    arguments,
    choice_table,
    conll,
    files,
    label_sets,
    labelled,
    layouts,
    multilabel,
    multiple_choice,
    sources,
    tokens,
)
from prunebert.tasks.arguments import Folder, Hub, Package, Tokens
from prunebert.tasks.batching import width_of
from prunebert.tasks.request import Request

if TYPE_CHECKING:
    from prunebert.tasks.augment import Augment
    from prunebert.tasks.task import Task


def text_task(
    *,
    tokenizer: Any,
    positions: int,
    name: Text | None,
    kind: Literal["classification", "regression", "multilabel", "tokens", "choices"],
    hub: Hub | None,
    folder: Folder | None,
    package: Package | None,
    data_dir: Annotated[Text, "read without train"] | None,
    train: Text | None,
    eval: Text | dict[str, Text] | None,
    text: str | int | list[str | int] | None,
    label: str | int | list[str | int],
    labels: list[Any] | None,
    label_words: list[str] | None,
    holdout: Annotated[Fraction, "read without eval"],
    max_length: Tokens,
    metric: Text | None,
    score: Text | None,
    augment: Augment | None = None,
    label_indices: Annotated[bool, "read with labels"] = True,
    overlaps: dict[str, str] | None = None,
    seed_name: str | None = None,
    padding: Padding = "longest",
    tuning_holdout: Part | None = None,
    scheme: Annotated[Scheme, "read with kind=tokens"] | None = None,
    choices: str | int | list[str | int] | None = None,
    separator: Annotated[str, "read with kind=multilabel"] | None = None,
    path: Text | None = None,
    config: Text | None = None,
    revision: Text | None = None,
    groups: Text | None = None,
    map: str | list[str] | dict[str | int | float | bool, Any] | None = None,
) -> Task:
    """Load a task. The source is the first of: a `revision` of any data set of the hub, your own files (`train`),
    `data_dir`, a `package`, the task's data set on the hub.

    Args:
        positions: the model's longest sequence, in tokens.
        name: the task's name; None where `seed_name` is given.
        hub, folder, package: arguments of sources.from_hub, from_folder and from_package.
        data_dir: a folder in GLUE's layout.
        train, eval: your own files, or splits of `path`; `eval` may be {split: file}.
        text, label: the columns of your own files, or of `path`; 0 is the column named "0".
        labels: the classes' names in order; None: those in the training rows.
        holdout: without evaluation data, the fraction of training rows for evaluation. It is stratified and the same
            for every seed and machine.
        metric: an evaluate.Metric, as "module:Class"; None: accuracy, or correlation for regression.
        score: the entry of the metric that is the score; None: the first.
        augment: makes new texts; their rows follow those of train.
        label_indices: a row may have the index of a class in `labels` in place of its name.
        overlaps: not read here (see settings.overlaps).
        seed_name: seeds new heads in place of `name`, which is then a label alone (see settings.task_name).
        padding: what the rows of a batch are padded to: its longest row, or `max_length`.
        tuning_holdout: the fraction or the number of the training rows that replace the evaluation data, for tuning;
            None: evaluate on the evaluation data. It is split as `holdout` is.
        scheme: how the labels of words write entities, "none" if they do not; None: as the labels show.
        choices: for kind=choices, in any source: a column for each choice, or one that holds a list of texts.
        path, config, revision: the name of a data set of the hub, its configuration and its branch, tag or commit.
            They are given together; `config` is None if there is only one.
        separator: what separates the labels in a column of text; None: the column holds lists.
        groups: a column of the data; the accuracy of each of its values, and of each class within, becomes a metric.
        map: not read here (see commands.evaluate).

    Raises BadInput for a setting outside its range and for data that cannot be used.
    """
    name, width = seed_name or name or "", width_of(padding, max_length)
    if not 8 <= max_length <= positions:
        raise BadInput(
            f"task.max_length={max_length}: the model reads at most {positions} tokens (and at least 8 are needed)"
        )
    if kind == "regression":
        labelled.refuse_classes(labels, metric)
    if kind == "multilabel":
        multilabel.refuse_metric(metric)
    label_words = arguments.words("task.label_words", label_words)
    text_columns, label_columns = arguments.own_columns(train, eval, text, label, kind, folder)
    if groups and kind != "classification":
        raise BadInput(f"task.groups={groups}: needs classes, and task.kind={kind} has none; leave it out")
    of_choices = arguments.choice_columns(kind, choices, [*text_columns, str(label_columns)])
    parse = conll.read if kind == "tokens" else files.read
    pick = _columns(kind, separator, of_choices, groups)
    if revision:
        source = arguments.hub_path(path)
        tables = sources.from_hub(
            name,
            pick,
            "task",
            tuning_holdout is not None,
            path=source,
            config=config,
            text=text_columns,
            label=label_columns,
            train=train or "",
            eval=arguments.hub_splits(eval),
            revision=revision,
        )
        tables = {split: sources.with_names(table) for split, table in tables.items()}
    elif train:
        source, tables = train, sources.from_files(train, eval, text_columns, label_columns, pick, parse)
    elif data_dir:
        if not folder:
            layouts.refuse_without_layout(name, data_dir)
        source, tables = data_dir, sources.from_folder(name, data_dir, pick, **folder)
    elif package:
        source, tables = f"{package['name']}=={package['version']}", sources.from_package(pick, **package)
    elif hub:
        source, tables = hub["path"], sources.from_hub(name, pick, **hub)
    else:
        layouts.refuse_without_source(name)
    request = Request(
        name=name,
        tokenizer=tokenizer,
        source=source,
        own=bool(train) and not revision,
        label=label_columns if isinstance(label_columns, str) else f"[{','.join(label_columns)}]",
        labels=labels,
        label_words=label_words,
        label_indices=label_indices,
        holdout=float(holdout),
        tuning_holdout=tuning_holdout,
        max_length=max_length,
        padding=padding,
        width=width,
        metric=metric,
        score=score,
        augment=augment,
        origin=tables["train"].attrs["origin"] if revision else {},
    )
    if kind == "tokens":
        return tokens.load(request, tables, scheme)
    if of_choices:
        return multiple_choice.load(request, tables, of_choices)
    if kind == "multilabel":
        return multilabel.load(request, tables)
    return labelled.load(request, tables, regression=kind == "regression")


def _columns(kind: str, separator: str | None, of_choices: list[str], groups: str | None) -> sources.Pick:
    """Return what gives the columns of a table of this kind their common names."""
    if kind == "tokens":
        return conll.columns
    if kind == "multilabel":
        return label_sets.columns(separator)
    if of_choices:
        return partial(choice_table.columns, choices=of_choices)
    return partial(sources.columns, groups=groups) if groups else sources.columns
