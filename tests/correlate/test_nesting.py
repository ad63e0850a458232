"""Frames as the kernel finds them, in both ways, against the walk over one process after the other."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.correlate.calls import Frames
from elixirscope.kernels import Way, run
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Callee, Log, Site
from elixirscope.recording.terms import Atom
from tests.correlate.oracle import Event
from tests.correlate.test_properties import PROCESSES, log_of, streams
from tests.correlate.walked import Walk

WAYS: list[Way] = ["interpreted", "compiled"]

SITES = {
    1: Site(1, "function", "Shop", "f1", 1),
    2: Site(2, "function", "Shop", "f2", 1),
    3: Site(3, "fn", "Shop", "f1", 1),
    4: Site(4, "tail", "Shop", "f", 1, callee=Callee("Shop", "f1", 1)),
    5: Site(5, "tail", "Shop", "f", 1, callee=Callee("Enum", "map", 2)),
    6: Site(6, "tail", "Shop", "f", 1),
    7: Site(7, "tail", "Shop", "f", 1, callee=Callee("GenServer", "call", 2)),
}


@st.composite
def programs(draw: st.DrawFn) -> list[Event]:
    """What programs do: calls that nest, end by return, tail call or exception, with other events between."""
    events: list[Event] = []
    stacks: list[list[int]] = [[] for _ in range(PROCESSES)]
    for number in range(draw(st.integers(0, 60))):
        process = draw(st.sampled_from((0, 0, 0, 1, 2)))
        stack = stacks[process]
        what = draw(st.sampled_from(("call", "call", "tail", "tail", "return", "bind", "caught", "send", "exit")))
        if what == "call":
            stack.append(1000 + number)
            events.append(Event(process, Kind.CALL, 1000 + number, draw(st.integers(1, 3))))
        elif what == "send" or not stack:
            events.append(Event(process, Kind.SEND, peer=0, ref=1))
        elif what == "exit":
            events.append(Event(process, Kind.EXIT))
            stack.clear()
        elif what == "caught":
            del stack[draw(st.integers(1, len(stack))) :]
            events.append(Event(process, Kind.CAUGHT, stack[-1]))
        elif what == "bind":
            events.append(Event(process, Kind.BIND, stack[-1]))
        else:
            kind, site = (Kind.TAIL, draw(st.integers(4, 7))) if what == "tail" else (Kind.RETURN, 0)
            events.append(Event(process, kind, stack.pop(), site))
    return events


Frame = tuple[int, int, int, int, int, int]


def walked(log: Log, lossy: set[int]) -> tuple[list[Frame], dict[int, int]]:
    """Every process event by event: (event, parent, tail_of, depth, end, outcome) of each frame, and each event's."""
    walk = Walk(log, lossy)
    order = np.argsort(log.column("process"), kind="stable")
    walk.run(order, log.column("process")[order])
    event = [*walk.event, -1]  # -1 is none
    columns = ([event[n] for n in walk.parent], [event[n] for n in walk.tail_of], walk.depth, walk.end_event)
    frames = sorted(zip(walk.event, *columns, walk.outcome, strict=True))
    return frames, {at: event[n] for at, n in zip(order.tolist(), walk.of_event, strict=True)}


def found(log: Log, lossy: set[int]) -> tuple[list[Frame], dict[int, int]]:
    """The same by the kernel."""
    calls = Frames().take(log, np.isin(np.arange(len(log.processes)), list(lossy)))
    above = (calls.event_of(calls.parent), calls.event_of(calls.tail_of))
    columns = (calls.event, *above, calls.depth, calls.end_event, calls.outcome)
    frames = list(zip(*(column.tolist() for column in columns), strict=True))
    return frames, dict(enumerate(calls.event_of(calls.of_event).tolist()))


@settings(max_examples=400)
@given(
    programs() | streams(),
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 60), st.integers(0, 60)), max_size=2),
    st.sets(st.integers(0, PROCESSES - 1), max_size=1),
    st.sampled_from(WAYS),
)
def test_the_kernel_finds_what_the_walk_finds(
    events: list[Event], left_out: list[tuple[int, int, int]], lossy: set[int], way: Way
) -> None:
    log = log_of(events)
    log.sites = SITES
    for number, since, until in left_out:  # calls of this function were only counted
        site = SITES[number]
        subject = (Atom(f"Elixir.{site.module}"), Atom(site.kind), Atom(site.function), site.arity, 1)
        told = {"what": Atom("counted"), "until_unix_ns": until, "calls_per_second": 1}
        log.metas.append(told | {"calls": [(subject, 1, since)]})
    with run(way):
        assert found(log, lossy) == walked(log, lossy)


def test_deep_recursion_is_nested_too() -> None:
    depth = 500
    calls = [Event(0, Kind.CALL, 1000 + n, 1) for n in range(depth)]
    returns = [Event(0, Kind.RETURN, 1000 + n) for n in reversed(range(depth))]
    found = Frames().take(log_of(calls + returns), np.zeros(PROCESSES, dtype=bool))
    assert found.depth.tolist() == list(range(depth))
    assert found.end_event.tolist() == [2 * depth - 1 - n for n in range(depth)]
