"""Which head scores a run on another task, and how the classes that it was trained for become that task's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prunebert.errors import BadInput, shown

if TYPE_CHECKING:
    from prunebert.network.interface import Form
    from prunebert.runs.load import Loaded


def class_map_of(run: Loaded, form: Form, value: Any, given: set[str]) -> dict[str, str] | None:
    """Return {trained class: class of the task}, or None if classes are matched by their names.

    A map that the user did not give is the task's own. It counts only where the classes differ and it has them all.

    Raises:
        BadInput: the map does not fit, or there are no classes to map.
    """
    from prunebert.tasks import class_map
    from prunebert.tasks.label_text import key_of

    if value is None:
        return None
    own = not any(key == "task.map" or key.startswith("task.map.") for key in given)
    trained = run.form
    if not (_has_classes(trained) and _has_classes(form)):
        if own:
            return None
        other = trained if _has_classes(form) else form
        raise BadInput(f"task.map={shown(value)}: maps classes of texts, and task={other.name} {other.outputs_named()}")
    keys = {key_of(label) for label in trained.labels}
    known = {key_of(name) for name, _ in class_map.parse(value)}
    if own and (keys == {key_of(label) for label in form.labels} or not keys <= known):
        return None
    return class_map.resolve(value, trained.labels, form.labels, form.name)


def _has_classes(form: Form) -> bool:
    """Return whether each text, or pair of texts, has one class."""
    return bool(form.labels) and form.kind == "classification" and not (form.span or form.masked_lm)


def never_predicted(scores: dict[str, Any]) -> list[str]:
    """Return a note if the map leaves a class of the task without a trained class. scores: from `score_run`."""
    from prunebert.tasks import class_map

    missing = class_map.never_predicted(scores["map"], scores["form"]["labels"]) if scores["map"] else []
    return [f"never predicted, because no trained class is mapped to it: {', '.join(missing)}"] if missing else []


def head_for(run: Loaded, form: Form, mapped: dict[str, str] | None = None) -> str:
    """Return the key of a head that fits the task's form and uses what the run has learnt.

    Args:
        run: the loaded run, whose network gets the head.
        form: of the task.
        mapped: from `class_map_of`.

    Raises:
        BadInput: no head fits.
    """
    trained, name = run.form, f"{run.facts['method']} of {run.form.name}"
    if _outputs(form) != _outputs(trained):
        raise BadInput(f"task={form.name}: {name} predicts {_outputs(trained)}, but this task needs {_outputs(form)}")
    if form.choices != trained.choices:
        raise BadInput(
            f"task={form.name}: this task {form.outputs_named()}, but {run.facts['method']} was trained on a task that "
            f"{trained.outputs_named()}"
        )
    if trained.span or trained.masked_lm or trained.choices:
        return run.head
    from prunebert.tasks.label_text import key_of

    new_key = f"{run.head}_there"
    if mapped is not None:
        from prunebert.network.heads import Mapped

        targets = [form.labels.index(label) for label in mapped.values()]
        run.net.heads[new_key] = Mapped(run.net.heads[run.head], targets, form.outputs)
        return new_key
    if run.frozen_head and run.net.kind_of(run.head) == "label_words":
        return run.net.add_head_as(new_key, "label_words", form)
    keys, trained_keys = ([key_of(label) for label in f.labels] for f in (form, trained))
    if form.regression != trained.regression or set(keys) != set(trained_keys):
        raise BadInput(
            f"task={form.name}: {name} was trained for {_classes(trained)}, but this task has {_classes(form)} "
            "(task.labels=[…] names the classes of a file with numbers, and task.map=[trained:class,…] maps the first "
            "to the second)"
        )
    if keys == trained_keys:
        return run.head
    from prunebert.network.heads import reordered

    order = [trained_keys.index(key) for key in keys]
    run.net.heads[new_key] = reordered(run.net.heads[run.head], order)
    return new_key


def _outputs(form: Form) -> str:
    kinds = {
        "span": "spans of text",
        "masked_lm": "words",
        "tokens": "labels of words",
        "multilabel": "several labels of each text",
    }
    return next((words for kind, words in kinds.items() if getattr(form, kind)), "labels of texts")


def _classes(form: Form) -> str:
    return "numbers" if form.regression else f"the classes {', '.join(form.labels)}"
