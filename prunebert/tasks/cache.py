"""Cache tokenised data in datasets' own cache folder, by content, tokenizer and settings."""

from __future__ import annotations

import atexit
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from filelock import FileLock, Timeout

from prunebert.errors import BadInput
from prunebert.network import tokenizers
from prunebert.system.countdown import Countdown

log = logging.getLogger(__name__)
PLACE = ".making-"  # begins the names of folders for temporary files
VERSION = 1  # raise it when the same text is tokenised in another way


def folder() -> Path:
    """Return the folder for data that several runs can use; make it if necessary. Raises BadInput if that fails."""
    home = os.environ.get("HF_HOME", os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface"))
    default = os.path.join(os.path.expanduser(home), "datasets")  # as datasets has it, whose import takes long
    path = Path(os.environ.get("HF_DATASETS_CACHE", default)) / "prunebert"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"HF_DATASETS_CACHE={path.parent} cannot be written to: {error.strerror}") from error
    return path


def tokenised(
    table: pd.DataFrame, tokenize: Callable[[dict], dict], tokenizer: Any, settings: dict[str, Any]
) -> pa.Table:
    """Map `table` through `tokenize`, or read the result from the cache.

    Args:
        tokenize: a function from a batch of columns to a batch of columns.
        settings: whatever else decides the result; a part of the cache's key.

    The key is the table's content, `settings`, and all that decides the tokenizer's tokens (see tokenizers.definition).
    If two processes need the same tokens at once, one makes them and the other waits. A damaged file of the cache is
    made again, with a warning.

    Raises BadInput for texts that the tokenizer cannot encode, for an id that the model's embeddings lack, and for
    texts of which the vocabulary has no word.
    """
    digest = hashlib.sha256(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    definition = tokenizers.definition(tokenizer)
    digest.update(json.dumps([VERSION, definition, settings, list(table.columns)], sort_keys=True).encode())
    file = folder() / f"{digest.hexdigest()[:32]}.arrow"
    tokens = _read(file)
    if tokens is None:
        with _place_for(file) as place:
            tokens = _read(file)  # another process may have made it meanwhile
            if tokens is None:
                if file.exists():
                    log.warning("%s is damaged and is made again", file)
                log.info("tokenising %s rows, once for this data and tokenizer", f"{len(table):,}")
                with tokenizers.encoding(tokenizer), Countdown("tokenising", len(table), "rows") as countdown:
                    _map(table, _counted(tokenize, countdown), place)
                place.replace(file)
                tokens = _table(file)
    ids = {name: _flat(tokens, name) for name in ("input_ids", "token_type_ids") if name in tokens.column_names}
    tokenizers.require_known_ids(tokenizer, ids)
    if "input_ids" in ids:
        tokenizers.require_words(tokenizer, ids["input_ids"])
    return tokens


def _map(table: pd.DataFrame, tokenize: Callable[[dict], dict], file: Path) -> None:
    import datasets  # takes long, and a run on cached data does without it

    datasets.disable_progress_bars()
    source = datasets.Dataset.from_pandas(table, preserve_index=False)
    source.map(
        tokenize,
        batched=True,
        remove_columns=source.column_names,
        cache_file_name=str(file),
        new_fingerprint=file.stem,
    )


def _counted(tokenize: Callable[[dict], dict], countdown: Countdown) -> Callable[[dict], dict]:
    """Return `tokenize` with a count of the rows that it has done."""

    def tokenize_and_count(batch: dict) -> dict:
        tokens = tokenize(batch)
        countdown.advance(len(next(iter(batch.values()))))
        return tokens

    return tokenize_and_count


def _table(file: Path) -> pa.Table:
    """Return what datasets wrote, mapped into memory. Raises ArrowException and OSError for a damaged file."""
    return pa.ipc.open_stream(pa.memory_map(str(file))).read_all()


def _read(file: Path) -> pa.Table | None:
    """Return the tokens in `file`; None if it does not exist or is damaged."""
    try:
        return _table(file) if file.is_file() else None
    except (pa.ArrowException, OSError):
        return None


@contextmanager
def _place_for(file: Path) -> Iterator[Path]:
    """Yield the path at which to write what becomes `file`. Waits while another process does so.

    datasets writes into temporary files beside the path that it is given, and leaves them if the process is killed.
    The path is therefore in a folder of its own, which is removed at the end. Such folders of processes that died are
    removed, too.
    """
    folder = file.parent / f"{PLACE}{file.stem}"
    for other in file.parent.glob(f"{PLACE}*"):
        with suppress(Timeout), _locked(other, timeout=0):
            pass  # the process that made it has died, and it is removed
    with _locked(folder, timeout=-1):
        folder.mkdir(exist_ok=True)
        yield folder / file.name


@contextmanager
def _locked(folder: Path, timeout: float) -> Iterator[None]:
    """Hold the lock of a temporary folder, and remove both at the end, also where a signal ends the process.

    Raises Timeout if another process holds the lock for more than `timeout` seconds; -1 is for ever.
    """
    file = folder.parent / f"{folder.name.removeprefix(PLACE)}.lock"

    def remove() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        file.unlink(missing_ok=True)  # filelock notices it and takes another

    with FileLock(file, timeout=timeout):
        atexit.register(remove)
        try:
            yield
        finally:
            remove()
            atexit.unregister(remove)


def _flat(tokens: pa.Table, column: str) -> np.ndarray:
    """Return a column of lists as one array, without a copy where the cache file has one part."""
    return np.asarray(tokens[column].combine_chunks().flatten())
