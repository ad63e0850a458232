"""Kernels of the joiner: events of raw files to columns in the order of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from elixirscope.kernels import I16, I32, I64, S8, S16, S32, S64, U8, U16, U64, kernel
from elixirscope.recording.dedup import Found
from elixirscope.recording.format import NONE32
from elixirscope.recording.log import Rows
from elixirscope.recording.rawfile import Part

Events = npt.NDArray[np.void]
Numbers = npt.NDArray[np.int64]

_DENSE: Final = 1 << 22  # ids up to this are looked up in an array
_UNKNOWN: Final = -2
_ASKED: Final = -3
FAR: Final = -4  # stands for a number that is looked up by itself


class Origin:
    """Where the events of a slice come from: `order` has, in the order of time, their places among those of all files,
    one file after the other."""

    def __init__(self, files: Sequence[Events], order: Numbers) -> None:
        self.order = order
        self._files = files
        self._ends = np.cumsum([len(events) for events in files])

    def ranks(self) -> list[Numbers]:
        """Per file where each of its events comes."""
        ranks = np.empty(len(self.order), np.int64)
        ranks[self.order] = np.arange(len(ranks))
        return np.split(ranks, self._ends[:-1]) if self._files else []

    def field(self, name: str, ranks: Numbers) -> Numbers:
        """A field of the events of these ranks."""
        places, found, start = self.order[ranks], np.empty(len(ranks), np.int64), 0
        for events, end in zip(self._files, self._ends.tolist(), strict=True):
            mine = (places >= start) & (places < end)
            found[mine] = events[name][places[mine] - start]
            start = end
        return found

    def of(self, rank: int) -> tuple[int, Any]:
        """The file and the event of a rank."""
        place = int(self.order[rank])
        file = int(np.searchsorted(self._ends, place, side="right"))
        return file, self._files[file][place - int(self._ends[file])]


class Translation:
    """The numbers of what a file or a VM calls by small numbers of its own. What is known is asked for once."""

    def __init__(self) -> None:
        self.table = np.empty(0, np.int32)
        self._passing = list[int]()

    def learn(self, columns: Iterable[npt.NDArray[np.uint32]], number: Callable[[int], tuple[int, bool]]) -> None:
        """Have numbers for all that is in `columns`; `number` says also whether it is known for good."""
        for column in columns:
            highest = _highest(column)
            if highest >= len(self.table):
                more = np.full(highest + 1 + highest // 2 - len(self.table), _UNKNOWN, np.int32)
                self.table = np.append(self.table, more)
            asked = np.empty(len(self.table), np.int64)
            for own in asked[: _fresh(column, self.table, asked)].tolist():
                found, lasts = number(own)
                self.table[own] = found
                if not lasts:
                    self._passing.append(own)

    def forget(self) -> None:
        """Ask again for what was not known for good."""
        self.table[self._passing] = _UNKNOWN
        self._passing = []


@kernel
def _highest(column: S32) -> int:
    """The highest number that is looked up in an array, -1 for none."""
    highest = -1
    for place in range(len(column)):
        if highest < column[place] <= _DENSE:
            highest = column[place]
    return highest


@kernel
def _fresh(column: S32, table: I32, asked: I64) -> int:
    """Which numbers of a column are not known yet, each once."""
    count = 0
    for place in range(len(column)):
        own = column[place]
        if own < len(table) and table[own] == _UNKNOWN:
            table[own] = _ASKED
            asked[count] = own
            count += 1
    return count


def put(
    part: Part, ranks: Numbers, vm: int, file: int, pids: Translation, sites: Translation, into: Rows, found: Found
) -> int:
    """Write the events of a file to where they belong (`ranks`), with provisional numbers of processes, and what is
    known of their values. Gives how many have ids too large for a table: these are `FAR`."""
    events = part.events
    return _put(
        ranks,
        events["pid"],
        events["peer"],
        events["site"],
        events["kind"],
        events["flags"],
        events["aux"],
        events["frame"],
        events["ref"],
        events["value_length"],
        part.starts,
        part.digests,
        vm,
        file,
        pids.table,
        sites.table,
        into["process"],
        into["peer"],
        into["site"],
        into["kind"],
        into["flags"],
        into["aux"],
        into["frame"],
        into["ref"],
        into["vm"],
        found.places.ravel(),
        found.digests.ravel(),
    )


@kernel
def _put(
    ranks: I64,
    pid: S32,
    peer: S32,
    site: S32,
    kind: S8,
    flags: S8,
    aux: S16,
    frame: S64,
    ref: S64,
    value_length: S32,
    starts: I64,
    digests: U64,
    vm: int,
    file: int,
    pids: I32,
    sites: I32,
    to_process: I32,
    to_peer: I32,
    to_site: I32,
    to_kind: U8,
    to_flags: U8,
    to_aux: U16,
    to_frame: I64,
    to_ref: I64,
    to_vm: I16,
    to_places: I64,
    to_digests: U64,
) -> int:
    far = 0
    for each in range(len(ranks)):
        rank = ranks[each]
        actor, other, where = pid[each], peer[each], site[each]
        to_process[rank] = pids[actor] if actor < len(pids) else -1 if actor == NONE32 else FAR
        to_peer[rank] = pids[other] if other < len(pids) else -1 if other == NONE32 else FAR
        to_site[rank] = 0 if where == 0 else sites[where] if where < len(sites) else FAR
        if to_process[rank] == FAR or to_peer[rank] == FAR or to_site[rank] == FAR:
            far += 1
        to_kind[rank], to_flags[rank], to_aux[rank] = kind[each], flags[each], aux[each]
        to_frame[rank], to_ref[rank], to_vm[rank] = frame[each], ref[each], vm
        to_places[3 * rank], to_places[3 * rank + 1] = file, starts[each]
        to_places[3 * rank + 2] = value_length[each]
        to_digests[2 * rank], to_digests[2 * rank + 1] = digests[2 * each], digests[2 * each + 1]
    return far


@kernel
def number_by_appearance(process: I32, peer: I32, numbers: I32, count: int, fresh: I64) -> int:
    """Replace provisional numbers of processes by `numbers`; those that have none yet are given the next ones, from
    `count` on, in order of first appearance as actor or as peer. `fresh` tells them, the result how many."""
    found = 0
    for place in range(len(process)):
        actor, other = process[place], peer[place]
        if actor >= 0:
            if numbers[actor] < 0:
                numbers[actor] = count + found
                fresh[found] = actor
                found += 1
            process[place] = numbers[actor]
        if other >= 0:
            if numbers[other] < 0:
                numbers[other] = count + found
                fresh[found] = other
                found += 1
            peer[place] = numbers[other]
    return found


@kernel
def ties(at: I64, tied: I64) -> int:
    """Which events are at the same time as a neighbour, and how many."""
    count, last = 0, len(at) - 1
    for place in range(len(at)):
        if (place > 0 and at[place - 1] == at[place]) or (place < last and at[place + 1] == at[place]):
            tied[count] = place
            count += 1
    return count
