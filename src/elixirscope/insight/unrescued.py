"""Exceptions that nobody in the program expected, and that no process died of: what serves it caught them.

So ends a request that is answered with 500: the web server, or whatever runs the program's code, catches all and goes
on. An exception is taken for one of those when the first frame that it did not end was written by a macro, as the
`call/2` of a Phoenix endpoint, or is not recorded.
"""

from __future__ import annotations

import msgspec

from elixirscope.insight.collapse import Collapse, tests_hit
from elixirscope.insight.crash import (
    REPEATS,
    confidence_of,
    function_of,
    location_of,
    made_of,
    origin_of,
    suggestion_of,
    way_back,
)
from elixirscope.insight.findings import Finding
from elixirscope.insight.history import History
from elixirscope.insight.values import Key, pairs, parts, short, struct_name
from elixirscope.query.cancellation import checkpoint
from elixirscope.query.row import Row
from elixirscope.recording.terms import Atom, Term

EXPECTED = frozenset({"Ecto.NoResultsError", "Ecto.Query.CastError", "Ecto.StaleEntryError"})
"""What a web application answers with less than 500 by what `phoenix_ecto` says of it."""

_SUSPECTS = """
select e.* from raw.exceptions e join raw.calls c on c.call = e.call
where e.caught and e.class = 'error' and c.outcome = 'raised' and not c.external order by e.event
"""
_FAILED = 500


def unrescued(history: History) -> list[Finding]:
    """One finding per place and type of exception, with how often it was met."""
    tested = {row["process"] for row in history.tests}
    findings: dict[tuple[object, ...], Finding] = {}
    times: dict[tuple[object, ...], int] = {}
    for exception in history.query.rows(_SUSPECTS):
        checkpoint()
        key = tuple(exception[name] for name in ("type", "module", "function", "line"))
        if exception["process"] in tested or times.get(key, 0) > REPEATS:
            continue
        frame = history.call(exception["call"])
        if frame is not None and not _expected(history, exception) and _outside(history, frame):
            times[key] = times.get(key, 0) + 1
            if key not in findings:
                findings[key] = _finding(history, exception, frame)
    return [
        msgspec.structs.replace(finding, title=f"{finding.title}, {_often(times[key])}") if times[key] > 1 else finding
        for key, finding in findings.items()
    ]


def _often(times: int) -> str:
    return f"more than {REPEATS} times" if times > REPEATS else f"{times} times"


def _expected(history: History, exception: Row) -> bool:
    """Whether the exception itself says that it is somebody else's fault: it is answered with less than 500."""
    status = next((value for step, value in pairs(_reason(history, exception)) if step == _STATUS), _FAILED)
    return exception["type"] in EXPECTED or (isinstance(status, int) and status < _FAILED)


_STATUS = Key(Atom("plug_status"))


def _reason(history: History, exception: Row) -> Term:
    told = history.term(exception["value"])
    return told[1] if isinstance(told, tuple) and len(told) >= 2 else told


def _outside(history: History, frame: Row) -> bool:
    """Whether no frame that a person wrote went on after the exception had ended this one."""
    for call in history.enclosing(frame["call"])[1:]:
        outer = history.call(call)
        if outer is None or outer["outcome"] in ("raised", "tail"):
            continue
        return not outer["external"] and not history.written(outer)
    return bool(history.processes[frame["process"]]["exit_kind"] != "crash")


def _shown(history: History, frame: Row) -> str:
    """A frame as one writes a call; a request by what was asked for: `GET /items/7`."""
    given = history.term(frame["args"])
    asked = dict(parts(given[0])) if isinstance(given, tuple) and given and struct_name(given[0]) == "Plug.Conn" else {}
    method, path = (asked.get(Key(Atom(name))) for name in ("method", "request_path"))
    if isinstance(method, bytes) and isinstance(path, bytes):
        return f"{history.name(frame)} for {method.decode(errors='replace')} {path.decode(errors='replace')}"
    return history.shown(frame)


def _finding(history: History, exception: Row, frame: Row) -> Finding:
    process = exception["process"]
    reason, what = _reason(history, exception), exception["type"] or "an exception"
    origin = origin_of(history, exception["event"], exception, frame, reason)
    where, label = function_of(history, frame, exception), history.label(process)
    text = exception["text"] or short(reason, 160)
    hit = tests_hit(history, Collapse(process, exception["event"]))
    steps = list(reversed(origin.steps)) if origin else []
    steps.append(history.evidence(exception["event"], f"{label} raised in {where}: {text}", call=frame["call"]))
    outer = history.call(history.enclosing(frame["call"])[-1])
    if outer is not None and outer["call"] != frame["call"]:
        steps.append(history.evidence(outer["call"], f"{label} ran {_shown(history, outer)}", call=outer["call"]))
    told = [
        f"{what} ({text}) in {where}: nothing in the program rescued it, but {label}, which ran the code, went on.",
        *way_back(history, origin, process),
    ]
    return Finding(
        kind="crash",
        title=f"Unexpected: {what} in {where}{made_of(history, frame, origin)}",
        confidence=round(confidence_of(origin, frame, hit), 2),
        location=location_of(history, frame, exception, origin),
        evidence=sorted(steps, key=lambda step: step.moment.event or 0),
        explanation=" ".join(told),
        suggestion=suggestion_of(history, frame, origin, what, where),
    )
