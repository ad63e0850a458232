"""EventCorrelator: the raw log in, slice by slice, every table of the schema out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from elixirscope.correlate.bindings import bindings_table
from elixirscope.correlate.calls import Calls, Frames, calls_columns, calls_patches, calls_table
from elixirscope.correlate.causality import Causes
from elixirscope.correlate.columns import Ints, known, patch, table
from elixirscope.correlate.exceptions import Flights
from elixirscope.correlate.handling import Mailboxes, callbacks_of
from elixirscope.correlate.hindsight import Hindsight
from elixirscope.correlate.links import Links
from elixirscope.correlate.lives import Lives
from elixirscope.correlate.losses import Losses
from elixirscope.correlate.memory import memory_table
from elixirscope.correlate.messages import Mail, Messages, looks_of, messages_patches, messages_table
from elixirscope.correlate.omissions import omissions_table
from elixirscope.correlate.origins import Origins
from elixirscope.correlate.roster import Roster
from elixirscope.correlate.stages import Stages
from elixirscope.correlate.states import States
from elixirscope.correlate.testruns import TestRuns
from elixirscope.kernels import I32, I64, U8, kernel
from elixirscope.recording.changes import Changes, Patch
from elixirscope.recording.cores import cores
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Log
from elixirscope.recording.memory import MemoryTables

MANY: Final = 50_000
"""Events from which on a slice is related on several cores, where that is allowed."""
_AHEAD: Final = 3
"""Slices that are related at the same time, at most: the latest by a stage whose turn it is only in later ones."""


_STATE: Final = int(Kind.STATE)


class _Alone(NamedTuple):
    """What follows from frames alone."""

    calls: dict[str, Any]
    bindings: pa.Table


class _Tied(NamedTuple):
    """What ties processes to each other."""

    cause: Ints
    links: pa.Table
    patches: list[Patch]


class EventCorrelator:
    """Relates every event to every other. Pure: the same log, however it is sliced and on how many `threads`, gives the
    same tables.

    One correlator is for one recording: `relate` its slices in order of time, cut where the time changes, or `take` one
    after the other; then `finish`. What it keeps between slices is what can still matter: open frames, messages on
    their way, unanswered or waiting for their callback, the last state of each process, all processes and links. Each
    stage keeps its own, so one can be at a slice while others are at the next.
    """

    def __init__(self, threads: int = 1, many: int = MANY) -> None:
        self._many, self._stages = many, Stages(threads)
        self._ahead = _AHEAD if threads > 1 else 1
        self._frames = Frames()
        self._mail = Mail()
        self._mailboxes = Mailboxes()
        self._losses = Losses()
        self._lives = Lives()
        self._roster = Roster()
        self._changed = set[int]()  # lives of which more is known than was told as news
        self._links = Links()
        self._causes = Causes()
        self._states = States()
        self._flights = Flights()
        self._tests = TestRuns()
        self._origins = Origins()
        self._hindsight = Hindsight()
        self._hits = np.zeros(0, np.int64)  # events of each site, a callback's return and its state as one

    @classmethod
    def on_all_cores(cls) -> EventCorrelator:
        """One for a recording that has ended: nothing else needs the cores. See `recording.cores`."""
        return cls(cores())

    def relate(self, slices: Iterable[Log]) -> Iterator[Changes]:
        """The rows of slices, one after the other, as `take` gives them. On several cores the next slices are asked for
        and related meanwhile."""
        begun = deque[Callable[[], Changes]]()
        for log in slices:
            begun.append(self._begin(replace(log, sites=dict(log.sites))))  # whoever reads on may describe more
            if len(begun) >= self._ahead:
                yield begun.popleft()()
        while begun:
            yield begun.popleft()()

    def take(self, log: Log) -> Changes:
        """The rows of the next slice in all tables that grow with events. The log's processes and sites are all that
        are known so far, its losses all that are known of the whole recording."""
        return self._begin(log)()

    def _begin(self, log: Log) -> Callable[[], Changes]:
        """Have a slice related; gives what waits for it."""
        if not len(log.rows):
            return lambda: Changes({}, [])
        lossy = self._losses.lossy(log)
        start = partial(self._stages.start, at_once=len(log.rows) < self._many)
        calls = start("frames", lambda: self._frames.take(log, lossy))
        looks = start(None, lambda: looks_of(log))
        ran = start(None, lambda: callbacks_of(log, calls()), calls)
        alone = start("counts", lambda: self._without_messages(log, calls()), calls)
        previous = start("previous", lambda: self._causes.previous(log))
        messages = start("mail", lambda: self._mail.take(log, lossy, calls(), looks()), calls, looks)
        handled = start("mailboxes", lambda: self._mailboxes.take(log, calls(), messages(), ran()), messages, ran)
        tied = start("ties", lambda: self._tie(log, calls(), messages(), previous()), messages, previous)
        states = start("states", lambda: self._states.take(log, calls(), handled().message), handled)
        asked = start("origins", lambda: self._origins.take(calls(), handled().asker), handled)
        tables = start(
            None,
            lambda: {
                "calls": calls_table(calls(), alone().calls, handled().message, handled().asker),
                "messages": messages_table(messages()),
            },
            *(alone, handled),
        )
        events = start(None, lambda: events_table(log, calls(), previous(), tied().cause), tied)

        def changes() -> Changes:
            asked()
            (states_, state_patches), (_, links, link_patches) = states(), tied()
            rows = {"events": events(), **tables(), "states": states_, "bindings": alone().bindings, "links": links}
            return Changes(
                rows,
                [
                    *calls_patches(log, calls()),
                    *messages_patches(messages()),
                    *handled().patches,
                    *state_patches,
                    *link_patches,
                ],
            )

        return changes

    def _without_messages(self, log: Log, calls: Calls) -> _Alone:
        self._tests.take(log, calls)
        site = log.column("site")
        self._hits = np.append(self._hits, np.zeros(max(int(site.max()) + 1 - len(self._hits), 0), np.int64))
        _count(log.column("kind"), site, self._hits)
        return _Alone(calls_columns(log, calls), bindings_table(log, calls))

    def _tie(self, log: Log, calls: Calls, messages: Messages, previous: Ints) -> _Tied:
        self._lives.take(log, calls, messages)
        links, patches = self._links.take(log, self._lives, messages)
        cause, passed = self._causes.take(log, previous, self._lives, messages, self._links)
        self._flights.take(log, calls, passed)
        return _Tied(cause, links, patches)

    def outdated(self, log: Log) -> str | None:
        """Why slices that were taken would be related otherwise by one who knew what the next one, `log`, tells of the
        recording as a whole; None: they would not. To be asked for each slice or for none, before it is taken."""
        return self._hindsight.outdated(log, self._losses.lossy(log), self._flights.passed_over)

    def finish(self, log: Log) -> Changes:
        """The tables that do not grow with events, whole, and what the lives of processes explain of the others. Slices
        may still follow. `log`: any slice, with all that is known so far besides events."""
        whole = self.rest(log)
        whole["exceptions"] = self._flights.whole(log)
        whole["processes"] = self._roster.whole(log, self._lives, Losses.lost(log))
        rows, askers = self._origins.askers(self._lives)
        explained = [*patch("calls", rows, remote_parent=known(askers)), *self._states.explained(self._lives.all)]
        return Changes(whole, explained)

    def news(self, log: Log) -> Changes:
        """Of processes and exceptions the rows that are new and what changed in others, and what that explains of other
        tables, since this was asked. With what was told before it is what `finish` gives."""
        self._know(log)
        changed, self._changed = self._changed, set()
        fresh, patches = self._roster.news(log, self._lives, Losses.lost(log), changed)
        rows, askers = self._origins.news(self._lives, changed)
        patches += patch("calls", rows, remote_parent=known(askers))
        patches += self._states.news(self._lives.all, changed)
        exceptions, caught = self._flights.news(log)
        return Changes({"processes": fresh, "exceptions": exceptions}, [*patches, *caught])

    def rest(self, log: Log) -> dict[str, pa.Table]:
        """The other tables that do not grow with events, whole."""
        self._know(log)
        return {
            "sites": _sites_table(log, self._hits),
            "tests": self._tests.table(),
            "omissions": omissions_table(log),
            "memory": memory_table(log, self._roster.starts),
        }

    def _know(self, log: Log) -> None:
        self._changed |= self._roster.take(log, self._lives)

    @staticmethod
    def correlate(log: Log) -> dict[str, pa.Table]:
        """Every table of `schema.TABLES`, of a recording in one slice."""
        correlator, tables = EventCorrelator(), MemoryTables()
        tables.take(correlator.take(log))
        tables.take(correlator.finish(log))
        return tables.all()


@kernel
def _count(kind: U8, site: I32, hits: I64) -> None:
    """Count the events of each site. A state is told by the return that holds it."""
    for place in range(len(kind)):
        hits[site[place]] += kind[place] != _STATE


def events_table(log: Log, calls: Calls, previous: Ints, cause: Ints) -> pa.Table:
    return table(
        "events",
        event=log.column("event"),
        at=log.column("at"),
        process=log.column("process"),
        kind=log.column("kind").astype(np.int8),
        flags=log.column("flags").astype(np.int16),
        site=known(log.column("site"), 0),
        call=known(calls.of_events),
        peer=known(log.column("peer")),
        value=known(log.column("value")),
        previous=known(previous),
        cause=known(cause),
    )


def _sites_table(log: Log, counts: Ints) -> pa.Table:
    sites = sorted(log.sites.values(), key=lambda site: site.id)
    hits = np.zeros(max(sites[-1].id if sites else 0, len(counts)) + 1, np.int64)
    hits[: len(counts)] = counts
    return table(
        "sites",
        site=[site.id for site in sites],
        kind=[site.kind for site in sites],
        module=[site.module for site in sites],
        function=[site.function for site in sites],
        arity=[site.arity for site in sites],
        file=[site.file for site in sites],
        line=[site.line for site in sites],
        end_line=[site.end_line for site in sites],
        vars=[list(site.vars) for site in sites],
        callee=[str(site.callee) if site.callee is not None else None for site in sites],
        behaviour=[site.behaviour for site in sites],
        callback=[site.callback for site in sites],
        hits=[int(hits[site.id]) for site in sites],
    )
