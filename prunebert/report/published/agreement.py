"""Find the settings that a published number belongs to, and where a run differs from them.

A published number belongs to the settings that prunebert's own conf/ composes for `fit=paper` and the number's method,
task, model and teacher. The words of its `variant` change some of them. The same holds where a source does not state
its budget, as a paper that quotes another one: fit=paper is prunebert's reading of that method's paper.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from prunebert.errors import BadInput
from prunebert.report.cell_values import parse_cell
from prunebert.report.variants import complete, settings
from prunebert.runs import discover
from prunebert.settings import former, overrides

UNSET = "unset"  # the text of a setting that one side lacks
PRETRAINED = "pretrained"  # as distill.teacher: the network before fine-tuning
BUDGETS = ("fit", "mask_fit")
# Keys of a budget that are read only where another key has this value: key -> (other key, its value).
DECIDED_BY = {"eval_every": ("keep", "best"), "epochs": ("steps", UNSET)}
# Settings that cannot change what a run computes, and why. `_is_read` has those that depend on others.
WITHOUT_EFFECT = {
    "distill.shared": "it only names the folder where a fine-tuned teacher is kept",
    "memory": "it only divides the work; the result is the same",
    "distill.cached": "the teacher's logits are the same, computed once or at every step",
}


def of_run(run: dict[str, Any]) -> dict[str, str] | None:
    """Return a run's settings with dotted names, completed by the defaults of the signatures.

    They have besides: `augment`; of the task what its form records, as `task.KEY`; of the checkpoint's configuration
    the values that its family does not have, as `architecture.KEY`.

    Args:
        run: a row of `collect.Collected.runs`.

    Returns:
        None if no published number can be the run's: prunebert has no such method, or the run's is code from elsewhere.
    """
    if run["method"] not in _options("method") or not _is_ours(run):
        return None
    target = _yaml("method", run["method"])["_target_"]
    node = former.in_current_words({"_target_": target, **run["row"]["settings"]})
    found = _read(complete(node), run["sparsity"], run["seed"])
    found["augment"] = run["augment"]
    for group, prefix in (("form", "task"), ("architecture", "architecture")):
        values = run["row"].get(group)
        found |= {
            f"{prefix}.{key}": _text(value) for key, value in (values if isinstance(values, dict) else {}).items()
        }
    return found


def differences(found: dict[str, str], point: dict[str, Any]) -> dict[str, tuple[str, str]] | None:
    """Return the settings in which a run differs from those of a published number: key -> (number's, run's).

    Args:
        found: see `of_run`.
        point: a row of published.csv with the run's model, task and method.

    Returns:
        None if the number can be that of no run: no option of prunebert has its model, or a word of its variant is no
        setting.
    """
    words = [word.partition("=") for word in point["variant"].split(";") if word]
    if not all(equals for _, equals, _ in words):
        return None
    inner = tuple(f"method@method.{key}={option}" for key, _, value in words for option in _options_at(value))
    published = _packaged(point["method"], point["task"], point["model"], point["kd"], inner)
    if published is None:
        return None
    expected = {key: [value] for key, value in published.items() if not key.startswith("task.") or key in found}
    expected |= {key: values.split("|") for key, _, values in words}
    compared = {key for key in found if not key.startswith("task.") or key in expected}
    first = {key: values[0] for key, values in expected.items()}
    return {
        key: (" or ".join(expected.get(key, [UNSET])), found.get(key, UNSET))
        for key in sorted(compared | expected.keys())
        if found.get(key, UNSET) not in expected.get(key, [UNSET]) and _is_read(key, first, found)
    }


def _is_read(key: str, expected: dict[str, str], found: dict[str, str]) -> bool:
    """Return whether a difference of a setting can change what a run computes.

    A teacher's directory only says where the teacher is. The interval of evaluations counts where both sides keep the
    best weights. Epochs count where neither side sets steps.
    """
    if f".{key}".endswith(".distill.teacher"):
        return PRETRAINED in (expected.get(key), found.get(key))
    budget, _, name = key.rpartition(".")
    if budget.rpartition(".")[2] in BUDGETS and name in DECIDED_BY:
        other, needed = DECIDED_BY[name]
        return {side.get(f"{budget}.{other}", UNSET) for side in (expected, found)} == {needed}
    without_effect = any(f".{key}".endswith(f".{name}") for name in WITHOUT_EFFECT)
    return not without_effect and not key.endswith(("_partial_", "_convert_"))


@cache
def _packaged(method: str, task: str, model: str, kd: str, inner: tuple[str, ...]) -> dict[str, str] | None:
    """Return the settings that fit=paper composes, and the task's keys as `task.KEY`; None without such a model.

    Args:
        method: its name.
        task: its name.
        model: the last part of the checkpoint's name.
        kd: the kind of the teacher, or "no".
        inner: words that choose a method inside the method.
    """
    names = {option: str(_yaml("model", option)["name"]).rpartition("/")[2] for option in _options("model")}
    options = [option for option, name in names.items() if name == model]
    if not options:
        return None
    words = [f"method={method}", f"task={task}", f"model={options[0]}", "fit=paper", "seed=0", "sparsity=0.9", *inner]
    fields = overrides.packaged([*words, f"distill={'none' if kd == 'no' else kd}"])
    asked = {f"task.{key}": _text(value) for key, value in fields["task"].items() if value not in (None, "")}
    asked.pop("task.name", None)  # a label
    return _read(complete(fields["method"]), fields["sparsity"], fields["seed"]) | {"augment": "none"} | asked


def _read(node: dict[str, Any], sparsity: float, seed: int) -> dict[str, str]:
    """Return the settings of a method's node with dotted names, without those that every run sets for itself."""
    found = settings({"settings": node, "sparsity": sparsity, "seed": seed})
    for key in ("fit", "distill"):  # axes of a table's labels, which `settings` leaves out
        if isinstance(node.get(key), dict):
            found[key] = str(node[key].get("_target_"))
    return {key: value for key, value in found.items() if not key.startswith("_")}


def _is_ours(run: dict[str, Any]) -> bool:
    """Return whether a run's method is prunebert's own: its recorded configuration names the target, if it has one."""
    try:
        method = discover.config(run["directory"]).get("method") if run["has_files"] else None
    except BadInput:  # an earlier version recorded none, or it is damaged: the name decides
        return True
    return not isinstance(method, dict) or str(method.get("_target_", "prunebert.")).startswith("prunebert.")


@cache
def _options_at(target: str) -> tuple[str, ...]:
    """Return the methods whose function has this dotted name."""
    return tuple(name for name in _options("method") if _yaml("method", name)["_target_"] == target)


@cache
def _options(group: str) -> tuple[str, ...]:
    """Return the options of a group in prunebert's own conf/."""
    folder = files("prunebert.conf") / group
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")))


@cache
def _yaml(group: str, option: str) -> dict[str, Any]:
    """Return an option's own keys, before anything is composed."""
    content: dict[str, Any] = yaml.safe_load((files("prunebert.conf") / group / f"{option}.yaml").read_text("utf-8"))
    return content


def _text(value: Any) -> str:
    """Return a value as `variants.settings` writes it."""
    value = parse_cell(value)
    return value if isinstance(value, str) else json.dumps(value)
