"""Work in steps behind what is shown already: the kernel answers what comes in between two of them.

No threads of its own: the steps run on the event loop on which the work began, as the kernels of JupyterLab, Voila and
Colab have one. Where there is none, in a script or a test, the work is done at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["Behind", "few_threads"]

PAUSE = 0.01  # seconds between two steps, in which a control's message gets through the kernel
# One step at a time, of whatever explorer: JupyterLab's kernels answer controls in another thread than cells.
_ONE = threading.RLock()


@contextmanager
def few_threads() -> Iterator[None]:
    """Let torch compute on half of its threads.

    Threads that wait for one another on cores that others keep busy wait long: on two busy cores EfficientNet-Lite0
    takes seconds on two threads, and 0.1 s on one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // 2))
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Behind:
    """One piece of work at a time: a generator that does a part, of a tenth of a second or so, up to each yield.

    It must hold nothing open at a yield, no hook and no lock: cells and other explorers run in between.
    """

    def __init__(self) -> None:
        self._steps: Iterator[None] | None = None

    @property
    def pending(self) -> bool:
        """Whether work is left."""
        return self._steps is not None

    def begin(self, steps: Iterator[None]) -> None:
        """Drop what is left of the work before, do the first step now, and the others behind."""
        with _ONE:
            self.take().close()
            self._steps = steps
            self._advance()
            if self._steps is steps:
                self._later(steps)

    def take(self) -> Iterator[None]:
        """Return what is left of the work, to be done as part of another, and forget it here."""
        with _ONE:
            rest, self._steps = self._steps, None
            return rest if rest is not None else _nothing()

    def finish(self) -> None:
        """Do now what is left."""
        with _ONE:
            while self.pending:
                self._advance()

    def _later(self, steps: Iterator[None]) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # nothing would ever come back to it
            self.finish()
        else:
            loop.call_later(PAUSE, self._continue, steps)

    def _continue(self, steps: Iterator[None]) -> None:
        with _ONE:
            if self._steps is steps:  # not dropped, nor done, in the meantime
                self._advance()
                if self._steps is steps:
                    self._later(steps)

    def _advance(self) -> None:
        steps = self._steps
        try:
            with few_threads():
                next(steps)
        except BaseException as end:
            self._steps = None
            if not isinstance(end, StopIteration):
                raise


def _nothing() -> Iterator[None]:
    yield from ()
