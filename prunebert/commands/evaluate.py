"""`prunebert evaluate RUN`: score a finished sub-network on another split, file or task of the same form."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from prunebert.errors import BadInput
from prunebert.runs import artifacts, files, inputs, reading
from prunebert.settings import overlaps, task_name
from prunebert.system.console import arguments, out_file, say
from prunebert.system.table import say_wrapped

if TYPE_CHECKING:
    from prunebert.network.interface import Form
    from prunebert.runs.load import Loaded

DESCRIPTION = """Score a finished sub-network with its masks, weights and head unchanged. Nothing is trained, and
nothing is written into RUN.

  prunebert evaluate RUN                              its own task again
  prunebert evaluate RUN task.eval=other.csv          another file of its task
  prunebert evaluate RUN task=rte                     another task with the same classes
  prunebert evaluate RUN task=file task.eval=my.csv task.text=sentence
  prunebert evaluate RUN task=hub task.path=stanfordnlp/imdb task.eval=test

The overrides are those of a run: task=…, task.…=…, corpus=…, impl=…, hydra.searchpath=…. Classes, label words and
maximum length come from the run where a file of your own does not give them. An untrained label-words head works on
every task with label words. Any other head works on tasks with the same classes, in any order."""
OWN_DATA = ("file", "hub")  # seed_name of the tasks whose data the user chooses
GROUPS = ("task", "corpus", "impl")
Compose = Callable[[list[str]], tuple[dict[str, Any], Callable[..., Any]]]


def main(argv: list[str], compose: Compose) -> None:
    """Score a run on a task, print the metrics, and write --out.

    Args:
        argv: the run, the overrides that choose the task, and options.
        compose: makes a configuration of overrides. It returns the configuration and the function that builds objects.
    """
    parser = arguments("evaluate", DESCRIPTION)
    parser.add_argument("run", metavar="RUN", help="directory of a finished run, or a task delta")
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="task=…, task.…=…, corpus=…, impl=…")
    parser.add_argument("--out", help="JSON file for the results")
    parser.add_argument("--model", help="the model's checkpoint, if it has moved: a folder or hub id")
    options = parser.parse_intermixed_args(argv)
    root = artifacts.resolve_pointer(reading.home(options.run))
    facts = artifacts.result(root)
    for override in options.overrides:
        if _key(override).split(".")[0] not in GROUPS and _key(override) != "hydra.searchpath":
            raise BadInput(f"{override}: evaluate accepts only keys of {', '.join(GROUPS)}, as it trains nothing")
    out = out_file(options.out, '{\n "run": ')
    if options.model:
        inputs.require_model(options.model)
    fields, build = compose(_task_overrides(facts["command"], options.overrides))
    if fields["task"]["_target_"].startswith("prunebert."):  # the user's own code checks its files itself
        inputs.require_own_files(fields["task"])
    inputs.require(fields, ("corpus",))
    from prunebert.runs.load import load

    run = load(root, model=options.model)
    if fields["task"].get("labels") is None and not _classes_were_named(root, facts):
        fields["task"] = _without_indices(fields["task"])
    scores = score_run(run, fields, build, {_key(override) for override in options.overrides})
    notes = [
        *overlaps.of_model(facts["model"], evaluated := overlaps.evaluated_data(fields["task"])),
        *overlaps.of_tasks(overlaps.trained_data(facts), evaluated, fields["task"]),
        *overlaps.of_rows(facts["data"], scores["data"]),
    ]
    row = {"run": str(root), "words": options.overrides, **scores, "warnings": notes}
    trained_score = f"{facts['metric']} {facts['score']:.4f} after training"
    say_wrapped(f"{facts['method']}, trained on {facts['task']} ({trained_score}), scored on {row['task']}:")
    for name, value in row["metrics"].items():
        say(f"  {name} {value:.4f} (constant baseline {row['majority'][name]:.4f})")
    for note in notes:
        say(f"warning: {note}")
    if out:
        files.write(out.parent, out.name, (json.dumps(row, indent=1) + "\n").encode())


def score_run(run: Loaded, fields: dict[str, Any], build: Callable[..., Any], given: set[str]) -> dict[str, Any]:
    """Return the metrics of `run` on another task.

    Args:
        run: the loaded run. Its network is moved to the device of `fields`.
        fields: a composed configuration; its task and impl are used.
        build: builds an object from a part of the configuration.
        given: the keys that the user gave. They are not completed from the run.

    Raises:
        BadInput: the run's head does not fit the task.
    """
    from prunebert.tasks.task import constant_baseline
    from prunebert.training.evaluate import evaluate

    impl = build(fields["impl"])
    impl.start()
    run.net.to(impl.torch_device)
    model = run.net.model
    node = _complete(fields["task"], run.form, given)
    task = build(node)(tokenizer=model.tokenizer, positions=model.positions, augment=None)
    baseline = constant_baseline(task)
    key = _head_for(run, task.form())
    theta = {n: x.to(impl.torch_device) for n, x in run.theta.items()}
    run.net.use(run.masks)
    evaluation = evaluate(run.net, task, key, impl, theta)
    return {
        "task": task_name.of(node, task.name, []),
        "metric": task.score,
        "score": evaluation.score,
        "metrics": evaluation.metrics,
        "majority": baseline,
        "data": task.facts(),
        "form": vars(task.form()),
        "device": impl.describe(),
    }


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _task_overrides(command: str, overrides: list[str]) -> list[str]:
    """Return the overrides that define the task.

    They are the user's overrides and, unless the user chose another task, the run's own in front of them. The run's
    search path always stays: its task or model may be code of the user's. Raises BadInput for a recorded command that
    is no command line.
    """
    given = {_key(override) for override in overrides}
    groups = () if "task" in given else ("task", "corpus", "experiment")
    try:
        words = shlex.split(command)[1:]
    except ValueError as error:
        raise BadInput(f"the run's command cannot be split into words ({error}): {command[:200]}") from error
    from_run = [w for w in words if _key(w) == "hydra.searchpath" or _key(w).split(".")[0] in groups]
    return [*(override for override in from_run if _key(override) not in given), *overrides]


def _classes_were_named(root: Path, facts: dict[str, Any]) -> bool:
    """Return whether the run's classes were named in an order of the user's or its task's.

    If not, their names were sorted, and a number in another file is not known to be the index of one.
    """
    try:
        config = yaml.safe_load(artifacts.config(root))
    except yaml.YAMLError:
        config = None
    task = config.get("task") if isinstance(config, dict) else None
    if isinstance(task, dict):
        return bool(task.get("labels"))
    return not {f"task={name}" for name in OWN_DATA} & {
        *shlex.split(facts["command"])
    }  # a task delta has no record of the configuration


def _without_indices(node: dict[str, Any]) -> dict[str, Any]:
    """Return a task's configuration that matches classes by name only. Only tasks over texts know the setting."""
    return node | ({"label_indices": False} if node["_target_"] == "prunebert.tasks.text.text_task" else {})


def _complete(node: dict[str, Any], form: Form, given: set[str]) -> dict[str, Any]:
    """Return the task's configuration, with the run's values where a file of the user's does not give them."""
    defaults: dict[str, Any] = {}
    if "max_length" in node and ("stride" in node) == form.span and "task.max_length" not in given:
        defaults["max_length"] = form.max_length
    if "padding" in node and node["_target_"].startswith("prunebert.") and "task.padding" not in given:
        defaults["padding"] = form.padding
    if node.get("eval") and not node.get("train"):
        # nothing is trained, and the constant baseline is then that of this file, or of the first one
        defaults["train"] = next(iter(node["eval"].values())) if isinstance(node["eval"], dict) else node["eval"]
    if node.get("seed_name") in OWN_DATA and not form.span and not form.masked_lm:
        of_words = node.get("kind") == "tokens"
        if "task.kind" not in given or of_words == form.tokens:  # else the run's classes are of another kind
            own = (("labels", form.labels), ("label_words", form.label_words))
            defaults |= {k: v for k, v in own if not node[k] and v}
        if "task.kind" not in given and form.kind != "classification":
            defaults["kind"] = form.kind
    return node | defaults


def _head_for(run: Loaded, form: Form) -> str:
    """Return the key of a head that fits the task's form and uses what the run has learnt.

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
    if run.frozen_head and run.net.kind_of(run.head) == "label_words":
        return run.net.add_head_as(new_key, "label_words", form)
    keys, trained_keys = ([key_of(label) for label in f.labels] for f in (form, trained))
    if form.regression != trained.regression or set(keys) != set(trained_keys):
        raise BadInput(
            f"task={form.name}: {name} was trained for {_classes(trained)}, but this task has {_classes(form)} "
            "(task.labels=[…] names the classes of a file with numbers)"
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
