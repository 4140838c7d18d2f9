"""How many tokens a checkpoint reads, from its config.json alone. This module imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunebert.network.checkpoint import CONFIG, Place, local
from prunebert.system import packaged

KEYS = ("max_position_embeddings", "n_positions")
AFTER_PADDING = (
    "roberta",
    "xlm-roberta",
    "camembert",
    "mpnet",
)  # families that count positions from behind the padding token's
PADDING = 1  # pad_token_id of these families where config.json has none


def longest(checkpoint: Mapping[str, Any], moved: str | None = None) -> int | None:
    """Return the most tokens of a text that a run's checkpoint reads; None if no file that lies here says so.

    Args:
        checkpoint: of a run's result: the arguments of models.load.
        moved: the checkpoint's folder or hub id now, if it has moved.

    Raises BadInput if the package is missing, or if the folder has no configuration that can be read.
    """
    package = None if moved else checkpoint.get("package")
    if package:
        folder = packaged.folder(**{key: value for key, value in package.items() if key != "model"})
        place: Place | None = Place(str(checkpoint["name"]), str(folder), "main")
    else:
        name = Path(moved or str(checkpoint["name"]))
        if name.is_absolute() and not name.is_dir():
            return None  # the loader names the run that needs it
        place = local(moved or str(checkpoint["name"]))
    values = place.json(CONFIG) if place else None
    found = next((values[key] for key in KEYS if key in values), None) if values else None
    if values is None or type(found) is not int:
        return None
    if values.get("model_type") not in AFTER_PADDING:
        return found
    padding = values.get("pad_token_id", PADDING)
    return found - padding - 1 if type(padding) is int else None
