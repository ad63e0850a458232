"""Where a bad value came from: back through results, arguments, messages and states to the expression that made it.

A value is recognised in the smallest container around it that is unmistakable: a lone `nil` proves nothing, but
`%PromoCode{campaign: "SPRING", percent: nil}` seen in a state, then in a reply, then in an argument is one thing on its
way. Where a frame made that container itself, the search goes on inside it for the bare value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from elixirscope.insight.around import literal, prepared, written_in
from elixirscope.insight.bound import bound_unseen, first_holding, last_unseen, value_of
from elixirscope.insight.changes import VERSIONS
from elixirscope.insight.changes import told as changed
from elixirscope.insight.findings import Evidence, Location
from elixirscope.insight.history import History
from elixirscope.insight.lookups import Missing, missing
from elixirscope.insight.sightings import Sighting, answers, ingredients, left_by, sightings
from elixirscope.insight.stores import last_write
from elixirscope.insight.values import (
    Key,
    Path,
    answered,
    argument_list,
    at,
    contains,
    distinctive,
    incomplete,
    leaves,
    outermost,
    path_text,
    paths,
    requested,
    same,
    short,
)
from elixirscope.query.row import Row

HOPS = 64
"""Steps after which a chain ends as "too long to follow"."""

INFERRED = 0.85
"""What a step that was reasoned, not seen, leaves of the confidence."""


@dataclass
class Origin:
    """The way back. `steps` run from the bad value's use to where it was made; `terminator` names how it ended."""

    value: Any
    steps: list[Evidence] = field(default_factory=list)
    location: Location | None = None
    maker: Row | None = None  # the frame at the end of the chain
    made: bool = False  # by an expression of that frame
    terminator: str = "not recorded"
    confidence: float = 1.0
    missing: Missing | None = None  # the key that was not there, where the value came of that


class Tracer:
    """Follows one value back."""

    def __init__(self, history: History, value: Any) -> None:
        self.history = history
        self.value = value
        self.needle = value
        self.origin = Origin(value)
        self.hint: str | None = None  # the parameter that held the bare value, to choose among equal ones
        self.callee: Row | None = None  # what the frame that is looked in next had called with the value
        self.seen: set[tuple[int, int]] = set()
        self.given: list[tuple[Row, int]] = []  # frames that had the value as an argument, and the steps before each

    def trace(self, frame: Row, before: int) -> Origin:
        """Where `value`, in use in `frame` just before event `before`, came from."""
        for _ in range(HOPS):
            if (frame["call"], before) in self.seen:
                return self.origin
            self.seen.add((frame["call"], before))
            wide = self.needle
            if self.callee is not None and (line := literal(self.history, frame, self.callee, self.value)) is not None:
                self.origin.made = True
                self._end(frame, before, "was made here: it stands in the source", line)
                return self.origin
            if (answerer := bound_unseen(self.history, frame, before, self.needle)) is not None:
                self._gave(answerer, before)
                return self.origin
            sighting = self._find(frame, before)
            unseen = sighting is None or self.needle is not wide
            if unseen and (around := self._closed_over(frame, wide)) is not None:
                self.needle = wide
                frame, before = around, int(frame["call"])
                continue
            if sighting is None and self._computed(frame, before):
                self.seen.discard((frame["call"], before))
                continue
            if sighting is None:
                self._made_here(frame, before)
                return self.origin
            self._widen(sighting)
            following = self._follow(frame, sighting)
            if following is None:
                return self.origin
            self.callee = (
                frame if sighting.kind == "arguments" and following[0]["process"] == frame["process"] else None
            )
            frame, before = following
        self.origin.terminator = "too long to follow"
        return self.origin

    # Seeing

    def _find(self, frame: Row, before: int) -> Sighting | None:
        """The latest place the frame had the value from; narrows to the bare value where the frame made the rest."""
        while True:
            for sighting in sightings(self.history, frame, before):
                if contains(sighting.term, self.needle) and not self._coincides(sighting, frame, before):
                    return sighting
            if self.needle is self.value:
                return None
            self.needle = self.value

    def _coincides(self, sighting: Sighting, frame: Row, before: int) -> bool:
        """Whether a `nil` somewhere in a state says nothing, for the frame itself has a variable that is just that."""
        if sighting.kind != "state" or distinctive(self.needle):
            return False
        bound = first_holding(self.history, frame, before, self.value)
        return bound is not None and same(value_of(self.history, bound), self.needle)

    def _closed_over(self, frame: Row, needle: Any) -> Row | None:
        """The frame that made an anonymous function and holds the value: what it closes over is not recorded."""
        around = written_in(self.history, frame) if self.history.is_fn(frame) else None
        if around is None:
            return None
        before = int(frame["call"])
        given = sightings(self.history, around, before)
        sure = distinctive(needle)  # an answer that happens to hold a 2 says nothing
        seen = any(contains(each.term, needle) for each in given if sure or each.kind in ("arguments", "state"))
        if not seen and first_holding(self.history, around, before, needle) is None:
            return None
        name = self.history.name(around)
        self._step(before, f"{self.history.shown(frame)} has {short(self.value)} from {name} around it", before)
        self.origin.confidence *= INFERRED
        return around

    def _computed(self, frame: Row, before: int) -> bool:
        """Whether a float was computed of the only other one that the frame was given, to be followed instead.

        A float makes floats of all that it is computed with; of several nobody can say which.
        """
        if not isinstance(self.value, float) or first_holding(self.history, frame, before, self.value) is not None:
            return False
        given = {
            value
            for sighting in sightings(self.history, frame, before)
            for value in leaves((sighting.term,))
            if isinstance(value, float)
        }
        if len(given) != 1:
            return False
        [source] = given
        self._step(
            before, f"{self.history.name(frame)} computed {short(self.value)} with {short(source)}", frame["call"]
        )
        self.value = self.needle = self.origin.value = source
        self.origin.confidence *= INFERRED
        return True

    def _widen(self, sighting: Sighting) -> None:
        """Take the smallest unmistakable container around the value, so that it is recognised further back."""
        if distinctive(self.needle):
            return
        places = [path for path in paths(sighting.term, self.needle) if path]
        named = [path for path in places if isinstance(path[-1], Key) and path[-1].key == self.hint]
        places = named or places
        if len(places) > 1:
            self.origin.confidence *= INFERRED
        self.hint = self._parameter(sighting, places) or self.hint
        for path in places[:1]:
            for length in range(len(path) - 1, 0, -1):
                container = at(sighting.term, path[:length])
                if distinctive(container) and not argument_list(container):
                    self.needle = container
                    return

    def _parameter(self, sighting: Sighting, places: list[Path]) -> str | None:
        """The name of the parameter that is the bare value."""
        site = self.history.site(sighting.row["site"]) if sighting.kind == "arguments" else None
        for path in places[:1]:
            if site and len(path) == 1 and isinstance(path[0], int) and path[0] < len(site["vars"] or ()):
                return str(site["vars"][path[0]])
        return None

    # Following

    def _follow(self, frame: Row, sighting: Sighting) -> tuple[Row, int] | None:
        """The frame to look in next and before which event; None where the chain ends (and is told)."""
        if sighting.kind == "result":
            return self._into_result(sighting)
        if sighting.kind == "reply":
            return self._into_reply(sighting)
        if sighting.kind == "state":
            return self._into_state(sighting)
        if sighting.kind == "message":
            return self._into_message(sighting.row, sighting.event)
        return self._to_caller(frame)

    def _into_result(self, sighting: Sighting) -> tuple[Row, int] | None:
        call = sighting.row
        self._step(sighting.event, f"{self.history.shown(call)} returned {short(sighting.term)}", call["call"])
        if call["external"]:
            asked = [call, *filter(None, [self.history.call(call["tail_of"])])]
            for answer in answers(self.history, asked, sighting.event):
                if contains(answer.term, self.needle):
                    return self._into_reply(answer)
            if (write := last_write(self.history, call)) is not None:
                return self._from_store(write)
            self._end(call, sighting.event, "came from code that is not recorded")
            return None
        return call, sighting.event

    def _from_store(self, write: Row) -> tuple[Row, int] | None:
        """Into who had written what was read from a table, or from the environment."""
        writer = self.history.call(write["parent"])
        if writer is None or not contains(self.history.term(write["args"]), self.value):
            self._end(write, int(write["call"]), "was written by code that is not recorded")
            return None
        label = self.history.label(write["process"])
        event = int(write["end_event"] or write["call"])
        self._step(event, f"{label} had written it: {self.history.shown(write)}", write["call"])
        self.needle = self.value
        return writer, int(write["call"])

    def _into_reply(self, sighting: Sighting) -> tuple[Row, int] | None:
        reply = sighting.row
        label = self.history.label(reply["from_process"])
        receiver = self.history.label(reply["to_process"])
        self._step(sighting.event, f"{label} answered {receiver} with {short(answered(sighting.term))}")
        self._trust(reply)
        request = self.history.message(reply["request"])
        handler = self.history.call(reply["sender_call"]) or self.history.call(
            request["handle_call"] if request else None
        )
        if handler is None:
            return self._from_unrecorded(reply, sighting.event)
        return handler, reply["send_event"] or sighting.event

    def _into_message(self, message: Row, event: int) -> tuple[Row, int] | None:
        """Into who sent a message that the frame took out of its mailbox."""
        sender, receiver = self.history.label(message["from_process"]), self.history.label(message["to_process"])
        sent = short(answered(self.history.term(message["value"])))
        told = f"{sender} answered {receiver} with {sent}" if message["kind"] == "reply" else f"{sender} sent {sent}"
        self._step(message["send_event"] or event, told)
        self._trust(message)
        sending = self.history.call(message["sender_call"])
        return (sending, int(message["send_event"] or event)) if sending else self._from_unrecorded(message, event)

    def _from_unrecorded(self, message: Row, event: int) -> tuple[Row, int] | None:
        """Code that is not recorded sent a message: on in what its process kept, or had just been given."""
        for sighting in left_by(self.history, message["from_process"], int(message["send_event"] or event)):
            if contains(sighting.term, self.needle):
                self.origin.confidence *= INFERRED
                return self._follow(sighting.row, sighting)
        label = self.history.label(message["from_process"])
        self.origin.terminator = f"arrived in a message from {label}, whose code is not recorded"
        return None

    def _into_state(self, sighting: Sighting) -> tuple[Row, int] | None:
        """Back to the version that brought the value in."""
        newest = sighting.row
        first = newest
        earlier = self.history.states_before(newest["process"], newest["state"] + 1)
        for state in islice(earlier, VERSIONS):
            if state["value"] != first["value"] and not contains(self.history.term(state["value"]), self.needle):
                break
            first = state
        path = outermost(self.history.term(first["value"]), self.needle)
        label = self.history.label(first["process"])
        where = f"its state{' at ' + path_text(path) if path else ''}"
        self._step(first["state"], f"{label} kept {short(self.needle)} in {where} (version {first['version']})")
        callback = self.history.call(first["call"])
        if callback is None:
            self.origin.terminator = f"in the first recorded state of {label}"
            return None
        return callback, int(first["state"])

    def _to_caller(self, frame: Row) -> tuple[Row, int] | None:
        history = self.history
        caller = history.call(frame["tail_of"]) or history.call(frame["parent"])
        if caller is not None:
            self.given.append((frame, len(self.origin.steps)))
            self._step(frame["call"], f"{self.history.name(caller)} called {history.shown(frame)}", frame["call"])
            return caller, int(frame["call"])
        message = history.message(frame["message"])
        if message is not None:
            sender, receiver = history.label(message["from_process"]), history.label(message["to_process"])
            event = message["send_event"] or message["message"]
            self._step(event, f"{sender} sent {short(requested(self.history.term(message['value'])))} to {receiver}")
            self._trust(message)
            sending = history.call(message["sender_call"])
            return (sending, int(event)) if sending else self._from_unrecorded(message, int(event))
        asking = history.call(frame["remote_parent"])
        if asking is not None:
            self._step(frame["call"], f"{history.name(asking)} started {history.shown(frame)}", frame["call"])
            self.origin.confidence *= INFERRED
            return asking, int(frame["call"])
        if (setup := prepared(history, frame, self.needle)) is not None:
            self._step(
                setup["end_event"],
                f"{history.name(setup)} gave {short(self.value)} to {history.name(frame)}",
                setup["call"],
            )
            self.origin.confidence *= INFERRED
            return setup, int(setup["end_event"])
        self._end(frame, frame["call"], "was given from outside the recorded code")
        return None

    # Telling

    def _made_here(self, frame: Row, before: int) -> None:
        """Nothing the frame was given holds the value: an expression of this frame made it."""
        bound = first_holding(self.history, frame, before, self.value)
        if any(incomplete(sighting.term) for sighting in sightings(self.history, frame, before)):
            self._cut_off(frame, before, bound)
            return
        unseen = last_unseen(self.history, frame, before, self.value) if bound is None else None
        if (found := missing(self.history, unseen or frame, self.value, bound["line"] if bound else None)) is not None:
            self._missing(found, before)
            return
        if unseen is not None:
            self._returned_unseen(unseen)
            return
        line = bound["line"] if bound else self.history.event_line(before) if self._belongs(before, frame) else None
        line = line or self._returned_on(frame)
        self.origin.made = True
        unless = ""
        if self.history.is_fn(frame) and bound is None:
            self.origin.confidence *= INFERRED
            unless = ", unless it closes over it"
        self._end(frame, before, f"was made here: nothing that the function was given contains it{unless}", line)
        if isinstance(self.value, int | float | bytes) and not isinstance(self.value, bool):
            for sighting, text in ingredients(self.history, frame, before):
                self._step(sighting.event, text)

    def _gave(self, answerer: Row, before: int) -> None:
        """A variable was bound to the value when this call had ended, which nobody saw."""
        if (found := missing(self.history, answerer, self.value)) is not None:
            self._missing(found, before)
        else:
            self._returned_unseen(answerer)

    def _returned_unseen(self, answerer: Row) -> None:
        self.origin.confidence *= INFERRED
        into = self.history.goes_on_in(answerer)
        self._end(answerer, int(answerer["end_event"]), f"may be what {into} gave it to return, which is not recorded")

    def _missing(self, found: Missing, before: int) -> None:
        """A key was missing: on to who had last taken it out of the state, if that is where it was sought."""
        reader, lookup = found.reader, found.lookup
        self.origin.made, self.origin.missing = True, found
        event = int(reader["end_event"]) if reader["outcome"] != "raised" and reader["end_event"] < before else before
        self._end(reader, event, f"is what {lookup.text} gives: {lookup.told()}", lookup.line)
        if found.change is not None:
            self.origin.steps.append(changed(self.history, found.change))
        if found.remover is not None:
            self.origin.maker, self.origin.location = found.remover, self.history.place(found.remover)

    def _cut_off(self, frame: Row, before: int, bound: Row | None) -> None:
        """Nothing that was kept of what the frame was given holds the value, but not all of it was kept."""
        self.origin.confidence *= INFERRED
        if bound is None and (found := self._given_to(frame)) is not None:
            callee, steps, way = found
            del self.origin.steps[steps:]
            place = self.history.clause(callee).line
            self._end(callee, int(callee["call"]), f"came with its arguments{way}, of whose own a part was cut", place)
            return
        line = bound["line"] if bound else None
        self._end(frame, before, "is first seen here, and may be of what was cut from its arguments", line)

    def _given_to(self, frame: Row) -> tuple[Row, int, str] | None:
        """What `frame` gave the value to, as an argument, and how that is told; by way of code that macros wrote, the
        function behind it that a person did."""
        name = self.history.name(frame)
        if self.history.written(frame):
            callee, steps = self.given[-1] if self.given else (frame, 0)
            direct = frame["call"] in (callee["parent"], callee["tail_of"])
            return (callee, steps, f" from {name}") if direct else None
        for callee, steps in reversed(self.given):
            if self.history.written(callee):
                return callee, steps, f" through code that macros wrote, from {name}"
        return None

    def _returned_on(self, frame: Row) -> int | None:
        """The line on which the frame returned the value."""
        if frame["outcome"] != "returned" or frame["result"] is None:
            return None
        made = contains(self.history.term(frame["result"]), self.value)
        return self.history.event_line(frame["end_event"]) or None if made else None

    def _belongs(self, event: int, frame: Row) -> bool:
        row = self.history.event(event)
        return row is not None and row["call"] == frame["call"]

    def _end(self, frame: Row, event: int, terminator: str, line: int | None = None) -> None:
        self.origin.maker = frame
        self.origin.location = self.history.place(frame, line)
        self.origin.terminator = terminator
        place = self.origin.location
        where = f" ({self.history.spot(place)})" if place.file else ""
        if self.origin.steps and self.origin.steps[-1].moment.event == event:
            self.origin.steps.pop()  # "it returned so", which this says too
        self._step(event, f"{self.history.shown(frame)}{where}: {short(self.value)} {terminator}", frame["call"])

    def _step(self, event: int, text: str, call: int | None = None) -> None:
        frame = self.history.call(call)
        if frame is not None and not frame["external"] and not self.history.written(frame):
            return  # a macro's own way from function to function tells a person nothing
        self.origin.steps.append(self.history.evidence(event, text, call=call))

    def _trust(self, message: Row) -> None:
        if not message["certain"]:
            self.origin.confidence *= INFERRED
