"""Outcomes of the mutants of scripts/mutants.sh: those judged equivalent, the sample, the table and the page."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# mutmut's exit codes of a mutant's tests. Any other one means that the tests could not run.
OUTCOMES = {
    **{0: "survived", 5: "survived", 33: "survived"},  # 5 and 33: no test reaches it
    **{1: "noticed", 3: "noticed", -11: "noticed", -9: "noticed"},
    **{-24: "timeout", 24: "timeout", 152: "timeout", 36: "timeout"},
}
FAILING = "failing.json"  # in the copy: the tests that fail without a mutant
TESTS_DONE = "tests_done.txt"  # in the copy: the tests that the run without a mutant has run


@dataclass(frozen=True)
class Mutant:
    """One changed place of the code.

    Attributes:
        name: as mutmut writes it.
        file: its path in the repository.
        line: of the first line that differs; 1 is the first line of the file.
        function: `function` or `Class.method`.
        removed: the lines that it replaces, without indentation.
        added: the lines in their place, without indentation.
        outcome: noticed, survived, timeout, or "" if its tests could not run.
    """

    name: str
    file: str
    line: int
    function: str
    removed: tuple[str, ...]
    added: tuple[str, ...]
    outcome: str

    @property
    def change(self) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
        """What identifies it in mutants_equivalent.txt; lines and numbers move when other code changes."""
        return self.file, self.function, self.removed, self.added

    @property
    def folder(self) -> str:
        return self.file.split("/")[1]

    @property
    def is_guard(self) -> bool:
        """Whether only `strict=` of zip differs: it stops a mistake in the code, and no input can reach it."""
        return bool(self.removed) and [*map(without_strict, self.removed)] == [*map(without_strict, self.added)]

    def shown(self) -> str:
        lines = [f"{self.file}:{self.line} {self.function}", *(f"- {x}" for x in self.removed)]
        return "\n".join([*lines, *(f"+ {x}" for x in self.added)])

    def in_one_line(self) -> str:
        return f"{self.file}:{self.line}: {' '.join(self.removed)} → {' '.join(self.added)}"


def without_strict(line: str) -> str:
    return re.sub(r",\s*(strict=\w+)?(?=\))", "", line)


@dataclass(frozen=True)
class Equivalent:
    """A mutant that no test can notice, and why."""

    file: str
    function: str
    removed: tuple[str, ...]
    added: tuple[str, ...]
    reason: str

    @property
    def change(self) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
        return self.file, self.function, self.removed, self.added


def equivalents(text: str) -> list[Equivalent]:
    """Read mutants_equivalent.txt: blocks apart by an empty line, `FILE FUNCTION`, `- …`, `+ …`, `why: …`.

    Raises:
        ValueError: a block has no file and function, no change, or no reason.
    """
    found = []
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.strip() and not line.startswith("#")]
        if not lines:
            continue
        file, _, function = lines[0].partition(" ")
        removed = tuple(line[2:].strip() for line in lines if line.startswith("- "))
        added = tuple(line[2:].strip() for line in lines if line.startswith("+ "))
        reason = " ".join(line.removeprefix("why:").strip() for line in lines[1:] if line[:2] not in ("- ", "+ "))
        if not (function and (removed or added) and reason):
            raise ValueError(f"mutants_equivalent.txt: this block needs FILE FUNCTION, - and + lines and why:\n{block}")
        found.append(Equivalent(file, function, removed, added, reason))
    return found


def stale(judged: Iterable[Equivalent], existing: Iterable[Mutant]) -> list[Equivalent]:
    """Return the judgements of no mutant that exists, and those of mutants that a test has noticed."""
    outcomes = {mutant.change: mutant.outcome for mutant in existing}
    return [e for e in judged if e.change not in outcomes or outcomes[e.change] in ("noticed", "timeout")]


def rows(mutants: list[Mutant], judged: Iterable[Equivalent]) -> list[dict]:
    """Return a row per folder, and one of all: how many mutants, and the score.

    The score is what was noticed of the mutants that are not equivalent, a timeout included. It is None without such
    a mutant. Mutants whose tests could not run are in the column `not run` alone.
    """
    counts: dict[str, Counter] = {}
    missed_names = {mutant.name for mutant in survivors(mutants, judged)}
    for mutant in mutants:
        is_equivalent = mutant.outcome == "survived" and mutant.name not in missed_names
        for folder in (mutant.folder, "all"):
            counts.setdefault(folder, Counter())["equivalent" if is_equivalent else mutant.outcome or "not run"] += 1
    table = []
    for folder in sorted(counts, key=lambda f: (f == "all", f)):
        count = counts[folder]
        caught, missed = count["noticed"] + count["timeout"], count["survived"]
        score = caught / (caught + missed) if caught + missed else None
        columns = {key: count[key] for key in ("noticed", "timeout", "survived", "equivalent", "not run")}
        table.append({"folder": folder, "mutants": sum(count.values()), **columns, "score": score})
    return table


def table(rows_of_folders: list[dict]) -> str:
    """Return the rows as a table of Markdown."""
    keys = ["folder", "mutants", "noticed", "timeout", "survived", "equivalent", "not run", "score"]
    heads = {"timeout": "timeouts", "equivalent": "judged equivalent"}
    lines = ["| " + " | ".join(heads.get(k, k) for k in keys) + " |", "|---|" + "---:|" * (len(keys) - 1)]
    for row in rows_of_folders:
        score = "–" if row["score"] is None else f"{100 * row['score']:.1f} %"
        lines.append("| " + " | ".join([row["folder"], *(str(row[k]) for k in keys[1:-1]), score]) + " |")
    return "\n".join(lines)


def survivors(mutants: Iterable[Mutant], judged: Iterable[Equivalent]) -> list[Mutant]:
    """Return the survivors that are neither judged equivalent nor guards, by file and line."""
    equivalent_changes = {e.change for e in judged}
    survived = [m for m in mutants if m.outcome == "survived" and not m.is_guard]
    found = [m for m in survived if m.change not in equivalent_changes]
    return sorted(found, key=lambda m: (m.file, m.line, m.added))


def draw(names: Iterable[str], size: int, seed: int) -> list[str]:
    """Draw `size` mutants, the same number from every folder where it has so many. Other folders fill up what lacks.

    The draw depends on the names, the size and the seed, and on nothing else.
    """
    by_folder: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).hexdigest()):
        by_folder.setdefault(name.split(".")[1], []).append(name)
    drawn: list[str] = []
    turn = 0
    while len(drawn) < size and any(turn < len(folder_names) for folder_names in by_folder.values()):
        drawn += [by_folder[folder][turn] for folder in sorted(by_folder) if turn < len(by_folder[folder])]
        turn += 1
    return sorted(drawn[:size])


def outcome(code: int | None) -> str:
    """Return what an exit code of mutmut means; "" for no result."""
    return "" if code is None else OUTCOMES.get(code, "")


def recorded(file: Path) -> dict[str, int | None]:
    """Return the exit code of each mutant of a file as mutmut has written it; None if it has not run."""
    return json.loads(file.read_text())["exit_code_by_key"] if file.exists() else {}


def ordered(names: list[str], seconds: dict[str, float], folder: str, limit: float) -> list[str]:
    """Return the tests of a mutant in their order: those of its folder first, then the fast ones.

    Args:
        seconds: what each test took.
        limit: of seconds in all. A test that would exceed it is left out; the first one always runs.
    """
    by_cost = sorted(names, key=lambda name: (not name.startswith(f"tests/{folder}/"), seconds.get(name, 0.0), name))
    total, kept = 0.0, []
    for name in by_cost:
        if kept and total + seconds.get(name, 0.0) > limit:
            continue
        total += seconds.get(name, 0.0)
        kept.append(name)
    return kept
