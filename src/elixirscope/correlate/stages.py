"""Stages: each takes a step for every slice, in order; what does not wait for each other runs at the same time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, Generic, TypeVar

R = TypeVar("R")


class Step(Generic[R]):
    """What is taken of one slice at one stage. Called, it waits for its result, or raises what it raised."""

    def __init__(self, work: Callable[[], R]) -> None:
        self._work: Callable[[], R] | None = work
        self.future: Future[R] = Future()

    def __call__(self) -> R:
        return self.future.result()

    def run(self, before: Step[Any] | None) -> None:
        """Do the work. What follows a step that failed fails as well: its stage has no state to go on with."""
        work, self._work = self._work, None
        assert work is not None
        try:
            if before is not None:
                before()
            self.future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result has it
            self.future.set_exception(error)


class Stages:
    """Has steps taken by so many threads, each once those are done that it needs and the one before at its stage; or by
    nobody else, each when it is started. Which of both makes no difference to what the steps give."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="relate") if threads > 1 else None
        self._last: dict[str, Step[Any]] = {}

    def start(self, stage: str | None, work: Callable[[], R], *needs: Step[Any], at_once: bool = False) -> Step[R]:
        """Have a step taken, which may ask for the results of those it `needs`. Those of a `stage` follow each other.
        `at_once`: here and now."""
        step = Step(work)
        before = self._last.get(stage) if stage is not None else None
        if stage is not None:
            self._last[stage] = step
        pool = self._pool
        if pool is None or at_once:
            step.run(before)
            return step
        awaited = [each.future for each in (before, *needs) if each is not None]
        left, lock = len(awaited) + 1, Lock()

        def one_less(_: Future[Any] | None) -> None:
            nonlocal left
            with lock:
                left -= 1
                ready = left == 0
            if ready:
                pool.submit(step.run, before)

        for future in awaited:
            future.add_done_callback(one_less)
        one_less(None)
        return step
