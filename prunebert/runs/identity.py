"""Identity: a hash of everything that changes a run's result, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from prunebert.runs import artifacts
from prunebert.settings import signature

SCIENCE = 1  # goes up when the same configuration gives another result than before
HOW = {"impl", "checkpoint", "tracking", "rerun", "dry", "hydra"}  # on what, how safely, how loudly: never what
PATHS = {"masks", "budget", "teacher", "file"}  # what lies there counts, not where
WHERE = {"hub", "folder", "package", "data_dir", "train", "eval"}  # of a task: its rows' fingerprint says it


def compute(config: dict[str, Any], facts: dict[str, Any], weights_hash: str) -> str:
    """32 hexadecimal digits. config: composed and resolved. facts: Task.facts(), with the fingerprints of its rows.

    Hardware, file paths and the name of the checkpoint do not count, nor does a key whose value is the default in the
    signature of what it is for: a key that is added later, with such a default, leaves old identities as they are.
    """
    what = {
        "science": SCIENCE,
        "method": canonical(config["method"]),
        "task": {k: v for k, v in canonical(config["task"]).items() if k not in WHERE},
        "data": {k: v for k, v in facts.items() if k != "source"},
        "augment": canonical(config["augment"]),
        "model": weights_hash,
        "seed": config["seed"],
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:32]


def canonical(node: Any) -> Any:
    """A node without what cannot change a result: defaults of the signature, a folder of shared teachers, paths."""
    if isinstance(node, list):
        return [canonical(item) for item in node]
    if not isinstance(node, dict):
        return node
    usual = signature.defaults(str(node["_target_"])) if "_target_" in node else {}
    return {
        key: content_hash(value) if key in PATHS and isinstance(value, str) else canonical(value)
        for key, value in node.items()
        if not (key in ("_partial_", "_convert_", "shared") or (key in usual and usual[key] == value))
    }


def configuration(config: dict[str, Any]) -> Any:
    """Return what two configurations of the same run have in common.

    What loads the model is left out: it moved once (prunebert.models.load), and directories name the old place.
    """
    model = {k: v for k, v in (config.get("model") or {}).items() if k != "_target_"}
    return canonical({k: v for k, v in config.items() if k not in HOW} | {"model": model})


def content_hash(path: str) -> str:
    """A finished run's identity, or a hash of a file or of a folder's texts and tensors; else the words themselves.
    Raises BadInput for a damaged result.
    """
    place = artifacts.resolve_pointer(Path(path).expanduser())
    if not place.exists():
        return path
    digest = hashlib.sha256()
    if artifacts.is_finished(place) and (who := artifacts.result(place).get("identity")):
        return str(who)
    for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
        if file.is_file() and file.suffix in (".txt", ".safetensors", place.suffix):
            digest.update(file.name.encode())
            with file.open("rb") as stream:
                while part := stream.read(1 << 20):
                    digest.update(part)
    return digest.hexdigest()
