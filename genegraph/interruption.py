"""Ctrl-C asks training to stop, and leaves a model; a second one interrupts at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether training was asked to stop.

    Attributes:
        asked: It was; what trains looks here after every step.
    """

    def __init__(self) -> None:
        self.asked = False


class _AtOnce(BaseException):
    """A second Ctrl-C on its way out: Lightning ends the whole process on a KeyboardInterrupt."""


@contextmanager
def ctrl_c_asks() -> Iterator[StopRequest]:
    """Has Ctrl-C ask for a stop instead of interrupting; a second Ctrl-C interrupts.

    Python's own handling comes back at the end.  Where somebody else handles Ctrl-C, or ignores
    it, they still do, and so does every thread but the main one, which alone is interrupted.

    Yields:
        The request, not asked for yet.

    Raises:
        KeyboardInterrupt: At the second Ctrl-C.

    Example:
        >>> with ctrl_c_asks() as stop:
        ...     stop.asked
        False
    """
    request = StopRequest()
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield request
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if request.asked:
            raise _AtOnce
        request.asked = True
        print("\nStopping after this step; Ctrl-C again interrupts at once.", file=sys.stderr)

    signal.signal(signal.SIGINT, handle)
    try:
        yield request
    except _AtOnce:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
