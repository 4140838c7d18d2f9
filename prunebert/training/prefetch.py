"""Ahead: on a GPU the next batches are made and pinned by a thread while the device computes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator

import torch

from prunebert.network.interface import Batch

DEPTH = 4  # batches that wait


def ahead(batches: Iterator[Batch], device: torch.device) -> Generator[Batch, None, None]:
    """The same batches in the same order. To be closed by whoever does not take them all."""
    if device.type == "cuda":
        yield from by_thread(batches, Batch.pinned)
    else:
        yield from batches


def by_thread(batches: Iterator[Batch], prepare: Callable[[Batch], Batch]) -> Generator[Batch, None, None]:
    """What `prepare` makes of each, done in a thread up to DEPTH batches early. Raises what making them raised."""
    ready: queue.Queue[Batch | BaseException | None] = queue.Queue(DEPTH)
    over = threading.Event()

    def put(item: Batch | BaseException | None) -> None:
        while not over.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def make() -> None:
        try:
            for batch in batches:
                put(prepare(batch))
                if over.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001  told to whoever waits for the batch
            put(error)

    thread = threading.Thread(target=make, name="batches", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        over.set()
        thread.join()
