"""What is kept outside of processes' states, as watched calls tell: ETS tables, the application's environment, and
persistent terms. Which entry a call reads or writes, and who wrote it last.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from elixirscope.insight.history import History
from elixirscope.insight.values import same, short
from elixirscope.query.row import Row

READS = {
    "Application": ("get_env", "fetch_env", "fetch_env!"),
    ":ets": ("lookup", "lookup_element", "member"),
    ":persistent_term": ("get",),
}
WRITES = {
    "Application": ("put_env", "delete_env"),
    ":ets": ("insert", "insert_new", "delete", "update_element", "update_counter"),
    ":persistent_term": ("put", "erase"),
}
LAST = 2_000
"""Reads or writes of a kind that are looked back through."""

_CALLS = """
select * from raw.calls where external and module = ? and list_contains(?, function) and call < ? order by call desc
limit ?
"""


def reads(history: History, module: str, before: int) -> list[Row]:
    """The reading calls of a kind of store before an event, the last first."""
    return list(history.query.rows(_CALLS, [module, list(READS[module]), before, LAST]))


def last_write(history: History, read: Row) -> Row | None:
    """The call that last wrote the entry which a call reads; None where that was not seen, or it reads none."""
    module = read["module"]
    sought = entry(module, history.term(read["args"])) if read["function"] in READS.get(module, ()) else None
    if sought is None:
        return None
    for row in history.query.rows(_CALLS, [module, list(WRITES[module]), read["call"], LAST]):
        if any(same(sought, each) for each in _written(module, history.term(row["args"]))):
            return row
    return None


def entry(module: str, arguments: Any) -> tuple[Any, ...] | None:
    """What names an entry: application and key, table and key."""
    length = 1 if module == ":persistent_term" else 2
    return tuple(arguments[:length]) if isinstance(arguments, tuple) and len(arguments) >= length else None


def place(module: str, named: tuple[Any, ...]) -> str:
    """An entry as a person calls it."""
    if module == "Application":
        return f"{short(named[1], 40)} in the environment of {short(named[0], 40)}"
    if module == ":ets":
        return f"{short(named[1], 40)} in the table {short(named[0], 40)}"
    return f"the persistent term {short(named[0], 40)}"


def _written(module: str, arguments: Any) -> Iterator[tuple[Any, ...]]:
    named = entry(module, arguments)
    if named is None:
        return
    if module == ":ets" and isinstance(named[1], tuple | list):
        for record in named[1] if isinstance(named[1], list) else [named[1]]:
            if isinstance(record, tuple) and record:
                yield named[0], record[0]
    yield named
