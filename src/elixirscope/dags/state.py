"""State evolution DAG: versions of process states, and what led from one to the next."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from elixirscope.dags.base import SqlDag
from elixirscope.dags.diff import Change, change_of, diff, shown
from elixirscope.errors import NotFoundError
from elixirscope.query.equality import same
from elixirscope.query.guests import callback_of
from elixirscope.query.paths import at_path, touches
from elixirscope.query.row import Row
from elixirscope.query.values import UNREADABLE, Value, marks

_WHOLE = 1_000_000
_SHOWN = 500  # changes in a picture


class StateAnswer(msgspec.Struct, frozen=True):
    """The state of a process at a time: `at` is when it came to be (ns), `changed_by` what made it."""

    process: int
    name: str
    version: int
    at: int
    value: str
    changed_by: str | None


class Version(msgspec.Struct, frozen=True):
    """One version of a process's state."""

    state: int
    version: int
    at: int
    until: int | None
    callback: str | None
    message: int | None
    value: Value | None
    restart: bool
    discontinuity: bool


class StateView(msgspec.Struct, frozen=True):
    """The state at a moment, with what changed since the version before."""

    process: int
    version: int
    versions: int
    at: int
    module: str | None
    callback: str | None
    value: Value | None
    previous: Value | None
    changes: list[Change]
    message: int | None
    state: int
    previous_state: int | None


class Blame(msgspec.Struct, frozen=True):
    """The version that last changed a part of a state, its changes there, and the message it handled.

    `version` is None when nothing that was recorded changed it. It is not `certain` when what is there was cut in that
    version or a later one, or in the one before: then another may have changed what was left out.
    """

    version: Version | None
    changes: list[Change]
    message: int | None
    certain: bool = True


class StateDag(SqlDag):
    """node = STATE event of a version; edge kinds `transition`, `restart` and `replaced`."""

    name: ClassVar[str] = "state"
    NODES: ClassVar[str] = """
        select 'state' as dag, s.state as node,
               case when s.restart then 'restart' when s.discontinuity then 'replaced'
                    when s.previous is null then 'initial' else 'version' end as kind,
               s.process, s.at, coalesce(s.module || ' ', '') || 'state ' || s.version as label
        from raw.states s"""
    EDGES: ClassVar[str] = """
        select 'state' as dag, s.previous as source, s.state as target,
               case when s.restart then 'restart' when s.discontinuity then 'replaced' else 'transition' end as kind,
               not coalesce(s.restart, false) as certain,
               case when s.restart then 'same role under the same supervisor'
                    else coalesce(s.callback, '') || coalesce(' of ' || m.tag, '') end as reason, s.at
        from raw.states s left join raw.messages m on m.message = s.message where s.previous is not null"""

    def row_at(self, process: int, at: int) -> Row | None:
        """The row of the version in force in `process` at `at` (ns); None before the first."""
        return next(iter(self.query.find_before("states", "process", process, "at", at + 1)), None)

    def row_at_event(self, event: int) -> Row | None:
        """The version in force in the event's process just after the event."""
        process = self.query.event(event)["process"]
        return next(iter(self.query.find_before("states", "process", process, "state", event + 1)), None)

    def at(self, process: int, at: int) -> StateAnswer:
        """The state of `process` at `at` (ns). Raises `NotFoundError` when none is known."""
        return self.answer(self.existing(process, at))

    def existing(self, process: int, at: int) -> Row:
        """As `row_at`. Raises `NotFoundError` when none is known."""
        row = self.row_at(process, at)
        if row is None:
            raise self._missing(process, at)
        return row

    def answer(self, row: Row) -> StateAnswer:
        """A version, told."""
        process = int(row["process"])
        text = self.query.values.text(row["value"], _WHOLE) or "not recorded"
        return StateAnswer(process, self.labels.process(process), row["version"], row["at"], text, self.changed_by(row))

    def _missing(self, process: int, at: int) -> NotFoundError:
        rows = self._versions(process)
        label = self.labels.process(process)
        if rows:
            return NotFoundError(f"{label} had no recorded state yet at {at}ns", f"its first is at {rows[0]['at']}ns")
        found = self.query.rows("select distinct process from states order by process limit 8")
        known = ", ".join(self.labels.process(row["process"]) for row in found)
        return NotFoundError(f"no state of {label} was recorded", f"states are known of: {known or 'no process'}")

    def changed_by(self, row: Row) -> str | None:
        """What made a version: "handle_call/3 of {:reserve, _} from Client 2"."""
        if row["discontinuity"]:
            return "code outside the callbacks"
        message = self.query.find("messages", "message", row["message"])
        callback = callback_of(self.query, row)[1]
        parts = [callback] if callback else []
        if message is not None:
            parts.append(f"of {message['kind']} {message['tag'] or ''}".rstrip())
            if message["from_process"] is not None:
                parts.append(f"from {self.labels.process(message['from_process'])}")
        return " ".join(parts) or None

    def history(self, process: int, *, offset: int = 0, limit: int | None = None, values: bool = True) -> list[Version]:
        """The versions of a process, the first first; a page of them, whose values alone are then decoded. Without
        `values` none is, and each is None."""
        numbers = self.query.indexes.numbers("states", "process", process)
        page = numbers[offset:] if limit is None else numbers[offset : offset + limit]
        return [self._version(row, values) for row in self.query.indexes.take("states", page)]

    def changed(self, process: int, path: str, at: int) -> Blame:
        """Who last changed `path` of the state of `process` at or before `at` (ns), and what it changed there."""
        row, before, certain = self._last_changed(process, path, at)
        if row is None:
            return Blame(None, [], None, certain)
        changes = self._changes(before["value"], row["value"]) if before is not None else []
        there = [change for change in changes if touches(change.path, path)]
        if before is not None and not there:  # of a list in which it only moved
            (old, _), (new, _) = (self._at_path(each["value"], path) for each in (before, row))
            there = change_of(path, old, new)
        return Blame(self._version(row), there, row["message"], certain)

    def _version(self, row: Row, value: bool = True) -> Version:
        return Version(
            row["state"],
            row["version"],
            row["at"],
            row["until"],
            callback_of(self.query, row)[1],
            row["message"],
            self.query.values.value(row["value"]) if value else None,
            bool(row["restart"]),
            bool(row["discontinuity"]),
        )

    def diff(self, a: int, b: int) -> list[Change]:
        """What differs from state `a` to state `b` (STATE events), all of it. Raises `NotFoundError`."""
        return self._changes(self._row(a)["value"], self._row(b)["value"])

    def diff_values(self, a: int | None, b: int | None) -> list[Change]:
        """What differs between any two recorded values, whosever states they are; none when one was not recorded."""
        return self._changes(a, b)

    def view(self, event: int) -> StateView | None:
        """The state of the event's process at the event, with its changes; None when none is known."""
        row = self.row_at_event(event)
        if row is None:
            return None
        before = self.query.find("states", "state", row["previous"])
        old = before["value"] if before is not None else None
        return StateView(
            row["process"],
            row["version"],
            self.query.count("states", "process", row["process"]),
            row["at"],
            *callback_of(self.query, row),
            self.query.values.value(row["value"]),
            self.query.values.value(old),
            shown(self._changes(old, row["value"], _SHOWN + 1), _SHOWN) if before is not None else [],
            row["message"],
            row["state"],
            row["previous"],
        )

    def who_changed(self, process: int, path: str, at: int) -> Row | None:
        """The row of the last version at or before `at` (ns) in which something else is at `path` than in the one
        before, or nothing any more; of a process's first version, the first in which something is. None if there is no
        such version.
        """
        return self._last_changed(process, path, at)[0]

    def _last_changed(self, process: int, path: str, at: int) -> tuple[Row | None, Row | None, bool]:
        """(version that changed what is at `path`, the one before it in its process, whether that is certain)."""
        rows = self.query.find_before(
            "states", "process", process, "at", at + 1, self.query.count("states", "process", process)
        )
        if not rows:
            return None, None, True
        there, certain = self._at_path(rows[0]["value"], path)
        for row, before in zip(rows, [*rows[1:], None], strict=True):
            older, whole = self._at_path(before["value"], path) if before is not None else ([], True)
            certain = certain and whole
            if not same(older, there):
                return row, before, certain
            there = older
        return None, None, certain

    def _at_path(self, value: int | None, path: str) -> tuple[list[Any], bool]:
        """What is at a path in a recorded value, and whether all of that was recorded."""
        term = UNREADABLE if value is None else self.query.values.peek(value)
        found, whole = at_path(term, path)
        return found, whole and not any(marks(part)[0] for part in found)

    def _changes(self, a: int | None, b: int | None, most: int | None = None) -> list[Change]:
        if a is None or b is None or a == b:
            return []
        return diff(self.query.values.peek(a), self.query.values.peek(b), most)

    def _row(self, state: int) -> Row:
        row = self.query.find("states", "state", state)
        if row is None:
            raise NotFoundError(f"e{state} is not a state version", "the view states lists them")
        return row

    def _versions(self, process: int) -> list[Row]:
        rows = self.query.find_all("states", "process", process)
        return sorted(rows, key=lambda row: int(row["state"]))
