"""The keys that result.json must have, and the type of each. Readers of a result rely on them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from prunebert.choices import PADDINGS, PRUNABLE

MAYBE = type(None)  # beside a type: the value may be null
Kinds = Mapping[str, tuple[type, ...]]

RECORDED = frozenset({"method", "task", "model", "sparsity", "seed"})  # keys of every recorded configuration
REQUIRED: Kinds = {
    **dict.fromkeys(("method", "task", "model", "fit", "distill", "augment", "prunable", "command"), (str,)),
    **dict.fromkeys(("metric", "device", "status", "weights_hash"), (str,)),
    **dict.fromkeys(("sparsity", "score", "seconds", "seconds_per_step"), (float,)),
    **dict.fromkeys((f"sparsity_{prunable}" for prunable in (*PRUNABLE, "model")), (float,)),
    "majority_score": (float, MAYBE),
    **dict.fromkeys(("seed", "steps", "trained_parameters"), (int,)),
    "peak_memory_bytes": (int, MAYBE),
    **dict.fromkeys(("settings", "metrics", "data"), (dict,)),
    "git_commit": (str, MAYBE),
    "git_dirty": (bool, MAYBE),
}
# What every version writes that also writes `files`. Results of earlier versions may lack these keys.
LATER: Kinds = {
    **dict.fromkeys(("identity", "head"), (str,)),
    **dict.fromkeys(("majority", "phases", "form", "checkpoint", "versions", "files"), (dict,)),
    "seconds_to_first_step": (float, MAYBE),
    "seconds_overall": (float,),
    "ranks": (int,),
}
# Some results that have `files` lack these. heads_hash is null where the run did not read the masked-LM head.
OPTIONAL: Kinds = {
    **{"heads_hash": (str, MAYBE), "tokenizer_hash": (str,)},
    **{"architecture": (dict,), "overlaps": (list,), "tuning": (dict,)},
    **{"trained_scores": (int, MAYBE), "model_parameters": (int,)},
    "masks_from": (dict,),  # of a run under the masks of another run
}
DATA: Kinds = {
    **dict.fromkeys(("rows", "fingerprint", "grouping"), (dict, MAYBE)),
    **dict.fromkeys(("config", "revision"), (str, MAYBE)),  # of task=hub
    "scheme": (str,),
}
FORM: Kinds = {
    "name": (str,),
    **dict.fromkeys(("span", "regression", "masked_lm", "pair"), (bool,)),
    **dict.fromkeys(("outputs", "max_length"), (int,)),
}
FORM_LATER: Kinds = {
    "labels": (list,),
    "label_words": (list, MAYBE),
    **dict.fromkeys(("stride", "n_best", "max_answer"), (int,)),
    "no_answer": (bool,),
    "padding": (str,),
    **dict.fromkeys(("tokens", "multilabel"), (bool,)),
    "choices": (int,),
}
CHECKPOINT: Kinds = {"name": (str,)}
CHECKPOINT_LATER: Kinds = {"revision": (str,), "package": (dict, MAYBE), "masks": (str,)}
PACKAGE: Kinds = {**dict.fromkeys(("name", "version", "path", "extra", "model"), (str,)), "sha256": (dict,)}
TOPOLOGY: Kinds = {
    "sparsity_effective": (float,),
    **dict.fromkeys(("kinds", "matrices", "pattern", "spectral", "hubs"), (dict,)),
}
SPECTRAL: Kinds = {"weights": (str,), "matrices": (dict,)}
SPECTRA = ("unweighted", "weighted")
SPECTRUM: Kinds = {"sigma_1": (float,), "sigma_2": (float,)}
PATTERN: Kinds = {"asked": (str,), "found": (dict,), "groups_2_4": (float, MAYBE)}
FOUND: Kinds = dict.fromkeys(("n_m", "block"), (str, MAYBE))
KIND: Kinds = {"remaining": (float,), "size": (int,)}
NUMBERS, TEXTS = ("metrics", "majority"), ("versions", "files")  # tables whose values are numbers, or text


def in_todays_words(row: dict[str, Any]) -> dict[str, Any]:
    """Return a result with its device as it is written today. Earlier versions wrote "cpu, 1 threads"."""
    if isinstance(device := row.get("device"), str):
        row["device"] = re.sub(r"\b1 threads\b", "1 thread", device)
    return row


def fault(row: Mapping[str, Any]) -> str:
    """Return what is wrong with a result, for example "score is high, not float"; empty if nothing is."""
    complete = "files" in row
    required: Kinds = {**REQUIRED, **LATER} if complete else REQUIRED
    return (
        _fault(row, required, OPTIONAL if complete else {**LATER, **OPTIONAL})
        or next((f for key in NUMBERS for f in _values(row, key, (float, MAYBE))), "")
        or next((f for key in TEXTS for f in _values(row, key, (str,))), "")
        or _fault(row["data"], {}, DATA, "data.")
        or next((f"overlaps has {_shown(x)}, not text" for x in row.get("overlaps", []) if not isinstance(x, str)), "")
        or _form_fault(row)
        or _checkpoint_fault(row)
        or next((f"files has {_shown(n)}, which is no file's name" for n in row.get("files", {}) if "/" in n), "")
        or (
            "" if row["prunable"] in PRUNABLE else f"prunable is {_shown(row['prunable'])}, not {' or '.join(PRUNABLE)}"
        )
    )


def topology_fault(content: Mapping[str, Any]) -> str:
    """Return what is wrong with the numbers of topology.json that commands show; empty if nothing is."""
    if wrong := _fault(content, {}, TOPOLOGY):
        return wrong
    if wrong := _pattern_fault(content.get("pattern")) or _spectral_fault(content.get("spectral")):
        return wrong
    kinds = content.get("kinds", {}).items()
    return next(
        (f"kinds.{_shown(k)} is {_shown(v)}, not dict" for k, v in kinds if not isinstance(v, dict)), ""
    ) or next((wrong for kind, entry in kinds if (wrong := _fault(entry, KIND, {}, f"kinds.{_shown(kind)}."))), "")


def _pattern_fault(pattern: Mapping[str, Any] | None) -> str:
    if pattern is None:
        return ""  # of an earlier version
    return _fault(pattern, PATTERN, {}, "pattern.") or _fault(pattern["found"], FOUND, {}, "pattern.found.")


def _spectral_fault(spectral: Mapping[str, Any] | None) -> str:
    if spectral is None:
        return ""  # of an earlier version
    if wrong := _fault(spectral, SPECTRAL, {}, "spectral."):
        return wrong
    for name, matrix in spectral["matrices"].items():
        path = f"spectral.matrices.{_shown(name)}."
        if not isinstance(matrix, dict):
            return f"{path.removesuffix('.')} is {_shown(matrix)}, not dict"
        if wrong := _fault(matrix, dict.fromkeys(SPECTRA, (dict, MAYBE)), {}, path):
            return wrong
        for which in SPECTRA:
            spectrum = matrix[which]
            if spectrum is None:
                continue
            wrong = _fault(spectrum, {**SPECTRUM, "random": (dict,)}, {}, f"{path}{which}.")
            if wrong := wrong or _fault(spectrum["random"], SPECTRUM, {}, f"{path}{which}.random."):
                return wrong
    return ""


def _fault(row: Mapping[str, Any], required: Kinds, later: Kinds, path: str = "", closed: bool = False) -> str:
    """Return what is wrong with a table's keys. closed: keys that are in neither `required` nor `later` are wrong."""
    for key, kinds in (*required.items(), *((k, v) for k, v in later.items() if k in row)):
        if not _fits(row.get(key), kinds) or (key not in row and MAYBE in kinds):
            return f"{path}{key} is {_shown(row.get(key, 'missing'))}, not {_named(kinds)}"
    unknown = row.keys() - required.keys() - later.keys() if closed else ()
    return f"{path}{_shown(min(unknown))} is unknown" if unknown else ""


def _values(row: Mapping[str, Any], key: str, kinds: tuple[type, ...]) -> list[str]:
    wrong = [(k, v) for k, v in row.get(key, {}).items() if not _fits(v, kinds)]
    return [f"{key}.{_shown(k)} is {_shown(v)}, not {_named(kinds)}" for k, v in wrong]


def _form_fault(row: Mapping[str, Any]) -> str:
    form = row.get("form")
    if form is None:
        return ""
    if wrong := _fault(form, FORM, FORM_LATER, "form."):
        return wrong
    for key in ("labels", "label_words"):
        names = form.get(key) or []
        if not all(isinstance(name, str) for name in names):
            return f"form.{key} is {_shown(names)}, not a list of text"
    if (padding := form.get("padding", PADDINGS[0])) not in PADDINGS:
        return f"form.padding is {_shown(padding)}, not {' or '.join(PADDINGS)}"
    return next((f"form.{k} is {form[k]}, not positive" for k in ("outputs", "max_length") if form[k] < 0), "")


def _checkpoint_fault(row: Mapping[str, Any]) -> str:
    checkpoint = row.get("checkpoint")
    if checkpoint is None:
        return ""
    package = checkpoint.get("package") if isinstance(checkpoint.get("package"), dict) else None
    return (
        _fault(checkpoint, CHECKPOINT, CHECKPOINT_LATER, "checkpoint.", closed=True)
        or (_fault(package, PACKAGE, {}, "checkpoint.package.", closed=True) if package is not None else "")
        or next(iter(_values(package or {}, "sha256", (str,))), "")
    )


def _fits(value: Any, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in kinds
    return isinstance(value, (*kinds, int) if float in kinds else kinds)


def _named(kinds: tuple[type, ...]) -> str:
    return " or ".join("null" if kind is MAYBE else kind.__name__ for kind in kinds)


def _shown(value: Any) -> str:
    return " ".join(str(value).split())[:60]
