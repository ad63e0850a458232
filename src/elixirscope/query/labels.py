"""What a person calls an event, a frame, a process: one short line each."""

from __future__ import annotations

import msgspec

from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.guests import callback_of
from elixirscope.query.names import mfa
from elixirscope.query.row import Row
from elixirscope.query.values import Value
from elixirscope.recording.format import Kind

_SHORT = 80


class EventRow(msgspec.Struct, frozen=True):
    """One event as the views show it."""

    event: int
    at: int
    process: int
    kind: str
    label: str
    module: str | None
    function: str | None
    arity: int | None
    file: str | None
    line: int | None
    call: int | None
    peer: int | None
    value: Value | None


class Labels:
    """Labels of one recording's events, frames and processes."""

    def __init__(self, query: QueryCoordinator) -> None:
        self._query = query

    def process(self, process: int | None) -> str:
        """What a person calls the process."""
        row = self._query.process_row(process)
        return "unknown process" if row is None else str(row["label"] or row["pid"])

    def call(self, call: int | None) -> str:
        """The function of a frame."""
        return mfa(self._query.find("calls", "call", call))

    def row(self, event: int) -> EventRow:
        """The event with its place in the code and its value."""
        row = self._query.event(event)
        kind = Kind(row["kind"])
        call = event if kind is Kind.CALL else row["call"]
        site = self._query.find("sites", "site", row["site"])
        frame = self._query.find("calls", "call", call)
        place = frame or site or {}
        return EventRow(
            event,
            row["at"],
            row["process"],
            kind.name.lower(),
            self.event(event),
            place.get("module"),
            place.get("function"),
            place.get("arity"),
            site["file"] if site else None,
            site["line"] if site else None,
            call,
            row["peer"],
            self._query.values.value(row["value"]),
        )

    def event(self, event: int) -> str:
        """What happened, in a few words."""
        row = self._query.event(event)
        kind = Kind(row["kind"])
        text = self._query.values.text(row["value"], _SHORT)
        match kind:
            case Kind.CALL:
                return self._called(event, row)
            case Kind.RETURN:
                return f"{self.call(row['call'])} returns" + (f" {text}" if text else "")
            case Kind.TAIL:
                site = self._query.find("sites", "site", row["site"])
                callee = f" {site['callee']}" if site and site["callee"] else " a tail call"
                return f"{self.call(row['call'])} continues as{callee}"
            case Kind.BIND:
                return self._bound(event)
            case Kind.RAISE | Kind.CAUGHT | Kind.EXIT:
                return self._failed(event, kind, text)
            case Kind.STATE:
                return self._state(event)
            case Kind.SEND | Kind.RECEIVE:
                return self._message(event, row, kind, text)
            case Kind.SPAWN:
                return f"spawns {self.process(row['peer'])}"
            case Kind.SPAWNED:
                return "begins" if row["peer"] is None else f"begins, spawned by {self.process(row['peer'])}"
            case Kind.REGISTER | Kind.UNREGISTER:
                return f"{'registers as' if kind is Kind.REGISTER else 'gives up the name'} {text}"
            case Kind.LINK | Kind.GETTING_LINKED:
                return f"links with {self.process(row['peer'])}"
            case Kind.UNLINK | Kind.GETTING_UNLINKED:
                return f"unlinks from {self.process(row['peer'])}"
            case Kind.TEST_START | Kind.TEST_END:
                return self._test(event, kind)
            case _:
                return kind.name.lower().replace("_", " ") + (f" {text}" if text else "")

    def _called(self, event: int, row: Row) -> str:
        frame = self._query.find("calls", "call", event)
        return "calls unknown code" if frame is None else f"calls {mfa(frame)}"

    def _bound(self, event: int) -> str:
        rows = self._query.find_all("bindings", "event", event)
        texts = self._query.values
        named = [f"{r['name']} = {texts.element_text(r['value'], r['position'], 40) or '?'}" for r in rows[:4]]
        return ", ".join(named) or "binds"

    def _failed(self, event: int, kind: Kind, text: str | None) -> str:
        for column in ("event", "exit_event", "caught_event"):
            shown = self._query.find("exceptions", column, event)
            if shown is not None:
                what = ": ".join(part for part in (shown["type"], shown["text"]) if part)
                verb = {Kind.RAISE: "raises", Kind.CAUGHT: "catches"}.get(kind, "exits on")
                return f"{verb} {what[: 2 * _SHORT]}"
        return f"{ {Kind.RAISE: 'raises', Kind.CAUGHT: 'catches'}.get(kind, 'exits') }: {text}"

    def _state(self, event: int) -> str:
        state = self._query.find("states", "state", event)
        if state is None:
            return "state unchanged"
        callback = callback_of(self._query, state)[1]
        after = f" after {callback}" if callback else ""
        return f"state {state['version']}{after}"

    def _message(self, event: int, row: Row, kind: Kind, text: str | None) -> str:
        send = kind is Kind.SEND
        message = self._query.find("messages", "send_event" if send else "receive_event", event)
        what = text
        other = self.process(row["peer"]) if row["peer"] is not None else ""
        if message is not None:
            what = f"{message['kind']} {message['tag'] or text or ''}".strip()
            number = message["to_process"] if send else message["from_process"]
            other = self.process(number) if number is not None else str(message["to_name"] or "") if send else ""
        if send:
            return f"sends {what} to {other or 'nobody'}"
        return f"receives {what}" + (f" from {other}" if other else "")

    def _test(self, event: int, kind: Kind) -> str:
        test = self._query.find("tests", "event", event)
        if test is None:
            return "test ends" if kind is Kind.TEST_END else "test begins"
        return f"test {'begins' if kind is Kind.TEST_START else test['result']}: {test['name']}"
