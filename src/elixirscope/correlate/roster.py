"""The roster: what follows from the lives of processes, kept up to date as more of them becomes known."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from elixirscope.correlate.columns import Ints, ints, patch, table, with_places
from elixirscope.correlate.labels import Labels
from elixirscope.correlate.lives import Lives
from elixirscope.correlate.processes import columns_of
from elixirscope.correlate.restarts import Succession
from elixirscope.correlate.roles import Roles
from elixirscope.correlate.supervision import Supervision
from elixirscope.recording.changes import Patch
from elixirscope.recording.log import Log

_COUNTS: Final = ("events", "lost")
_GIVEN: Final = ("process", "node", "pid", *_COUNTS)


class Roster:
    """Who is who, whose supervisor, whose successor, and called what. Each time the cost follows what is new of lives,
    and what that changes of others: not how many there were."""

    def __init__(self) -> None:
        self._roles = Roles()
        self._supervision = Supervision()
        self._succession = Succession()
        self._labels = Labels()
        self.starts = np.empty(0, np.int64)  # ns, of each process
        # What the table was told last
        self._told: dict[str, list[Any]] = {}
        self._counted = {name: np.empty(0, np.int64) for name in _COUNTS}
        self._rows = 0

    def take(self, log: Log, lives: Lives) -> set[int]:
        """The lives of which more is known since this was asked."""
        lives.meet(log)
        news, heard = lives.news()
        changed = self._roles.take(log, lives, news)
        supervised, turned = self._supervision.take(log, lives, changed)
        changed |= self._succession.take(log, lives, changed, turned | heard)
        changed |= self._labels.take(log, lives.all, changed)
        changed |= supervised
        self.starts = with_places(self.starts, len(lives.all), 0)
        for number in changed:
            self.starts[number] = max(lives.all[number].spawn_at, 0)
        return changed

    @staticmethod
    def whole(log: Log, lives: Lives, lost: Ints) -> pa.Table:
        """One row per process, in order of number. `lost`: events dropped per process."""
        return table("processes", **columns_of(lives.all, log.processes, lost, lives.events))

    def news(self, log: Log, lives: Lives, lost: Ints, changed: set[int]) -> tuple[pa.Table, list[Patch]]:
        """The rows of processes that are new since this was asked, and what is new of others."""
        old, rows = sorted(number for number in changed if number < self._rows), len(lives.all)
        columns = columns_of([lives.all[number] for number in old], log.processes, lost, lives.events)
        patches = list[Patch]()
        for name, told in self._told.items():
            values = columns[name]
            others = [place for place, number in enumerate(old) if told[number] != values[place]]
            numbers, news = ints([old[place] for place in others]), [values[place] for place in others]
            patches += patch("processes", numbers, **{name: news})
            for number, value in zip(numbers.tolist(), news, strict=True):
                told[number] = value
        for name, counts in (("events", lives.events), ("lost", lost)):
            told_ = self._counted[name]
            others_ = np.flatnonzero(counts[: self._rows] != told_[: self._rows])
            patches += patch("processes", others_, **{name: counts[others_]})
            self._counted[name] = told_ = with_places(told_, rows, 0)
            told_[others_], told_[self._rows : rows] = counts[others_], counts[self._rows : rows]
        fresh = columns_of(lives.all[self._rows :], log.processes, lost, lives.events)
        for name in fresh.keys() - set(_GIVEN):
            self._told.setdefault(name, []).extend(fresh[name])
        self._rows = rows
        return table("processes", **fresh), patches
