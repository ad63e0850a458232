"""Where a value was before: the search behind `DataflowDag.flow`, one hop at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from elixirscope.dags.code import CodeDag
from elixirscope.dags.ets import writes_before
from elixirscope.query.cancellation import checkpoint
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.equality import pairs, same
from elixirscope.query.names import mfa
from elixirscope.query.row import Row
from elixirscope.query.values import parts
from elixirscope.recording.terms import Atom

_AT_ONCE = 4_096  # terms inside a value, between two chances to be cancelled
_COMMON: tuple[Any, ...] = (0, 1, b"", [], {}, ())


class Found(NamedTuple):
    """An occurrence of a value: at an event, in a frame (None outside recorded code)."""

    event: int
    process: int
    call: int | None
    term: Any
    kind: str
    label: str
    certain: bool
    reason: str | None
    name: str | None = None  # the variable that had it, while that is known

    def held(self, term: Any, event: int, call: int | None, kind: str, label: str) -> Iterator[Found]:
        """The occurrence before this one, if `term` holds this value; a field of it leads on to the whole."""
        how = _holds(term, self.term, self.name)
        if how is not None:
            reason, followed = how
            name = label if kind == "binding" else self.name
            yield Found(event, self.process, call, followed, kind, label, False, reason, name)


class Occurrences:
    """One step back from an occurrence of a value: its nearest earlier occurrence, or why there is none."""

    def __init__(self, query: QueryCoordinator) -> None:
        self._query = query
        self._code = CodeDag(query)

    def before(self, here: Found) -> tuple[Found | None, str]:
        """(the hop before `here`, "") or (None, terminator)."""
        match here.kind:
            case "received" | "reply":
                return self._sent(here)
            case "argument":
                return self._passed(here)
            case "state":
                return self._kept(here)
        return self._in_frame(here)

    # Within a frame

    def _in_frame(self, here: Found) -> tuple[Found | None, str]:
        """The latest earlier place in the same frame that holds an equal value; one that merely contains it comes
        second.
        """
        frame = self._query.find("calls", "call", here.call)
        if frame is None:
            return None, "not recorded: outside instrumented code"
        if frame["external"]:
            return self._stored(frame, here)
        candidates = sorted(self._candidates(frame, here), key=lambda found: (not _contains_only(found), found.event))
        if candidates:
            return candidates[-1], ""
        file, line = self._code.place(frame["call"], here.event)
        place = f" ({file}:{line})" if file and line else ""
        return None, f"made here: a literal or a computation in {mfa(frame)}{place}"

    def _stored(self, frame: Row, here: Found) -> tuple[Found | None, str]:
        """What a watched call gave back: of an ETS table, what was last written there with the value in it."""
        for write in writes_before(self._query, frame):
            for element in self._query.values.elements(write["args"]):
                putter = here._replace(process=write["process"])
                label = f"stored by {mfa(write)}"
                for found in putter.held(element, write["call"], write["parent"], "stored", label):
                    return found, ""
        return None, f"not recorded: {mfa(frame)} gave it back, and its inside was not recorded"

    def _candidates(self, frame: Row, here: Found) -> Iterator[Found]:
        """Everything recorded of the frame before `here` that holds its value."""
        texts, call = self._query.values, frame["call"]
        for row in self._query.find_all("bindings", "call", call):
            elements = texts.elements(row["value"])
            if row["event"] < here.event and row["position"] is not None and row["position"] < len(elements):
                yield from here.held(elements[row["position"]], row["event"], call, "binding", row["name"])
        for child in self._query.find_all("calls", "parent", call):
            end = child["end_event"]
            if end is not None and end < here.event and child["result"] is not None:
                label = f"result of {mfa(child)}"
                yield from here.held(texts.peek(child["result"]), end, child["call"], "result", label)
            if child["outcome"] == "tail" and child["call"] < here.event:
                # Its result came by way of code that is not recorded, such as GenServer.call in tail position
                yield from self._replies(child["call"], here)
        yield from self._replies(call, here)
        if here.event > call:
            for element in texts.elements(frame["args"]):
                yield from here.held(element, call, call, "argument", f"argument of {mfa(frame)}")
            state = self._state_before(frame)
            if frame["message"] is not None and state is not None and state["value"] is not None:
                label = f"state {state['version']}"
                yield from here.held(texts.peek(state["value"]), state["state"], state["call"], "state", label)

    def _replies(self, call: int, here: Found) -> Iterator[Found]:
        """Answers that a frame got before `here`."""
        for message in self._query.find_all("messages", "sender_call", call):
            reply = self._query.find("messages", "message", message["reply"])
            if reply is None or reply["receive_event"] is None or reply["value"] is None:
                continue
            if reply["receive_event"] < here.event:
                answer = payload(self._query.values.peek(reply["value"]))
                label = f"reply to {message['tag'] or 'the call'}"
                yield from here.held(answer, reply["receive_event"], here.call, "reply", label)

    def _state_before(self, frame: Row) -> Row | None:
        return next(iter(self._query.find_before("states", "process", frame["process"], "state", frame["call"])), None)

    # Across frames and processes

    def _passed(self, here: Found) -> tuple[Found | None, str]:
        """An argument comes from the message that a callback handles, or from the caller."""
        frame = self._query.find("calls", "call", here.call)
        if frame is None:
            return None, "not recorded: outside instrumented code"
        message = self._query.find("messages", "message", frame["message"])
        if message is not None and message["receive_event"] is not None:
            label = f"received {message['kind']} {message['tag'] or ''}".rstrip()
            certain, reason = message["certain"], message["reason"]
            event = message["receive_event"]
            return Found(event, here.process, None, here.term, "received", label, certain, reason, here.name), ""
        for column, label in (("tail_of", "tail-called by"), ("parent", "called by"), ("remote_parent", "asked by")):
            caller = self._query.find("calls", "call", frame[column])
            if caller is not None:
                inside = here._replace(process=caller["process"], call=caller["call"], kind="passed")
                found, terminator = self._in_frame(inside)
                if found is not None:
                    return found, ""
                return None, terminator.replace("made here", f"made by its caller ({label} {mfa(caller)})")
        return None, f"input: an argument of {mfa(frame)}, whose caller was not recorded"

    def _sent(self, here: Found) -> tuple[Found | None, str]:
        """A received value comes from the send; a reply from the callback that made it."""
        message = self._query.find("messages", "receive_event", here.event)
        if message is None or message["send_event"] is None:
            return None, "input: a message whose sending was not recorded"
        call = message["sender_call"]
        if message["kind"] == "reply":
            request = self._query.find("messages", "message", message["request"])
            call = request["handle_call"] if request is not None else call
        label = f"sent {message['kind']} {message['tag'] or ''}".rstrip()
        sender = message["from_process"] if message["from_process"] is not None else here.process
        found = Found(
            message["send_event"], sender, call, here.term, "sent", label, message["certain"], message["reason"]
        )
        return found, ""

    def _kept(self, here: Found) -> tuple[Found | None, str]:
        """A value in a state comes from the callback that first put it there."""
        row = self._query.find("states", "state", here.event)
        first = row
        while row is not None:
            before = self._query.find("states", "state", row["previous"])
            if before is None or before["value"] is None or before["process"] != here.process:
                break
            if _holds(self._query.values.peek(before["value"]), here.term, None) is None:
                break
            row = first = before
        if first is not None and first["state"] != here.event:
            label = f"state {first['version']}, the first with it"
            return Found(first["state"], here.process, first["call"], here.term, "state", label, True, None), ""
        if first is None or first["call"] is None:
            return None, "not recorded: the state was made outside recorded callbacks"
        return self._in_frame(here._replace(call=first["call"], kind="kept"))

    # Variables

    def variables(self, event: int) -> list[Row]:
        """Variables of the innermost frame as known at `event`: name, term, event, line, value, position and the
        binding before.
        """
        frame = self._code.innermost(event)
        if frame is None:
            return []
        known: dict[str, Row] = {}
        for row in self._parameters(frame):
            known[row["name"]] = row
        for row in self._query.find_all("bindings", "call", frame["call"]):
            elements = self._query.values.elements(row["value"])
            if row["event"] <= event and row["position"] is not None and row["position"] < len(elements):
                name = row["name"]
                known[name] = {**row, "term": elements[row["position"]], "before": known.get(name)}
        return list(known.values())

    def _parameters(self, frame: Row) -> Iterator[Row]:
        """Plain parameters with their arguments. A callback's arguments are recorded without its state, the last
        one.
        """
        site = self._query.find("sites", "site", frame["site"])
        elements = self._query.values.elements(frame["args"])
        names = (site["vars"] or []) if site is not None and not frame["external"] else []
        if site is None or len(elements) > len(names):
            return
        for name, term in zip(names, elements, strict=False):
            if name:
                yield {
                    "name": name,
                    "term": term,
                    "event": frame["call"],
                    "at": frame["start"],
                    "line": site["line"],
                    "before": None,
                }

    def variable(self, event: int, name: str) -> Found | None:
        """The variable `name` as known at `event`."""
        frame = self._code.innermost(event)
        for row in self.variables(event):
            if row["name"] == name and frame is not None:
                kind = "argument" if row["event"] == frame["call"] else "binding"
                return Found(row["event"], frame["process"], frame["call"], row["term"], kind, name, True, None, name)
        return None


def payload(message: Any) -> Any:
    """What a message says, without the envelope of calls, casts and replies."""
    if isinstance(message, tuple) and message:
        if message[0] == "$gen_call" and len(message) == 3:
            return message[2]
        if message[0] == "$gen_cast" and len(message) == 2:
            return message[1]
        if len(message) == 2 and (not isinstance(message[0], (Atom, bytes, int, float, str))):
            return message[1]
    return message


def _contains_only(found: Found) -> bool:
    return found.reason is not None and not found.reason.startswith("equal")


def _holds(term: Any, wanted: Any, name: str | None) -> tuple[str, Any] | None:
    """(how `term` holds `wanted`, the value to follow from there), or None.

    A common value says nothing by being inside another one, unless it is the field of the variable's own name: then the
    thing that has this field is what came from before.
    """
    if same(term, wanted):
        return ("equal value, but a common one" if _common(wanted) else "equal value"), wanted
    if _common(wanted) and name is None:
        return None
    stack, looked = [term], 0
    while stack:
        looked += 1
        if looked % _AT_ONCE == 0:
            checkpoint()
        part = stack.pop()
        if _common(wanted):
            if any(str(key) == name and same(value, wanted) for key, value in pairs(part) or ()):
                return f"its field {name}", part
        elif part is not term and type(part) is type(wanted) and same(part, wanted):
            return "part of a value", wanted
        stack.extend(parts(part))
    return None


def _common(term: Any) -> bool:
    """Values so frequent that finding an equal one says little."""
    return isinstance(term, Atom) or any(same(term, common) for common in _COMMON)
