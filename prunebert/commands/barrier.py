"""`prunebert barrier RUN RUN…`: loss and score on the line between the sub-networks of finished runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

from prunebert.commands import evaluate
from prunebert.errors import BadInput, reason, shown, visible
from prunebert.runs import artifacts, files, inputs, reading
from prunebert.system import outputs, table
from prunebert.system.console import arguments, counted, say
from prunebert.system.countdown import Countdown
from prunebert.system.names import brief
from prunebert.system.table import Column, say_facts, say_wrapped

DESCRIPTION = """Evaluate the networks on the line between two finished runs. Nothing is trained.

  prunebert barrier RUN RUN                 11 points on each of two lines
  prunebert barrier RUN RUN --points 30     as many as in Frankle et al. (2020)
  prunebert barrier RUN RUN --on train      on the training rows
  prunebert barrier RUN RUN RUN             every pair of three runs
  prunebert barrier RUN RUN impl=cpu        with keys of a run: task.…, corpus=…, impl=…

The first line joins the two sub-networks, heads included: (1-α) W1⊙M1 + α W2⊙M2. A network between two ends keeps the
union of their masks. The second line joins the weights under that union: (1-α) W1⊙(M1∪M2) + α W2⊙(M1∪M2).

The height is max E(α) - (E(0) + E(1)) / 2 (Frankle et al. 2020), and max [E(α) - (1-α) E(0) - α E(1)] (Entezari et al.
2022). E is the loss, or the error: the score with its sign changed. The runs must share the checkpoint, the tokenizer,
the kind of head, and the rows that they were scored on."""
HEIGHT = (
    "height: the largest loss or error of a line above the ends' mean (Frankle et al. 2020), or above the straight "
    "line between the ends (Entezari et al. 2022; 0 is no barrier). The error is the score with its sign changed"
)
MIN_POINTS, MAX_POINTS = 3, 1000
MAX_NAME = 120
# Keys of result.json that the runs of a line share, and what a message calls them.
SHARED = {"weights_hash": "checkpoint", "tokenizer_hash": "tokenizer", "head": "kind of head", "metric": "metric"}


def main(argv: list[str], compose: evaluate.Compose) -> None:
    """Evaluate the lines between runs, print tables, and write barrier.json and barrier.png.

    Args:
        argv: the runs, overrides, and options.
        compose: see `evaluate.main`.
    """
    parser = arguments("barrier", DESCRIPTION)
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="directory of a finished run, or a task delta; or KEY=VALUE"
    )
    parser.add_argument("--points", type=int, default=11, help="points of a line, ends included; default 11")
    parser.add_argument("--on", choices=("eval", "train"), default="eval", help="the rows: eval (default) or train")
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("barrier"), help="folder, default: barrier")
    parser.add_argument("--model", help="the model's checkpoint, if it has moved: a folder or hub id")
    table.add_wide(parser)
    options = parser.parse_intermixed_args(argv)
    if not MIN_POINTS <= options.points <= MAX_POINTS:
        raise BadInput(f"--points={options.points}: must be from {MIN_POINTS} to {MAX_POINTS}")
    overrides = [word for word in options.runs if _is_override(word)]
    roots = [artifacts.resolve_pointer(reading.home(word)) for word in options.runs if not _is_override(word)]
    facts = [artifacts.result(root) for root in roots]
    _refuse(roots, facts, overrides)
    _refuse_unusable(options.out)
    if options.model:
        inputs.require_model(options.model)
    fields, build = evaluate.composed_task(roots[0], facts[0], overrides, compose)
    found = _measure(roots, fields, build, options)
    _write(options.out, found)
    show(found, options.wide)
    say(f"barrier.json and barrier.png are in {options.out}")


def _is_override(word: str) -> bool:
    key, equals, _ = word.lstrip("+~").partition("=")
    return bool(equals) and (key.split(".")[0] in evaluate.GROUPS or key == "hydra.searchpath")


def _refuse(roots: list[Path], facts: list[dict[str, Any]], overrides: list[str]) -> None:
    """Raise BadInput, in one line, for runs that no line joins."""
    if any(word.lstrip("+").startswith("task=") for word in overrides):
        raise BadInput("barrier evaluates runs on the task that they were trained on; leave task= out")
    if len(roots) < 2:
        raise BadInput(f"barrier needs two runs, and here is {len(roots)}: prunebert barrier RUN RUN")
    for i, root in enumerate(roots):
        if root.resolve() in {other.resolve() for other in roots[:i]}:
            raise BadInput(f"{root} is named twice, and a run has no line to itself")
    first = facts[0]
    for root, row in zip(roots[1:], facts[1:], strict=True):
        for key, name in SHARED.items():
            if row.get(key) != first.get(key):
                values = f"{_value(first, key)}, and {root} {_value(row, key)}"
                raise BadInput(f"no line joins runs with another {name}: {roots[0]} has {values}")
        if differing := _differing_form(first, row):
            raise BadInput(f"no line joins runs on tasks of another form: {differing} ({roots[0]} and {root})")
        if _evaluated(row) != _evaluated(first):
            raise BadInput(
                f"no line joins runs that were scored on other rows: {roots[0]} on {first['data'].get('source')}, "
                f"and {root} on {row['data'].get('source')}"
            )


def _value(row: dict[str, Any], key: str) -> str:
    """Return what a message says of a run's key; of hashes, the model and the beginning of its hash."""
    value = str(row.get(key) or "none recorded")
    return f"{visible(row['model'])} ({value[:8]})" if key.endswith("_hash") else visible(value)


def _differing_form(first: dict[str, Any], second: dict[str, Any]) -> str:
    """Return the first key in which the forms of two tasks differ, with both values; "" if there is none."""
    one, other = (dict(row.get("form") or {}) for row in (first, second))
    for key in [key for key in one | other if key != "name"]:
        if one.get(key) != other.get(key):
            return f"{key} is {shown(one.get(key))} and {shown(other.get(key))}"
    return ""


def _evaluated(row: dict[str, Any]) -> dict[str, Any]:
    """Return the fingerprints of the rows that a run was scored on, by split."""
    return {split: mark for split, mark in (row["data"].get("fingerprint") or {}).items() if split != "train"}


def _refuse_unusable(out: Path) -> None:
    """Refuse a folder that cannot be written to, or whose barrier.json or barrier.png is the user's own."""
    is_ours = outputs.begins_with('{"labels": [')

    def beside_ours(_: Path) -> bool:
        return (out / "barrier.json").is_file() and is_ours(out / "barrier.json")

    outputs.refuse_unusable(out, {"barrier.json": is_ours, "barrier.png": beside_ours})


def _measure(roots: list[Path], fields: dict[str, Any], build: Callable[..., Any], options: Any) -> dict[str, Any]:
    """Load the runs, evaluate every pair's lines, and return what is in barrier.json."""
    from prunebert.commands.barrier_line import Lines, of_removed
    from prunebert.runs.load import load

    impl = build(fields["impl"])
    impl.start()
    runs = [load(roots[0], model=options.model)]
    runs += [load(root, on=runs[0]) for root in roots[1:]]
    runs[0].net.to(impl.torch_device)
    task = evaluate.build_task(runs[0], fields["task"], build)
    alphas = [k / (options.points - 1) for k in range(options.points)]
    lines = Lines(runs, task, impl, options.on, alphas)
    pairs = list(combinations(range(len(runs)), 2))
    with Countdown("evaluating lines", len(pairs) * 2 * len(alphas) * lines.rows(), "rows") as countdown:
        measured = [lines.of_pair(a, b, countdown.advance) for a, b in pairs]
    rows = [run.facts for run in runs]
    keys = ("method", "task", "model", "seed", "sparsity", "prunable", "score")
    named = [
        {"directory": str(root)} | {key: row.get(key) for key in keys} for root, row in zip(roots, rows, strict=True)
    ]
    return {
        "labels": [brief(root.name, MAX_NAME) for root in roots],
        "runs": [entry | {"removed_weights": of_removed(run)} for entry, run in zip(named, runs, strict=True)],
        "on": options.on,
        "rows": lines.rows(),
        "metric": lines.metric,
        "device": impl.describe(),
        "alphas": alphas,
        "pairs": measured,
        "warnings": _differing_ends(named, lines) if options.on == "eval" else [],
    }


def _differing_ends(runs: list[dict[str, Any]], lines: Any) -> list[str]:
    """Return a warning for each run that scores otherwise here than it recorded."""
    return [
        f"{run['directory']} scores {lines.ends[i][1]:.6f} here, and recorded {run['score']:.6f}; it may have been "
        "scored on another device or in another precision"
        for i, run in enumerate(runs)
        if abs(lines.ends[i][1] - run["score"]) > 1e-9
    ]


def _write(out: Path, found: dict[str, Any]) -> None:
    from prunebert.commands import barrier_figure

    try:
        out.mkdir(parents=True, exist_ok=True)
        files.write(out, "barrier.json", (json.dumps(found) + "\n").encode())
        files.write(out, "barrier.png", barrier_figure.png(found))
    except OSError as error:
        raise BadInput(f"--out={out} cannot be written to: {reason(error)}") from error


def show(found: dict[str, Any], wide: bool = False) -> None:
    """Print the points of a single pair, and the heights of all pairs. found: what barrier.json has."""
    names = [visible(label) for label in found["labels"]]
    rows = f"{found['rows']:,} {'training' if found['on'] == 'train' else 'evaluation'} rows"
    if len(found["pairs"]) == 1:
        (pair,) = found["pairs"]
        say_wrapped(f"From {names[0]} (α = 0) to {names[1]} (α = 1), on {rows}:")
        _show_points(pair, found["alphas"], found["metric"], wide)
        say("")
    else:
        say_wrapped(f"{len(found['pairs'])} pairs of {len(names)} runs, {len(found['alphas'])} points each, on {rows}:")
        say_facts([(str(number), name) for number, name in enumerate(names, 1)])
    _show_heights(found, wide)
    say_wrapped(HEIGHT)
    sparsities = [pair["sparsity"] for pair in found["pairs"]]
    low, high = (end(s["union"] for s in sparsities) for end in (min, max))
    between = f"{low:.4f}" if low == high else f"{low:.4f} to {high:.4f}"
    ends = f" (the ends have {sparsities[0]['a']:.4f} and {sparsities[0]['b']:.4f})" if len(sparsities) == 1 else ""
    say_wrapped(f"sparsity between the ends, where the union of both masks is kept: {between}{ends}")
    same = sum(pair["same_masks"] for pair in found["pairs"])
    if same:
        which = "the masks are equal" if len(found["pairs"]) == 1 else f"the masks of {counted(same, 'pair')} are equal"
        say_wrapped(f"{which}, so both lines are the same")
    of_checkpoint = [n for n, run in zip(names, found["runs"], strict=True) if run["removed_weights"] == "checkpoint"]
    if of_checkpoint:
        say_wrapped(f"on the union line, removed weights have the checkpoint's values in {', '.join(of_checkpoint)}")
    for warning in found["warnings"]:
        say_wrapped(f"warning: {warning}")


def _show_points(pair: dict[str, Any], alphas: list[float], metric: str, wide: bool) -> None:
    columns = [Column("α", [f"{alpha:.3f}" for alpha in alphas], number=True)]
    for line, name in (("sparse", "own masks"), ("union", "union")):
        for key, title in (("loss", "loss"), ("score", metric)):
            columns.append(Column(f"{name}\n{title}", [f"{x:.4f}" for x in pair[line][key]], number=True))
    table.show(columns, wide=wide, more="--wide and barrier.json show all")


def _show_heights(found: dict[str, Any], wide: bool) -> None:
    """Print a row for each pair and line: the heights by both definitions."""
    entries = [(pair, line) for pair in found["pairs"] for line in ("sparse", "union")]
    pairs = [f"{pair['a'] + 1}, {pair['b'] + 1}" for pair, _ in entries]
    columns = [] if len(found["pairs"]) == 1 else [Column("runs", pairs)]
    columns.append(Column("line", [{"sparse": "own masks", "union": "union"}[line] for _, line in entries]))
    for by, author in (("over_mean_of_ends", "over mean\nof ends"), ("over_line", "over line\nof ends")):
        for key, title in (("loss", "loss"), ("error", "error")):
            values = [f"{pair[line]['height'][key][by]:z.4f}" for pair, line in entries]
            columns.append(Column(f"{title}\n{author}", values, number=True))
    table.show(columns, wide=wide, more="--wide and barrier.json show all")
