"""Joins the raw files of all VMs into one `Log`, whole or in slices: one time line, dense numbers, each value once."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from elixirscope.recording import heap
from elixirscope.recording.ahead import ahead
from elixirscope.recording.dedup import Dedup, Found
from elixirscope.recording.direct import DirectReader
from elixirscope.recording.format import FORMAT_VERSION
from elixirscope.recording.frames import fetch_headers, newer_format, raw_paths
from elixirscope.recording.growing import First
from elixirscope.recording.log import MEMORY_ROW, Log, Loss, ProcessKey, Rows, Site
from elixirscope.recording.merge import FAR, Origin, Translation, number_by_appearance, put, ties
from elixirscope.recording.rawfile import Part, RawFile, read_on, read_raw_file
from elixirscope.recording.sitetable import unknown_site, vm_sites
from elixirscope.recording.told import Described
from elixirscope.recording.vms import Processes, Vms

_EVER: Final = (1 << 62) - 1
_NO_TIMES: Final = np.empty(0, np.int64)
_SHARE: Final = 2  # raw files of more than that part of the memory are not taken to be in it
_AHEAD: Final = 2  # slices that are being read from the disk while another is in use
_EVENT_BYTES: Final = 1024  # with its value: where they have more, slices have fewer events

Numbers = npt.NDArray[np.int64]
Span = tuple[int, int]  # from, to before: times of a file


def join(raw_dir: Path) -> Log:
    """See `log.read_log`."""
    (log,) = Joiner.open(raw_dir).slices(None)
    return log


class Grown(NamedTuple):
    """What was written since the last look."""

    late: int  # events that came too late for a slice that was taken already
    delay: int | None  # ns from an event to when it was in its file, at most, by the machine's clock; None: not known


class Joiner:
    """Gives one slice after the other; keeps the numbers of processes, sites and values from one to the next."""

    @classmethod
    def open(cls, raw_dir: Path, *, trusting: bool = False) -> Joiner:
        """Check all raw files, and read what is not events. Raises as `read_log` does.

        `trusting`: frames of events are checked only by `slices` of some size, which raises `Damage` then."""
        paths = raw_paths(raw_dir)
        large = trusting and sum(path.stat().st_size for path in paths) > heap.machine() // _SHARE
        if large:
            with ThreadPoolExecutor(len(paths), thread_name_prefix="headers") as pool:
                list(pool.map(fetch_headers, paths))
        files = [read_raw_file(path, trusting=trusting) for path in paths]
        headers = [file.header for file in files if file.header is not None]
        # One file among others with another version is a damaged header; all of them are a newer recording.
        if headers and all(header.version > FORMAT_VERSION for header in headers):
            raise newer_format(str(raw_dir.parent), max(header.version for header in headers))
        if large and all(DirectReader.can_read(path) for path in paths):
            reader = DirectReader()
            for file in files:
                file.reader = reader
        return cls(files)

    def __init__(self, files: list[RawFile]) -> None:
        self._files = files
        self._vms = Vms(files)
        self._processes = Processes(self._vms)
        self._sites: dict[int, Site] = {}
        self._site_numbers: list[dict[int, int]] = []  # per VM the dense number of each of its ids
        self._site_tables: dict[int, Translation] = {}  # of VMs
        self._pids: dict[int, Translation] = {}  # of files
        self._described = (0, 0)  # VMs and modules, when sites were numbered last
        self._compared: tuple[int, ...] = ()  # with one that begins anew: files, VMs and modules then
        self._outdated: str | None = None
        self._guessed = False  # whether a site was described only after events of it had been told
        self._describe_sites()
        self._final = np.empty(0, np.int32)  # of each provisional process its number, -1 for one not seen yet
        self._keys: list[ProcessKey] = []
        self._dedup = Dedup(self.events)
        self._count = 0
        self._last = 0  # when the last event happened, from the start
        self._cut = -_EVER
        self._start = self._earliest()

    def _shift(self, file: RawFile) -> int:
        return self._vms.shifts[self._vms.number(file)]

    @property
    def buffers(self) -> list[memoryview]:
        """The bytes of the files that values lie in."""
        return [file.data for file in self._files]

    @property
    def modules(self) -> list[Described]:
        """The modules that are described so far."""
        return [module for file in self._files for module in file.modules]

    @property
    def events(self) -> int:
        """How many there are; of a recording that grows about as many as no slice has told yet."""
        return sum(int(file.batches["count"].sum()) for file in self._files)

    @property
    def told(self) -> int:
        """How many events slices have told so far."""
        return self._count

    def slices(self, size: int | None, *, beside: bool = False) -> Iterator[Log]:
        """The log in slices of about `size` events (None: all), cut where the time changes; at least one. Once only.
        `beside`: the next is read on another thread meanwhile.

        Each has all that is known without reading events: sites, losses, metas, gaps, whether it is complete.
        Processes are those seen so far; the last slice has all.
        """
        bounds = [-_EVER, *self._bounds(size), _EVER]
        spans = [self._own(*each) for each in pairwise(bounds)]
        parts = self._read(spans)
        for until, span, found in zip(bounds[1:], spans, ahead(parts) if beside else parts, strict=True):
            log = self._slice(found, until)
            weakref.finalize(log.values.slices, self._release, span).atexit = False
            yield log

    def _read(self, spans: list[list[Span]]) -> Iterator[list[Part]]:
        announced = 0
        for number, span in enumerate(spans):
            for later in spans[announced : number + _AHEAD + 1]:
                for file, each in zip(self._files, later, strict=True):
                    file.announce(*each)  # so that the disk is at work meanwhile
                announced += 1
            yield self._parts(span)

    def _release(self, spans: list[Span]) -> None:
        for file, span in zip(self._files, spans, strict=True):
            file.release(*span)

    def _own(self, since: int, until: int) -> list[Span]:
        """A span of time as each file has it."""
        return [(_own(since, self._shift(file)), _own(until, self._shift(file))) for file in self._files]

    def _parts(self, spans: list[Span]) -> list[Part]:
        return [file.span(*span) for file, span in zip(self._files, spans, strict=True)]

    def grow(self, raw_dir: Path, now: int) -> Grown:
        """Read what was written since to a recording that is still being made. `now`: Unix time in ns."""
        known = {file.name: file for file in self._files}
        fresh = list[RawFile]()
        before = dict[str, int]()
        read = list[RawFile]()
        for path in raw_paths(raw_dir):
            file = known.get(path.name) or RawFile(path)
            before[file.name] = len(file.batches)
            if not read_on(file, growing=True):
                continue
            read.append(file)
            if file.name not in known and file.header is not None:
                fresh.append(file)
        self._vms.add(fresh)
        self._files += fresh
        describing = len(self._vms.files), sum(len(file.modules) for file in self._files)
        if describing != self._described:
            self._describe_sites()
            self._described = describing
        if not self._count:
            self._start = self._earliest()
        late, delay = 0, list[int]()
        for file in read:
            if file.header is None:
                continue
            for times in file.times(before[file.name], _own(self._cut, self._shift(file))):
                late += len(times)
            if file.written is not None and file.written <= now:  # else the clock was set
                delay.append(file.written - self._shift(file) - int(file.batches["first"][-1]))
        return Grown(late, max(delay, default=None))

    def until(self, time: int) -> Log:
        """The slice of what happened since the last one and before `time` (Unix ns)."""
        since, self._cut = self._cut, max(time, self._cut)
        log = self._slice(self._parts(self._own(since, self._cut)), self._cut)
        for file in self._files:
            file.forget(_own(self._cut, self._shift(file)))
            file.release_all()
        return log

    def parts_until(self, time: int, size: int) -> Iterator[Log]:
        """As `until`, in slices of about `size` events; one at least."""
        for bound in self._bounds(size):
            if self._cut < bound < time:
                yield self.until(bound)
        yield self.until(time)

    def rest(self, size: int) -> Iterator[Log]:
        """As `parts_until`, of a recording that has ended: the last one has all that is known of it."""
        return self.parts_until(_EVER, size)

    def outdated(self) -> str | None:
        """Why one that begins anew would not give the slices that this one gave; None: it would. Of events that came
        too late `grow` tells."""
        if self._compared != (compared := (len(self._files), *self._described)):
            self._compared, self._outdated = compared, self._compare(Joiner(sorted(self._files, key=lambda f: f.path)))
        return self._outdated

    def _compare(self, anew: Joiner) -> str | None:
        if self._guessed:
            return "code was described after it had run"
        if [file.name for file in anew._files] != [
            file.name for file in self._files
        ] or anew._vms.told != self._vms.told:
            return "what came later would have been first"
        if anew._sites != {number: self._sites.get(number) for number in anew._sites}:
            return "modules of several VMs were described in turns"
        return None

    def unread(self, raw: dict[str, int]) -> str | None:
        """Why this has not read the raw files with these names and sizes whole, to their ends; None: it has."""
        if any(file.is_rewritten for file in self._files):
            return "a file was written anew"
        damaged = any(file.gaps or file.unknown_losses for file in self._files)
        return "a file is not whole" if damaged or {file.name: file.read for file in self._files} != raw else None

    def _earliest(self) -> int:
        times = [int(file.batches["first"].min()) + self._shift(file) for file in self._files if len(file.batches)]
        return min(times, default=self._vms.earliest)

    def _describe_sites(self) -> None:
        """Number all sites that are described and have no number yet, VM by VM in the order of their descriptions."""
        self._site_numbers += [{} for _ in self._vms.files[len(self._site_numbers) :]]
        for own, group in zip(self._site_numbers, self._vms.files, strict=True):
            for captured, make in vm_sites(file.modules for file in group).items():
                number = own.setdefault(captured, len(self._sites) + 1)
                if number not in self._sites or self._sites[number].kind == "unknown":
                    site = make(number)
                    self._guessed |= self._sites.setdefault(number, site) != site
                    self._sites[number] = site

    def _bounds(self, size: int | None) -> list[int]:
        """Times (Unix ns) at which to cut."""
        if size is None or not self._files:
            return []
        first = np.concatenate([file.batches["first"] + self._shift(file) for file in self._files])
        batches = np.concatenate([file.batches for file in self._files])
        weights = np.maximum(batches["count"], (batches["end"] - batches["start"]) // _EVENT_BYTES)
        order = np.argsort(first, kind="stable")
        numbers = np.cumsum(weights[order]) // size
        bounds: list[int] = np.unique(first[order][np.flatnonzero(np.diff(numbers, prepend=0))]).tolist()
        return bounds

    def _slice(self, parts: list[Part], until: int) -> Log:
        """The events of a span of time, which follows the one before. The last ends at `_EVER`."""
        files, vms = self._files, self._vms
        rows, found, origin = self._rows(parts)
        self._number_sites(rows, origin)
        self._number_processes(rows)
        if until == _EVER:
            self._number_rest()
        tied = np.empty(len(rows), np.int64)
        tied = tied[: ties(rows["at"], tied)]
        if len(tied):  # the numbers of processes decide
            order = tied[np.lexsort((rows["process"][tied], rows["at"][tied]))]
            rows.move(tied, order)
            found.places[tied], found.digests[tied] = found.places[order], found.digests[order]
        rows["at"][:] -= self._start
        rows["event"][:] = np.arange(self._count, self._count + len(rows))
        self._count += len(rows)
        self._last = int(rows["at"][-1]) if len(rows) else self._last
        return Log(
            rows=rows,
            processes=First(self._keys),
            sites=self._sites,
            values=self._dedup.take(rows["value"], found, [part.data for part in parts]),
            losses=list(self._losses(until == _EVER)),
            metas=[meta | {"vm": vms.number(file)} for file in files for meta in file.metas],
            gaps=[gap for file in files for gap in file.gaps],
            complete=bool(files) and all(file.ended and not file.gaps for file in files),
            start_unix_ns=self._start,
            duration_ns=self._last,
            unfinished=[file.name for file in files if not file.ended],
            bytes=sum(len(file.data) for file in files),
            samples=self._samples,
        )

    def _rows(self, parts: list[Part]) -> tuple[Rows, Found, Origin]:
        """Events in order of time with provisional process numbers, what is known of their values, and where they come
        from."""
        files, events = self._files, [part.events for part in parts]
        at = np.concatenate([_NO_TIMES, *(e["ts"] + self._shift(f) for f, e in zip(files, events, strict=True))])
        origin = Origin(events, np.argsort(at, kind="stable"))
        rows, found = Rows.empty(len(at)), Found.empty(len(at))
        rows["at"][:] = at[origin.order]
        far = 0
        for number, (file, part, ranks) in enumerate(zip(files, parts, origin.ranks(), strict=True)):
            vm = self._vms.number(file)
            pids, sites = self._pids.setdefault(number, Translation()), self._site_tables.setdefault(vm, Translation())
            pids.learn((part.events["pid"], part.events["peer"]), partial(self._process, file, vm))
            sites.learn((part.events["site"],), partial(self._site, vm))
            far += put(part, ranks, vm, number, pids, sites, rows, found)
            pids.forget()
            sites.forget()
        if far:
            self._look_up(rows, origin)
        return rows, found, origin

    def _look_up(self, rows: Rows, origin: Origin) -> None:
        """The numbers of what has ids that are too large for tables."""
        far = np.flatnonzero(rows["site"] == FAR)  # often: modules whose instrumented code is kept have such ids
        ids, which = np.unique(rows["vm"][far].astype(np.int64) << 32 | origin.field("site", far), return_inverse=True)
        numbers = [self._site(each >> 32, each & 0xFFFFFFFF)[0] for each in ids.tolist()]
        rows["site"][far] = np.array(numbers, np.int32)[which]
        for place in np.flatnonzero((rows["process"] == FAR) | (rows["peer"] == FAR)).tolist():
            number, event = origin.of(place)
            file, vm = self._files[number], int(rows["vm"][place])
            for name, own in (("process", int(event["pid"])), ("peer", int(event["peer"]))):
                if rows[name][place] == FAR:
                    rows[name][place], _ = self._process(file, vm, own)

    def _site(self, vm: int, captured: int) -> tuple[int, bool]:
        """The number of a site, -1 while nothing describes it, and whether something does."""
        number = self._site_numbers[vm].get(captured, -1)
        return number, number >= 0

    def _process(self, file: RawFile, vm: int, index: int) -> tuple[int, bool]:
        """The provisional number of what `file` calls so, and whether its declaration was seen."""
        pid = file.pids.get(index)
        if pid is None:
            return self._processes.undeclared(file, index, vm), False
        return self._processes.of(pid, vm), True

    def _number_sites(self, rows: Rows, origin: Origin) -> None:
        """Sites whose description is lost are numbered after the others, by first appearance."""
        for place in np.flatnonzero(rows["site"] < 0).tolist():
            _, event = origin.of(place)
            numbers, captured = self._site_numbers[int(rows["vm"][place])], int(event["site"])
            if captured not in numbers:
                numbers[captured] = len(self._sites) + 1
                self._sites[len(self._sites) + 1] = unknown_site(len(self._sites) + 1)
            rows["site"][place] = numbers[captured]

    def _number_processes(self, rows: Rows) -> None:
        """Number the processes of `rows` (in time order) by first appearance, as actor or as peer."""
        count = len(self._processes.keys)
        self._final = np.concatenate([self._final, np.full(count - len(self._final), -1, np.int32)])
        fresh = np.empty(count, np.int64)
        found = number_by_appearance(rows["process"], rows["peer"], self._final, len(self._keys), fresh)
        self._keys += [self._processes.keys[number] for number in fresh[:found].tolist()]

    def _number_rest(self) -> None:
        """Processes that appear in no event, for they lost all they did, come last, in the order of their losses."""
        lost = [
            self._processes.of(loss[0], self._vms.number(file))
            for file in self._files
            for loss in file.losses
            if loss[0]
        ]
        count = len(self._processes.keys)
        self._final = np.concatenate([self._final, np.full(count - len(self._final), -1, np.int32)])
        for number in [*lost, *np.flatnonzero(self._final < 0).tolist()]:
            if self._final[number] < 0:
                self._final[number] = len(self._keys)
                self._keys.append(self._processes.keys[number])

    def _samples(self) -> npt.NDArray[np.void]:
        """All samples of the memory of processes that have a number, as they were written."""
        found = [np.empty(0, MEMORY_ROW)]
        for file in self._files:
            if not file.samples:
                continue
            vm = self._vms.number(file)
            numbers = np.full(
                max(file.pids, default=-1) + 2, -1, np.int32
            )  # the last stands for all that are not named
            for index, pid in file.pids.items():
                if (number := self._processes.find(pid, vm)) is not None and number < len(self._final):
                    numbers[index] = self._final[number]
            sizes = [len(samples) for _, samples in file.samples]
            samples = np.concatenate([samples for _, samples in file.samples])
            rows = np.empty(len(samples), MEMORY_ROW)
            rows["at"] = np.repeat([ts for ts, _ in file.samples], sizes) + (self._vms.shifts[vm] - self._start)
            rows["process"] = numbers[np.minimum(samples["pid"], len(numbers) - 1)]
            rows["bytes"] = np.minimum(samples["bytes"], _EVER)
            found.append(rows[rows["process"] >= 0])
        return np.concatenate(found)

    def _losses(self, last: bool) -> Iterator[Loss]:
        """What files say they lost, of processes known so far; in the last slice also values outside their frames."""
        for file in self._files:
            vm = self._vms.number(file)
            for pid, count, reason, ts, since in file.losses:
                process = None
                if pid is not None:
                    number = self._processes.of(pid, vm)
                    if number >= len(self._final) or self._final[number] < 0:
                        continue
                    process = int(self._final[number])
                at, began = (max(t + self._vms.shifts[vm] - self._start, 0) if t else None for t in (ts, since))
                yield Loss(vm, process, count, reason, at, began)
            if file.bad_values and last:
                yield Loss(vm, None, 0, f"{file.bad_values:,} values of {file.name} lie outside their frames")


def _own(time: int, shift: int) -> int:
    """A time as the VM has it."""
    return time * 2 if abs(time) == _EVER else max(min(time - shift, _EVER), -_EVER)
