"""Decide which runs may be averaged, and name the tables that compare them.

Runs belong to one variant if they differ only in sparsity and seed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from prunebert.errors import BadInput
from prunebert.masks.pattern import NONE
from prunebert.report import labels, table_names
from prunebert.report.cell_values import parse_cell
from prunebert.report.labels import OF_EVERY_RUN
from prunebert.report.table_names import digest, group
from prunebert.runs import discover
from prunebert.settings import former, signature

MASK_SOURCES = ("masks", "upstream")  # settings that name a run whose masks, and so whose sparsity, a run has
METHOD_ORDER = (
    *(
        "dense",
        "random",
        "fixed_mask",
        "magnitude",
        "imp",
        "gmp",
        "gmp_star",
        "movement",
        "soft_movement",
        "platon",
        "l0",
    ),
    *("obert", "snip", "rigl", "sparsebert", "tamt", "sparse_transfer", "abp", "masking", "smp"),
)
DENOMINATORS = {
    "encoder": "encoder",
    "encoder_pooler": "encoder, pooler",
    "encoder_pooler_embeddings": "encoder, pooler, embeddings",
}


def add_labels(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with these columns added.

    denominator: what the sparsity is a fraction of; runs with the same one may be compared.
    facts: the settings that identify the variant.
    variant: a hash of the method and the facts.
    table: the name of the table; a table holds one task, model and evaluation data.
    label, short_label, details: see `labels.labels`.
    order: the position of the row.
    """
    runs = runs.copy()
    runs["denominator"] = [
        "encoder" if prunable == "encoder_pooler" and not has_pooler else prunable
        for prunable, has_pooler in zip(runs["prunable"], runs["has_pooler"], strict=True)
    ]
    directories = [d if has_files else None for d, has_files in zip(runs["directory"], runs["has_files"], strict=True)]
    rows = fill_defaults(runs["row"], directories)
    facts = [_facts(row, name) for row, name in zip(rows, runs["denominator"], strict=True)]
    facts = _without_seed_folders(facts, runs["method"], runs["seed"])
    runs["facts"] = [fact | head for fact, head in zip(facts, _masked_lm_heads(rows), strict=True)]
    runs["variant"] = [digest([m, f]) for m, f in zip(runs["method"], runs["facts"], strict=True)]
    runs["table"] = table_names.names(runs["row"])
    variants = runs.drop_duplicates(["table", "variant"])
    are_tuning = variants["row"].map(lambda row: bool(row.get("tuning")))  # their rates would lengthen all other labels
    parts = [part for part in (variants[~are_tuning], variants[are_tuning]) if len(part)]
    names = pd.concat([labels.labels(part) for part in parts])
    runs = runs.join(names.set_index(["table", "variant"]), on=["table", "variant"])
    rank = {method: i for i, method in enumerate(METHOD_ORDER)}
    sort_keys = pd.DataFrame(
        {"table": runs["table"], "rank": runs["method"].map(lambda m: rank.get(m, len(rank)))}
        | {k: runs[k] for k in ("method", "label", "sparsity", "seed")}
    )
    runs["order"] = pd.Series(range(len(runs)), index=sort_keys.sort_values(list(sort_keys)).index)
    return runs


def settings(row: dict[str, Any]) -> dict[str, str]:
    """Return a run's settings with dotted names, without those that vary within a cell or are axes.

    The result is the same for a result.json and for a row of a table, although a table cannot distinguish 1 from 1.0
    or null from a missing value.
    """
    sparsity, seed = row["sparsity"], row["seed"]
    settings = {}
    for key, value in _dotted(row["settings"], ""):
        name = key.rpartition(".")[2]
        targets = f".{key}".endswith((".sparsity", ".schedule.final"))  # a method inside the method has its own
        listed = key in OF_EVERY_RUN or (targets and value == sparsity)
        if listed or name in ("seed", "shared") or value in (None, ""):
            continue
        if isinstance(value, str):  # the path of another run, which has the same sparsity and seed
            value = value.replace(f"seed={seed}", "seed=*").replace(f"sparsity={sparsity:g}", "sparsity=*")
            if name in MASK_SOURCES:
                value = _without_cell(value, seed, sparsity)
        value = parse_cell(value)
        settings[key] = value if isinstance(value, str) else json.dumps(value)
    return settings


def _without_cell(path: str, seed: int, sparsity: float) -> str:
    """Return a path with `*` for each folder that is called like the run's sparsity, or like its seed and sparsity.

    The path is that of a run whose masks this run has, so both have one sparsity: masks/0-0.9 becomes masks/*, and
    upstream/0.9/final becomes upstream/*/final.
    """
    own = {f"{sparsity:g}", f"{seed}-{sparsity:g}", f"{sparsity:g}-{seed}"}
    return "/".join("*" if folder in own else folder for folder in path.split("/"))


def _without_seed_folders(
    facts: list[dict[str, str]], methods: Iterable[str], seeds: Iterable[int]
) -> list[dict[str, str]]:
    """Return the facts with `*` in paths for a folder that is called by the seed: teachers/0 and teachers/1.

    This is so only for paths that differ between seeds, and that no run of the method with another seed has.
    """
    users: dict[tuple[str, str, str], set[int]] = defaultdict(set)  # the seeds of the runs that have a path
    groups: dict[tuple[str, str, str], set[tuple[str, int]]] = defaultdict(set)  # the paths that differ in their seed
    runs = list(zip(facts, methods, seeds, strict=True))
    for fact, method, seed in runs:
        for key, value in fact.items():
            if "/" in value:
                users[method, key, value].add(seed)
                groups[method, key, _without_folder(value, str(seed))].add((value, seed))

    def shown(method: str, key: str, value: str, seed: int) -> str:
        short = _without_folder(value, str(seed))
        group = groups[method, key, short] if short != value else set()
        own = len(group) > 1 and all(users[method, key, path] == {its_seed} for path, its_seed in group)
        return short if own else value

    return [{k: shown(method, k, v, seed) if "/" in v else v for k, v in fact.items()} for fact, method, seed in runs]


def _without_folder(path: str, name: str) -> str:
    return "/".join("*" if folder == name else folder for folder in path.split("/"))


def complete(node: Any) -> Any:
    """Add to a node, and to the nodes inside it, the defaults of the signatures of prunebert's that they name."""
    if not isinstance(node, dict):
        return node
    target = str(node.get("_target_", ""))
    try:
        defaults = signature.defaults(target) if target.startswith("prunebert.") else {}
    except BadInput:  # the name of an earlier version
        defaults = {}
    return defaults | {key: complete(value) for key, value in node.items()}


def _dotted(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield every leaf of nested settings with its dotted name."""
    if not isinstance(node, dict):
        yield path.removesuffix("._target_"), node
        return
    for key, value in node.items():
        yield from _dotted(value, f"{path}.{key}" if path else str(key))


def _facts(row: dict[str, Any], denominator: str) -> dict[str, str]:
    """Return all that identifies a run's variant besides the method: the axes, then the settings."""
    options = {axis: str(row.get(axis) or "none") for axis in ("fit", "distill", "augment")}
    given = group(row, "checkpoint").get("masks")  # the masks that the checkpoint came with, as in model.masks
    start = {"model.masks": str(given)} if given else {}
    shape = {"train": _training_rows(row), "pattern": str(row["settings"].get("pattern") or NONE)}
    return {"prunable": denominator, **options, **shape, **settings(row), **start}


def _masked_lm_heads(rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return {"masked_lm_head": hash} for each run, if runs on the same encoder read different masked-LM heads."""
    read: dict[str, set[str]] = {}
    for row in rows:
        if row.get("heads_hash"):
            read.setdefault(str(row.get("weights_hash")), set()).add(str(row["heads_hash"]))
    several = {weights for weights, heads in read.items() if len(heads) > 1}
    return [
        {"masked_lm_head": str(row["heads_hash"])[:8]}
        if row.get("heads_hash") and str(row.get("weights_hash")) in several
        else {}
        for row in rows
    ]


def _training_rows(row: dict[str, Any]) -> str:
    """Describe the training data by its number of rows and fingerprint.

    Augmented rows are drawn anew for every seed, so only their number counts.
    """
    data = row["data"] if isinstance(row.get("data"), dict) else {}
    count, fingerprint = group(data, "rows").get("train"), group(data, "fingerprint").get("train", "")
    text = f"{count:,} rows" if isinstance(count, int) else "unknown"
    return text if data.get("augmented") else f"{text} {str(fingerprint)[:8]}".strip()


def fill_defaults(rows: Iterable[dict[str, Any]], directories: Iterable[Path | None]) -> list[dict[str, Any]]:
    """Add to each row's settings the defaults of settings that only other runs of its method have.

    The default is that of the method's signature, as for a run's identity. A setting without a default there stays
    absent. Settings of earlier versions get their current words. A run without a directory is assumed to use
    prunebert's own method of that name.

    Args:
        rows: a result.json per run.
        directories: the runs' directories; None for a row of a table.
    """
    current = [row | {"settings": complete(former.in_current_words(row["settings"]))} for row in rows]
    pairs = list(zip(current, directories, strict=True))
    method_settings: dict[str, set[str]] = {}
    for row, _ in pairs:
        method_settings.setdefault(row["method"], set()).update(row["settings"])
    complete_rows = []
    for row, directory in pairs:
        missing = method_settings[row["method"]] - row["settings"].keys()
        defaults = _defaults(row["method"], directory) if missing else {}
        added = {k: defaults[k] for k in sorted(missing & defaults.keys())}
        complete_rows.append(row | {"settings": added | row["settings"]})
    return complete_rows


def _defaults(name: str, directory: Path | None) -> dict[str, Any]:
    """Return the defaults of the method that a run's recorded configuration names; {} if it names none of ours.

    A report reads runs of other people, so code outside prunebert that a run names is not looked up.
    """
    try:
        config = discover.config(directory) if directory else {"method": _packaged_config(name)}
        method = config.get("method")
        target = str(method.get("_target_")) if isinstance(method, dict) else ""
        return signature.defaults(target) if target.startswith("prunebert.") else {}
    except BadInput:
        return {}


@cache
def _packaged_config(name: str) -> Any:
    """Return conf/method/NAME.yaml, or None if there is no such file."""
    file = files("prunebert.conf") / "method" / f"{name}.yaml"
    return yaml.safe_load(file.read_text("utf-8")) if name.isidentifier() and file.is_file() else None
