"""Let references such as ${hydra:runtime.choices.method} be read before Hydra starts a run."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig


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
