"""`prunebert evaluate RUN`: score a finished sub-network on another split, file or task of the same form."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from prunebert.commands import evaluate_head
from prunebert.errors import BadInput
from prunebert.runs import artifacts, evaluations, files, inputs, reading
from prunebert.settings import overlaps, task_name
from prunebert.system.console import arguments, out_file, say
from prunebert.system.table import say_wrapped

if TYPE_CHECKING:
    from prunebert.network.interface import Form
    from prunebert.runs.load import Loaded
    from prunebert.tasks.task import Task

DESCRIPTION = """Score a finished sub-network with its masks, weights and head unchanged. Nothing is trained. Nothing
is written into RUN without --keep.

  prunebert evaluate RUN                              its own task again
  prunebert evaluate RUN task.eval=other.csv          another file of its task
  prunebert evaluate RUN task=rte                     another task with the same classes
  prunebert evaluate RUN task=file task.eval=my.csv task.text=sentence
  prunebert evaluate RUN task=hub task.path=stanfordnlp/imdb task.eval=test
  prunebert evaluate RUN task=hans --keep             out of distribution, for the report
  prunebert evaluate RUN task=hans 'task.map=[entailment:entailment,neutral:non-entailment,…]'

The overrides are those of a run: task=…, task.…=…, corpus=…, impl=…, hydra.searchpath=…. Classes, label words and
maximum length come from the run where a file of your own does not give them. An untrained label-words head works on
every task with label words. Any other head works on tasks with the same classes, in any order. If the classes differ,
task.map=[trained:class,…] names the task's class for each trained class. The prediction is the arg max over the trained
classes, and it is mapped afterwards."""
OWN_DATA = ("file", "hub")  # seed_name of the tasks whose data the user chooses
GROUPS = ("task", "corpus", "impl")
DATA = ("task", "corpus")  # the groups that say which rows are scored
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
    parser.add_argument("--keep", action="store_true", help="keep the results in RUN/evaluations/, for the report")
    parser.add_argument("--model", help="the model's checkpoint, if it has moved: a folder or hub id")
    options = parser.parse_intermixed_args(argv)
    root = artifacts.resolve_pointer(reading.home(options.run))
    facts = artifacts.result(root)
    for override in options.overrides:
        if _key(override).split(".")[0] not in GROUPS and _key(override) != "hydra.searchpath":
            raise BadInput(f"{override}: evaluate accepts only keys of {', '.join(GROUPS)}, as it trains nothing")
    out = out_file(options.out, '{\n "run": ')
    if options.keep:
        evaluations.require_room(root, facts)
    if options.model:
        inputs.require_model(options.model)
    fields, build = composed_task(root, facts, options.overrides, compose)
    from prunebert.runs.load import load

    run = load(root, model=options.model)
    scores = score_run(run, fields, build, {_key(override) for override in options.overrides})
    notes = [
        *overlaps.of_model(facts["model"], evaluated := overlaps.evaluated_data(fields["task"])),
        *overlaps.of_tasks(overlaps.trained_data(facts), evaluated, fields["task"]),
        *overlaps.of_rows(facts["data"], scores["data"]),
        *evaluate_head.never_predicted(scores),
    ]
    own = evaluations.is_own(facts, scores)
    if not own and evaluations.has_rows(facts) and not any(_key(o).split(".")[0] in DATA for o in options.overrides):
        raise BadInput(
            f"{options.run}: the rows of its own task are not those that it was scored on: the data has changed since, "
            f"or relative paths of its command ({facts['command'][:200]}) mean other files in this directory; name the "
            "task to score it all the same, as in task.eval=FILE"
        )
    nothing_new = own and scores["metrics"].keys() <= facts["metrics"].keys()
    if options.keep and nothing_new:
        notes.append("nothing is kept: these rows are those that the run was scored on")
    row = {"run": str(root), "words": options.overrides, **scores, "own_rows": own, "warnings": notes}
    trained_score = f"{facts['metric']} {facts['score']:.4f} after training"
    say_wrapped(f"{facts['method']}, trained on {facts['task']} ({trained_score}), scored on {row['task']}:")
    for name, value in row["metrics"].items():
        say(f"  {name} {value:.4f} (constant baseline {row['majority'][name]:.4f})")
    for note in notes:
        say(f"warning: {note}")
    if out:
        files.write(out.parent, out.name, (json.dumps(row, indent=1) + "\n").encode())
    if options.keep and not nothing_new:
        say(f"kept in {evaluations.keep(root, facts, row)}")


def composed_task(
    root: Path, facts: dict[str, Any], overrides: list[str], compose: Compose
) -> tuple[dict[str, Any], Callable[..., Any]]:
    """Return what `compose` makes of a run's task and the overrides, with the files of the task checked.

    Args:
        root: the run's directory.
        facts: its verified result.
        overrides: keys of the task, the corpus and impl. Without a task, the task is the run's own.
        compose: see `main`.

    Raises BadInput for a file that does not exist.
    """
    fields, build = compose(_task_overrides(facts["command"], overrides))
    if fields["task"]["_target_"].startswith("prunebert."):  # the user's own code checks its files itself
        inputs.require_own_files(fields["task"])
    inputs.require(fields, ("corpus",))
    if fields["task"].get("labels") is None and not _classes_were_named(root, facts):
        fields["task"] = _without_indices(fields["task"])
    return fields, build


def build_task(run: Loaded, node: dict[str, Any], build: Callable[..., Any]) -> Task:
    """Return the task of a configuration `node` for the tokenizer of a loaded run."""
    model = run.net.model
    task: Task = build(node | ({"map": None} if "map" in node else {}))(
        tokenizer=model.tokenizer, positions=model.positions, augment=None
    )
    return task


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
    from prunebert.tasks import groups
    from prunebert.tasks.task import constant_baseline
    from prunebert.training.evaluate import evaluate

    impl = build(fields["impl"])
    impl.start()
    run.net.to(impl.torch_device)
    node = _complete(fields["task"], run.form, given)
    task = build_task(run, node, build)
    baseline = constant_baseline(task)
    mapped = evaluate_head.class_map_of(run, task.form(), node.get("map"), given)
    key = evaluate_head.head_for(run, task.form(), mapped)
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
        "groups": groups.counts(evaluation.predictions),
        "form": vars(task.form()),
        "map": mapped,
        "device": impl.describe(),
    }


def own_task(run: Loaded, root: Path, compose: Compose) -> Task:
    """Return the task that the run in `root` was evaluated on. Raises BadInput if its data cannot be read."""
    fields, build = composed_task(root, run.facts, [], compose)
    return build_task(run, _complete(fields["task"], run.form, set()), build)


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
        other_kind = (
            "task.kind" in given and node.get("kind") != form.kind
        )  # the run's classes are then of another kind
        if not node.get("map") and not other_kind:  # a mapped file has classes of its own
            own = (("labels", form.labels), ("label_words", form.label_words))
            defaults |= {k: v for k, v in own if not node[k] and v}
        if "task.kind" not in given and form.kind != "classification":
            defaults["kind"] = form.kind
    return node | defaults
