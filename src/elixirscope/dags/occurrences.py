"""Where a value was before: the search behind `DataflowDag.flow`, one hop at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from elixirscope.dags.code import CodeDag
from elixirscope.dags.diff import same
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.labels import mfa
from elixirscope.query.values import parts
from elixirscope.recording.terms import Atom

_LOOK = 20_000  # terms looked at inside one value
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
        candidates = sorted(self._candidates(frame, here), key=lambda found: (not _contains_only(found), found.event))
        if candidates:
            return candidates[-1], ""
        site = self._query.find("sites", "site", self._query.event(here.event)["site"])
        place = f" ({site['file']}:{site['line']})" if site and site["file"] else ""
        return None, f"made here: a literal or a computation in {mfa(frame)}{place}"

    def _candidates(self, frame: dict[str, Any], here: Found) -> Iterator[Found]:
        call, process = frame["call"], frame["process"]
        for row in self._query.find_all("bindings", "call", call):
            if row["event"] < here.event:
                yield from self._matching(row, here, "binding")
        for child in self._query.find_all("calls", "parent", call):
            end = child["end_event"]
            if end is not None and end < here.event and child["result"] is not None:
                how = _holds(self._query.values.term(child["result"]), here.term)
                if how:
                    yield Found(end, process, child["call"], here.term, "result", f"result of {mfa(child)}", False, how)
        for message in self._query.find_all("messages", "sender_call", call):
            reply = self._query.find("messages", "message", message["reply"])
            if (
                reply is None
                or reply["receive_event"] is None
                or reply["value"] is None
                or reply["receive_event"] > here.event
            ):
                continue
            how = _holds(payload(self._query.values.term(reply["value"])), here.term)
            if how:
                label = f"reply to {message['tag'] or 'the call'}"
                yield Found(reply["receive_event"], process, call, here.term, "reply", label, False, how)
        if here.event > call:
            for element in self._query.values.elements(frame["args"]):
                how = _holds(element, here.term)
                if how:
                    yield Found(call, process, call, here.term, "argument", f"argument of {mfa(frame)}", False, how)
                    break
            state = self._state_before(frame)
            if frame["message"] is not None and state is not None and state["value"] is not None:
                how = _holds(self._query.values.term(state["value"]), here.term)
                if how:
                    label = f"state {state['version']}"
                    yield Found(state["state"], process, state["call"], here.term, "state", label, False, how)

    def _matching(self, row: dict[str, Any], here: Found, kind: str) -> Iterator[Found]:
        elements = self._query.values.elements(row["value"])
        if row["position"] is not None and row["position"] < len(elements):
            how = _holds(elements[row["position"]], here.term)
            if how:
                yield Found(row["event"], row["process"], row["call"], here.term, kind, row["name"], False, how)

    def _state_before(self, frame: dict[str, Any]) -> dict[str, Any] | None:
        rows = self._query.find_all("states", "process", frame["process"])
        return max((r for r in rows if r["state"] < frame["call"]), key=lambda r: int(r["state"]), default=None)

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
            return Found(
                message["receive_event"], here.process, None, here.term, "received", label, certain, reason
            ), ""
        for column, label in (("tail_of", "tail-called by"), ("parent", "called by"), ("remote_parent", "asked by")):
            caller = self._query.find("calls", "call", frame[column])
            if caller is not None:
                inside = Found(here.event, caller["process"], caller["call"], here.term, "passed", "", True, None)
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
            if not _holds(self._query.values.term(before["value"]), here.term):
                break
            row = first = before
        if first is not None and first["state"] != here.event:
            label = f"state {first['version']}, the first with it"
            return Found(first["state"], here.process, first["call"], here.term, "state", label, True, None), ""
        if first is None or first["call"] is None:
            return None, "not recorded: the state was made outside recorded callbacks"
        return self._in_frame(here._replace(call=first["call"], kind="kept"))

    # Variables

    def variables(self, event: int) -> list[dict[str, Any]]:
        """Variables of the innermost frame as known at `event`: name, term, event, line, value, position and the
        binding before.
        """
        frame = self._code.innermost(event)
        if frame is None:
            return []
        known: dict[str, dict[str, Any]] = {}
        for row in self._parameters(frame):
            known[row["name"]] = row
        for row in self._query.find_all("bindings", "call", frame["call"]):
            elements = self._query.values.elements(row["value"])
            if row["event"] <= event and row["position"] is not None and row["position"] < len(elements):
                row["term"] = elements[row["position"]]
                row["before"] = known.get(row["name"])
                known[row["name"]] = row
        return list(known.values())

    def _parameters(self, frame: dict[str, Any]) -> Iterator[dict[str, Any]]:
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
                return Found(row["event"], frame["process"], frame["call"], row["term"], kind, name, True, None)
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
    return found.reason is not None and found.reason.startswith("part")


def _holds(term: Any, wanted: Any) -> str | None:
    """How `term` holds `wanted`: "equal value…", "part of …", or None."""
    if same(term, wanted):
        return "equal value" if not _common(wanted) else "equal value, but a common one"
    if _common(wanted):
        return None
    stack, looked = list(parts(term)), 0
    while stack and looked < _LOOK:
        looked += 1
        part = stack.pop()
        if type(part) is type(wanted) and same(part, wanted):
            return "part of a value"
        stack.extend(parts(part))
    return None


def _common(term: Any) -> bool:
    """Values so frequent that finding an equal one says little."""
    return isinstance(term, Atom) or any(same(term, common) for common in _COMMON)
