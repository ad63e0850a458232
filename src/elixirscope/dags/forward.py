"""Where a value went: the occurrences after one, through variables, calls, messages, states and ETS tables.

The search runs forward in time. Within a frame a value is known again by equality (inferred); between frames and
processes it is carried by recorded calls and messages.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Final

from elixirscope.dags.ets import WRITES, accesses, reads_after
from elixirscope.dags.occurrences import Found, payload
from elixirscope.query.busy import busy_with
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.names import mfa
from elixirscope.query.requests import requests
from elixirscope.query.row import Row

CALLBACKS: Final = 200  # callbacks that met a state, looked at for its value


class Forward:
    """The occurrences that follow from one, the earliest first."""

    def __init__(self, query: QueryCoordinator) -> None:
        self._query = query
        self._whole = True

    def follow(self, start: Found, limit: int) -> tuple[list[tuple[Found, int | None]], bool]:
        """((occurrence, number of the one it came from), …) beginning with `start`; and whether that is all."""
        found: list[tuple[Found, int | None]] = []
        pending: list[tuple[int, int, Found, int | None]] = [(start.event, 0, start, None)]
        seen, made = {self._key(start)}, 1
        while pending:
            if len(found) == limit:
                return found, False
            _, _, here, of = heapq.heappop(pending)
            found.append((here, of))
            for after in self._after(here):
                if after.event >= here.event and self._key(after) not in seen:
                    seen.add(self._key(after))
                    heapq.heappush(pending, (after.event, made, after, len(found) - 1))
                    made += 1
        return found, self._whole

    def _key(self, found: Found) -> tuple[int, str, int | None, str]:
        return found.event, found.kind, found.call, found.label

    def _after(self, here: Found) -> Iterator[Found]:
        match here.kind:
            case "sent":
                yield from self._received(here)
            case "received":
                yield from self._handled(here)
            case "returned":
                yield from self._answered(here)
            case "state":
                yield from self._met(here)
            case "stored":
                yield from self._read(here)
            case _:
                yield from self._in_frame(here)

    # Within a frame

    def _in_frame(self, here: Found) -> Iterator[Found]:
        query, values = self._query, self._query.values
        frame = query.find("calls", "call", here.call)
        if frame is None:
            return
        call = frame["call"]
        for row in query.find_all("bindings", "call", call):
            elements = values.elements(row["value"])
            if row["event"] > here.event and row["position"] is not None and row["position"] < len(elements):
                yield from here.held(elements[row["position"]], row["event"], call, "binding", row["name"])
        children = [*query.find_all("calls", "parent", call), *query.find_all("calls", "tail_of", call)]
        for child in children:
            if child["call"] > here.event:
                yield from self._passed(here, child)
        for sender in (call, *(child["call"] for child in children if child["outcome"] == "tail")):
            for message in query.find_all("messages", "sender_call", sender):
                yield from self._sent(here, message)
        for state in query.find_all("states", "call", call):
            if state["state"] > here.event and state["value"] is not None:
                label = f"state {state['version']}"
                yield from here.held(values.peek(state["value"]), state["state"], call, "state", label)
        end = frame["end_event"]
        if end is not None and end > here.event and frame["result"] is not None:
            yield from here.held(values.peek(frame["result"]), end, call, "returned", f"result of {mfa(frame)}")

    def _passed(self, here: Found, child: Row) -> Iterator[Found]:
        access = accesses(self._query, child)
        kind = "stored" if access is not None and child["function"] in WRITES else "argument"
        label = access.label if access is not None and kind == "stored" else f"argument of {mfa(child)}"
        for element in self._query.values.elements(child["args"]):
            yield from here.held(element, child["call"], child["call"], kind, label)

    def _sent(self, here: Found, message: Row) -> Iterator[Found]:
        if message["send_event"] is None or message["send_event"] <= here.event or message["value"] is None:
            return
        label = f"sent {message['kind']} {message['tag'] or ''}".rstrip()
        said = payload(self._query.values.peek(message["value"]))
        yield from here.held(said, message["send_event"], message["sender_call"], "sent", label)

    # Across frames and processes

    def _received(self, here: Found) -> Iterator[Found]:
        message = self._query.find("messages", "send_event", here.event)
        if message is None or message["receive_event"] is None or message["to_process"] is None:
            return
        label = f"received {message['kind']} {message['tag'] or ''}".rstrip()
        certain, reason = bool(message["certain"]), message["reason"]
        yield Found(
            message["receive_event"], message["to_process"], None, here.term, "received", label, certain, reason
        )

    def _handled(self, here: Found) -> Iterator[Found]:
        message = self._query.find("messages", "receive_event", here.event)
        if message is None:
            return
        handler = self._query.find("calls", "call", message["handle_call"])
        if handler is not None:
            label, certain = f"argument of {mfa(handler)}", bool(message["certain"])
            call = handler["call"]
            yield Found(call, here.process, call, here.term, "argument", label, certain, message["reason"])
        request = self._query.find("messages", "message", message["request"])
        if request is not None:
            asked = requests(self._query)
            waiting = asked.frame[asked.message == request["message"]].tolist()
            if waiting and waiting[0] >= 0:
                yield from self._in_frame(here._replace(call=waiting[0], kind="reply"))

    def _answered(self, here: Found) -> Iterator[Found]:
        """A result goes to the caller; that of a callback into its reply."""
        frame = self._query.find("calls", "call", here.call)
        if frame is None:
            return
        request = self._query.find("messages", "message", frame["message"])
        if request is not None and request["handle_call"] == frame["call"]:
            reply = self._query.find("messages", "message", request["reply"])
            if reply is not None:
                yield from self._sent(here, reply)
            return
        if frame["parent"] is not None:
            yield from self._in_frame(here._replace(call=frame["parent"], kind="result"))

    def _met(self, here: Found) -> Iterator[Found]:
        """The callbacks that met the state, as long as the value was in it."""
        query = self._query
        state = query.find("states", "state", here.event)
        if state is None:
            return
        last = state
        while True:
            after = next((row for row in query.find_all("states", "previous", last["state"])), None)
            if after is None or after["process"] != state["process"] or after["value"] is None:
                break
            if not list(here.held(query.values.peek(after["value"]), after["state"], None, "state", "")):
                break
            last = after
        until = last["until"] if last["until"] is not None else int(query.recording.info.duration_ns) + 1
        calls = busy_with(query, state["process"], state["at"], until)
        self._whole = self._whole and len(calls) <= CALLBACKS
        for call in calls[:CALLBACKS]:
            frame = query.find("calls", "call", call)
            if frame is None or frame["message"] is None or call <= here.event:
                continue
            for found in self._in_frame(here._replace(event=call, call=call, kind="kept")):
                if found.kind != "state":
                    yield found._replace(reason=f"{found.reason}, out of the state")

    def _read(self, here: Found) -> Iterator[Found]:
        """What a table gives back of what was put into it."""
        query = self._query
        written = query.find("calls", "call", here.call)
        access = accesses(query, written) if written is not None else None
        if written is None or access is None:
            return
        for row in reads_after(query, here.event, access):
            if row["result"] is not None and row["end_event"] is not None:
                term, reader = query.values.peek(row["result"]), here._replace(process=row["process"])
                yield from reader.held(term, row["end_event"], row["parent"], "read", access.label)
