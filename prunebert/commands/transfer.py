"""`prunebert transfer RUN… task=a,b,c`: use masks that were found on some tasks on others, and print the matrix."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebert.commands import transfer_runs
from prunebert.commands.transfer_runs import Source
from prunebert.errors import BadInput, visible
from prunebert.runs import artifacts
from prunebert.system import loading, outputs, table
from prunebert.system.console import arguments, counted, say, short
from prunebert.system.table import Column, say_wrapped

if TYPE_CHECKING:
    from prunebert.analysis.transfer import Cell, Matrix

DESCRIPTION = """Use the masks of finished runs on other tasks. Print the scores, source × target, beside the overlap of
the same masks.

  prunebert transfer multirun/DATE/TIME task=mnli,rte fit=quick seed=0,1
  prunebert transfer RUN RUN task=sst2 --train head
  prunebert transfer RUN RUN task=sst2 --train none

Every cell is an ordinary run (method=fixed_mask) below --out. The same runs with shuffled masks and dense runs on the
targets are its controls. Other words are passed on to all runs. Call the command again to continue, and `prunebert
report DIR` for the figure."""
TRAIN = {
    "all": "the remaining weights and a new head",
    "head": "a new head alone",
    "none": "nothing; the run's own head is used, as by `prunebert evaluate RUN task=… --keep`",
}
Compose = Callable[[list[str]], tuple[dict[str, Any], Callable[..., Any]]]


def main(argv: list[str], compose: Compose) -> None:
    """Run what is missing, and print the matrices of all runs below --out.

    Args:
        argv: runs, overrides and options.
        compose: makes a configuration of overrides. It returns the configuration and the function that builds objects.
    """
    parser = arguments("transfer", DESCRIPTION)
    parser.add_argument("runs", metavar="RUN", nargs="+", help="directory of a run, or of a sweep for all its runs")
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="task=…, seed=…, fit=…, impl=…, and others")
    trained = "; ".join(f"{word}: {meaning}" for word, meaning in TRAIN.items())
    parser.add_argument("--train", choices=list(TRAIN), default="all", help=f"what is trained. {trained}. Default: all")
    parser.add_argument(
        "--start",
        choices=["pretrained", "run"],
        default="pretrained",
        help="the weights at the start: the checkpoint's, or those that RUN trained. Default: pretrained",
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("transfer"), help="folder for the runs, default: transfer"
    )
    table.add_wide(parser)
    options = parser.parse_intermixed_args(argv)
    named = [*options.runs, *options.overrides]
    words = [word for word in named if "=" in word and not os.path.lexists(word)]
    folders = [word for word in named if word not in words]
    if not folders:
        raise BadInput("transfer: name at least one finished run before task=")
    if len(set(folders)) < len(folders):
        raise BadInput(f"{next(f for f in folders if folders.count(f) > 1)}: is named twice")
    transfer_runs.refuse_words(words)
    outputs.refuse_unusable(options.out, {})
    loading.show("reading the runs")
    sources = transfer_runs.sources(folders)
    if options.train == "none":
        _as_they_are(sources, words, compose, options.start, options.wide)
        return
    sweeps = transfer_runs.sweeps(sources, words, options.train, options.start, options.out)
    fields = [transfer_runs.checked(sweep, compose) for sweep in sweeps]
    runs = sum(map(transfer_runs.count, sweeps))
    dense = sum(transfer_runs.count(sweep) for sweep in sweeps if "method=dense" in sweep)
    masks, tasks = counted(len(sources), "mask"), counted(len(transfer_runs.values(words, "task")), "task")
    say_wrapped(
        f"{masks} on {tasks}: {runs - dense} runs under the masks and their shuffled copies, {dense} dense; "
        f"all are below {short(options.out)}, and those that are finished are not repeated"
    )
    is_complete = _run(sweeps)
    is_dry = all(each["dry"] for each in fields)
    if not is_dry and any(map(artifacts.is_finished, artifacts.runs(options.out))):
        show(options.out, options.wide)
    if not is_complete:
        sys.exit(1)


def _run(sweeps: Sequence[list[str]]) -> bool:
    """Carry out the sweeps. Return whether all cells finished.

    Raises SystemExit with the status of a sweep that was stopped or refused.
    """
    is_complete = True
    for number, sweep in enumerate(sweeps, 1):
        say(f"sweep {number} of {len(sweeps)}: {counted(transfer_runs.count(sweep), 'run')}")
        status = transfer_runs.carry_out(sweep)
        if status not in (0, 1):  # 1: a cell broke, and its sweep has reported it
            sys.exit(status if status > 0 else 1)
        is_complete = is_complete and status == 0
    return is_complete


def show(out: Path, wide: bool = False) -> None:
    """Print the matrices of all finished runs below a folder."""
    from prunebert.analysis import transfer

    runs = {root: artifacts.result(root) for root in artifacts.finished_runs(out)}
    for matrix in transfer.matrices(runs.items()):
        say("")
        say_wrapped(f"Scores, source × target: {matrix.way}")
        _show_scores(matrix, wide)
        if len(matrix.sources) > 1:
            square, messages = transfer.overlaps(
                matrix.masks, {path: runs[path] for path in matrix.masks}, matrix.sources
            )
            say("")
            say("Overlap of the same masks beyond chance (1: equal, 0: as by chance)")
            names = [f"({i}) {visible(source)}" for i, source in enumerate(matrix.sources, 1)]
            columns = [Column("", names, shortest=20)]
            for i in range(len(matrix.sources)):
                cells = [None if x != x else f"{x:z.3f}" for x in square[:, i]]
                columns.append(Column(f"({i + 1})", cells, rank=i + 1, number=True))
            table.show(columns, wide=wide, more="--wide shows all")
            say_wrapped("diagonal: different masks of one row, such as those of two seeds; –: the row has one mask")
            for message in messages:
                say(f"not in the overlap: {message}")
    say("")
    say(f"figure and tables: prunebert report {short(out)}")


def _show_scores(matrix: Matrix, wide: bool) -> None:
    """Print a row for dense, each source, its shuffled masks, and the constant baseline."""
    names = ["dense"]
    for source in matrix.sources:
        names += [visible(source), "  shuffled"]
    columns = [Column("mask of", [*names, "constant baseline"], shortest=20)]
    for i, target in enumerate(matrix.targets, 1):
        cells = [_cell(matrix.dense.get(target))]
        for source in matrix.sources:
            cells += [_cell(part.get((source, target))) for part in (matrix.scores, matrix.shuffled)]
        constant = matrix.constants.get(target)
        cells.append(None if constant is None else f"{constant:.4f}")
        title = f"{visible(target.name)}\n{visible(target.metric)}"
        columns.append(Column(title, cells, rank=i, number=True))
    table.show(columns, wide=wide, more="--wide shows all")
    say_wrapped("shuffled: the same masks, shuffled within every matrix, which is the control")
    if any(cell.n > 1 for cell in matrix.scores.values()):
        say_wrapped("mean ± standard deviation (n) over n runs: seeds of the target, times those of the source")


def _cell(cell: Cell | None) -> str | None:
    if cell is None:
        return None
    return f"{cell.mean:z.4f}" if cell.sd is None else f"{cell.mean:z.4f} ± {cell.sd:.4f} ({cell.n})"


def _as_they_are(sources: Sequence[Source], words: Sequence[str], compose: Compose, start: str, wide: bool) -> None:
    """Score every source on every task with its own weights and head, and print the matrix.

    The scores are kept in the sources. A task whose classes differ from the source's gives no score but a reason.
    """
    from prunebert.commands import evaluate

    if start != "pretrained":
        raise BadInput(f"--start={start}: with --train none the run's own weights are used; leave --start out")
    for word in words:
        if transfer_runs.key(word).split(".")[0] not in (*evaluate.GROUPS, "hydra"):
            raise BadInput(
                f"{word}: --train none trains nothing, so only keys of {', '.join(evaluate.GROUPS)} are read"
            )
    tasks = transfer_runs.values(words, "task")
    others = [word for word in words if transfer_runs.key(word) != "task"]
    for task in tasks:
        compose([f"task={task}", *others])
    say_wrapped(f"{counted(len(sources), 'run')} on {counted(len(tasks), 'task')}; nothing is trained")
    scores: dict[tuple[int, str], dict[str, Any]] = {}
    reasons: dict[str, None] = {}
    with tempfile.TemporaryDirectory(prefix="prunebert-transfer-") as folder:
        file = Path(folder) / "scores.json"
        for i, source in enumerate(sources):
            for task in tasks:
                try:
                    evaluate.main([str(source.root), f"task={task}", *others, "--keep", "--out", str(file)], compose)
                except BadInput as error:
                    reasons[f"{source.facts['method']}, {source.facts['task']} on {task}: {error}"] = None
                else:
                    scores[i, task] = json.loads(file.read_text("utf-8"))
    names = [f"{s.facts['method']}, {s.facts['task']}, seed {s.facts['seed']}" for s in sources]
    columns = [Column("run", [*map(visible, names), "constant baseline"], shortest=20)]
    for number, task in enumerate(tasks, 1):
        rows = [scores.get((i, task)) for i in range(len(sources))]
        metric = next((row["metric"] for row in rows if row), "")
        cells = [f"{row['score']:.4f}" if row else None for row in rows]
        constant = next((f"{row['majority'][metric]:.4f}" for row in rows if row), None)
        columns.append(Column(f"{task}\n{metric}", [*cells, constant], rank=number, number=True))
    say("")
    say("Scores, source × target: weights, head and masks as they are")
    table.show(columns, wide=wide, more="--wide shows all")
    for reason in reasons:
        say_wrapped(f"– {reason}")
    say_wrapped("the scores are kept in the runs; `prunebert report` shows them under Out of distribution")
