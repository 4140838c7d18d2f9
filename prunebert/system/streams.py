"""Standard output and error that never raise: not for a character, a closed pipe or a full disk.

A name may contain what the terminal's encoding lacks. A reader such as `head -1` may close the pipe, and a run must
then go on. Lost output is reported once, when the process ends.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import IO, Any, cast

from prunebert.errors import visible

REPLACED = "backslashreplace"  # "·" becomes \xb7 where the encoding lacks it


class Device(io.FileIO):
    """A file descriptor whose errors are remembered instead of raised.

    Attributes:
        failure: the first error; None as long as all was written.
    """

    failure: OSError | None = None

    def write(self, content: Any) -> int:
        """Write what can be written, and return the size of all of it."""
        rest = memoryview(content).cast("B")
        size = len(rest)
        while rest and self.failure is None:
            try:
                written = super().write(rest)
            except OSError as error:
                self.failure = error
            else:
                rest = rest[written or 0 :]
        return size


def prepare() -> None:
    """Replace sys.stdout and sys.stderr, once. Streams that somebody else has replaced are left alone.

    A closed descriptor is opened on /dev/null: otherwise the next file would get its number, and with it whatever a
    library writes to that number.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the system gives the lowest free number
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream, original = getattr(sys, name), getattr(sys, f"__{name}__")
        if stream is not original:
            continue
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8", errors=REPLACED))  # noqa: SIM115
        elif _is_on_descriptor(stream):
            stream.flush()
            device = Device(number, "w", closefd=False)
            unbuffered = isinstance(stream.buffer, io.FileIO)  # python -u
            replacement = io.TextIOWrapper(
                cast(IO[bytes], device) if unbuffered else io.BufferedWriter(device),
                encoding=stream.encoding,
                errors=REPLACED,
                line_buffering=stream.line_buffering,
                write_through=True,
            )
            setattr(sys, name, replacement)
            setattr(sys, f"__{name}__", replacement)


def finish() -> None:
    """Write what is buffered. Raises SystemExit with status 1 and prints why, if standard output could not be written.

    A reader that has closed its pipe wanted no more; that is no failure.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(ValueError):  # it was closed
                stream.flush()
    device = _device(sys.stdout)
    if device and device.failure and not isinstance(device.failure, BrokenPipeError):
        reason, device.failure = device.failure.strerror, None
        sys.stderr.write(f"prunebert: standard output cannot be written to: {visible(str(reason))}\n")
        if sys.exc_info()[1] is None or getattr(sys.exc_info()[1], "code", 1) in (0, None):
            raise SystemExit(1)


def _raw(stream: Any) -> Any:
    """Return the unbuffered stream behind a text stream; None if there is none."""
    buffer = getattr(stream, "buffer", None)
    return buffer if isinstance(buffer, io.FileIO) else getattr(buffer, "raw", None)


def _is_on_descriptor(stream: Any) -> bool:
    """Return whether a stream is one that Python itself has opened at its start."""
    return isinstance(_raw(stream), io.FileIO) and not isinstance(_raw(stream), Device)


def _device(stream: Any) -> Device | None:
    """Return the Device behind a stream, if there is one."""
    raw = _raw(stream)
    return raw if isinstance(raw, Device) else None
