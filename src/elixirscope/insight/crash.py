"""Crashes: from the processes that died back to the first of them, and to the expression that made the bad value."""

from __future__ import annotations

from typing import Any

import msgspec

from elixirscope.insight import tests
from elixirscope.insight.collapse import Collapse, died_with, tests_hit
from elixirscope.insight.complaint import bad_values, stack_arguments
from elixirscope.insight.findings import Evidence, Finding, Location
from elixirscope.insight.gone import missed, nobody_there, not_restarted
from elixirscope.insight.history import History
from elixirscope.insight.masked import Masked, masked
from elixirscope.insight.notices import Notice, notice
from elixirscope.insight.origin import Origin, Tracer
from elixirscope.insight.started import holder_of_name, taken
from elixirscope.insight.trigger import trigger
from elixirscope.insight.values import duration, same, short, suspect
from elixirscope.query.names import mfa
from elixirscope.query.row import Row
from elixirscope.recording.terms import Atom

REPEATS = 20
"""Crashes at the same place that are traced one by one; the rest is only counted."""

_UNMATCHED = frozenset({"MatchError", "CaseClauseError", "WithClauseError", "TryClauseError", "FunctionClauseError"})
_REFUSALS = ("function_clause", "badarg", "badarith")
_CALLS_ITSELF = ":calling_self"


def crashes(history: History, collapses: list[Collapse]) -> list[Finding]:
    """One finding per root cause of the `collapses`; the same cause met several times is one finding."""
    findings: dict[tuple[Any, ...], Finding] = {}
    deaths: dict[tuple[Any, ...], int] = {}
    times: dict[tuple[Any, ...], int] = {}
    failed: dict[tuple[Any, ...], list[Row]] = {}
    for collapse in collapses:
        exception = _exception(history, collapse)
        if not collapse.followers and _hands_over(history, collapse.process, exception):
            continue
        hit = tests_hit(history, collapse)
        wanted = hit and all(test["result"] == "passed" for test in hit)
        if wanted and (exception is None or exception["class"] == "exit"):
            continue  # a stop with a reason, in tests that passed: it is what they are about
        place = (exception or {}).get("module"), (exception or {}).get("function"), (exception or {}).get("line")
        key = ((exception or {}).get("type"), *place) if exception else ("exit", collapse.process)
        times[key] = times.get(key, 0) + 1
        failed.setdefault(key, []).extend(test for test in hit if test["result"] == "failed")
        if times[key] <= REPEATS:
            finding = _finding(history, collapse, exception, hit)
            best = (findings[key].confidence, deaths[key]) if key in findings else (0.0, 0)
            if key not in findings or (finding.confidence, len(collapse.followers)) > best:
                findings[key], deaths[key] = finding, len(collapse.followers)
    return [_counted(history, finding, times[key], failed[key]) for key, finding in findings.items()]


def _hands_over(history: History, process: int, exception: Row | None) -> bool:
    """Whether a process without any recorded code ended with a reason that is a result, not a complaint.

    Some processes hand what they made to whoever monitors them by exiting with it.
    """
    reason = history.term(history.processes[process]["exit_value"])
    result = isinstance(reason, tuple) and len(reason) > 0 and same(reason[0], Atom("ok"))
    return history.query.find("calls", "process", process) is None and (result or exception is None)


def _exception(history: History, collapse: Collapse) -> Row | None:
    rows = [
        row
        for row in history.query.find_all("exceptions", "process", collapse.process)
        if not row["caught"] and row["event"] <= collapse.exit_event
    ]
    return rows[-1] if rows else None


def _finding(history: History, collapse: Collapse, exception: Row | None, hit: list[Row]) -> Finding:
    life = history.processes[collapse.process]
    if (asked := missed(history, life)) is not None:
        return _weighed(history, nobody_there(history, life, asked), collapse, hit)
    reason, frame = history.term(life["exit_value"]), _raising_frame(history, collapse, exception)
    if (hidden := masked(history, frame)) is not None:
        second, exception = exception or {}, hidden.exception
        reason, frame = hidden.reason, hidden.frame
    label = history.label(collapse.process)
    what = (exception or {}).get("type") or short(reason)
    text = _refused_arguments(reason) or (exception or {}).get("text") or short(reason, 160)
    origin = origin_of(history, _event(collapse, exception), exception, frame, reason)
    given = _refused(reason)
    told = _taken(history, collapse, exception, frame, reason) or notice(
        history, collapse.process, function_of(history, frame, exception) or label, given, _event(collapse, exception)
    )
    evidence = (
        [told.step] if told else list(reversed(origin.steps)) if origin else trigger(history, collapse, frame, given)
    )
    where = function_of(history, frame, exception)
    at = f" in {where}" if where else ""
    evidence.append(
        history.evidence(
            _event(collapse, exception), f"{label} crashed{at}: {text}", call=frame["call"] if frame else None
        )
    )
    if hidden is not None:
        evidence.append(_hid(history, collapse, hidden, second))
    evidence += died_with(history, collapse)
    evidence += [tests.failure(history, test) for test in hit if test["result"] == "failed"]
    explanation = _explanation(history, collapse, what, text, where, origin, hit)
    suggestion = suggestion_of(history, frame, origin, what, where)
    if told is not None:
        explanation, suggestion = f"{explanation} {told.why}", told.advice
    if hidden is not None:
        name, other = history.name(hidden.terminate), second.get("type") or "an exception"
        explanation += f" {name} was run because of that, failed too, and so hid it: the log names {other} alone."
        suggestion += f" And let {name} expect every state that the process may be in."
    return Finding(
        kind="crash",
        title=_title(history, collapse, what, where or label, frame, origin),
        confidence=round(confidence_of(origin, frame, hit), 2),
        location=location_of(history, frame, exception, origin),
        evidence=evidence,
        explanation=explanation,
        suggestion=suggestion + _apart(history, collapse),
    )


def _taken(
    history: History, collapse: Collapse, exception: Row | None, frame: Row | None, reason: Any
) -> Notice | None:
    """Who had the name that a process wanted, when that is what the exception complains of."""
    values = bad_values(reason, (), (exception or {}).get("text") or "") if frame is not None else ()
    pid = next((pid for value, _ in values if (pid := holder_of_name(value)) is not None), None)
    event = history.event(_event(collapse, exception))
    return taken(history, pid, frame, int(event["at"])) if pid is not None and event is not None else None


def _weighed(history: History, finding: Finding, collapse: Collapse, hit: list[Row]) -> Finding:
    """A finding with what followed, and the tests that it failed or that passed all the same."""
    failed = [tests.failure(history, test) for test in hit if test["result"] == "failed"]
    passed = hit and not failed
    return msgspec.structs.replace(
        finding,
        confidence=round(finding.confidence * (0.4 if passed else 1.0), 2),
        evidence=[*finding.evidence, *died_with(history, collapse), *failed],
    )


def _hid(history: History, collapse: Collapse, hidden: Masked, second: Row) -> Evidence:
    name, frame = history.name(hidden.terminate), hidden.terminate
    text = f"{name} was run because of that, and failed itself: {second.get('type')} ({second.get('text')})"
    return history.evidence(collapse.exit_event, text, call=frame["call"])


def _refused(reason: Any) -> Any:
    """The first argument that no clause took."""
    if isinstance(reason, tuple) and len(reason) == 2 and same(reason[0], Atom("function_clause")):
        return next(iter(stack_arguments(reason[1] if isinstance(reason[1], list) else [])), None)
    return None


def _event(collapse: Collapse, exception: Row | None) -> int:
    return int(exception["event"]) if exception else collapse.exit_event


def _raising_frame(history: History, collapse: Collapse, exception: Row | None) -> Row | None:
    """The frame the exception came out of: the one the exception names, else the innermost that it ended."""
    if exception and (frame := history.call(exception["call"])):
        return frame
    rows = history.query.rows(
        "select * from raw.calls where process = ? and call <= ? and outcome in ('raised', 'open') and not external"
        " order by call desc limit 64",
        [collapse.process, collapse.exit_event],
    )
    named = [
        row
        for row in rows
        if exception and (row["module"], row["function"]) == (exception["module"], exception["function"])
    ]
    return next(iter(named or rows), None)


# The bad value


def origin_of(history: History, before: int, exception: Row | None, frame: Row | None, reason: Any) -> Origin | None:
    """The way back of the most telling bad value from an event; None when the reason and the frame show none."""
    if frame is None:
        return None
    arguments = history.term(frame["args"])
    for value, trust in bad_values(reason, arguments, (exception or {}).get("text") or ""):
        origin = Tracer(history, value).trace(frame, before)
        origin.confidence *= trust
        if origin.maker is not None or len(origin.steps) > 1:
            return origin
    return None


# Telling


def function_of(history: History, frame: Row | None, exception: Row | None) -> str | None:
    """The function that raised: that of the frame, or the one that the stack trace names.

    A function none of whose clauses took its arguments was called and never entered: it has no frame.
    """
    if exception is None or exception["module"] is None:
        return history.name(frame) if frame is not None else None
    refused = exception["type"] == "FunctionClauseError" and exception["module"] == (frame or {}).get("module")
    return mfa(exception) if frame is None or refused else history.name(frame)


def _refused_arguments(reason: Any) -> str | None:
    """What no clause of a function, or what the VM itself, did not take: arguments, which only the stack trace has."""
    if not (isinstance(reason, tuple) and len(reason) == 2 and reason[0] in _REFUSALS):
        return None
    stack = reason[1] if isinstance(reason[1], list) else []
    given = stack_arguments(stack)
    if not given:
        return None
    arguments = f"({', '.join(short(value, 40) for value in given)})"
    if reason[0] == "function_clause":
        return f"no clause takes {arguments}"
    return f"{short(stack[0][0])}.{stack[0][1]}{arguments} is refused"


def confidence_of(origin: Origin | None, frame: Row | None, hit: list[Row]) -> float:
    """How sure an origin is; `hit` are the tests that ran then."""
    confidence = 0.5 if frame is None else 0.65
    if origin is not None:
        confidence = (0.95 if origin.made else 0.75) * max(origin.confidence, 0.4)
    if hit and all(test["result"] == "passed" for test in hit):
        confidence *= 0.4  # a test that passes all the same wants the crash
    return confidence


def location_of(history: History, frame: Row | None, exception: Row | None, origin: Origin | None) -> Location | None:
    """The line that made the bad value, else the one that raised."""
    if origin is not None and origin.location is not None:
        return origin.location
    if frame is not None:
        line = exception["line"] if exception is not None and exception["module"] == frame["module"] else None
        if exception is not None and (head := _head(history, frame, exception)) is not None:
            return head
        return history.place(frame, line) if line else history.clause(frame)
    if exception is not None and exception["module"]:
        return Location(
            exception["module"],
            exception["function"] or "",
            exception["arity"] or 0,
            exception["file"] or "",
            exception["line"] or 0,
        )
    return None


def _head(history: History, frame: Row, exception: Row) -> Location | None:
    """Where a function begins that refused its arguments, and so was never entered."""
    names = ("module", "function", "arity")
    module, function, arity = (exception[name] for name in names)
    callback = function == frame["function"]  # whose arguments may lack one in the stack trace
    if exception["type"] != "FunctionClauseError" or callback or module != frame["module"]:
        return None
    site = history.site(frame["site"]) or {}
    return Location(module, function, arity or 0, site.get("file") or "", exception["line"] or 0)


def _elsewhere(frame: Row | None, origin: Origin | None) -> bool:
    return (
        origin is not None and origin.maker is not None and frame is not None and origin.maker["call"] != frame["call"]
    )


def made_of(history: History, frame: Row | None, origin: Origin | None) -> str:
    """What a title says of the bad value: `, by a nil from Shop.Stock.find/1`."""
    if origin is not None and origin.missing is not None:
        return f", {origin.missing.briefly(history)}"
    if origin is None or origin.maker is None or not _elsewhere(frame, origin):
        return ""
    return f", by a {short(origin.value, 30)} from {history.name(origin.maker)}"


def _title(history: History, collapse: Collapse, what: str, at: str, frame: Row | None, origin: Origin | None) -> str:
    if what == _CALLS_ITSELF:
        return f"Deadlock: {at} calls its own process"
    made = made_of(history, frame, origin)
    again = ""
    if collapse.gave_up and collapse.again:
        times = f"{len(collapse.again)} times" if len(collapse.again) > 1 else "once"
        again = f"; restarted {times}, until {history.label(collapse.gave_up[0])} gave up"
    took = f"{again} ({len(collapse.followers) + 1} processes died)" if collapse.followers else ""
    return f"Crash: {what} in {at}{made}{took}"


def _explanation(
    history: History,
    collapse: Collapse,
    what: str,
    text: str,
    where: str | None,
    origin: Origin | None,
    hit: list[Row],
) -> str:
    label = history.label(collapse.process)
    sentences = [
        f"{label} died of {what}{f' ({text})' if text and text != what else ''}{f' in {where}' if where else ''}."
    ]
    if what == _CALLS_ITSELF:
        sentences.append("It would have waited for itself for ever: while it handles a message it answers no other.")
    sentences += way_back(history, origin, collapse.process)
    if len(collapse.followers) > len(collapse.again):
        lives = (process for process, _, _ in collapse.followers if process not in collapse.again)
        names = ", ".join(dict.fromkeys(history.label(process) for process in lives))
        sentences.append(f"{names} died only because of that.")
    sentences += _storm(history, collapse)
    if any(test["result"] == "failed" and "no process" in (test["text"] or "") for test in hit):
        lived = not_restarted(history, history.processes[collapse.process])
        sentences += [lived] if lived else []
    if hit and all(test["result"] == "passed" for test in hit):
        sentences.append("The test that was running passed, so this crash may be what it wants.")
    return " ".join(sentences)


def way_back(history: History, origin: Origin | None, process: int) -> list[str]:
    """Where the bad value of an exception of `process` came from, in a sentence."""
    if origin is None:
        return []
    if origin.missing is not None:
        return [origin.missing.explained(history, origin.value)]
    if origin.maker is None:
        return [f"The bad value can be followed only so far: it {origin.terminator}."]
    other = origin.maker["process"] != process
    where = f", in another process ({history.label(origin.maker['process'])})" if other else ""
    verb = "was made by" if origin.made else "comes from"
    because = "nothing that it was given contains it" if origin.made else f"it {origin.terminator}"
    return [f"The bad value, {short(origin.value)}, {verb} {history.name(origin.maker)}{where}: {because}."]


def _storm(history: History, collapse: Collapse) -> list[str]:
    """How a supervisor came to give up: restarting did not mend what was wrong."""
    if not collapse.gave_up or not collapse.again:
        return []
    last = history.processes[collapse.again[-1]]
    took = duration(int(last["end"] - history.processes[collapse.process]["end"]))
    supervisor = history.label(collapse.gave_up[0])
    found = history.query.find("exceptions", "exit_event", last["exit_event"])
    of = f" of {found['type']} in {mfa(found)}" if found and found["module"] else ""
    return [
        f"{supervisor} started it again {len(collapse.again)} times within {took}, the last died{of}: what is wrong"
        f" outlives a restart. So {supervisor} gave up, and ended with all its children."
    ]


def suggestion_of(history: History, frame: Row | None, origin: Origin | None, what: str, where: str | None) -> str:
    """What to do about an exception of a type `what` in `where`."""
    if what == _CALLS_ITSELF:
        return f"Let {where} call the function that makes the answer, not the server that it runs in."
    if origin is not None and origin.missing is not None:
        return origin.missing.advice(history)
    if origin is not None and origin.maker is not None and frame is not None and _elsewhere(frame, origin):
        maker, user, value = history.name(origin.maker), where or history.name(frame), short(origin.value, 40)
        tested = any(test["call"] == origin.maker["call"] for test in history.tests)
        if tested and what == "FunctionClauseError":
            return f"Give {user} a clause for {value}, or let whoever calls it answer with an error for such."
        if what in _UNMATCHED and suspect(origin.value):
            return f"Let {user} expect {value}, or find out in {maker} why it came to that."
        instead = f"Let {maker} refuse what it cannot answer, instead of passing {value} on to {user}"
        return f"{instead}; or give that a clause for it." if what == "FunctionClauseError" else f"{instead}."
    if where is not None and what == "FunctionClauseError" and (frame is None or where != history.name(frame)):
        return f"Give {where} a clause for it, or see why it was called so."
    if frame is not None:
        return f"Check what {history.name(frame)} is given, and decide there what should happen with it."
    return "Look at the last events of the process before it ended."


def _apart(history: History, collapse: Collapse) -> str:
    """How the process that started the one that died could have outlived it, where a link took it along."""
    life = history.processes[collapse.process]
    taken = any(process == life["parent"] for process, _, _ in collapse.followers)
    tested = any(test["process"] == life["parent"] for test in history.tests)
    if not taken or tested or life["parent"] in collapse.gave_up:
        return ""
    starter = history.label(life["parent"])
    return (
        f" {starter} went with it because it is linked to it: if {starter} is to survive such a crash, let it start"
        f" {history.label(collapse.process)} under a supervisor (Task.Supervisor.async_nolink/2, or start_child)."
    )


def _counted(history: History, finding: Finding, times: int, failed: list[Row]) -> Finding:
    """The finding of a cause that was met so often, with all tests that it failed."""
    if times == 1:
        return finding
    told = {step.moment.event for step in finding.evidence}
    others = {test["end_event"]: test for test in failed if test["end_event"] not in told}
    return msgspec.structs.replace(
        finding,
        title=f"{finding.title}, {times} times",
        evidence=[*finding.evidence, *(tests.failure(history, test) for test in others.values())],
    )
