"""The correlators once more, plainly: each definition as it reads, whatever it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from elixirscope.recording.format import Kind

CODE = (Kind.RETURN, Kind.TAIL, Kind.BIND, Kind.CAUGHT, Kind.RAISE, Kind.STATE)


class Event(NamedTuple):
    """One row of a log. The number of an event is its place; so is its time."""

    process: int
    kind: int
    frame: int = 0  # for a CALL its own name
    site: int = 0
    peer: int = -1
    ref: int = 0


def frame_of(events: Sequence[Event], event: int) -> int | None:
    """The open CALL that a code event names: the latest of its process with that name which has not ended before."""
    here = events[event]
    for call in range(event - 1, -1, -1):
        then = events[call]
        if then.kind == Kind.CALL and (then.process, then.frame) == (here.process, here.frame):
            end = end_of(events, call)
            return call if end is None or end[0] >= event else None
    return None


def end_of(events: Sequence[Event], call: int) -> tuple[int, str] | None:
    """A frame ends by its own return or tail call, by any event of a frame below it, or with its process."""
    frame = events[call]
    for at in range(call + 1, len(events)):
        event = events[at]
        if event.process != frame.process:
            continue
        if event.kind == Kind.EXIT:
            return at, "raised"
        if event.kind in CODE and event.frame:
            if event.frame == frame.frame and event.kind in (Kind.RETURN, Kind.TAIL):
                return at, "returned" if event.kind == Kind.RETURN else "tail"
            if event.frame < frame.frame:
                below = frame_of(events, at)
                if below is not None and below < call:
                    return at, "raised"
    return None


def parent_of(events: Sequence[Event], call: int) -> int | None:
    """The latest frame of the process that was entered before and has not ended."""
    for other in range(call - 1, -1, -1):
        then = events[other]
        if then.kind == Kind.CALL and then.process == events[call].process:
            end = end_of(events, other)
            if end is None or end[0] > call:
                return other
    return None


def depth_of(events: Sequence[Event], call: int) -> int:
    parent = parent_of(events, call)
    return 0 if parent is None else depth_of(events, parent) + 1


def receives_of(events: Sequence[Event]) -> dict[int, int | None]:
    """Send → receive: going through the receives in order, each takes the oldest fitting send before it."""
    found: dict[int, int | None] = {n: None for n, event in enumerate(events) if event.kind == Kind.SEND}
    for at, event in enumerate(events):
        if event.kind != Kind.RECEIVE:
            continue
        for send, taken in found.items():
            then = events[send]
            fits = (then.process, then.peer, then.ref) == (event.peer, event.process, event.ref)
            if fits and taken is None and send < at:
                found[send] = at
                break
    return found


def previous_of(events: Sequence[Event], event: int) -> int | None:
    earlier = [n for n in range(event) if events[n].process == events[event].process]
    return earlier[-1] if earlier else None


def continues_of(events: Sequence[Event], call: int, callees: dict[int, int]) -> int | None:
    """The frame whose tail call a CALL continues. `callees`: site of a tail call → site of the function it calls.

    Going back from the CALL, the first that matters is either a sign of life of a frame below (then it continues
    nothing) or a tail call out of a frame at the same depth, which counts once and only for the function it names.
    """
    depth, here = depth_of(events, call), events[call]
    for at in range(call - 1, -1, -1):
        event = events[at]
        if event.process != here.process:
            continue
        if event.kind == Kind.EXIT:
            return None
        frame = frame_of(events, at) if event.kind in CODE and event.frame else None
        if frame is None:
            continue
        if depth_of(events, frame) < depth:
            return None
        if event.kind == Kind.TAIL and depth_of(events, frame) == depth:
            between = [n for n in range(at, call) if events[n].kind == Kind.CALL and events[n].process == here.process]
            claimed = any(continues_of(events, other, callees) == frame for other in between)
            return frame if callees.get(event.site) == here.site and not claimed else None
    return None
