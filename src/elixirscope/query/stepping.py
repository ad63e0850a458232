"""The next or previous event that a person wants to stop at."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from elixirscope.errors import UsageError
from elixirscope.moment import Moment
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.recording.format import Kind

STOPS: Final[dict[str, tuple[Kind, ...]]] = {
    "any": tuple(k for k in Kind if k not in (Kind.SCHEDULED_IN, Kind.SCHEDULED_OUT)),
    "call": (Kind.CALL,),
    "message": (Kind.SEND, Kind.RECEIVE),
    "state": (Kind.STATE,),
    "exception": (Kind.RAISE, Kind.CAUGHT, Kind.EXIT),
}


def step(
    query: QueryCoordinator, event: int, direction: str = "next", scope: str = "process", kind: str = "any"
) -> Moment | None:
    """The moment one step away from `event`; None at the end of the film.

    direction: next | previous; scope: process (of the event) | any; kind: a key of `STOPS`. Raises `UsageError` for
    other words, `NotFoundError` for an unknown event.
    """
    for word, allowed in ((direction, ("next", "previous")), (scope, ("process", "any")), (kind, tuple(STOPS))):
        if word not in allowed:
            raise UsageError(f"{word!r} is no way to step", f"choose one of: {', '.join(allowed)}")
    row = query.event(event)
    stops = _stops(query, kind, row["process"] if scope == "process" else None)
    number = int(np.searchsorted(stops, event, side="right" if direction == "next" else "left"))
    number -= direction == "previous"
    if not 0 <= number < len(stops):
        return None
    return moment_of(query, int(stops[number]))


def moment_of(query: QueryCoordinator, event: int) -> Moment:
    """The moment of an event."""
    row = query.event(event)
    call = event if row["kind"] == Kind.CALL else row["call"]
    return Moment(at=row["at"], process=row["process"], event=event, call=call)


@lru_cache(maxsize=64)
def _stops(query: QueryCoordinator, kind: str, process: int | None) -> NDArray[np.int64]:
    kinds = query.column("events", "kind")
    wanted = [k.value for k in STOPS[kind]]
    if process is None:
        return np.flatnonzero(np.isin(kinds, wanted)).astype(np.int64)
    mine = query.events_of(process)
    return mine[np.isin(kinds[mine], wanted)]
