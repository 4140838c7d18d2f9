"""Refuse a run that read another masked-LM head than the checkpoint has now.

A run's identity counts the encoder's weights. Where a run reads the checkpoint's head as well (label words, task=mlm,
augment=mlm, …), its result and its checkpoints record the hash of the tensors outside the encoder, as `heads_hash`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prunebert.errors import BadInput
from prunebert.runs import artifacts, reading

KEY = "heads_hash"


def refuse_another(root: Path, heads_hash: Callable[[], str]) -> None:
    """Raise BadInput if the finished or stopped run in `root` read another head.

    heads_hash: returns the hash of the present checkpoint's heads. It is called only if the run recorded one.
    """
    recorded = _of_result(root) or _of_checkpoints(root)
    if recorded and recorded != heads_hash():
        raise BadInput(
            f"{root} holds this run on a checkpoint with the same encoder and another masked-LM head; choose another "
            "directory, or rerun=true to repeat it"
        )


def require_same(facts: dict[str, Any], heads_read: str | None, source: str) -> None:
    """Raise BadInput, beginning with `source`, if a finished run read another head than the one read now, if any."""
    recorded = facts.get(KEY)
    if recorded and heads_read and recorded != heads_read:
        raise BadInput(f"{source}: made on {facts['model']} with another masked-LM head than the checkpoint has now")


def _of_result(root: Path) -> str:
    if not artifacts.is_finished(root):
        return ""
    try:
        return str(artifacts.result(root).get(KEY) or "")
    except BadInput:  # damaged: the run is repeated
        return ""


def _of_checkpoints(root: Path) -> str:
    """Return what the run's checkpoints recorded; "" for none. The run itself warns about a damaged checkpoint."""
    from safetensors import SafetensorError, safe_open

    for file in sorted((root / artifacts.CHECKPOINT).glob("*.safetensors")):
        if not reading.is_file(file):
            continue
        try:
            with safe_open(file, "numpy") as stream:
                facts = json.loads((stream.metadata() or {}).get("facts", "{}"))
        except (SafetensorError, OSError, ValueError, RecursionError):
            continue
        if isinstance(facts, dict) and isinstance(recorded := facts.get(KEY), str):
            return recorded
    return ""
