"""Hash everything that changes a run's result, and nothing else."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from prunebert.runs import artifacts, own_code, reading
from prunebert.settings import former, signature

SOURCES = {"tune", "tuned"}  # keys that say where other keys have their values from
SCIENCE = 1  # raised when the same configuration gives another result than before
WITHOUT_EFFECT = {"impl", "checkpoint", "tracking", "rerun", "dry", "hydra"}  # settings that cannot change a result
PATHS = {"masks", "budget", "upstream", "teacher", "file", "scope", "allocation"}  # by the content at that path
ANYWHERE_WITHOUT_EFFECT = {"shared", "overlaps"}  # keys below others: the folder of shared teachers, notes on data
OURS_WITHOUT_EFFECT = {"memory"}  # keys of prunebert's own functions that cannot change a result; a user's might
TASK_LOCATIONS = {"hub", "folder", "package", "data_dir", "train", "eval"}  # the rows' fingerprints count instead


def compute(
    config: dict[str, Any], facts: dict[str, Any], weights_hash: str, unusual: dict[str, Any] | None = None
) -> str:
    """Return the identity of a run: 32 hexadecimal digits.

    Hardware, file paths and the checkpoint's name do not count. Nor does a key whose value is the default in the
    signature of what it configures: a key that a later version adds with such a default changes no old identity.

    Args:
        config: the configuration, composed and resolved.
        facts: Task.facts(), with the fingerprints of the task's rows.
        weights_hash: hash of the checkpoint's weights.
        unusual: the values of the checkpoint's configuration that change what it computes and that its family's
            published checkpoints do not have (network/architecture.py). Without any, the weights alone count.
    """
    hashed: dict[str, Any] = {
        "science": SCIENCE,
        "method": canonical(config["method"]),
        "task": {k: v for k, v in _task(config["task"]).items() if k not in TASK_LOCATIONS},
        "data": {k: v for k, v in facts.items() if k != "source"},
        "augment": canonical(config["augment"]),
        "model": weights_hash,
        "seed": config["seed"],
    }
    hashed |= {"architecture": unusual} if unusual else {}
    hashed |= _given(config) | _scored_first(facts.get("fingerprint") or {})
    own = own_code.hashes(config)
    hashed |= {"own code": own} if own else {}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True, default=str).encode()).hexdigest()[:32]


def canonical(node: Any) -> Any:
    """Return a node of a configuration without what cannot change a result.

    Left out are a signature's defaults, the folder of shared teachers, notes on data that overlap, and how much memory
    a method of prunebert may use. A path is replaced by a hash of its content.
    """
    if isinstance(node, list):
        return [canonical(item) for item in node]
    if not isinstance(node, dict):
        return node
    target = str(node.get("_target_", ""))
    defaults = signature.defaults(target) if target else {}
    without_effect = {"_partial_", "_convert_"} | ANYWHERE_WITHOUT_EFFECT
    without_effect |= OURS_WITHOUT_EFFECT if target.startswith("prunebert.") else set()
    node = former.in_earlier_words(node) if "allocation" not in defaults else node
    return {
        key: content_hash(value) if key in PATHS and isinstance(value, str) else canonical(value)
        for key, value in node.items()
        if not (key in without_effect or (key in defaults and defaults[key] == value))
    }


def _task(node: dict[str, Any]) -> dict[str, Any]:
    """Return a task's canonical node. Where `seed_name` seeds its heads, the task's name is a label and counts not."""
    named = node | {"name": node["seed_name"]} if node.get("seed_name") else node
    task: dict[str, Any] = canonical({k: v for k, v in named.items() if k != "seed_name"})
    return task


def _given(config: dict[str, Any]) -> dict[str, Any]:
    """Return model.masks under a name of its own, because it names no path; nothing where it is null."""
    masks = (config.get("model") or {}).get("masks")
    return {"given": masks} if masks else {}


def _scored_first(splits: Any) -> dict[str, Any]:
    """Return the evaluation split that the score is of, under a name of its own; nothing where it is the first by name.

    splits: a map by split. Its order is the user's, and without this no identity depends on it.
    """
    names = [name for name in splits if name != "train"] if isinstance(splits, dict) else []
    return {"scored first": names[0]} if names and names[0] != min(names) else {}


def configuration(config: dict[str, Any]) -> Any:
    """Return what two configurations of the same run have in common.

    What loads the model is left out: directories of older versions name it as prunebert.models.load.
    """
    model = {k: v for k, v in (config.get("model") or {}).items() if k not in ("_target_", "masks")} | _given(config)
    rest = {k: v for k, v in config.items() if k not in WITHOUT_EFFECT | SOURCES}
    task = config.get("task") or {}
    return canonical(rest | {"model": model}) | {"task": _task(task)} | _scored_first(task.get("eval"))


def content_hash(path: str) -> str:
    """Return an identity for the content at `path`.

    For a finished run that is its identity. For a file, or a folder of texts and tensors, it is a hash; folders inside
    that folder do not count. Where nothing exists it is `path` itself. Raises BadInput for a damaged result.
    """
    root = artifacts.resolve_pointer(reading.home(path))
    if not (reading.is_file(root) or reading.is_folder(root)):
        return path
    if artifacts.is_finished(root) and (identity := artifacts.result(root).get("identity")):
        return str(identity)
    digest = hashlib.sha256()
    for file in sorted(root.glob("*")) if root.is_dir() else [root]:
        if file.suffix in (".txt", ".safetensors", root.suffix) and reading.is_file(file):
            digest.update(file.name.encode())
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def without_seed(facts: dict[str, Any]) -> str:
    """Return a hash of a finished run's settings and training rows, the same for all its seeds.

    Args:
        facts: the run's result. Rows that were augmented are drawn anew for every seed, so they do not count.
    """
    data = facts.get("data") or {}
    rows = None if data.get("augmented") else (data.get("fingerprint") or {}).get("train")
    text = json.dumps([_seedless(facts["settings"]), rows], sort_keys=True, default=str)
    return hashlib.sha256(text.replace(f"seed={facts['seed']}", "seed=*").encode()).hexdigest()[:32]


def _seedless(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    return {key: _seedless(value) for key, value in node.items() if key not in ("seed", "shared")}
