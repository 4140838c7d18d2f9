"""Write the commands that repeat runs, in few lines, and what made the numbers: commits, devices and versions.

Each run records its own command. Commands that differ only in the values of some keys become one sweep, if the sweep
has exactly these runs: `prunebert -m method=gmp,smp seed=0,1,2 task=sst2`. Sweeps as they were typed are not used: a
table of an earlier report has none, and a sweep that was interrupted or made again has other runs than the report.
"""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from prunebert.report.findings.results import Results
from prunebert.report.findings.text import listed, markdown, name, word
from prunebert.report.page import provenance
from prunebert.settings import quoting
from prunebert.system.console import counted

REFERRED = ("seed", "sparsity")
FIRST = ("seed", "sparsity", "method")  # the keys whose values are joined first
JOINABLE = re.compile(r"[\w.+:@/-]+", re.ASCII)  # values that stand in a list as they are
WORD = re.compile(r"([~+]{0,2}[\w./@]+)=(.*)", re.DOTALL)
MOST = 12  # commands that are shown
LONGEST = 2000  # characters of a command that cannot be taken apart, and of a word
NAMED = 6  # commits, devices or versions in a sentence

Group = dict[str, tuple[str, ...]]  # the values of each key; a sweep over their product


def repeat(results: Results) -> str:
    """Return Markdown: the commands in a block, then a sentence on the commits, on the devices and on the versions.

    Args:
        results: the runs. They need their columns command, git_commit, device and row.
    """
    lines = commands(results.runs["command"])
    shown = lines[:MOST]
    if len(lines) > MOST:
        shown.append(f"# {counted(len(lines) - MOST, 'more command')}: results.csv has that of each run")
    fence = "`" * max(3, 1 + max(len(ticks) for line in shown for ticks in re.findall("`*", line)))
    block = "\n".join([f"{fence}text", *shown, fence])
    lines = [f"The commands do not tell the tables of {word(found.task)} apart." for found in results.namesakes]
    return "\n".join([block, "", *(f"- {markdown(line)}" for line in [*lines, *origins(results.runs)])])


def commands(recorded: Iterable[str]) -> list[str]:
    """Return the command lines that repeat the runs, each with the number of its runs in a comment.

    Args:
        recorded: the command of each run. A command that cannot be taken apart is returned as it is.
    """
    groups: list[Group] = []
    others: list[str] = []
    for command in dict.fromkeys(recorded):
        group = _parsed(command)
        if group is None:
            others.append(word(command, LONGEST))
        else:
            groups.append(group)
    groups = sorted(_merged(groups), key=_runs, reverse=True)
    return [*map(_written, groups), *others]


def _runs(group: Group) -> int:
    """Return the number of runs of a sweep over the group."""
    return math.prod(map(len, group.values()))


def _parsed(command: str) -> Group | None:
    """Return the keys and values of a run's command; None for one that is no plain `prunebert key=value …`."""
    try:
        program, *words = shlex.split(command)
    except ValueError:
        return None
    found = [WORD.fullmatch(text) for text in words]
    if program != "prunebert" or not all(found):
        return None
    values = {match[1]: match[2] for match in found if match}
    if len(values) != len(words):
        return None  # a key that is repeated has an order
    return {key: (_with_references(value, values),) for key, value in values.items()}


def _with_references(value: str, values: dict[str, str]) -> str:
    """Write the path of another run of the same seed and sparsity as `"masks/seed=${seed}"`, which Hydra fills in."""
    if value[:1] != '"' or "$" in value:
        return value
    for key in REFERRED:
        if key in values:
            value = re.sub(rf"\b{key}={re.escape(values[key])}(?![\w.])", f"{key}=${{{key}}}", value)
    return value


def _merged(groups: Sequence[Group]) -> list[Group]:
    """Join groups that differ in the values of one key, key by key. The product of each result has the same runs."""
    keys = list(dict.fromkeys(key for group in groups for key in group))
    found = list(groups)
    for key in sorted(keys, key=lambda key: FIRST.index(key) if key in FIRST else len(FIRST)):
        joined: dict[object, Group] = {}
        for group in found:
            joinable = key in group and all(JOINABLE.fullmatch(value) for value in group[key])
            rest = frozenset((k, tuple(sorted(v))) for k, v in group.items() if k != key)
            identity: object = (rest, key in group) if joinable else (rest, tuple(group.get(key, ())))
            if identity in joined and joinable:
                values = dict.fromkeys([*joined[identity][key], *group[key]])
                joined[identity] = joined[identity] | {key: tuple(values)}
            else:
                joined[identity] = group
        found = list(joined.values())
    return found


def _written(group: Group) -> str:
    """Return a command line: the keys that vary first, then the others, in the order of the first run."""
    varying = {key: values for key, values in group.items() if len(values) > 1}
    words = [f"{key}={','.join(_in_order(values))}" for key, values in varying.items()]
    words += [f"{key}={values[0]}" for key, values in group.items() if key not in varying]
    line = quoting.command(["prunebert", *(["-m"] if varying else []), *(word(text, LONGEST) for text in words)])
    return f"{line}    # {counted(_runs(group), 'run')}"


def _in_order(values: Iterable[str]) -> list[str]:
    """Return numbers by their size, and other values in their order."""
    listing = list(values)
    try:
        return sorted(listing, key=float)
    except ValueError:
        return listing


def origins(runs: pd.DataFrame) -> list[str]:
    """Return a sentence on the commits, one on the devices and one on the versions, with names marked.

    Args:
        runs: the runs, with the columns git_commit, device and row.
    """
    records = runs.to_dict("records")
    lines = [
        _counts("commit", Counter(provenance.commit(run) for run in records)),
        _counts("device", Counter(str(run["device"] or "unknown") for run in records)),
    ]
    versions: dict[str, dict[str, None]] = {}
    for run in records:
        recorded = run["row"].get("versions")
        for package, version in recorded.items() if isinstance(recorded, dict) else ():
            versions.setdefault(str(package), {})[str(version)] = None
    if versions:
        texts = [f"{word(package)} {listed([name(v) for v in found])}" for package, found in versions.items()]
        lines.append(f"Versions: {listed(texts, most=len(texts))}.")
    return lines


def _counts(noun: str, counts: Counter[str]) -> str:
    common = counts.most_common()
    if len(common) == 1:
        return f"The {noun} of all runs: {name(common[0][0])}."
    items = [f"{name(value)} ({counted(number, 'run')})" for value, number in common[:NAMED]]
    more = [counted(len(common) - NAMED, f"more {noun}")] if len(common) > NAMED else []
    return f"{len(common)} {noun}s: {listed([*items, *more], most=NAMED + 1)}."
