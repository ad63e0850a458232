"""Search over everything that has a name: processes, functions, exceptions, tests, messages."""

from __future__ import annotations

from typing import Final

import msgspec

from elixirscope.errors import UsageError
from elixirscope.moment import Moment
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.search import find
from elixirscope.query.stepping import moment_of

_EACH: Final = 12
_SHOWN: Final = 80  # characters of a value beside its place

_SOURCES: Final = {
    "process": """
        select label || coalesce(' ' || pid, '') as label, (select min(event) from raw.events e where e.process =
        p.process) as event
        from raw.processes p where contains(lower(concat_ws(' ', label, name, module, pid)), $1) order by process""",
    "function": """
        select module || '.' || function || '/' || arity as label, min(call) as event from raw.calls
        where contains(lower(module || '.' || function || '/' || arity), $1) group by 1 order by min(call)""",
    "exception": """
        select type || coalesce(': ' || text, '') as label, event from raw.exceptions
        where contains(lower(concat_ws(' ', type, text)), $1) order by event""",
    "test": """
        select module || ': ' || name as label, event from raw.tests
        where contains(lower(concat_ws(' ', module, name)), $1) order by event""",
    "message": """
        select kind || ' ' || tag as label, message as event from raw.messages
        where tag is not null and contains(lower(tag), $1) order by message""",
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
    return [hit for kind in _SOURCES for hit in named(query, text, kind, _EACH).results]


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
    if kind not in _SOURCES:
        raise UsageError(f"{kind!r} is nothing that has a name", f"give one of {', '.join(_SOURCES)}")
    if not wanted:
        return NamePage([], 0)
    found = f"select * from ({_SOURCES[kind]}) where event is not null and label is not null"
    total = query.rows(f"select count(*) as n from ({found})", [wanted])[0]["n"]
    rows = query.rows(f"{found} limit ? offset ?", [wanted, total if limit is None else limit, offset])
    return NamePage([Hit(kind, row["label"], moment_of(query, row["event"])) for row in rows], total)
