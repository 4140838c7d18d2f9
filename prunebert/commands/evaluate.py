"""`prunebert evaluate RUN`: a finished sub-network scored on another split, file or task of the same form."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebert.errors import BadInput
from prunebert.runs import artifacts
from prunebert.system.console import arguments, out_file, say

if TYPE_CHECKING:
    from prunebert.network.interface import Form
    from prunebert.runs.load import Loaded

DOES = """Score a finished sub-network, its masks, weights and head as they are. Nothing is trained, and nothing written
into RUN.

  prunebert evaluate RUN                              its own task once more
  prunebert evaluate RUN task.eval=other.csv          another file of its task
  prunebert evaluate RUN task=rte                     another task with the same classes
  prunebert evaluate RUN task=file task.eval=my.csv task.text=sentence

Words are those of a run: task=…, task.…=…, corpus=…, impl=…, hydra.searchpath=…. What a file leaves open (classes,
label words, longest text) is as in the run. A head of label words that was never trained goes to any task that has
label words; a trained one to tasks with the same classes, in any order."""
GROUPS = ("task", "corpus", "impl")
Compose = Callable[[list[str]], tuple[dict[str, Any], Callable[..., Any]]]


def main(words: list[str], compose: Compose) -> None:
    """Score a run on the task that the words tell, of which `compose` makes a configuration; write --out."""
    parser = arguments("evaluate", DOES)
    parser.add_argument("run", metavar="RUN", help="directory of a finished run, or a task delta")
    parser.add_argument("words", metavar="KEY=VALUE", nargs="*", help="task=…, task.…=…, corpus=…, impl=…")
    parser.add_argument("--out", help="write what is found into this JSON file")
    parser.add_argument("--model", help="where the model's checkpoint is now: a folder or hub id")
    asked = parser.parse_intermixed_args(words)
    root = artifacts.resolve_pointer(Path(asked.run).expanduser())
    facts = artifacts.result(root)
    for word in asked.words:
        if _key(word).split(".")[0] not in GROUPS and _key(word) != "hydra.searchpath":
            raise BadInput(f"{word}: evaluate takes keys of {', '.join(GROUPS)}, and trains nothing")
    out = out_file(asked.out)
    fields, build = compose(_task_words(facts["command"], asked.words))
    from prunebert.runs.load import load

    run = load(root, model=asked.model)
    found = evaluate(run, fields, build, {_key(word) for word in asked.words})
    row = {"run": str(root), "words": asked.words, **found}
    say(f"{facts['method']} of {facts['task']} (there {facts['metric']} {facts['score']:.4f}) on {row['task']}:")
    for name, value in row["metrics"].items():
        say(f"  {name} {value:.4f} (constant answer {row['majority'][name]:.4f})")
    if out:
        out.write_text(json.dumps(row, indent=1) + "\n", "utf-8")


def evaluate(run: Loaded, fields: dict[str, Any], build: Callable[..., Any], typed: set[str]) -> dict[str, Any]:
    """Metrics of `run` on the task of a composed configuration, of which the user has typed the keys `typed`.

    Raises BadInput where the run's head does not fit the task.
    """
    from prunebert.training.evaluate import evaluate as score

    impl = build(fields["impl"])
    impl.start()
    run.net.to(impl.torch_device)
    model = run.net.model
    node = _completed(fields["task"], run.form, typed)
    task = build(node)(tokenizer=model.tokenizer, positions=model.positions, augment=None)
    majority = task.baseline()
    if task.score not in majority:
        raise BadInput(f"task.score={task.score}: {task.name}'s metrics are {', '.join(majority)}")
    key = _head_for(run, task.form())
    theta = {n: x.to(impl.torch_device) for n, x in run.theta.items()}
    run.net.use(run.masks)
    found = score(run.net, task, key, impl, theta)
    return {
        "task": task.name,
        "metric": task.score,
        "score": found.score,
        "metrics": found.metrics,
        "majority": majority,
        "data": task.facts(),
        "form": vars(task.form()),
        "device": impl.describe(),
    }


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def _task_words(command: str, words: list[str]) -> list[str]:
    """The words that make the task: the user's, after those of the run unless another task is asked for."""
    former = shlex.split(command)[1:]
    kept = [w for w in former if _key(w).split(".")[0] in ("task", "corpus", "experiment")]
    if any(_key(word) == "task" for word in words):
        kept = []
    typed = {_key(word) for word in words}
    return [*(w for w in kept if _key(w) not in typed), *words]


def _completed(node: dict[str, Any], form: Form, typed: set[str]) -> dict[str, Any]:
    """The task's node, with what a file of one's own leaves open as the run had it."""
    own: dict[str, Any] = {}
    if "max_length" in node and ("stride" in node) == form.span and "task.max_length" not in typed:
        own["max_length"] = form.max_length
    if node.get("eval") and not node.get("train"):
        own["train"] = node["eval"]  # nothing is trained; the constant answer is then this file's own
    if node["name"] == "file" and not form.span and not form.masked_lm:
        own |= {k: v for k, v in (("labels", form.labels), ("label_words", form.label_words)) if not node[k] and v}
        if form.regression and "task.kind" not in typed:
            own["kind"] = "regression"
    return node | own


def _head_for(run: Loaded, form: Form) -> str:
    """The key of a head that answers tasks of this form with what the run has learnt. Raises BadInput if none can."""
    ours, name = run.form, f"{run.facts['method']} of {run.form.name}"
    if (form.span, form.masked_lm) != (ours.span, ours.masked_lm):
        raise BadInput(f"task={form.name}: {name} gives {_gives(ours)}, and this task wants {_gives(form)}")
    if ours.span or ours.masked_lm:
        return run.head
    if run.frozen_head and run.net.kind_of(run.head) == "label_words":
        return run.net.add_head_as(f"{run.head}_there", "label_words", form)
    if form.regression != ours.regression or set(form.labels) != set(ours.labels):
        raise BadInput(
            f"task={form.name}: {name} was trained for {_classes(ours)}, and this task has {_classes(form)} "
            "(task.labels=[…] names the classes of a file that has numbers)"
        )
    if form.labels == ours.labels:
        return run.head
    from prunebert.network.heads import reordered

    key, order = f"{run.head}_there", [ours.labels.index(label) for label in form.labels]
    run.net.heads[key] = reordered(run.net.heads[run.head], order)
    return key


def _gives(form: Form) -> str:
    return "spans of text" if form.span else "words" if form.masked_lm else "labels of texts"


def _classes(form: Form) -> str:
    return "numbers" if form.regression else f"the classes {', '.join(form.labels)}"
