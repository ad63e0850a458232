"""Whether a process could know what another did: by messages and spawns, not by a server that both happen to use."""

from __future__ import annotations

from elixirscope.insight.history import History
from elixirscope.query.row import Row

_HEARD = """
select from_process as sender, coalesce(send_event, message) as sent from raw.messages
where to_process = ? and from_process is not null and coalesce(receive_event, message) > ?
  and coalesce(receive_event, message) < ?
"""
_SERVERS = frozenset({"gen_server", "gen_statem", "supervisor", "agent"})


def heard_of(history: History, act: Row, *, since: Row, what: Row) -> bool:
    """Whether the client of `act` had heard of the request `what` when it acted, since its check `since`.

    It has when a chain of messages or spawns leads from the other client, after its request, to this one before
    its act. A server's answer carries what was asked for, not all that the server did before: such hops do not count.
    """
    rival, done = what["client"], what["asked_event"]
    queue: list[tuple[int, int]] = [(act["client"], act["asked_event"])]
    seen: set[int] = set()
    while queue:
        process, until = queue.pop()
        if process in seen:
            continue
        seen.add(process)
        for message in history.query.rows(_HEARD, [process, since["asked_event"], until]):
            sender, sent = message["sender"], message["sent"]
            if sender == what["server"]:
                continue
            if sender == rival and sent > done:
                return True
            if history.processes[sender]["kind"] not in _SERVERS:
                queue.append((sender, sent))
        row = history.processes[process]
        spawned = row["spawn_event"]
        if spawned is not None and spawned > since["asked_event"] and row["parent"] is not None:
            if row["parent"] == rival and spawned > done:
                return True
            queue.append((row["parent"], spawned))
    return False
