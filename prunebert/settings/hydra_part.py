"""Hydra's own part of a configuration: what prunebert refuses there, and references to it before a run starts."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from prunebert.errors import BadInput


@contextmanager
def hydra_references(config: DictConfig) -> Iterator[None]:
    """Let ${hydra:…} mean the key of `config`'s own Hydra part, as in the run. Afterwards it means what it did before.

    config: with Hydra's part. It is copied, since Hydra makes the part that it refers to read-only.
    """
    instance = HydraConfig.instance()
    before = instance.cfg
    instance.set_config(copy.deepcopy(config))
    try:
        yield
    finally:
        instance.cfg = before


def refuse_unusable(config: DictConfig) -> None:
    """Raise BadInput for a setting of Hydra's that would break what prunebert writes and reads.

    config: with Hydra's part.
    """
    if (folder := config.hydra.output_subdir) is not None and not config.dry:
        raise BadInput(f"hydra.output_subdir={folder}: only null is allowed; prunebert writes .hydra")
    if config.hydra.job.chdir:
        raise BadInput(
            "hydra.job.chdir=true: only false is allowed; relative paths, as in task.train, are those of the directory "
            "where you type the command, and a run writes in its own directory anyway"
        )
