"""What another test left behind: the state of a process that outlived it, the application's environment, a table.

A test that fails by the order of the tests, or by those that run beside it, reads what it did not write. Told only
where the refused value came that way: of a state that the message of another test had changed and this one had not, or
of an entry whose last writer was another test.
"""

from __future__ import annotations

from dataclasses import dataclass

from elixirscope.insight import stores, tests
from elixirscope.insight.assertion import Assertion
from elixirscope.insight.changes import Changed, last_changes
from elixirscope.insight.changes import told as changed
from elixirscope.insight.findings import Evidence, Location
from elixirscope.insight.history import History
from elixirscope.query.row import Row


@dataclass(frozen=True)
class Leftover:
    """What `other` had left (or did, while this test ran: `meanwhile`) at `place`, as a person calls it."""

    other: Row
    place: str
    what: str
    meanwhile: bool
    location: Location | None
    steps: list[Evidence]
    advice: str


def leftover(history: History, test: Row, assertion: Assertion) -> Leftover | None:
    """What another test had left that the refused value came of; None where it did not."""
    return _of_state(history, test, assertion) or _of_globals(history, test, assertion)


# The state of a process


def _of_state(history: History, test: Row, assertion: Assertion) -> Leftover | None:
    steps = sorted(assertion.steps, key=lambda step: -(step.moment.event or 0))
    for process in dict.fromkeys(step.moment.process for step in steps):
        life = history.processes.get(process) if process is not None else None
        if life is None or process is None or process == test["process"] or life["start"] is None:
            continue
        if life["start"] >= test["start"] or process in history.ancestors(test["process"]):
            continue
        found = _changed_by_another(history, test, life, _used(history, test, assertion, process))
        if found is not None:
            return found
    return None


def _used(history: History, test: Row, assertion: Assertion, process: int) -> int:
    """The event before which a process's state is the one that the value came of: what this test asked for may have
    changed it in its turn."""
    maker = assertion.origin.maker
    frames = history.enclosing(maker["call"]) if maker is not None and maker["process"] == process else []
    outer = history.call(frames[-1]) if frames else None
    if outer is None:
        return 1 + max((step.moment.event or 0 for step in assertion.steps), default=0)
    message = history.message(outer["message"])
    own = message is None or test["process"] in history.ancestors(message["from_process"])
    return int(outer["call"] if own and outer["start"] >= test["start"] else 1 + (outer["end_event"] or outer["call"]))


def _changed_by_another(history: History, test: Row, life: Row, event: int) -> Leftover | None:
    """The last change of a state before an event, when another test asked for it."""
    change = next(iter(last_changes(history, life["process"], event)), None)
    other = _asked_by(history, change) if change is not None else None
    if change is None or other is None or other["event"] == test["event"]:
        return None
    label, meanwhile = history.label(life["process"]), change.state["at"] >= test["start"]
    started = history.event(life["spawn_event"])
    frame, owner = history.call(started["call"]) if started is not None else None, _owner(history, life)
    steps = [changed(history, change)]
    if life["spawn_event"] is not None:
        by = f", in {tests.title(owner)}" if owner is not None else ", before any test"
        steps.insert(0, history.evidence(life["spawn_event"], f"{label} was started{by}"))
    return Leftover(
        other=other,
        place=f"the state of {label}",
        what=steps[-1].text,
        meanwhile=meanwhile,
        location=_line_of(other) if owner is None else history.place(frame) if frame is not None else None,
        steps=steps,
        advice=_advice(label, owner is None, meanwhile),
    )


def _line_of(test: Row) -> Location:
    return Location(test["module"] or "", test["name"] or "", 1, test["file"] or "", test["line"] or 0)


def _advice(label: str, application: bool, meanwhile: bool) -> str:
    beside = ", and do not run them at the same time (async: false)" if meanwhile else ""
    if application:
        return (
            f"Let each test put {label} back to what it was (on_exit/1), or test one that it starts itself under"
            f" another name{beside}."
        )
    return f"Start {label} anew for each test (start_supervised!/1 in `setup` ends it with the test){beside}."


def _asked_by(history: History, change: Changed) -> Row | None:
    message = history.message(change.state["message"])
    sender = message["from_process"] if message is not None else None
    return next(reversed(tests.ran_in(history, sender, change.state["at"])), None) if sender is not None else None


def _owner(history: History, life: Row) -> Row | None:
    found = tests.ran_in(history, life["process"], life["start"])
    return found[-1] if found else None


# The environment, tables, persistent terms


def _of_globals(history: History, test: Row, assertion: Assertion) -> Leftover | None:
    maker = assertion.origin.maker
    frame = history.call(test["call"])
    if maker is None or frame is None or maker["process"] != test["process"]:
        return None
    until = int(frame["end_event"] or test["end_event"])
    for module in stores.READS:
        for read in stores.reads(history, module, until):
            if read["process"] != test["process"] or read["call"] < frame["call"]:
                continue
            if maker["call"] not in history.enclosing(read["parent"]):
                continue
            found = _written_by_another(history, test, read)
            if found is not None:
                return found
    return None


def _written_by_another(history: History, test: Row, read: Row) -> Leftover | None:
    write = stores.last_write(history, read)
    ran = tests.ran_in(history, write["process"], write["start"]) if write is not None else []
    if write is None or not ran or ran[-1]["event"] == test["event"]:
        return None
    writer = history.call(write["parent"])
    meanwhile = write["start"] >= test["start"]
    shown, named = history.shown(write), stores.entry(read["module"], history.term(read["args"])) or ()
    return Leftover(
        other=ran[-1],
        place=stores.place(read["module"], named),
        what=shown,
        meanwhile=meanwhile,
        location=history.place(writer, history.event_line(write["call"])) if writer is not None else None,
        steps=[
            history.evidence(write["call"], f"{tests.title(ran[-1])} called {shown}", call=write["parent"]),
            history.evidence(read["call"], f"this test asked {history.shown(read)}", call=read["parent"]),
        ],
        advice="Put back in on_exit/1 what a test changes there; and let tests that do so not run at the same time as"
        " others (async: false).",
    )
