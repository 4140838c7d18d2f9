"""The runs of `prunebert transfer`: ordinary sweeps below one folder, each in a process of its own."""

from __future__ import annotations

import hashlib
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebert.errors import BadInput
from prunebert.masks.shortest import shortest_sparsity
from prunebert.runs import artifacts, inputs, reading
from prunebert.settings import overrides
from prunebert.system import signals

# Keys that the command sets itself, and how to set what they mean.
TAKEN = {
    "method": "every run has method=fixed_mask or dense",
    "method.masks": "name the runs first",
    "method.train": "use --train",
    "method.start": "use --start",
    "method.shuffled": "both kinds are run",
    "sparsity": "it is that of the masks",
    "prunable": "it is that of the masks",
    "method.prunable": "it is that of the masks",
    "experiment": "name the tasks and the budget themselves",
    "hydra.sweep.dir": "use --out",
    "hydra.run.dir": "use --out",
}
OF_A_TEACHER = ("distill", "teacher_fit")  # words that method=dense does not read
PLAIN = re.compile(r"[\w./-]+")  # a value that needs no quotes


@dataclass(frozen=True)
class Source:
    """A finished run whose masks are transferred."""

    root: Path
    facts: dict[str, Any]  # its result
    sparsity: str  # of its masks, with as few digits as name their count of removed weights

    @property
    def model_words(self) -> list[str]:
        """Return the words of its command that name the model, and where code of the user's is found."""
        words = shlex.split(self.facts["command"])[1:]
        return [w for w in words if key(w).split(".")[0] == "model" or key(w) == "hydra.searchpath"]


def key(word: str) -> str:
    """Return the key of an override."""
    return word.lstrip("+~").partition("=")[0]


def sources(folders: Sequence[str]) -> list[Source]:
    """Read the runs that a command line names. Dense runs that were found in a folder are left out.

    Raises:
        BadInput: a run is not finished, removed nothing, or is named twice; or the masks were found on different
            encoders or cover different matrices.
    """
    found: dict[Path, Source] = {}
    for folder in folders:
        path = reading.home(folder)
        roots = artifacts.finished_runs(path)
        is_named = roots == [artifacts.resolve_pointer(path)]
        for root in roots:
            facts = artifacts.result(root)
            sparsity = _sparsity(root, facts)
            if sparsity is None and is_named:
                raise BadInput(f"{root}: method={facts['method']} removed no weights, so it has no mask to transfer")
            if sparsity is None:
                continue
            if root.resolve() in found:
                raise BadInput(f"{root}: is named twice")
            found[root.resolve()] = Source(root, facts, sparsity)
    if not found:
        raise BadInput(f"{' '.join(folders)}: no run there has removed weights, so there is no mask to transfer")
    first, *others = found.values()
    for other in others:
        _refuse_different(first, other)
    return list(found.values())


def _sparsity(root: Path, facts: dict[str, Any]) -> str | None:
    """Return the sparsity of a run's masks; None if it removed nothing."""
    masks = artifacts.packed_masks(root, facts)
    size = sum(height * width for height, width in masks.shapes.values())
    removed = size - sum(masks.kept.values())
    return f"{shortest_sparsity(removed, size):.10g}" if removed else None


def _refuse_different(first: Source, other: Source) -> None:
    for name, of in (
        ("were found on another encoder", lambda facts: (facts["weights_hash"], facts.get("architecture") or {})),
        ("cover another prunable set", lambda facts: facts["prunable"]),
    ):
        if of(first.facts) != of(other.facts):
            a, b = (f"model {f['model']}, prunable={f['prunable']}" for f in (first.facts, other.facts))
            raise BadInput(f"{other.root}: its masks ({b}) {name} than those of {first.root} ({a})")


def refuse_words(words: Sequence[str]) -> None:
    """Raise BadInput for a word that the command sets itself, and if no word names the tasks."""
    for word in words:
        name = key(word)
        if name.split(".")[0] == "model":
            raise BadInput(f"{word}: the model is that of the masks; leave it out")
        if name in TAKEN:
            raise BadInput(f"{word}: transfer sets this itself: {TAKEN[name]}")
    if not any(key(word) == "task" for word in words):
        raise BadInput("task=: name the tasks on which the masks are used, such as task=mnli,rte")


def values(words: Sequence[str], name: str) -> list[str]:
    """Return the values that the words give a key; one for a key that none of them names."""
    given = [overrides.axis(word) for word in words if key(word) == name]
    return [value.partition("=")[2] for value in given[-1]] if given else [""]


def sweeps(found: Sequence[Source], words: Sequence[str], train: str, start: str, out: Path) -> list[list[str]]:
    """Return the words of every sweep, task by task: the masks of each sparsity, as found and shuffled, and dense.

    Each sweep has a directory below `out`. Its name depends on the words, so the same command finds its runs again, and
    a further task repeats none of those before.
    """
    by_sparsity: dict[str, list[Source]] = {}
    for source in found:
        by_sparsity.setdefault(source.sparsity, []).append(source)
    model = found[0].model_words
    others = [word for word in words if key(word) != "task"]
    read = [word for word in others if key(word).split(".")[0] not in OF_A_TEACHER]
    made = []
    for task in values(words, "task"):
        for sparsity, group in by_sparsity.items():
            masks = ",".join(_quoted(str(source.root)) for source in group)
            own = ["method=fixed_mask", f"method.masks={masks}", "method.shuffled=false,true", f"method.train={train}"]
            own += [f"method.start={start}", f"sparsity={sparsity}", f"method.prunable={group[0].facts['prunable']}"]
            made.append(_placed([*own, f"task={task}", *model, *others], out, f"{task}/masks-{sparsity}"))
        made.append(_placed(["method=dense", f"task={task}", *model, *read], out, f"{task}/dense"))
    return made


def _placed(words: list[str], out: Path, name: str) -> list[str]:
    digest = hashlib.sha256("\n".join(sorted(words)).encode()).hexdigest()[:6]
    return ["-m", *words, f"hydra.sweep.dir={_quoted(str(out / f'{name}-{digest}'))}"]


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return value if PLAIN.fullmatch(value) else f"'{escaped}'"


def count(sweep: Sequence[str]) -> int:
    """Return the number of runs of a sweep."""
    total = 1
    for word in sweep[1:]:
        total *= len(overrides.axis(word))
    return total


def checked(sweep: Sequence[str], compose: Callable[..., Any]) -> dict[str, Any]:
    """Return the configuration of a sweep's first run.

    Raises:
        BadInput: a task, value, file or run of the sweep cannot be used.
    """
    words = [word for word in sweep[1:] if not key(word).startswith("hydra") or key(word) == "hydra.searchpath"]
    fields, _ = compose([overrides.axis(word)[0] for word in words])
    inputs.check(fields)
    return fields


def carry_out(sweep: Sequence[str]) -> int:
    """Run a sweep in another process and return its exit status. Signals are passed on to it."""
    process = subprocess.Popen([sys.executable, "-m", "prunebert", *sweep])
    numbers = [getattr(signal, name) for name in signals.SIGNALS]
    former = {number: signal.signal(number, lambda n, frame: process.send_signal(n)) for number in numbers}
    try:
        return process.wait()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
