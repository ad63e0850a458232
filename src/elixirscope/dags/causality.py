"""Causality DAG: happens-before. Program order within a process, and between processes what could not have been
without the other.

Slices use vector clocks rather than a walk over all events: what an event follows from is, in each process,
everything up to some event, so a slice of ten million events is one bound per process, raised along the edges
between processes only. Reference: L. Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System"
(1978); F. Mattern, "Virtual Time and Global States of Distributed Systems" (1989).
"""

from __future__ import annotations

import heapq
from functools import cached_property
from typing import ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from elixirscope.dags.base import SqlDag, Step
from elixirscope.dags.crossings import Crossings, Past
from elixirscope.dags.salient import Cause, Salient
from elixirscope.dags.temporal import TemporalDag
from elixirscope.recording.format import Kind

_EDGE_KINDS = {
    Kind.SEND: "message",
    Kind.SPAWN: "spawn",
    Kind.EXIT: "exit",
    Kind.LINK: "link",
    Kind.GETTING_LINKED: "link",
    Kind.UNLINK: "link",
}
_CAUSE_KIND = f"case c.kind {' '.join(f'when {k.value} then {v!r}' for k, v in _EDGE_KINDS.items())} else 'signal' end"


class Relation(msgspec.Struct, frozen=True):
    """`a` is before, after, concurrent with or the same as `b`. Of the events that both follow from (themselves
    included), `common_cause` is the latest and `earliest_common_cause` the first, both None when they share none.
    `chain` leads from the earlier to the later of them with as few changes of process as possible, empty when neither
    is before the other.
    """

    relation: str
    common_cause: int | None
    label: str | None
    earliest_common_cause: int | None
    earliest_label: str | None
    chain: list[Step]


class Beside(msgspec.Struct, frozen=True):
    """What one process did that neither led to an event nor came of it: so many `events`, from `first` to `last`."""

    process: int
    process_label: str
    events: int
    first: int
    last: int
    start: int  # ns
    end: int


class CausalityDag(SqlDag):
    """node = event; edge kinds `next` (program order), `message`, `spawn`, `exit`, `link`, `signal`."""

    name: ClassVar[str] = "causality"
    NODES: ClassVar[str] = TemporalDag.NODES.replace("'temporal'", "'causality'")
    EDGES: ClassVar[str] = f"""
        select 'causality' as dag, e.previous as source, e.event as target, 'next' as kind,
               true as certain, null::varchar as reason, e.at
        from raw.events e where e.previous is not null
        union all
        select 'causality', e.cause, e.event, {_CAUSE_KIND}, coalesce(m.certain, true), m.reason, e.at
        from raw.events e join raw.events c on c.event = e.cause
        left join raw.messages m on m.receive_event = e.event"""

    # Slices as one bound per process

    @cached_property
    def _process(self) -> NDArray[np.int64]:
        return self.query.column("events", "process")

    @cached_property
    def _edges(self) -> Crossings:
        return Crossings(self.query)

    def clock(self, event: int) -> NDArray[np.int64]:
        """For each process the last event that `event` follows from (itself included), -1 for none."""
        return self._edges.before(event)

    def cone(self, event: int) -> NDArray[np.int64]:
        """For each process the first event that follows from `event` (itself included), the number of events for
        none.
        """
        return self._edges.after(event)

    def past(self, event: int) -> Past:
        """All that `event` follows from, without going through it: counted, asked for and paged by process bounds."""
        return Past(self.query, event, self.clock(event))

    def slice(self, event: int) -> NDArray[np.int64]:
        """All events that `event` follows from, ascending, without itself; `past` where they are too many to hold."""
        return self.past(event).events()

    def nearest(self, event: int, limit: int) -> NDArray[np.int64]:
        """The last `limit` events that `event` follows from, the latest first, without itself."""
        previous, cause = self.query.column("events", "previous"), self.query.column("events", "cause")
        heap, seen, found = [-event], {-1, event}, list[int]()
        while heap and len(found) <= limit:
            at = -heapq.heappop(heap)
            found.append(at)
            for before in (previous.item(at), cause.item(at)):
                if before not in seen:
                    seen.add(before)
                    heapq.heappush(heap, -before)
        return np.array(found[1:], dtype=np.int64)

    def effects(self, event: int) -> NDArray[np.int64]:
        """All events that follow from `event`, ascending, without itself: its forward cone."""
        bounds = self.cone(event)
        numbers = np.arange(len(self._process), dtype=np.int64)
        found: NDArray[np.int64] = numbers[(numbers >= bounds[self._process]) & (numbers != event)]
        return found

    def before(self, a: int, b: int) -> bool:
        """Whether `a` happened before `b`: b could have been influenced by it."""
        return a != b and bool(self.clock(b)[self._process[a]] >= a)

    def concurrent(self, a: int, b: int) -> bool:
        """Whether neither could have influenced the other."""
        return a != b and not self.before(a, b) and not self.before(b, a)

    def concurrent_with(self, event: int, process: int | None = None) -> NDArray[np.int64]:
        """Events that neither influenced `event` nor were influenced by it; of one process or of all."""
        numbers = np.arange(len(self._process)) if process is None else self.query.events_of(process)
        who = self._process[numbers]
        return numbers[(numbers > self.clock(event)[who]) & (numbers < self.cone(event)[who])]

    def concurrent_spans(self, event: int) -> list[Beside]:
        """The same by process: what a process did beside an event is without a gap. Raises `NotFoundError`."""
        self.query.event(event)
        at, found = self.query.column("events", "at"), list[Beside]()
        for process, (before, after) in enumerate(
            zip(self.clock(event).tolist(), self.cone(event).tolist(), strict=True)
        ):
            mine = self.query.events_of(process)
            start, end = np.searchsorted(mine, (before + 1, after)).tolist()
            if start < end:
                first, last = int(mine[start]), int(mine[end - 1])
                label = self.labels.process(process)
                found.append(Beside(process, label, end - start, first, last, int(at[first]), int(at[last])))
        return found

    def common_cause(self, a: int, b: int) -> int | None:
        """The latest event that both `a` and `b` follow from; None when they share none."""
        shared = self._shared(a, b)
        return None if (shared < 0).all() else int(shared.max())

    def earliest_common_cause(self, a: int, b: int) -> int | None:
        """The first event that both `a` and `b` follow from, often what began it all; None when they share none."""
        firsts = [
            self.query.indexes.events_of(process)[0] for process in np.flatnonzero(self._shared(a, b) >= 0).tolist()
        ]
        return int(min(firsts)) if firsts else None

    def _shared(self, a: int, b: int) -> NDArray[np.int64]:
        """For each process the last event that both follow from, -1 for none."""
        return np.minimum(self.clock(a), self.clock(b))

    def relation(self, a: int, b: int) -> Relation:
        """How two events stand to each other. Raises `NotFoundError`."""
        for event in (a, b):
            self.query.event(event)
        word = "same" if a == b else "before" if self.before(a, b) else "after" if self.before(b, a) else "concurrent"
        causes = self.common_cause(a, b), self.earliest_common_cause(a, b)
        (latest, label), (earliest, earliest_label) = (
            (cause, None if cause is None else self.labels.event(cause)) for cause in causes
        )
        chain = self.chain(min(a, b), max(a, b)) if word in ("before", "after") else []
        return Relation(word, latest, label, earliest, earliest_label, chain)

    def chain(self, a: int, b: int) -> list[Step]:
        """The events by which `a` led to `b`, both included, with as few changes of process as possible: of what ran
        between, only where the chain enters and leaves a process. Empty unless `a` is before `b`.
        """
        ways = self._edges.way(a, b)
        if ways is None:
            return []
        steps, last = [self.step(a, "", True, None, None)], a
        for cause, effect in [*ways, (b, b)]:
            if cause != last:
                steps.append(self.step(cause, "next", True, None, last))
            if effect != cause:
                steps.append(self.cause_step(effect, self._edge(cause), cause, effect=effect))
            last = effect
        return steps

    def beside(self, event: int, others: NDArray[np.int64]) -> list[str]:
        """Of each of `others`, whether it is `before`, `after`, `concurrent` with, or the `same` as `event`."""
        who = self._process[others]
        before, after = others <= self.clock(event)[who], others >= self.cone(event)[who]
        words = np.where(before, "before", np.where(after, "after", "concurrent"))
        words = np.where(others == event, "same", words)
        return [str(word) for word in words]

    # Walks

    def backward(self, node: int, limit: int | None = None) -> list[Step]:
        """Events that `node` follows from, the nearest (latest) first."""
        return self._nearest(node, limit, backward=True)

    def forward(self, node: int, limit: int | None = None) -> list[Step]:
        """Events that follow from `node`, the nearest (earliest) first."""
        return self._nearest(node, limit, backward=False)

    def _nearest(self, node: int, limit: int | None, *, backward: bool) -> list[Step]:
        self.query.event(node)
        sign = -1 if backward else 1
        heap = [(sign * to, to, node, edge) for to, edge in self._neighbours(node, backward=backward)]
        heapq.heapify(heap)
        seen, steps = {node}, list[Step]()
        while heap and (limit is None or len(steps) < limit):
            _, found, of, edge = heapq.heappop(heap)
            if found in seen:
                continue
            seen.add(found)
            steps.append(self.cause_step(found, edge, of, effect=of if backward else found))
            for to, kind in self._neighbours(found, backward=backward):
                heapq.heappush(heap, (sign * to, to, found, kind))
        return steps

    def _neighbours(self, event: int, *, backward: bool) -> list[tuple[int, str]]:
        if backward:
            row = self.query.event(event)
            found = [(row["previous"], "next"), (row["cause"], self._edge(row["cause"]))]
            return [(to, edge) for to, edge in found if to is not None]
        effects = [(row["event"], self._edge(event)) for row in self.query.find_all("events", "cause", event)]
        mine = self.query.indexes.events_of(int(self._process[event]))
        after = int(np.searchsorted(mine, np.asarray(event, mine.dtype))) + 1
        return effects + ([(int(mine[after]), "next")] if after < len(mine) else [])

    def _edge(self, cause: int | None) -> str:
        if cause is None:
            return ""
        return _EDGE_KINDS.get(Kind(self.query.event(cause)["kind"]), "signal")

    def cause_step(self, found: int, edge: str, of: int, effect: int) -> Step:
        """The step to `found` by an edge whose later end is `effect`, with that edge's certainty."""
        certain, reason = True, None
        if edge == "message":
            message = self.query.find("messages", "receive_event", effect)
            if message is not None and not message["certain"]:
                certain, reason = False, message["reason"]
        return self.step(found, edge, certain, reason, of)

    def why(self, event: int, limit: int | None = 30) -> list[Step]:
        """The chain of causes a person wants, the nearest first: frames, messages, spawns, exceptions, exits and
        the state they
        met, without the trivial steps between them. Raises `NotFoundError` for an unknown event."""
        self.query.event(event)
        salient = self._salient
        heap: list[tuple[int, int, Cause, bool]] = []
        seen, steps = {event}, list[Step]()

        def push(of: int, with_state: bool) -> None:
            for cause in salient.causes(of):
                # One state is met on the way; following each further one would tell the whole history of the process
                if with_state or cause.edge != "state":
                    heapq.heappush(heap, (-cause.event, of, cause, with_state and cause.edge != "state"))

        push(event, True)
        while heap and (limit is None or len(steps) < limit):
            _, of, cause, with_state = heapq.heappop(heap)
            if cause.event in seen:
                continue
            seen.add(cause.event)
            steps.append(self.step(cause.event, cause.edge, cause.certain, cause.reason, of))
            push(cause.event, with_state)
        return steps

    @cached_property
    def _salient(self) -> Salient:
        return Salient(self.query, self._edge)
