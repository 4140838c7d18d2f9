"""Load a data set of the hub or of its cache, and say in one line what there is in place of what was asked for."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebert.errors import BadInput, did_you_mean
from prunebert.system import hub
from prunebert.tasks.files import listed

if TYPE_CHECKING:
    from datasets import Dataset

MAIN = "main"  # the revision that the hub serves if none is named
COMMIT = re.compile(r"[0-9a-f]{40}")
log = logging.getLogger(__name__)


def load(path: str, config: str | None, revision: str, key: str) -> dict[str, Dataset]:
    """Return the splits of a data set by name.

    Args:
        path, config, revision: its name, configuration and revision on the hub. Without `config` it has only one.
        key: begins the keys of these settings, for messages: "task" or "task.hub".

    Raises:
        BadInput: there is no such configuration or revision, or the data set needs code of its own.
        OSError, ValueError: it cannot be loaded for another reason (see hub.explained).
    """
    online = hub.prepare()
    import datasets

    datasets.disable_progress_bars()
    named = {} if revision == MAIN else {"revision": revision}
    with _listed(path, config, revision, key, online):
        loaded: dict[str, Dataset] = datasets.load_dataset(path, config, **named)
        if named:
            _refuse_another_commit(commit_of(next(iter(loaded.values()))), path, revision, key, online)
        if config is None and not online:
            _refuse_one_of_several(next(iter(loaded.values())), path, key)
    return loaded


def commit_of(split: Dataset) -> str | None:
    """Return the commit of the data set that a split was read from, or None if its cache does not tell."""
    folder = _folder(split)
    return folder.name if folder and COMMIT.fullmatch(folder.name) else None


def evaluation_splits(
    loaded: dict[str, Dataset], eval: dict[str, str] | None, path: str, tuning: bool
) -> dict[str, str]:
    """Return {name here: split} of the evaluation splits: the given ones, or else "validation", or else "test".

    The result is empty if there is neither: a part of the training rows is then held out. A warning says so if the
    scores are those of "test".

    Args:
        tuning: whether training rows replace the evaluation data.
    """
    if eval is not None:
        return eval
    found = next((split for split in ("validation", "test") if split in loaded), None)
    if found == "test" and not tuning:
        log.warning(
            "%s has no split validation, so task.eval=test: if settings are chosen by these scores, they are not "
            "held-out scores (task.tuning_holdout=0.1 scores on training rows)",
            path,
        )
    return {found: found} if found else {}


@contextmanager
def _listed(path: str, config: str | None, revision: str, key: str, online: bool) -> Iterator[None]:
    """Turn the errors of datasets into a line that lists what there is."""
    import datasets

    try:
        yield
    except datasets.exceptions.DatasetNotFoundError as error:
        if not str(error).startswith("Revision "):
            raise
        names = _revisions(path)
        raise BadInput(
            f"{key}.revision={revision}: {path} has no such revision; it has {listed(names)}, and commits"
            f"{did_you_mean(revision, names)}"
        ) from error
    except datasets.exceptions.DatasetBuildError as error:
        raise BadInput(f"{key}.path={path}: cannot be read ({_first_line(error.__cause__ or error)})") from error
    except ValueError as error:
        names = datasets.get_dataset_config_names(path, revision=revision) if online else []
        if config in names or not names:
            raise
        wrong = (
            "has several configurations; choose one of them" if config is None else "has no such configuration; it has"
        )
        value = "null" if config is None else config
        raise BadInput(f"{key}.config={value}: {path} {wrong}: {listed(names)}{did_you_mean(value, names)}") from error
    except RuntimeError as error:
        if "scripts are no longer supported" not in str(error):
            raise
        raise BadInput(
            f"{key}.path={path}: is read by code of its own, which the library datasets does not run; try the hub's "
            f"own copy of it, {key}.revision=refs/convert/parquet, or save it as a file (task=file)"
        ) from error


def _refuse_another_commit(found: str | None, path: str, revision: str, key: str, online: bool) -> None:
    """Raise BadInput if the rows are not known to be those of a revision: the cache serves any that it has."""
    wanted = revision
    if not COMMIT.fullmatch(revision) and online:
        from huggingface_hub import HfApi

        wanted = str(HfApi(endpoint=hub.endpoint()).dataset_info(path, revision=revision).sha)
    if found != wanted:
        raise BadInput(
            f"{key}.revision={revision}: the hub {hub.endpoint()} does not answer, and the cache has {path} of the "
            f"commit {found}; name that commit, or try again with the hub"
        )


def _refuse_one_of_several(split: Dataset, path: str, key: str) -> None:
    """Raise BadInput if the cache has several configurations, of which it serves the latest."""
    folder = _folder(split)
    names = sorted(p.name for p in folder.parents[2].iterdir() if p.is_dir()) if folder else []
    if len(names) > 1:
        raise BadInput(
            f"{key}.config=null: the cache has several configurations of {path}; choose one: {listed(names)}"
        )


def _revisions(path: str) -> list[str]:
    from huggingface_hub import HfApi

    refs = HfApi(endpoint=hub.endpoint()).list_repo_refs(path, repo_type="dataset")
    return [ref.name for ref in (*refs.branches, *refs.tags)]


def _folder(split: Dataset) -> Path | None:
    """Return the folder of the cache that a split was read from: NAME/CONFIGURATION/VERSION/COMMIT."""
    files = getattr(split, "cache_files", None)
    return Path(files[0]["filename"]).parent if files else None


def _first_line(error: BaseException) -> Any:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
