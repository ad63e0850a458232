"""Where a value came from, once more and plainly: each rule of `docs/dags.md` as it reads, over lists of all rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from elixirscope.film import Film
from elixirscope.recording import etf
from elixirscope.recording.terms import Atom, ElixirMap

COMMON = [0, 1, b"", [], {}, ()]


class Place(NamedTuple):
    """A value at an event, in a frame; `exact`: an equal value was there, not one that contains it."""

    event: int
    call: int | None
    process: int
    kind: str
    term: Any
    exact: bool = True
    name: str | None = None


class Chains:
    """Follows values back through a small recording."""

    def __init__(self, film: Film) -> None:
        self.film = film
        self.calls, self.states, self.messages, self.bindings = (
            film.table(name).to_pylist() for name in ("calls", "states", "messages", "bindings")
        )

    def of_binding(self, row: dict[str, Any]) -> list[tuple[int, str]]:
        """(event, kind) of each occurrence of what was bound to a variable, the latest first."""
        bound = self.term(row["value"])[row["position"]]
        here: Place | None = Place(row["event"], row["call"], row["process"], "binding", bound, name=row["name"])
        found = list[tuple[int, str]]()
        while here is not None:
            found.append((here.event, here.kind))
            here = self.before(here)
        return found

    def term(self, value: int | None) -> Any:
        return None if value is None else self.film.recording.term(value)

    def row(self, rows: list[dict[str, Any]], column: str, key: int | None) -> dict[str, Any] | None:
        return next((row for row in rows if key is not None and row[column] == key), None)

    def before(self, here: Place) -> Place | None:
        """The occurrence before one."""
        if here.kind in ("received", "reply"):
            message = self.row(self.messages, "receive_event", here.event)
            if message is None or message["send_event"] is None:
                return None
            call = message["sender_call"]
            if message["kind"] == "reply" and (asked := self.row(self.messages, "message", message["request"])):
                call = asked["handle_call"]
            return Place(message["send_event"], call, message["from_process"], "sent", here.term)
        if here.kind == "argument":
            frame = self.row(self.calls, "call", here.call)
            assert frame is not None
            message = self.row(self.messages, "message", frame["message"])
            if message is not None and message["receive_event"] is not None:
                return Place(message["receive_event"], None, here.process, "received", here.term, name=here.name)
            for column in ("tail_of", "parent", "remote_parent"):
                if caller := self.row(self.calls, "call", frame[column]):
                    return self.in_frame(here._replace(call=caller["call"], process=caller["process"]))
            return None
        if here.kind == "state":
            versions = [row for row in self.states if row["process"] == here.process and row["state"] <= here.event]
            first = versions.pop()
            while versions and holds(self.term(versions[-1]["value"]), here.term, None) is not None:
                first = versions.pop()
            if first["state"] != here.event:
                return Place(first["state"], first["call"], here.process, "state", here.term)
            return self.in_frame(here._replace(call=first["call"])) if first["call"] is not None else None
        return self.in_frame(here)

    def in_frame(self, here: Place) -> Place | None:
        """The latest of the equal values in the frame; else the latest of those that contain it. Of what was called
        without being recorded inside (and is no ETS table: here are none) nothing is known."""
        if any(row["call"] == here.call and row["external"] for row in self.calls):
            return None
        found = list(self.candidates(here))
        exact = [place for place in found if place.exact]
        return max(reversed(exact or found), key=lambda place: place.event, default=None)

    def candidates(self, here: Place) -> Iterator[Place]:
        frame = self.row(self.calls, "call", here.call)
        if frame is None:
            return

        def held(term: Any, event: int, call: int | None, kind: str, name: str | None) -> Iterator[Place]:
            if (how := holds(term, here.term, here.name)) is not None:
                yield Place(event, call, here.process, kind, how[1], how[0], name)

        for row in self.bindings:
            if row["call"] == here.call and row["event"] < here.event:
                yield from held(
                    self.term(row["value"])[row["position"]], row["event"], here.call, "binding", row["name"]
                )
        asking = [here.call]
        for child in self.calls:
            if child["parent"] == here.call:
                end = child["end_event"]
                if end is not None and end < here.event and child["result"] is not None:
                    yield from held(self.term(child["result"]), end, child["call"], "result", here.name)
                if child["outcome"] == "tail" and child["call"] < here.event:
                    asking.append(child["call"])
        for message in self.messages:
            if message["sender_call"] in asking and message["reply"] is not None:
                reply = self.row(self.messages, "message", message["reply"])
                assert reply is not None
                if reply["receive_event"] is not None and reply["receive_event"] < here.event:
                    answer = self.term(reply["value"])[1]  # of {tag, answer}
                    yield from held(answer, reply["receive_event"], here.call, "reply", here.name)
        if here.event > frame["call"]:
            for argument in self.term(frame["args"]) or ():
                yield from held(argument, frame["call"], frame["call"], "argument", here.name)
            known = [r for r in self.states if r["process"] == frame["process"] and r["state"] < frame["call"]]
            if frame["message"] is not None and known:
                state = known[-1]
                yield from held(self.term(state["value"]), state["state"], state["call"], "state", here.name)


def holds(term: Any, wanted: Any, name: str | None) -> tuple[bool, Any] | None:
    """(whether `term` is the value, what to follow from there); None when it does not have it."""
    if same(term, wanted):
        return True, wanted
    if isinstance(wanted, Atom) or any(same(wanted, common) for common in COMMON):  # says nothing but by its name
        fields = [part for part in inside(term) if isinstance(part, (dict, ElixirMap)) and name is not None]
        owners = [p for p in fields if any(str(key) == name and same(value, wanted) for key, value in p.items())]
        return (False, owners[0]) if owners else None
    return (False, wanted) if any(same(part, wanted) for part in inside(term)) else None


def same(one: Any, other: Any) -> bool:
    return etf.encode(one) == etf.encode(other)


def inside(term: Any) -> Iterator[Any]:
    """A term and all of its parts."""
    yield term
    parts = term if isinstance(term, (list, tuple)) else ()
    if isinstance(term, (dict, ElixirMap)):
        parts = [part for pair in term.items() for part in pair]
    for part in parts:
        yield from inside(part)
