"""The tables every recording answers from: one Arrow schema each, shared by all layers above.

Conventions. Times (`at`, `*_at`, `start`, `end`) are int64 ns since the recording's start. `event` is
the number of an event in the whole recording, in (time, process, sequence) order, from 0. `process` is
a dense number in order of first appearance. `call` is the event number of a frame's CALL. `value`-like
columns (`*_value`, `args`, `result`) are value ids for `Recording.term(id)`; SQL shows them as text.
What is not known is null, never a sentinel. `certain` is false where the correlator inferred; then
`reason` says how.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

SCHEMA_VERSION: Final = 3

_i64, _i32, _bool = pa.int64(), pa.int32(), pa.bool_()
_text = pa.dictionary(pa.int32(), pa.string())  # few of many rows' texts differ
_kind = pa.dictionary(pa.int8(), pa.string())


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


TABLES: Final[dict[str, pa.Schema]] = {
    # Every event as captured, in event order.
    "events": _schema(
        event=_i64,
        at=_i64,
        process=_i32,
        kind=pa.int8(),  # recording.format.Kind; SQL shows the lower-case name
        flags=pa.int16(),
        site=_i32,
        call=_i64,  # the frame it belongs to
        peer=_i32,
        value=_i64,
        previous=_i64,  # previous event of the same process
        cause=_i64,  # the event in another process that this one could not have happened without
    ),
    # Frames: one row per CALL, watched external calls included.
    "calls": _schema(
        call=_i64,
        process=_i32,
        site=_i32,
        module=_text,
        function=_text,
        arity=_i32,
        parent=_i64,  # the frame that called it in this process; through tail calls too
        depth=_i32,
        start=_i64,
        end=_i64,  # null while open
        end_event=_i64,
        outcome=_kind,  # returned | tail | raised | open
        args=_i64,
        result=_i64,
        tail_of=_i64,  # the frame whose tail call this is
        external=_bool,
        generated=_bool,
        remote_parent=_i64,  # the frame in another process that asked for this one
        message=_i64,  # the message whose handling this callback is
    ),
    "messages": _schema(
        message=_i64,  # event of the send, or of the receive when the send was not seen
        kind=_kind,  # call | cast | reply | info | down | exit | timer | io | system
        from_process=_i32,
        to_process=_i32,
        to_name=_text,  # when sent to a name without a process
        send_event=_i64,
        receive_event=_i64,
        handle_call=_i64,  # frame that handled it
        sent_at=_i64,
        received_at=_i64,
        handled_at=_i64,
        sender_call=_i64,  # innermost open frame of the sender
        request=_i64,  # for a reply: the message it answers
        reply=_i64,  # for a call: the message that answers it
        tag=_text,  # short shape: the atom or the first elements, `{:reserve, _, _}`
        value=_i64,
        certain=_bool,
        reason=_text,
    ),
    "states": _schema(
        state=_i64,  # event
        process=_i32,
        version=_i32,  # from 0 per process; UNCHANGED events make no new version
        at=_i64,
        until=_i64,  # null for the last
        module=_text,
        callback=_text,  # "handle_call/3"
        call=_i64,
        message=_i64,
        value=_i64,
        previous=_i64,  # state event before, in this incarnation or (restart) the last of the one before
        restart=_bool,
        discontinuity=_bool,
    ),
    "processes": _schema(
        process=_i32,
        node=_text,
        pid=_text,  # "#PID<0.123.0>"
        name=_text,  # registered name as Elixir prints it, else null
        label=_text,  # what a person calls it: name, or "Seats (2)", or initial call, or pid
        initial=_text,  # "TicketOffice.Seats.init/1"
        module=_text,  # its callback module, when one is known
        kind=_kind,  # gen_server | gen_statem | supervisor | agent | task | test | process
        parent=_i32,
        supervisor=_i32,  # nearest ancestor that is a supervisor
        incarnation=_i32,  # 0, then 1 for the first restart in the same role …
        predecessor=_i32,  # the process it replaced
        spawn_event=_i64,
        exit_event=_i64,
        start=_i64,
        end=_i64,
        exit_value=_i64,
        exit_kind=_kind,  # normal | shutdown | killed | crash
        events=_i64,
        lost=_i64,
    ),
    "links": _schema(
        event=_i64,
        at=_i64,
        until=_i64,
        kind=_kind,  # link | monitor
        process=_i32,
        peer=_i32,
        certain=_bool,
        reason=_text,
    ),
    "exceptions": _schema(
        event=_i64,  # the RAISE, CAUGHT or EXIT event that shows it
        process=_i32,
        at=_i64,
        class_=_kind,  # error | exit | throw; SQL name `class`
        type=_text,  # "RuntimeError", ":badarith", …
        text=_text,  # the message, one line
        module=_text,  # where it was raised, from the raise event or the top recorded stack entry
        function=_text,
        arity=_i32,
        file=_text,
        line=_i32,
        call=_i64,
        caught=_bool,
        caught_event=_i64,
        exit_event=_i64,
        value=_i64,
    ),
    "bindings": _schema(
        event=_i64,
        process=_i32,
        at=_i64,
        call=_i64,
        site=_i32,
        line=_i32,
        name=_text,
        position=_i32,  # element of the event's value tuple
        value=_i64,  # the event's value; `Recording.binding_value` picks the element
    ),
    "sites": _schema(
        site=_i32,
        kind=_kind,
        module=_text,
        function=_text,
        arity=_i32,
        file=_text,
        line=_i32,
        end_line=_i32,
        vars=pa.list_(pa.string()),
        callee=_text,
        behaviour=_text,
        callback=_text,
        hits=_i64,
    ),
    "tests": _schema(
        event=_i64,
        module=_text,
        name=_text,
        file=_text,
        line=_i32,
        start=_i64,
        end=_i64,
        result=_kind,
        process=_i32,  # the test's own process
        call=_i64,  # the test function's frame
        text=_text,  # failure message
    ),
    # Spans in which less was recorded than the plan says (`recording.omissions`), in order of time.
    "omissions": _schema(
        at=_i64,  # null: nobody knows when
        until=_i64,  # null: to the end
        kind=_kind,  # step | limit | calls | loss
        subject=_text,  # what was not recorded
        reason=_text,
        node=_text,
        process=_i32,  # of a loss, where it is known
        level=_text,  # of a step: what was recorded at most: calls | messages | lifecycle
        function=_text,  # of calls that were only counted: Module.function/arity
        count=_i64,  # events dropped, calls counted
    ),
    # The memory of processes, in order of time: a row where it was seen to have changed.
    "memory": _schema(
        at=_i64,
        process=_i32,
        bytes=_i64,  # its own: without shared binaries, and messages that wait elsewhere
    ),
}
"""Name → schema. `exceptions.class_` is stored under `class`."""

TABLES["exceptions"] = TABLES["exceptions"].set(3, pa.field("class", _kind))
