"""Search over everything that has a name: processes, functions, exceptions, tests, messages."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from elixirscope.errors import UsageError
from elixirscope.moment import Moment
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.profile import first_calls
from elixirscope.query.search import find
from elixirscope.query.stepping import moment_of

_EACH: Final = 12
_SHOWN: Final = 80  # characters of a value beside its place

_KINDS: Final = ("process", "function", "exception", "test", "message")
_SOURCES: Final = {
    "exception": """
        select type || coalesce(': ' || text, '') as label, event from raw.exceptions
        where contains(lower(concat_ws(' ', type, text)), $1) order by event""",
    "test": """
        select module || ': ' || name as label, event from raw.tests
        where contains(lower(concat_ws(' ', module, name)), $1) order by event""",
}


class Hit(msgspec.Struct, frozen=True):
    """Something found, and the moment to look at. Of a value, `kind` is what it was recorded as."""

    kind: str
    label: str
    moment: Moment


class NamePage(msgspec.Struct, frozen=True):
    """A page of what has a name; `total` counts all."""

    results: list[Hit]
    total: int


def search(query: QueryCoordinator, text: str) -> list[Hit]:
    """What contains `text`, ignoring case; at most 12 of each kind. An empty text finds nothing."""
    return [hit for kind in _KINDS for hit in named(query, text, kind, _EACH).results]


def values(query: QueryCoordinator, pattern: str, limit: int = 40, seconds: float = 2.0) -> list[Hit]:
    """The first places at which values of a pattern were recorded, of those found in `seconds`; `query.search.find` has
    all of them. Raises `UsageError` for what is no pattern.
    """
    page = find(query, pattern, limit=limit, seconds=seconds)
    return [
        Hit(hit.kind, f"{hit.value.text[:_SHOWN]} · {hit.label}, {hit.process_label}", hit.moment) for hit in page.hits
    ]


def named(query: QueryCoordinator, text: str, kind: str, limit: int | None = None, offset: int = 0) -> NamePage:
    """What of a kind (process, function, exception, test, message) contains `text`, ignoring case; a page of it."""
    wanted = text.strip().lower()
    if kind not in _KINDS:
        raise UsageError(f"{kind!r} is nothing that has a name", f"give one of {', '.join(_KINDS)}")
    if not wanted:
        return NamePage([], 0)
    last = None if limit is None else offset + limit
    if kind == "message":
        rows = np.flatnonzero(query.indexes.worded("messages", "tag", lambda tag: wanted in tag.lower()))
        page = query.indexes.select("messages", rows[offset:last], "kind", "tag", "message")
        return NamePage([_hit(query, kind, f"{of} {tag}", event) for of, tag, event in page], len(rows))
    if kind in _SOURCES:
        found = f"select * from ({_SOURCES[kind]}) where event is not null and label is not null"
        answer = query.rows(found, [wanted])
        named = [(row["label"], row["event"]) for row in answer]
    else:
        named = _processes(query, wanted) if kind == "process" else _functions(query, wanted)
    return NamePage([_hit(query, kind, *one) for one in named[offset:last]], len(named))


def _hit(query: QueryCoordinator, kind: str, label: str, event: int) -> Hit:
    return Hit(kind, label, moment_of(query, event))


def _processes(query: QueryCoordinator, wanted: str) -> list[tuple[str, int]]:
    """(label and pid, first event) of the processes with `wanted` in a name of theirs."""
    found = []
    for row in query.processes:
        names = (row[name] for name in ("label", "name", "module", "pid") if row[name] is not None)
        events = query.indexes.events_of(row["process"])
        if len(events) and row["label"] is not None and wanted in " ".join(names).lower():
            pid = f" {row['pid']}" if row["pid"] is not None else ""
            found.append((f"{row['label']}{pid}", int(events[0])))
    return found


def _functions(query: QueryCoordinator, wanted: str) -> list[tuple[str, int]]:
    """(name, first call) of the functions with `wanted` in their name, in order of these."""
    first: dict[str, int] = {}
    for module, function, arity, call in query.indexes.select(
        "calls", first_calls(query), "module", "function", "arity", "call"
    ):
        name = f"{module}.{function}/{arity}"
        if None not in (module, function, arity) and wanted in name.lower():
            first[name] = min(call, first.get(name, call))
    return sorted(first.items(), key=lambda one: one[1])
