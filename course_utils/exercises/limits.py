"""A time limit for an answer: an endless loop ends in a sentence."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["TookTooLong", "time_limit"]


class TookTooLong(BaseException):
    """The block ran longer than it may; no Exception, so that `except Exception` in it does not stop it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise in a block that runs too long, and leave signals and timers as they were.

    It needs the signal of a timer, which Windows does not have, and which Python gives to the main thread alone (a
    Jupyter kernel runs cells there). Elsewhere there is no limit.

    Args:
        seconds: how long the block may run.

    Raises:
        TookTooLong: it ran longer; raised again each second, should the block catch it.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    running = True

    def stop(number: int, frame: object) -> None:
        if running:
            raise TookTooLong(f"still running after {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    began = time.monotonic()
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        try:
            yield
        finally:
            running = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:  # somebody else's alarm, by now nearer
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 1e-3), interval)
