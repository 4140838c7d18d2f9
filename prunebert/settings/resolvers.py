"""What a value of conf/ may call in `${…}`, besides Hydra's own."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from prunebert.choices import PRUNER
from prunebert.masks.pattern import sparsity_of


def _published(paper: str, *, _root_: DictConfig) -> str:
    """The prunable set of a method's paper, unless one set is asked for all methods."""
    return paper if _root_.prunable == "paper" else str(_root_.prunable)


def _by_pattern(default: float, *, _root_: DictConfig) -> float:
    """The sparsity of the method's pattern, or of its pruner's, if it has only one, and otherwise the default."""
    for key in ("method.pattern", f"{PRUNER}.pattern"):
        if found := OmegaConf.select(_root_, key, default=None):
            return sparsity_of(found, default, key)
    return default


def _pruner(*, _root_: DictConfig) -> str:
    """The option of the method inside the method; "none" if there is none. Only for a defaults list of Hydra's.

    There the root has the options that are chosen. `${method@method.pruner}` cannot be written, because of its dot.
    """
    return str(_root_.get(f"method@{PRUNER}") or "none")


def register() -> None:
    """Make the names known to OmegaConf. Doing so again changes nothing."""
    # ${when:${method.objective},kd,A,B} is A where the first two are equal, and B elsewhere.
    OmegaConf.register_new_resolver("when", lambda a, b, then, else_: then if a == b else else_, replace=True)
    OmegaConf.register_new_resolver("published", _published, replace=True)
    OmegaConf.register_new_resolver("pruner", _pruner, replace=True)
    OmegaConf.register_new_resolver("by_pattern", _by_pattern, replace=True)
