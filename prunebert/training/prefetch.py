"""On a GPU, a thread makes and pins the next batches while the device computes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator

import torch

from prunebert.network.interface import Batch

DEPTH = 4  # batches that a thread makes in advance


def prefetch(batches: Iterator[Batch], device: torch.device) -> Generator[Batch, None, None]:
    """Yield the same batches in the same order. A caller that does not take them all must close the generator."""
    if device.type == "cuda":
        yield from prepare_in_thread(batches, Batch.pinned)
    else:
        yield from batches


def prepare_in_thread(batches: Iterator[Batch], prepare: Callable[[Batch], Batch]) -> Generator[Batch, None, None]:
    """Yield `prepare(batch)` of each batch. A thread makes up to DEPTH of them in advance.

    Raises what making a batch raised in the thread.
    """
    prepared: queue.Queue[Batch | BaseException | None] = queue.Queue(DEPTH)  # an exception or None is the last item
    closed = threading.Event()

    def enqueue(item: Batch | BaseException | None) -> None:
        while not closed.is_set():
            try:
                return prepared.put(item, timeout=0.1)
            except queue.Full:
                continue

    def make() -> None:
        try:
            for batch in batches:
                enqueue(prepare(batch))
                if closed.is_set():
                    return
            enqueue(None)
        except BaseException as error:  # noqa: BLE001  raised again in the consumer
            enqueue(error)

    thread = threading.Thread(target=make, name="batches", daemon=True)
    thread.start()
    try:
        while (item := prepared.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        closed.set()
        thread.join()
