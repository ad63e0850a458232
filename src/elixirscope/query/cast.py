"""Who of very many processes is shown. A program may have had hundreds of thousands, most of which did what others did:
nobody looks at all of them, and a page that holds them all is slow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from elixirscope.errors import UsageError
from elixirscope.query.density import coded
from elixirscope.query.tree import in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from elixirscope.query.coordinator import QueryCoordinator

    Numbers = NDArray[np.int64]
    Mask = NDArray[np.bool_]

_NONE: Final = -1  # null, in columns of the query layer
_COMMON: Final = ("process", "task")  # kinds of which there are many alike
_FALLEN: Final = ("crash", "killed")
_SHARE_FALLEN: Final = 4  # one in so many of those shown may be there because it crashed
_DEEP: Final = 64  # doublings: deeper than any tree, so that a circle in a damaged recording ends
_TEXTS: Final = ("label", "name", "module", "pid")


class Cast(NamedTuple):
    """Rows of the table of processes in tree order, each with its `depth`, `exit_reason`, whether it is `coded` (has
    calls or states), and how many are not shown that it is the nearest above (`more`). `total`: processes there are;
    `more`: how many are not shown and have nobody above them who is."""

    rows: list[dict[str, Any]]
    total: int
    more: int


def cast(query: QueryCoordinator, most: int | None = None, wanted: Iterable[int] = ()) -> Cast:
    """All processes; of more than `most` those that are `wanted`, and those that tell most: who has others below it,
    a name, or a role of its own, some that crashed, who lives, who did much; of equal ones the first. Raises
    `UsageError` for none."""
    if most is not None and most < 1:
        raise UsageError(f"{most} processes are none", "ask for one or more")
    above = _above(query)
    shown = np.ones(len(above), np.bool_)
    if most is not None and len(above) > most:
        shown[:] = False
        shown[_telling(query, above, most, _places(query, wanted))] = True
    nearest = nearest_shown(above, shown)
    hidden = nearest[~shown]
    places = np.flatnonzero(shown)
    more = np.bincount(hidden[hidden != _NONE], minlength=len(above))[places].tolist()
    process = query.column("processes", "process")
    upper = np.where(nearest[places] == _NONE, _NONE, process[nearest[places]]).tolist()
    rows = _rows(query, places)
    ordered = in_order([row["process"] for row in rows], [None if one == _NONE else one for one in upper])
    for place, depth in ordered:
        rows[place].update(depth=depth, more=more[place])
    return Cast([rows[place] for place, _ in ordered], len(above), int(np.count_nonzero(hidden == _NONE)))


def only(query: QueryCoordinator, wanted: Iterable[int]) -> Cast:
    """These processes, those of them that there are, by themselves."""
    return _alone(query, _places(query, wanted))


def called(query: QueryCoordinator, text: str, most: int) -> Cast:
    """The first `most` processes with `text` in a name of theirs or in their pid, ignoring case; `total` is how many
    there are of these."""
    table = query.recording.table("processes")
    found = np.zeros(table.num_rows, np.bool_)
    for name in _TEXTS:
        matching = pc.match_substring(_plain(table.column(name)), text.strip(), ignore_case=True)
        found |= np.asarray(pc.fill_null(matching, False))
    places = np.flatnonzero(found)
    return _alone(query, places[:most])._replace(total=len(places))


def _alone(query: QueryCoordinator, places: Numbers) -> Cast:
    rows = _rows(query, places)
    for row in rows:
        row.update(depth=0, more=0)
    return Cast(rows, query.recording.rows("processes"), 0)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _places(query: QueryCoordinator, wanted: Iterable[int]) -> Numbers:
    """Where in the table these processes are."""
    found = (query.indexes.numbers("processes", "process", each)[:1] for each in dict.fromkeys(wanted))
    return np.concatenate([np.empty(0, np.int64), *found]).astype(np.int64)


def _above(query: QueryCoordinator) -> Numbers:
    """Where in the table the process is that each is shown below: its supervisor, else who spawned it."""
    process, supervisor = query.column("processes", "process"), query.column("processes", "supervisor")
    upper = np.where(supervisor == _NONE, query.column("processes", "parent"), supervisor)
    place = np.full(int(process.max(initial=_NONE)) + 2, _NONE)  # the last one is nobody's
    place[process] = np.arange(len(process))
    found = place[np.where((upper < len(place) - 1) & (upper != process), upper, _NONE)]
    return found.astype(np.int64)


def nearest_shown(above: Numbers, shown: Mask) -> Numbers:
    """The nearest above each that is shown. Each time as far again: chains of processes may be as long as there are
    many."""
    nearest = above.copy()
    for _ in range(_DEEP):
        skipped = np.flatnonzero((nearest != _NONE) & ~shown[nearest])
        if not len(skipped):
            return nearest
        nearest[skipped] = nearest[nearest[skipped]]
    nearest[skipped] = _NONE
    return nearest


def _telling(query: QueryCoordinator, above: Numbers, most: int, wanted: Numbers) -> Numbers:
    """Where the `most` are that tell most, and those that are `wanted`."""
    indexes, table = query.indexes, query.recording.table("processes")
    own = indexes.worded("processes", "kind", lambda kind: kind not in _COMMON)
    own |= np.asarray(pc.is_valid(table.column("name")))
    own[above[above != _NONE]] = True
    fallen = np.flatnonzero(indexes.worded("processes", "exit_kind", lambda kind: kind in _FALLEN))
    rank = np.where(query.column("processes", "end") == _NONE, 3, 4)
    rank[fallen[: most // _SHARE_FALLEN]] = 2
    rank[own] = 1
    rank[wanted] = 0
    # How much they did in steps of two: while it is recorded, those that do as much as others keep their places.
    much = np.log2(query.column("processes", "events") + 1.0).astype(np.int64)
    order = (rank * 64 + 63 - much) * len(rank) + np.arange(len(rank))
    return np.argpartition(order, most)[: max(most, len(wanted))]


def _rows(query: QueryCoordinator, places: Numbers) -> list[dict[str, Any]]:
    if not len(places):
        return []
    names = query.recording.table("processes").column_names
    has_code = np.isin(query.column("processes", "process")[places], coded(query)).tolist()
    reasons = dict[int | None, str | None]()
    found = []
    for values, code in zip(query.indexes.select("processes", places, *names), has_code, strict=True):
        row = dict(zip(names, values, strict=True))
        value = row["exit_value"]
        if value not in reasons:
            reasons[value] = query.values.text(value)
        row.update(exit_reason=reasons[value], coded=code)
        found.append(row)
    return found
