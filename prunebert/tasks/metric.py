"""Find the metric that task.metric names, look at it before it is called, and check what it returns."""

from __future__ import annotations

import inspect
import math
import pkgutil
import re
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from prunebert import measures
from prunebert.errors import BadInput
from prunebert.tasks.files import listed

OWN = re.compile(r"prunebert\.metrics[.:](\w+)")  # a metric of prunebert
SHORT = {"AccuracyF1": "f1", "Matthews": "mcc", "Correlation": "pearson"}  # what others call them
# what libraries raise for labels or arguments that they cannot use
UNUSABLE = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, NotImplementedError)


def find(name: str) -> Callable[..., Any]:
    """Return the class that task.metric names. Its module is imported, and nothing is called.

    Raises BadInput for anything but a concrete subclass of evaluate.Metric that scores predictions and references.
    """
    import evaluate

    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        example = f"; write module:Class, as task.metric=prunebert.metrics:{_closest(name)}"
        raise BadInput(f"task.metric={name}: there is no such module:Class ({_first_line(error)}){example}") from error
    except (SyntaxError, NameError, TypeError, OSError, LookupError, ArithmeticError) as error:
        message = f"its module cannot be imported ({type(error).__name__}: {_first_line(error)})"
        raise BadInput(f"task.metric={name}: {message}") from error
    wanted = "must be a subclass of evaluate.Metric, as module:Class"
    if not (isinstance(found, type) and issubclass(found, evaluate.Metric)):
        base = f" of {', '.join(b.__name__ for b in found.__bases__)}" if isinstance(found, type) else ""
        raise BadInput(
            f"task.metric={name}: {wanted}, and this is a {type(found).__name__}{base}".replace("a type", "a class")
        )
    missing = [m for m in ("_info", "_compute") if getattr(found, m) is getattr(evaluate.Metric, m)]
    if missing or inspect.isabstract(found):
        raise BadInput(f"task.metric={name}: {wanted}, and this class is abstract: it lacks {' and '.join(missing)}")
    for method, arguments in (
        ("__init__", {"keep_in_memory": True}),
        ("_compute", {"predictions": [], "references": []}),
    ):
        try:
            inspect.signature(getattr(found, method)).bind(None, **arguments)
        except TypeError as error:
            raise BadInput(f"task.metric={name}: {method} must take {', '.join(arguments)} alone ({error})") from error
    return found


def _closest(name: str) -> str:
    """Return the class of prunebert.metrics that a name was probably meant for."""
    last = re.split(r"[.:]", name)[-1].replace("_", "").lower()
    own = tuple(measures.OF_CLASS)
    return next((name for name in own if last in (name.lower(), SHORT.get(name))), own[0])


def find_for(name: str, classes: list[str]) -> Callable[[list[Any], list[Any]], Any]:
    """Return the function of predictions and references that task.metric names.

    Those of prunebert need no evaluate, whose import takes long.

    Args:
        classes: the classes' names; none for numbers.

    Raises BadInput as `find` does, and if the metric needs another number of classes (its `classes`).
    """
    own = OWN.fullmatch(name)
    if own and own[1] in measures.OF_CLASS:
        metric: Callable[[list[Any], list[Any]], Any] = measures.OF_CLASS[own[1]]
        allowed = measures.OF_CLASS[own[1]].classes
    else:
        found = find(name)
        allowed = getattr(found, "classes", None)

        def metric(predictions: list[Any], references: list[Any]) -> Any:
            return found(keep_in_memory=True).compute(predictions=predictions, references=references)

    if allowed is not None and classes and len(classes) != allowed:
        shown = f"{listed(classes[:5])}{', …' if len(classes) > 5 else ''}"
        raise BadInput(
            f"task.metric={name}: needs {allowed} classes, and the task has {len(classes)} ({shown}); allowed is "
            "prunebert.metrics:Accuracy, or your own evaluate.Metric"
        )
    return metric


def compute(name: str, predictions: list[Any], references: list[Any], classes: list[str]) -> dict[str, float]:
    """Return the metric of predictions and references, {name: value}.

    Args:
        name: the metric, as module:Class.
        classes: the classes' names; none for numbers.

    Raises BadInput for a metric that cannot score these classes, and for a result that is no dict of finite numbers.
    """
    metric = find_for(name, classes)
    labels = f"{len(classes)} classes" if classes else "numbers"
    try:
        values = metric(predictions, references)
    except UNUSABLE as error:
        reason = f"{type(error).__name__}: {_first_line(error)}"
        raise BadInput(f"task.metric={name}: cannot score predictions of {labels} ({reason})") from error
    if not isinstance(values, dict) or not values:
        raise BadInput(f"task.metric={name}: must return {{name: number}}, and it returned {_shown(values)}")
    for key, value in values.items():
        if not isinstance(key, str) or not isinstance(value, Real | np.number) or isinstance(value, bool | np.bool_):
            raise BadInput(f"task.metric={name}: must return {{name: number}}, and {key!r} is {_shown(value)}")
        if not math.isfinite(value):
            raise BadInput(
                f"task.metric={name}: {key} is {value}, which is no score; constant predictions need one too"
            )
    return {key: float(value) for key, value in values.items()}


def of_splits(results: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return the metrics of all splits, {name: value}. Of several splits, a name ends with its split.

    Args:
        results: the metrics by split.

    Raises BadInput for two of one name: f1_y_x is the F1 of a split y_x, and of the type y in a split x.
    """
    if len(results) == 1:
        return dict(next(iter(results.values())))
    found: dict[str, float] = {}
    for split, values in results.items():
        for key, value in values.items():
            name = f"{key}_{split}"
            if name in found:
                raise BadInput(f"task.eval: two metrics have the name {name}; give the split {split} another name")
            found[name] = value
    return found


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:60]!r}"
