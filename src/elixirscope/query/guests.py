"""Which callback of the program's a framework's process ran when it changed its state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elixirscope.hosts import HOSTS
from elixirscope.query.row import Row

if TYPE_CHECKING:
    from elixirscope.query.coordinator import QueryCoordinator


def guest_frame(query: QueryCoordinator, call: int | None, event: int) -> Row | None:
    """The row of the last callback of the program's that the framework's callback `call` had run by `event`: of the
    module that its process lives for, else of another (a component's). None of any other frame.
    """
    frame = query.find("calls", "call", call)
    host = HOSTS.get(frame["module"]) if frame is not None else None
    if frame is None or host is None:
        return None
    run = [
        row
        for row in query.find_all("calls", "parent", frame["call"])
        if row["call"] < event and row["function"] in host.callbacks and row["module"] not in HOSTS
    ]
    process = query.process_row(frame["process"])
    own = [row for row in run if process is not None and row["module"] == process["module"]]
    return max(own or run, key=lambda row: int(row["call"]), default=None)


def callback_of(query: QueryCoordinator, state: Row) -> tuple[str | None, str | None]:
    """(module, callback) that made a version of a state, a row of `states`: "handle_event/3" of the program's own where
    a framework's called it."""
    guest = guest_frame(query, state["call"], state["state"]) if state["module"] in HOSTS else None
    if guest is None:
        return state["module"], state["callback"]
    return guest["module"], f"{guest['function']}/{guest['arity']}"
