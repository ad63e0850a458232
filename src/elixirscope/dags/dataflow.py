"""Data flow DAG: where values occur, and how each came there.

`flow` follows one value back from occurrence to occurrence, within a frame by equality, and between frames and
processes along recorded
calls and messages. A hop is `certain` when the recording itself carried the value across; it is inferred, with the
reason, where only an
equal value was found. Every chain ends in a named terminator.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from elixirscope.dags.base import SqlDag
from elixirscope.dags.forward import CALLBACKS, Forward
from elixirscope.dags.occurrences import Found, Occurrences, payload
from elixirscope.errors import NotFoundError
from elixirscope.query.row import Row
from elixirscope.query.values import Value
from elixirscope.recording.format import Kind

_HOPS = 60
_PLACES = 200
SLOTS = 256


class Hop(msgspec.Struct, frozen=True):
    """One occurrence of the value. `certain` tells about the way from here to the hop before (the later one)."""

    event: int
    at: int
    process: int
    kind: str  # here | binding | argument | result | returned | received | sent | reply | state | stored | read | value
    label: str
    value: Value | None
    certain: bool
    reason: str | None
    of: int | None = None  # the hop it came from, forwards; backwards it is the hop before


class Flow(msgspec.Struct, frozen=True):
    """Where a value was, the nearest first, and what its history ends in."""

    hops: list[Hop]
    terminator: str


class DataflowDag(SqlDag):
    """node = event × 256 + slot: slot 0 is the event's whole value, slot k its k-th element (variables bound together).

    Edge kinds: `carried` (send → receive), `handled` (receive → arguments of the callback), `derived` (within a frame),
    `answered` (a callback's result → its reply), `kept` (a callback's result → the state), `updated` (state → next
    state).
    """

    name: ClassVar[str] = "dataflow"
    NODES: ClassVar[str] = """
        select 'dataflow' as dag, c.call * 256 as node, 'arguments' as kind, c.process, c.start as at,
               c.module || '.' || c.function || '/' || c.arity as label
        from raw.calls c where c.args is not null
        union all
        select 'dataflow', c.end_event * 256, 'result', c.process, c."end",
               c.module || '.' || c.function || '/' || c.arity
        from raw.calls c where c.result is not null and c.end_event is not null
        union all
        select 'dataflow', b.event * 256 + b.position + 1, 'binding', b.process, b.at, b.name from raw.bindings b
        union all
        select 'dataflow', m.send_event * 256, 'sent', m.from_process, m.sent_at, m.tag
        from raw.messages m where m.send_event is not null
        union all
        select 'dataflow', m.receive_event * 256, 'received', m.to_process, m.received_at, m.tag
        from raw.messages m where m.receive_event is not null
        union all
        select 'dataflow', s.state * 256, 'state', s.process, s.at, 'state ' || s.version from raw.states s"""
    EDGES: ClassVar[str] = """
        select 'dataflow' as dag, m.send_event * 256 as source, m.receive_event * 256 as target, 'carried' as kind,
               m.certain, m.reason, m.received_at as at
        from raw.messages m where m.send_event is not null and m.receive_event is not null
        union all
        select 'dataflow', m.receive_event * 256, m.handle_call * 256, 'handled', m.certain, m.reason, m.handled_at
        from raw.messages m join raw.calls c on c.call = m.handle_call
        where m.receive_event is not null and c.args is not null
        union all
        select 'dataflow', c.call * 256, b.event * 256 + b.position + 1, 'derived', false,
        'bound in the frame with these arguments', b.at
        from raw.bindings b join raw.calls c on c.call = b.call where c.args is not null
        union all
        select 'dataflow', c.call * 256, c.end_event * 256, 'derived', false, 'result of these arguments', c."end"
        from raw.calls c where c.args is not null and c.result is not null and c.end_event is not null
        union all
        select 'dataflow', c.end_event * 256, r.send_event * 256, 'answered', false,
        'the reply is part of the result', r.sent_at
        from raw.messages m join raw.messages r on r.message = m.reply join raw.calls c on c.call = m.handle_call
        where c.result is not null and c.end_event is not null and r.send_event is not null
        union all
        select 'dataflow', c.end_event * 256, s.state * 256, 'kept', false, 'the state is part of the result', s.at
        from raw.states s join raw.calls c on c.call = s.call where c.result is not null and c.end_event is not null
        union all
        select 'dataflow', s.previous * 256, s.state * 256, 'updated', false, 'the state before', s.at
        from raw.states s where s.previous is not null"""

    def event_of(self, node: int) -> int | None:
        """The event of an occurrence."""
        return node // SLOTS

    def flow(self, event: int, name: str | None = None) -> Flow:
        """The history of a value: of the variable `name` as known at `event`, or of the event's own value.

        Raises `NotFoundError` when no such variable is bound there, or the event carries no value.
        """
        start = self._named(event, name) if name is not None else self._own(event)
        hops = [self._hop(start)]
        search, here = Occurrences(self.query), start
        while len(hops) < _HOPS:
            found, terminator = search.before(here)
            if found is None:
                return Flow(hops, terminator)
            hops.append(self._hop(found))
            here = found
        return Flow(hops, f"not followed further than {_HOPS} hops")

    def forwards(self, event: int, name: str | None = None, limit: int = _PLACES) -> Flow:
        """Where a value went, in order of time: a tree, each hop with the hop `of` which it came. As `flow` otherwise;
        at most `limit` hops, and the terminator says when there is more.
        """
        start = self._named(event, name) if name is not None else self._own(event)
        if start.kind == "here" and Kind(self.query.event(event)["kind"]) is Kind.RETURN:
            start = start._replace(kind="returned")
        found, whole = Forward(self.query).follow(start._replace(event=max(event, start.event)), limit)
        hops = [msgspec.structs.replace(self._hop(place), of=of) for place, of in found]
        if whole:
            return Flow(hops, "it goes no further in what was recorded")
        if len(hops) < limit:
            return Flow(hops, f"not followed into all that met it in a state: the first {CALLBACKS} callbacks were")
        return Flow(hops, f"not followed beyond {limit} places")

    def flow_of_value(self, value: int, limit: int = 200) -> Flow:
        """Every event that carries exactly this recorded value, the latest first."""
        events = self.query.indexes.seek("events", "value", value).tolist()
        if not events:
            raise NotFoundError(f"no event carries value {value}", "value ids are in the columns *_id of the views")
        term = self.query.values.term(value)
        hops = list[Hop]()
        for event in reversed(events[-limit:]):
            row = self.query.event(event)
            found = Found(
                event, row["process"], row["call"], term, "value", self.labels.event(event), False, "equal value"
            )
            hops.append(self._hop(found))
        cut = f"the first of the last {limit} occurrences" if len(events) > limit else "first seen here"
        return Flow(hops, cut)

    def forwards_of_value(self, value: int, limit: int = _PLACES) -> Flow:
        """Where a recorded value went from the first event that carries it. As `forwards` otherwise."""
        events = self.query.indexes.seek("events", "value", value)
        if not len(events):
            raise NotFoundError(f"no event carries value {value}", "value ids are in the columns *_id of the views")
        return self.forwards(int(events[0]), limit=limit)

    def _named(self, event: int, name: str) -> Found:
        search = Occurrences(self.query)
        found = search.variable(event, name)
        if found is None:
            raise NotFoundError(
                f"no variable {name!r} is known at e{event}", "the view bindings lists what was bound where"
            )
        return found

    def _own(self, event: int) -> Found:
        row = self.query.event(event)
        if row["value"] is None:
            raise NotFoundError(
                f"e{event} carries no value", "choose an argument, a binding, a result, a message or a state"
            )
        term = self.query.values.term(row["value"])
        kind = Kind(row["kind"])
        if kind in (Kind.SEND, Kind.RECEIVE):
            term = payload(term)
        elif kind in (Kind.CALL, Kind.BIND) and isinstance(term, tuple) and len(term) == 1:
            term = term[0]
        call = event if kind is Kind.CALL else row["call"]
        if kind is Kind.SEND and call is None:
            message = self.query.find("messages", "send_event", event)
            call = message["sender_call"] if message else None
        origin = {Kind.SEND: "sent", Kind.RECEIVE: "received", Kind.STATE: "state", Kind.CALL: "argument"}.get(
            kind, "here"
        )
        return Found(event, row["process"], call, term, origin, self.labels.event(event), True, None)

    def _hop(self, found: Found) -> Hop:
        at = self.query.event(found.event)["at"]
        value = self.query.values.of_term(found.term)
        return Hop(found.event, at, found.process, found.kind, found.label, value, found.certain, found.reason)

    def named_values(self, event: int) -> list[Row]:
        """The variables known at an event: name, term, event, line; the latest binding of each."""
        return Occurrences(self.query).variables(event)
