"""Variants: which runs may be averaged. Runs are of one variant if nothing but sparsity and seed tells them apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from prunebert.report.rows import plain
from prunebert.runs import artifacts
from prunebert.settings import signature

ORDER = (
    *("dense", "random", "magnitude", "imp", "gmp", "movement", "soft_movement", "l0"),
    *("sparsebert", "tamt", "abp", "smp"),
)
AXES = ("prunable", "fit", "distill", "augment", "train")  # told wherever a table's rows differ in them
UNDER = {"fit": ("fit.", "mask_fit.", "teacher_fit.", "distill.fit."), "distill": ("distill.",)}
SILENT = {"distill": "none", "augment": "none"}
OF = {
    "encoder": "encoder",
    "encoder_pooler": "+ pooler",
    "encoder_pooler_embeddings": "+ word embeddings",
}


def told(runs: pd.DataFrame) -> pd.DataFrame:
    """With columns: `table` (runs of one task, model and evaluation data), `variant`, its `label` in that table and a
    `short` one for figures, `of` (what the sparsity is a fraction of, the same for all that may be compared), `order`
    (where the row stands)."""
    runs = runs.copy()
    runs["of"] = [
        "encoder" if p == "encoder_pooler" and not has else p
        for p, has in zip(runs["prunable"], runs["pooler"], strict=True)
    ]
    places = [d if here else None for d, here in zip(runs["directory"], runs["files"], strict=True)]
    rows = filled(runs["row"], places)
    runs["facts"] = [_identity(row, of) for row, of in zip(rows, runs["of"], strict=True)]
    runs["variant"] = [_digest([m, f]) for m, f in zip(runs["method"], runs["facts"], strict=True)]
    runs["table"] = _tables(runs)
    runs[["label", "short"]] = ""
    for _, rows in runs.groupby("table", sort=False):
        for column, names in zip(("label", "short"), _labels(rows.drop_duplicates("variant")), strict=True):
            runs.loc[rows.index, column] = rows["variant"].map(names)
    rank = {method: i for i, method in enumerate(ORDER)}
    by = pd.DataFrame(
        {"table": runs["table"], "rank": runs["method"].map(lambda m: rank.get(m, len(rank)))}
        | {k: runs[k] for k in ("method", "label", "sparsity", "seed")}
    )
    runs["order"] = pd.Series(range(len(by)), index=by.sort_values(list(by)).index)
    return runs


def settings(row: dict[str, Any]) -> dict[str, str]:
    """A run's settings, dotted, without its sparsity and seed, which are told elsewhere and vary within a cell.

    The same for a row of a table, which tells neither 1 from 1.0 nor null from nothing.
    """
    asked, seed = row["sparsity"], row["seed"]
    kept = {}
    for key, value in _flat(row["settings"], ""):
        last = key.rpartition(".")[2]
        told = key in AXES or (key in ("sparsity", "schedule.final") and value == asked)
        if told or last in ("seed", "shared") or value in (None, ""):
            continue
        if isinstance(value, str):  # the path of another run, of the same sparsity and seed
            value = value.replace(f"seed={seed}", "seed=*").replace(f"sparsity={asked:g}", "sparsity=*")
        value = plain(value)
        kept[key] = value if isinstance(value, str) else json.dumps(value)
    return kept


def _flat(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(node, dict):
        yield path.removesuffix("._target_"), node
        return
    for key, value in node.items():
        yield from _flat(value, f"{path}.{key}" if path else str(key))


def _identity(row: dict[str, Any], of: str) -> dict[str, str]:
    axes = {k: str(row.get(k) or "none") for k in ("fit", "distill", "augment")}
    return {"prunable": of, **axes, "train": _train(row), **settings(row)}


def _train(row: dict[str, Any]) -> str:
    """The training data in words; augmented rows are drawn anew for every seed, so only their number counts."""
    data = row["data"] if isinstance(row.get("data"), dict) else {}
    count, mark = _part(data, "rows").get("train"), _part(data, "fingerprint").get("train", "")
    told = f"{count:,} rows" if isinstance(count, int) else "unknown"
    return told if data.get("augmented") else f"{told} {str(mark)[:8]}".strip()


def _tables(runs: pd.DataFrame) -> list[str]:
    """A name for the table of each run, as short as still tells it from the others."""
    keys = []
    for row in runs["row"]:
        data = row["data"] if isinstance(row.get("data"), dict) else {}
        marks = _part(data, "fingerprint") or _part(data, "rows")
        held = json.dumps({s: m for s, m in marks.items() if s != "train"}, sort_keys=True)
        weights = str(row.get("weights_hash") or row["model"])
        keys.append((row["task"], weights, row["metric"], held, json.dumps(data.get("labels"))))
    names = {key: f"{key[0]}, {_last_of(row['model'])}" for key, row in zip(keys, runs["row"], strict=True)}
    for name in set(names.values()):
        alike = [key for key in names if names[key] == name]
        for part, word in enumerate(("", "weights {:.8}", "{}", "evaluation data {:.8}", "labels {:.60}")):
            if len({key[part] for key in alike}) > 1:
                names |= {k: f"{names[k]}, {word.format(_digest(k[3]) if part == 3 else k[part])}" for k in alike}
    return [names[key] for key in keys]


def _last_of(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _labels(rows: pd.DataFrame) -> tuple[dict[str, str], dict[str, str]]:
    """variant -> label, for the variants of one table: the method, and all in which it differs from others; and the
    same with no more settings than it takes to tell them apart."""
    facts = pd.DataFrame(rows["facts"].tolist(), index=rows["variant"]).fillna("-")
    method = rows.set_index("variant")["method"]
    common = [k for k in AXES if k != "prunable" and facts[k].nunique() > 1]
    labels: dict[str, str] = {}
    short: dict[str, str] = {}
    for name in method.unique():
        own = facts[method == name]
        differing = sorted(k for k in own if own[k].nunique() > 1)  # whatever order a table has
        axes = [k for k in AXES if k in common or k in differing]
        rest = [k for k in differing if k not in AXES and not _follows(own, k, axes)]
        for variant, values in own.iterrows():
            of_axes = [f"{k}={values[k]}" for k in axes if values[k] != SILENT.get(k) or k in differing]
            for found, keys in ((labels, rest), (short, _enough(own, axes, rest))):
                off = [k for k in keys if found is short and values[k] == "false"]  # its other is on, and says so
                words = of_axes + [f"{k}={_last(values[k])}" for k in keys if k not in off]
                found[str(variant)] = f"{name} ({', '.join(words)})" if words else str(name)
    return labels, short


def _enough(own: pd.DataFrame, axes: list[str], rest: list[str]) -> list[str]:
    """Which of `rest` it takes beside `axes` to tell the rows apart; budgets and teachers come last."""

    def told_apart(keys: list[str]) -> int:
        return len(own[keys].drop_duplicates()) if keys else 1

    found: list[str] = []
    for key in sorted(rest, key=lambda k: k.startswith(sum(UNDER.values(), ()))):
        if told_apart([*axes, *found, key]) > told_apart([*axes, *found]):
            found.append(key)
    return found


def _follows(own: pd.DataFrame, key: str, axes: list[str]) -> bool:
    """Whether a setting that belongs to an axis is told by the option's name: fit.lr by fit=quick."""
    return any(key.startswith(UNDER.get(axis, ())) and own.groupby(axis)[key].nunique().max() == 1 for axis in axes)


def _last(value: str) -> str:
    return value.rpartition(".")[2] if value.startswith("prunebert.") else value


def _part(data: dict[str, Any], key: str) -> dict[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def filled(rows: Iterable[dict[str, Any]], directories: Iterable[Path | None]) -> list[dict[str, Any]]:
    """`rows` (result.json each), their `settings` with the defaults of what other runs of the method have besides.

    The default is that of the method's signature, as for identities; a setting that has none there stays away. A run
    without a directory is of the method that has its name here.
    """
    pairs = list(zip(rows, directories, strict=True))
    known: dict[str, set[str]] = {}
    for row, _ in pairs:
        known.setdefault(row["method"], set()).update(row["settings"])
    found = []
    for row, directory in pairs:
        lacking = known[row["method"]] - row["settings"].keys()
        usual = _defaults(row["method"], directory) if lacking else {}
        found.append(row | {"settings": {k: usual[k] for k in sorted(lacking & usual.keys())} | row["settings"]})
    return found


def _defaults(name: str, directory: Path | None) -> dict[str, Any]:
    """Of the method that the run's recorded configuration names; none where it names none."""
    config = yaml.safe_load(artifacts.config(directory)) if directory else {"method": _packaged(name)}
    method = config.get("method") if isinstance(config, dict) else None
    return signature.defaults(str(method.get("_target_"))) if isinstance(method, dict) else {}


@cache
def _packaged(name: str) -> Any:
    """conf/method/NAME.yaml, if there is one."""
    file = files("prunebert.conf") / "method" / f"{name}.yaml"
    return yaml.safe_load(file.read_text("utf-8")) if file.is_file() else None
