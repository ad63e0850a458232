"""The next or previous event that a person wants to stop at."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from elixirscope.errors import UsageError
from elixirscope.moment import Moment
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.recording.format import Kind

STOPS: Final = ("any", "call", "message", "state", "exception")
_UNSEEN: Final = (Kind.SCHEDULED_IN, Kind.SCHEDULED_OUT)
_KINDS: Final[dict[str, tuple[Kind, ...]]] = {
    "any": tuple(kind for kind in Kind if kind not in _UNSEEN),
    "call": (Kind.CALL,),
    "message": (Kind.SEND, Kind.RECEIVE),
    "exception": (Kind.RAISE, Kind.CAUGHT),
}


def step(
    query: QueryCoordinator, event: int, direction: str = "next", scope: str = "process", kind: str = "any"
) -> Moment | None:
    """The moment one step away from `event`; None at the end of the film.

    direction: next | previous; scope: process (of the event) | any; kind: one of `STOPS`. Raises `UsageError` for
    other words, `NotFoundError` for an unknown event.
    """
    for word, allowed in ((direction, ("next", "previous")), (scope, ("process", "any")), (kind, STOPS)):
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


def _stops(query: QueryCoordinator, kind: str, process: int | None) -> NDArray[np.int64]:
    """The events to stop at, ascending, of one process or of all."""
    stops = query.memo(("stops", kind), lambda: _all_stops(query, kind))
    return stops if process is None else stops[query.column("events", "process")[stops] == process]


def _all_stops(query: QueryCoordinator, kind: str) -> NDArray[np.int64]:
    """A state is a new version; an exception is also the exit of a process that crashed."""
    if kind == "state":
        return np.unique(query.column("states", "state"))
    found = np.flatnonzero(np.isin(query.column("events", "kind"), [k.value for k in _KINDS[kind]]))
    if kind == "exception":
        crashed = [
            p["exit_event"] for p in query.processes if p["exit_kind"] == "crash" and p["exit_event"] is not None
        ]
        found = np.concatenate([found, np.array(crashed, dtype=np.int64)])
    return np.unique(found).astype(np.int64)
