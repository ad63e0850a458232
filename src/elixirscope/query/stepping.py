"""The next or previous event that a person wants to stop at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elixirscope.errors import UsageError
from elixirscope.moment import Moment
from elixirscope.query import density
from elixirscope.query.cancellation import checkpoint
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.grouping import PART
from elixirscope.recording.format import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

STOPS: Final = ("any", "call", "message", "state", "exception")
_UNSEEN: Final = (Kind.SCHEDULED_IN, Kind.SCHEDULED_OUT)
_KINDS: Final[dict[str, tuple[Kind, ...]]] = {
    "any": tuple(kind for kind in Kind if kind not in _UNSEEN),
    "call": (Kind.CALL,),
    "message": (Kind.SEND, Kind.RECEIVE),
    "exception": (Kind.RAISE, Kind.CAUGHT),
}
_FIRST_LOOK: Final = 1 << 10  # events; each further look is twice as far


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
    process = row["process"] if scope == "process" else None
    found = _beside(query, event, kind, process, forward=direction == "next")
    return None if found is None else moment_of(query, found)


def moment_of(query: QueryCoordinator, event: int) -> Moment:
    """The moment of an event."""
    row = query.event(event)
    call = event if row["kind"] == Kind.CALL else row["call"]
    return Moment(at=row["at"], process=row["process"], event=event, call=call)


def _beside(query: QueryCoordinator, event: int, kind: str, process: int | None, *, forward: bool) -> int | None:
    """The nearest event to stop at, of one process or of all. A state is a new version; an exception is also the exit
    of a process that crashed."""
    if kind == "state":
        states = query.column("states", "state") if process is None else density.events_of(query, "states", process)
        return _neighbour(states, event, forward=forward)
    found = [_of_kind(query, event, _KINDS[kind], process, forward=forward)]
    if kind == "exception":
        exits = query.column("processes", "exit_event")
        ended = density.crashed(query) & (exits != -1)
        if process is not None:
            ended &= query.column("processes", "process") == process
        found.append(_neighbour(np.sort(exits[ended]), event, forward=forward))
    known = [number for number in found if number is not None]
    return (min(known) if forward else max(known)) if known else None


def _neighbour(ascending: NDArray[Any], event: int, *, forward: bool) -> int | None:
    """The next or previous of some events."""
    side = "right" if forward else "left"
    place = int(np.searchsorted(ascending, np.asarray(event, ascending.dtype), side=side)) - (not forward)  # type: ignore[call-overload]
    return int(ascending[place]) if 0 <= place < len(ascending) else None


def _of_kind(
    query: QueryCoordinator, event: int, wanted: tuple[Kind, ...], process: int | None, *, forward: bool
) -> int | None:
    """The nearest event of some kinds, looked for further and further away."""
    kinds, chosen = query.column("events", "kind"), np.isin(np.arange(256), [kind.value for kind in wanted])
    mine = None if process is None else query.indexes.events_of(process)
    length = len(kinds) if mine is None else len(mine)
    if mine is None:
        place = event + forward
    else:
        side = "right" if forward else "left"
        place = int(np.searchsorted(mine, np.asarray(event, mine.dtype), side=side))  # type: ignore[call-overload]
    look = _FIRST_LOOK
    while (place < length) if forward else place > 0:
        checkpoint()
        part = slice(place, min(place + look, length)) if forward else slice(max(place - look, 0), place)
        hits = np.flatnonzero(chosen[kinds[part if mine is None else mine[part]]])
        if len(hits):
            at = part.start + int(hits[0 if forward else -1])
            return at if mine is None else int(mine[at])
        place, look = (part.stop if forward else part.start), min(2 * look, PART)
    return None
