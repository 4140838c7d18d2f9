"""`prunebert info RUN`, and the last line of a run."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from prunebert.analysis import patterns, spectral
from prunebert.commands.info_facts import constant, decimal, duration, measured, percent, trained_weights, words
from prunebert.commands.info_sweep import show_sweep
from prunebert.errors import BadInput
from prunebert.masks.pattern import NONE
from prunebert.runs import artifacts, discover, evaluations, reading, seal
from prunebert.settings import overlaps, quoting
from prunebert.system.console import arguments, counted, say, say_block, short
from prunebert.system.table import Fact, add_wide, say_facts, say_wrapped

log = logging.getLogger(__name__)
DENOMINATORS = {
    "sparsity_encoder": "encoder matrices",
    "sparsity_encoder_pooler": "+ pooler",
    "sparsity_encoder_pooler_embeddings": "+ word embeddings",
    "sparsity_model": "whole model",
}
MAX_CLASSES = 20  # that are named


DESCRIPTION = """Show a finished run: its score, sparsity under every denominator, what was trained, cost and files.
Given a sweep, show the table of its runs."""


def main(argv: list[str]) -> None:
    """Show a finished run, or the table of a sweep."""
    parser = arguments("info", DESCRIPTION)
    parser.add_argument("run", metavar="RUN", type=Path, help="directory of one run or of a sweep")
    parser.add_argument("--config", action="store_true", help="print the run's whole configuration instead")
    add_wide(parser)
    options = parser.parse_args(argv)
    root = artifacts.resolve_pointer(options.run)
    if options.config:
        artifacts.result(root)
        say_block(_resolved(root))
    elif reading.is_folder(root) and not (root / artifacts.CONFIG).is_dir() and artifacts.runs(root):
        show_sweep(root, wide=options.wide)
    else:
        _show_run(root)


def _resolved(root: Path) -> str:
    """Return a run's configuration as YAML, with its references replaced by their values."""
    from prunebert.settings.overrides import resolved

    return yaml.safe_dump(resolved(discover.config(root)), sort_keys=False, allow_unicode=True)


def _show_run(root: Path) -> None:
    """Print the summary of a finished run."""
    row, topology = artifacts.result(root), artifacts.topology(root)
    say_wrapped(f"{row['method']} on {row['task']}, model {row['model']}, fit {row['fit']}, seed {row['seed']}")
    damaged = seal.damaged(root, row)
    facts: list[Fact] = [*_scores(row), *_groups(root, row), *_sparsities(row, topology), ("trained", _trained(row))]
    if kinds := topology.get("kinds"):
        facts.append(("remaining", [f"{kind} {entry['remaining']:.2%}" for kind, entry in kinds.items()]))
    if (pattern := topology.get("pattern")) and pattern["asked"] != NONE:
        facts.append(("pattern", f"{pattern['asked']}; measured: {patterns.words(pattern)}"))
    facts += _spectra(topology)
    facts += [*_costs(row), *(("warning", note) for note in overlaps.of_result(row)), ("in", short(root))]
    say_facts([*facts, ("files", _files(root, damaged))])
    for message in damaged.values():
        log.warning("%s", message)
    if "files" not in row:
        say("an earlier version wrote this run without hashes of its files, so only its masks can be verified")
    say(f"repeat with: {quoting.command(words(row)) or row['command']}")


def _scores(row: dict[str, Any]) -> list[Fact]:
    """Return the metrics, the main one first, with the constant baseline; and the classes."""
    explained = f": {meaning}" if (meaning := constant(row)) else ""
    names = sorted(row["metrics"], key=lambda name: name != row["metric"])
    facts: list[Fact] = []
    for label, name in zip(["score", *[""] * len(names)], names, strict=False):
        baseline = decimal(row.get("majority", {}).get(name))
        facts.append((label, f"{name} {decimal(row['metrics'][name])} (constant baseline {baseline}{explained})"))
        explained = ""
    if classes := row.get("form", {}).get("labels"):
        more = [f"and {len(classes) - MAX_CLASSES} more"] if len(classes) > MAX_CLASSES else []
        facts.append(("classes", [*map(str, classes[:MAX_CLASSES]), *more]))
    return facts


def _groups(root: Path, row: dict[str, Any]) -> list[Fact]:
    """Return the accuracy of each group of rows, the lowest first: of task.groups, and of `evaluate --keep`."""
    found = {}
    if any(name.startswith("accuracy_") for name in row["metrics"]) and not seal.is_delta(row):
        with suppress(BadInput):  # the line on files names the predictions as damaged
            table = artifacts.prediction_columns(root, ("label", "prediction", "group"), row)
            if "group" in table.column_names:
                from prunebert.tasks import groups

                found["groups"] = groups.counts(table.to_pandas())
    for kept in evaluations.read(root, row)[0]:
        if counts := kept.get("groups"):
            found["groups" if kept.get("own_rows") else f"groups of {kept['task']}"] = counts
    facts: list[Fact] = []
    for name, counts in found.items():
        each = sorted((c["right"] / c["rows"], group, c["rows"]) for group, c in counts.items())
        facts.append((name, [f"{group} {accuracy:.4f} ({counted(rows, 'row')})" for accuracy, group, rows in each]))
    return facts


def _sparsities(row: dict[str, Any], topology: dict[str, Any]) -> list[Fact]:
    """Return the sparsity that was asked for, and what was measured under every denominator."""
    target = f"{row['sparsity']:g} of {row['prunable']}" if row["sparsity"] else "none"
    fractions = [f"{row[key]:.6f} {name}" for key, name in DENOMINATORS.items()]
    facts: list[Fact] = [("target", f"sparsity {target}"), ("sparsity", fractions)]
    if "sparsity_effective" in topology:
        effective = f"{topology['sparsity_effective']:.6f} effective: weights on no path count as removed too"
        facts.append(("", effective))
    return facts


def _spectra(topology: dict[str, Any]) -> list[Fact]:
    """Return σ₂ of the masks against that of random ones; nothing for a run of an earlier version or a dense one."""
    matrices = topology.get("spectral", {}).get("matrices", {}).values()
    pruned = [m for m in matrices if m["unweighted"] and m["unweighted"]["random"]["sigma_2"]]
    if not pruned:
        return []
    ratios = {which: spectral.relative(pruned, which) for which in ("unweighted", "weighted")}
    words = {"unweighted": "σ₂ (2nd singular value) {:.2f} × random masks'", "weighted": "{:.2f} × with the weights"}
    return [("spectrum", [words[which].format(ratio) for which, ratio in ratios.items() if ratio is not None])]


def _trained(row: dict[str, Any]) -> str:
    """Return how many of the network's weights the last phase trained, and how many scores of weights."""
    weights = trained_weights(row)
    if weights is None:
        return counted(row["trained_parameters"], "parameter")
    total = row["model_parameters"]
    return f"{weights:,} of {total:,} weights ({percent(weights / total)}), {row['trained_scores']:,} scores"


def _costs(row: dict[str, Any]) -> list[Fact]:
    """Return time and memory."""
    phases = ", ".join(f"{name} {counted(phase['steps'], 'step')}" for name, phase in row.get("phases", {}).items())
    time = f"{duration(row['seconds'])}, {row['seconds_per_step']:.4f} s a step, {counted(row['steps'], 'step')}"
    memory = row["peak_memory_bytes"]
    return [
        ("time", f"{time} ({phases})" if len(row.get("phases", {})) > 1 else time),
        ("memory", "unknown" if memory is None else f"{memory / 2**30:.2f} GiB"),
        ("device", row["device"]),
    ]


def _files(root: Path, damaged: dict[str, str]) -> list[str]:
    """Return the files of a run with their sizes."""
    sizes = reading.file_sizes(root) | {name: 0 for name in damaged if not (root / name).exists()}
    shown = {name: size for name, size in sizes.items() if not name.startswith(artifacts.CONFIG)}
    return [f"{name} {size:,} B{' damaged' if name in damaged else ''}" for name, size in shown.items()]


def line(row: dict[str, Any], directory: Path) -> str:
    """Return one line about a finished run."""
    return (
        f"{row['method']} on {row['task']}: {row['metric']} {row['score']:.4f} "
        f"(constant baseline {decimal(row['majority_score'])}), sparsity {measured(row):.4f} of {row['prunable']}, "
        f"{row['seconds']:.0f} s, in {short(directory)}"
    )
