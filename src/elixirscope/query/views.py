"""The public SQL views: the tables of `recording.schema` in the words and texts of a person.

Kinds read as words, values as text, processes come with their labels and events with the function they belong to.
Values are decoded by scalar functions, so only those of the columns and rows that a query really reads; so are
the labels and places of events (see `lookups`), for which joins would go through all events.
`VIEWS` maps a view to its columns: (name, SQL expression, meaning); the raw tables are in the schema `raw`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from elixirscope.recording.format import Flag, Kind


class Column(NamedTuple):
    """One column of a public view."""

    name: str
    sql: str
    meaning: str


class View(NamedTuple):
    """A public view: what a row is, its columns, and where they come from."""

    meaning: str
    columns: tuple[Column, ...]
    source: str


def kind_text(column: str) -> str:
    """SQL: the lower-case name of an event kind."""
    return f"case {column} {' '.join(f'when {k.value} then {k.name.lower()!r}' for k in Kind)} end"


def _flag(flag: Flag) -> str:
    return f"(e.flags & {flag.value}) <> 0"


def _same(alias: str, *names: str, **meanings: str) -> list[Column]:
    return [Column(n, f'{alias}."{n}"', m) for n, m in ({**dict.fromkeys(names, ""), **meanings}).items()]


_TIME = "ns since the recording's start"
_LABELS = "left join raw.processes p using (process)"

VIEWS: Final[dict[str, View]] = {
    "events": View(
        "Everything that was recorded, one row per event, in order of time.",
        (
            Column("event", "e.event", "number of the event, from 0"),
            Column("at", "e.at", _TIME),
            Column("process", "e.process", "number of the process"),
            Column("label", "process_label(e.process)", "what a person calls the process"),
            Column("kind", kind_text("e.kind"), "call, return, tail, bind, caught, raise, state, spawn, send, …"),
            Column(
                "module",
                "coalesce(site_module(e.site), call_module(e.call))",
                "module of the code, or of the frame around the event",
            ),
            Column("function", "coalesce(site_function(e.site), call_function(e.call))", "its function"),
            Column("arity", "coalesce(site_arity(e.site), call_arity(e.call))", "its arity"),
            Column("file", "site_file(e.site)", "source file"),
            Column("line", "site_line(e.site)", "line in it"),
            Column("call", "e.call", "the frame (its CALL event) that the event belongs to"),
            Column("peer", "e.peer", "the other process, if any"),
            Column("peer_label", "process_label(e.peer)", "what a person calls it"),
            Column("value", "value_text(e.value)", "arguments, result, message, state, reason … as text"),
            Column("value_id", "e.value", "equal for identical values"),
            Column("previous", "e.previous", "the event before in the same process"),
            Column("cause", "e.cause", "the event in another process that made this one possible"),
            Column("truncated", _flag(Flag.TRUNCATED), "the value was cut to its budget"),
            Column("redacted", _flag(Flag.REDACTED), "a part of the value was withheld"),
            Column("generated", _flag(Flag.GENERATED), "a macro or the compiler wrote this code"),
            Column("unchanged", _flag(Flag.UNCHANGED), "a state that is the same as before"),
            Column("no_receiver", _flag(Flag.NO_RECEIVER), "a message that was sent to nobody"),
        ),
        "raw.events e",
    ),
    "calls": View(
        "Frames: one row per function call.",
        (
            *_same("c", call="number of its CALL event", process=""),
            Column("label", "p.label", "what a person calls the process"),
            *_same("c", "module", "function", "arity"),
            Column("file", "s.file", "source file"),
            Column("line", "s.line", "line of the function's head, or of a watched external call"),
            *_same("c", parent="the frame that called it", depth="0 for the outermost", start=_TIME),
            Column("end", 'c."end"', "null while it had not ended"),
            Column("duration", 'c."end" - c.start', "ns"),
            *_same("c", outcome="returned, tail, raised or open"),
            Column("args", "value_text(c.args)", "tuple of the arguments, as text"),
            Column("result", "value_text(c.result)", "as text"),
            Column("args_id", "c.args", "value id"),
            Column("result_id", "c.result", "value id"),
            *_same(
                "c",
                end_event="",
                tail_of="the frame whose tail call this is",
                external="a watched call into code that was not instrumented",
                generated="a macro or the compiler wrote it",
                remote_parent="the frame in another process that asked for this one",
                message="the message whose handling this callback is",
            ),
        ),
        f"raw.calls c {_LABELS} left join raw.sites s using (site)",
    ),
    "messages": View(
        "Messages, one row per send (or per receive when the send was not seen).",
        (
            *_same("m", message="number of its send event (or receive)", kind="call, cast, reply, info, down, exit, …"),
            *_same("m", from_process="null when unknown"),
            Column("from_label", "p.label", "what a person calls the sender"),
            *_same("m", "to_process"),
            Column("to_label", "coalesce(q.label, m.to_name)", "what a person calls the receiver"),
            *_same(
                "m",
                to_name="when sent to a name without a process",
                tag="its short shape",
            ),
            Column("value", "value_text(m.value)", "the message as text"),
            Column("value_id", "m.value", "value id"),
            *_same(
                "m",
                sent_at=_TIME,
                received_at="when it entered the mailbox",
                handled_at="when its handling began",
                send_event="",
                receive_event="",
                handle_call="the frame that handled it",
                sender_call="the sender's innermost frame",
                request="for a reply: the message it answers",
                reply="for a call: the message that answers it",
                certain="false where send and receive were matched by inference",
                reason="how it was inferred",
            ),
        ),
        """raw.messages m left join raw.processes p on p.process = m.from_process
        left join raw.processes q on q.process = m.to_process""",
    ),
    "states": View(
        "State versions of processes.",
        (
            *_same("s", state="number of its STATE event", process=""),
            Column("label", "p.label", "what a person calls the process"),
            *_same("s", version="from 0", at=_TIME, until="null for the last"),
            Column("module", "s.module", ""),
            Column("callback", "s.callback", "the callback that made it"),
            Column("value", "value_text(s.value)", "the state as text"),
            Column("value_id", "s.value", "value id"),
            *_same(
                "s",
                call="the callback's frame",
                message="the message that led to it",
                previous="the state before; of the dead incarnation after a restart",
                restart="first state after a restart",
                discontinuity="replaced from outside the callbacks",
            ),
        ),
        f"raw.states s {_LABELS}",
    ),
    "processes": View(
        "Process lives.",
        (
            *_same(
                "p",
                process="number of the process",
                node="",
                pid="",
                name="registered name",
                label="what a person calls it",
                initial="function it began with",
                module="callback module",
                kind="gen_server, supervisor, task, test, …",
                parent="who spawned it",
                supervisor="nearest supervisor above",
                incarnation="0, then 1 for the first restart",
                predecessor="the process it replaced",
                spawn_event="",
                exit_event="",
                start=_TIME,
            ),
            Column("end", 'p."end"', "null while alive"),
            Column("exit_kind", "p.exit_kind", "normal, shutdown, killed or crash"),
            Column("exit_reason", "value_text(p.exit_value)", "as text"),
            *_same("p", events="how many were recorded", lost="how many were lost"),
        ),
        "raw.processes p",
    ),
    "exceptions": View(
        "Exceptions: raised, caught, or ending a process.",
        (
            *_same("x", event="the event that shows it", process=""),
            Column("label", "p.label", "what a person calls the process"),
            *_same(
                "x",
                **{
                    "at": _TIME,
                    "class": "error, exit or throw",
                    "type": "RuntimeError, :badarith, …",
                    "text": "one line",
                },
                module="where it was raised",
                function="",
                arity="",
                file="",
                line="",
                call="the frame that raised",
                caught="",
                caught_event="",
                exit_event="",
            ),
            Column("value", "value_text(x.value)", "as text"),
            Column("value_id", "x.value", "value id"),
        ),
        f"raw.exceptions x {_LABELS}",
    ),
    "bindings": View(
        "Variables that were bound, one row per variable and time.",
        (
            *_same("b", event="the BIND event", process=""),
            Column("label", "p.label", "what a person calls the process"),
            *_same("b", at=_TIME, call="the frame", name="the variable"),
            Column("value", "element_text(b.value, b.position)", "as text"),
            Column("module", "s.module", ""),
            Column("function", "s.function", ""),
            Column("arity", "s.arity", ""),
            Column("file", "s.file", ""),
            *_same("b", line=""),
            Column("value_id", "b.value", "value id of the tuple of all variables bound together"),
            *_same("b", position="its element in that tuple"),
        ),
        f"raw.bindings b {_LABELS} left join raw.sites s using (site)",
    ),
    "sites": View(
        "Instrumented places in the code, with how often each was reached.",
        tuple(
            _same(
                "s",
                site="",
                kind="function, fn, return, external, tail, bind, catch, raise",
                module="",
                function="",
                arity="",
                file="",
                line="",
                end_line="",
                vars="names of the variables",
                callee="for external, tail and raise",
                behaviour="OTP behaviour",
                callback="OTP callback",
                hits="how many events",
            )
        ),
        "raw.sites s",
    ),
    "tests": View(
        "ExUnit tests.",
        (
            *_same("t", event="", module="", name="", file="", line="", start=_TIME),
            Column("end", 't."end"', ""),
            *_same("t", result="passed, failed, skipped, …", process="the test's own process", call="its frame"),
            Column("text", "t.text", "why it failed"),
        ),
        "raw.tests t",
    ),
    "omissions": View(
        "Spans of time in which less was recorded than the plan says, and how much was left out.",
        (
            *_same(
                "o",
                at=f"{_TIME}; null where nobody knows",
                until="null when it lasted to the end",
                kind="step (recording had stepped down), limit (memory was full), calls (only counted), loss (dropped)",
                subject="what was not recorded",
                reason="",
                node="",
                process="of a loss, where it is known",
            ),
            Column("label", "p.label", "what a person calls the process"),
            *_same(
                "o",
                level="of a step: the most that was recorded: calls, messages or lifecycle",
                function="of calls: Module.function/arity",
                count="events dropped, or calls that were only counted",
            ),
        ),
        f"raw.omissions o {_LABELS}",
    ),
    "memory": View(
        "The memory of processes: a row where it was seen to have changed, some times a second.",
        (
            *_same("m", at=_TIME, process=""),
            Column("label", "p.label", "what a person calls the process"),
            *_same("m", bytes="its own: heaps and stack, without shared binaries and messages that wait"),
        ),
        f"raw.memory m {_LABELS}",
    ),
    "links": View(
        "Links and monitors between processes.",
        (
            *_same("l", event="", at=_TIME, until="null when it held to the end", kind="link or monitor", process=""),
            Column("label", "p.label", "what a person calls the process"),
            *_same("l", "peer"),
            Column("peer_label", "q.label", "what a person calls the other"),
            *_same("l", certain="", reason="how it was inferred"),
        ),
        """raw.links l left join raw.processes p on p.process = l.process
        left join raw.processes q on q.process = l.peer""",
    ),
}


def view_sql(view: View) -> str:
    """The SELECT that a public view stands for."""
    columns = ", ".join(f'{column.sql} as "{column.name}"' for column in view.columns)
    return f"select {columns} from {view.source}"
