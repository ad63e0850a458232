"""Stops questions that nobody waits for any more: a `Cancellation` is entered around a question, and whatever may take
long asks at `checkpoint()` now and then whether to go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from elixirscope.errors import QueryError

_MESSAGE: Final = ("the question was cancelled", "ask it again")


class Cancellation:
    """Stops one question, from any thread: enter `asking` around the question, and call `cancel`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interrupts: list[Callable[[], object]] = []
        self.cancelled = False

    def cancel(self) -> None:
        """Stop the question that runs, or that would have run; it raises `QueryError`."""
        with self._lock:
            self.cancelled = True
            for interrupt in self._interrupts:
                interrupt()

    def check(self) -> None:
        """Raises `QueryError` when it was cancelled."""
        if self.cancelled:
            raise QueryError(*_MESSAGE)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Within, `checkpoint` and `interruptible` obey this one. Raises `QueryError` when it was cancelled before."""
        self.check()
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    @contextmanager
    def interrupting(self, interrupt: Callable[[], object]) -> Iterator[None]:
        """Within, `cancel` calls `interrupt`."""
        with self._lock:
            self.check()
            self._interrupts.append(interrupt)
        try:
            yield
        finally:
            with self._lock:
                self._interrupts.remove(interrupt)


_current: ContextVar[Cancellation | None] = ContextVar("cancellation", default=None)


def checkpoint() -> None:
    """Raises `QueryError` when the question that is being answered was cancelled: in loops that may take long."""
    if (current := _current.get()) is not None:
        current.check()


def current() -> Cancellation:
    """That of the question which is being answered; of its own where nobody can cancel it."""
    return _current.get() or Cancellation()
