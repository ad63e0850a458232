"""Check-then-act races on ETS tables: one process looks up, another writes the key, the first writes too.

Seen through the watched calls to `:ets`. One call is atomic, so `insert_new/2` or `update_counter/3` alone never races.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from elixirscope.insight.findings import Finding
from elixirscope.insight.history import History
from elixirscope.insight.knowledge import heard_of
from elixirscope.insight.telling import Act, Race, describe
from elixirscope.insight.values import same, short
from elixirscope.query.row import Row

_READS = frozenset({"lookup", "lookup_element", "member"})
_WRITES = frozenset({"insert", "delete", "update_element", "take"})
_ADVICE = (
    "Make check and act one call, which a table runs alone: :ets.update_counter/4 to count, :ets.insert_new/2 to be the"
    " first, :ets.select_replace/2 to change only what is still as it was read; or let one process do all the writing."
)
_CALLS = "select * from raw.calls where external and module in (':ets', 'ets') order by call"


@dataclass(frozen=True)
class Access:
    """One finished call on one key of a table; read and write are told apart by the function."""

    row: Row
    table: Any
    key: Any
    written: Any

    @property
    def reads(self) -> bool:
        """Whether it leaves the table as it was."""
        return self.row["function"] in _READS


def table_races(history: History) -> list[Finding]:
    """One finding per pair of lookup and write in the code, each with its first instance."""
    places: dict[str, list[Access]] = defaultdict(list)
    for access in _accesses(history):
        places[repr((access.table, access.key))].append(access)
    best: dict[tuple[Any, ...], Race] = {}
    times: dict[tuple[Any, ...], int] = defaultdict(int)
    for accesses in places.values():
        for race in _races(history, accesses):
            best.setdefault(race.key, race)
            times[race.key] += 1
    return [describe(history, race, times[key]) for key, race in best.items()]


def _accesses(history: History) -> Iterator[Access]:
    for row in history.query.rows(_CALLS):
        arguments = history.term(row["args"])
        if row["end_event"] is None or not isinstance(arguments, tuple) or len(arguments) < 2:
            continue
        table, second = arguments[:2]
        if row["function"] == "insert":
            for record in second if isinstance(second, list) else [second]:
                if isinstance(record, tuple) and record:
                    yield Access(row, table, record[0], record)
        elif row["function"] in _READS | _WRITES:
            yield Access(row, table, second, None)


def _races(history: History, accesses: list[Access]) -> Iterator[Race]:
    """Of one key: every write whose process had looked before another process wrote."""
    for position, act in enumerate(accesses):
        if act.reads:
            continue
        earlier = accesses[:position]
        mine = [access for access in earlier if access.row["process"] == act.row["process"]]
        check = mine[-1] if mine else None
        if check is None or not check.reads or check.row["parent"] is None:
            continue
        frames = history.enclosing(act.row["parent"])
        common = next((call for call in history.enclosing(check.row["parent"]) if call in frames), None)
        others = [
            access
            for access in earlier
            if not access.reads
            and access.row["process"] != act.row["process"]
            and access.row["call"] > check.row["end_event"]
            and access.row["end_event"] < act.row["call"]
        ]
        if common is None or not others:
            continue
        other = others[-1]
        if not heard_of(history, _asked(act), since=_asked(check), what=_asked(other)):
            yield _told(history, accesses, check, other, act, common)


def _asked(access: Access) -> Row:
    return {"client": access.row["process"], "asked_event": access.row["call"], "server": None}


def _told(history: History, accesses: list[Access], check: Access, other: Access, act: Access, common: int) -> Race:
    rival = next(
        (
            access
            for access in reversed(accesses)
            if access.reads and access.row["process"] == other.row["process"] and access.row["call"] < other.row["call"]
        ),
        None,
    )
    frame = history.call(common)
    lost = _same_count(act, other)
    return Race(
        key=(frame["site"] if frame else None, check.row["site"], act.row["site"]),
        where=f"the ETS table {short(act.table, 40)}",
        thing=f"key {short(act.key, 40)}",
        common=common,
        check=_act(history, check),
        rival=_act(history, rival) if rival else None,
        other=_act(history, other),
        act=_act(history, act),
        overwrote=act.written is not None
        and other.written is not None
        and (lost or not same(act.written, other.written)),
        lost_update=lost,
        confidence=0.85 if act.written is not None else 0.65,
        advice=_ADVICE,
    )


def _same_count(act: Access, other: Access) -> bool:
    """Whether both wrote the same number: each made it of what both had read, and one of the two is lost."""
    if not isinstance(act.written, tuple) or not same(act.written, other.written):
        return False
    return any(isinstance(each, int | float) and not isinstance(each, bool) for each in act.written[1:])


def _act(history: History, access: Access) -> Act:
    arguments = history.term(access.row["args"])
    inner = ", ".join(short(argument, 40) for argument in arguments)
    answer = f"was told {short(history.term(access.row['result']))}"
    return Act(
        client=access.row["process"],
        event=access.row["call"],
        call=access.row["parent"],
        result_event=access.row["end_event"] if access.reads else None,
        request=f":ets.{access.row['function']}({inner})",
        outcome=answer if access.reads else "written",
    )
