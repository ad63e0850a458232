"""Stages: each takes a step for every slice, in order; what does not wait for each other runs at the same time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, Generic, TypeVar

R = TypeVar("R")


class Step(Generic[R]):
    """What is taken of one slice at one stage. Called, it waits for its result, or raises what it raised."""

    def __init__(self, work: Callable[[], R], before: Step[Any] | None) -> None:
        self._work: Callable[[], R] | None = work
        self._before = before
        self._result: Future[R] = Future()
        self._waiting: list[Callable[[], None]] | None = []
        self._lock = Lock()

    def __call__(self) -> R:
        return self._result.result()

    def run(self) -> None:
        """Do the work. What follows a step that failed fails as well: its stage has no state to go on with."""
        work, before = self._work, self._before
        self._work = self._before = None  # nothing holds on to a slice that is done
        assert work is not None
        try:
            if before is not None:
                before()
            self._result.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result has it
            self._result.set_exception(error)
        with self._lock:
            waiting, self._waiting = self._waiting or [], None
        for act in waiting:
            act()

    def then(self, act: Callable[[], None]) -> None:
        """Have something done when it is taken."""
        with self._lock:
            if self._waiting is not None:
                self._waiting.append(act)
                return
        act()


class Stages:
    """Has steps taken by so many threads, each once those are done that it needs and the one before at its stage; or by
    nobody else, each when it is started. Which of both makes no difference to what the steps give."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="relate") if threads > 1 else None
        self._last: dict[str, Step[Any]] = {}

    def start(self, stage: str | None, work: Callable[[], R], *needs: Step[Any], at_once: bool = False) -> Step[R]:
        """Have a step taken, which may ask for the results of those it `needs`. Those of a `stage` follow each other.
        `at_once`: here and now."""
        before = self._last.get(stage) if stage is not None else None
        step, pool = Step(work, before), self._pool
        if stage is not None:
            self._last[stage] = step
        if pool is None or at_once:
            step.run()
            return step
        awaited = [each for each in (before, *needs) if each is not None]
        left, lock = len(awaited) + 1, Lock()

        def one_less() -> None:
            nonlocal left
            with lock:
                left -= 1
                ready = left == 0
            if ready:
                pool.submit(step.run)

        for each in awaited:
            each.then(one_less)
        one_less()
        return step
