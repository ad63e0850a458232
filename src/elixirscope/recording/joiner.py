"""Joins the raw files of all VMs into one `Log`, whole or in slices: one time line, dense numbers, each value once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from elixirscope.errors import EnvironmentProblem
from elixirscope.recording.dedup import Dedup
from elixirscope.recording.format import FORMAT_VERSION
from elixirscope.recording.frames import newer_format
from elixirscope.recording.log import MEMORY_ROW, Log, Loss, ProcessKey, Rows, Site
from elixirscope.recording.merge import FAR, Origin, Translation, number_by_appearance, put, ties
from elixirscope.recording.rawfile import RawFile, read_on, read_raw_file
from elixirscope.recording.sitetable import unknown_site, vm_sites
from elixirscope.recording.terms import Pid

_NO_NODE: Final = "nonode@nohost"
_EVER: Final = (1 << 62) - 1
_NO_TIMES: Final = np.empty(0, np.int64)

Numbers = npt.NDArray[np.int64]


def join(raw_dir: Path) -> Log:
    """See `log.read_log`."""
    (log,) = Joiner.open(raw_dir).slices(None)
    return log


def raw_paths(raw_dir: Path) -> list[Path]:
    """The raw files of a recording, in the order they are joined."""
    try:
        return sorted(path for path in raw_dir.iterdir() if path.suffix == ".frames" and path.is_file())
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot read {raw_dir}: {error.strerror or error}",
            "give yourself permission to read the recording's folder",
        ) from error


class Grown(NamedTuple):
    """What was written since the last look."""

    late: int  # events that came too late for a slice that was taken already
    delay: int | None  # ns from an event to when it was in its file, at most, by the machine's clock; None: not known


class Joiner:
    """Gives one slice after the other; keeps the numbers of processes, sites and values from one to the next."""

    @classmethod
    def open(cls, raw_dir: Path) -> Joiner:
        """Check all raw files, and read what is not events. Raises as `read_log` does."""
        files = [read_raw_file(path) for path in raw_paths(raw_dir)]
        headers = [file.header for file in files if file.header is not None]
        # One file among others with another version is a damaged header; all of them are a newer recording.
        if headers and all(header.version > FORMAT_VERSION for header in headers):
            raise newer_format(str(raw_dir.parent), max(header.version for header in headers))
        return cls(files)

    def __init__(self, files: list[RawFile]) -> None:
        self._files = files
        self._vms = _Vms(files)
        self._processes = _Processes(self._vms)
        self._sites: dict[int, Site] = {}
        self._site_numbers: list[dict[int, int]] = []  # per VM the dense number of each of its ids
        self._site_tables: dict[int, Translation] = {}  # of VMs
        self._pids: dict[int, Translation] = {}  # of files
        self._described = (0, 0)  # VMs and modules, when sites were numbered last
        self._describe_sites()
        self._final = np.empty(0, np.int32)  # of each provisional process its number, -1 for one not seen yet
        self._keys: list[ProcessKey] = []
        self._dedup = Dedup([file.data for file in files])
        self._count = 0
        self._cut = -_EVER
        self._start = self._earliest()

    def _shift(self, file: RawFile) -> int:
        return self._vms.shifts[self._vms.number(file)]

    @property
    def buffers(self) -> list[memoryview]:
        """The bytes of the files that values lie in."""
        return list(self._dedup.buffers)

    @property
    def events(self) -> int:
        """How many there are."""
        return sum(int(file.batches["count"].sum()) for file in self._files)

    def slices(self, size: int | None) -> Iterator[Log]:
        """The log in slices of about `size` events (None: all), cut where the time changes; at least one. Once only.

        Each has all that is known without reading events: sites, losses, metas, gaps, whether it is complete.
        Processes are those seen so far; the last slice has all.
        """
        bounds = self._bounds(size)
        for start, end in zip([-_EVER, *bounds], [*bounds, _EVER], strict=True):
            yield self._slice(start, end)
            for file in self._files:
                file.release()

    def grow(self, raw_dir: Path, now: int) -> Grown:
        """Read what was written since to a recording that is still being made. `now`: Unix time in ns."""
        known = {file.name: file for file in self._files}
        fresh = list[RawFile]()
        before = dict[str, int]()
        read = list[RawFile]()
        for path in raw_paths(raw_dir):
            name = path.stem.rpartition("-")[0] or path.stem
            file = known.get(path.name) or RawFile(path.name, name, memoryview(b""), None)
            before[file.name] = len(file.batches)
            if not read_on(file, path, growing=True):
                continue
            read.append(file)
            if file.name not in known and file.header is not None:
                fresh.append(file)
        self._vms.add(fresh)
        self._files += fresh
        self._dedup.buffers[:] = [file.data for file in self._files]
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
            for times in file.times(before[file.name]):
                late += int((times < _own(self._cut, self._shift(file))).sum())
            if file.written is not None and file.written <= now:  # else the clock was set
                delay.append(file.written - self._shift(file) - int(file.batches["first"][-1]))
        return Grown(late, max(delay, default=None))

    def until(self, time: int) -> Log:
        """The slice of what happened since the last one and before `time` (Unix ns)."""
        since, self._cut = self._cut, max(time, self._cut)
        log = self._slice(since, self._cut)
        for file in self._files:
            file.forget(_own(self._cut, self._shift(file)))
            file.release()
        return log

    def parts_until(self, time: int, size: int) -> Iterator[Log]:
        """As `until`, in slices of about `size` events; one at least."""
        for bound in self._bounds(size):
            if self._cut < bound < time:
                yield self.until(bound)
        yield self.until(time)

    def _earliest(self) -> int:
        times = [int(file.batches["first"].min()) + self._shift(file) for file in self._files if len(file.batches)]
        return min(times, default=self._vms.earliest)

    def _describe_sites(self) -> None:
        """Number all sites that are described and have no number yet, VM by VM in order of their ids."""
        self._site_numbers += [{} for _ in self._vms.files[len(self._site_numbers) :]]
        for own, group in zip(self._site_numbers, self._vms.files, strict=True):
            for captured, make in sorted(vm_sites(file.modules for file in group).items()):
                number = own.setdefault(captured, len(self._sites) + 1)
                if number not in self._sites or self._sites[number].kind == "unknown":
                    self._sites[number] = make(number)

    def _bounds(self, size: int | None) -> list[int]:
        """Times (Unix ns) at which to cut."""
        if size is None or not self._files:
            return []
        first = np.concatenate([file.batches["first"] + self._shift(file) for file in self._files])
        counts = np.concatenate([file.batches["count"] for file in self._files])
        order = np.argsort(first, kind="stable")
        numbers = np.cumsum(counts[order]) // size
        bounds: list[int] = np.unique(first[order][np.flatnonzero(np.diff(numbers, prepend=0))]).tolist()
        return bounds

    def _slice(self, since: int, until: int) -> Log:
        """The events of a span of time, which follows the one before. The last ends at `_EVER`."""
        files, vms = self._files, self._vms
        rows, places, origin = self._rows(since, until)
        self._number_sites(rows, origin)
        self._number_processes(rows)
        if until == _EVER:
            self._number_rest()
        tied = np.empty(len(rows), np.int64)
        tied = tied[: ties(rows["at"], tied)]
        if len(tied):  # the numbers of processes decide
            order = tied[np.lexsort((rows["process"][tied], rows["at"][tied]))]
            rows.move(tied, order)
            places[tied] = places[order]
        rows["at"][:] -= self._start
        rows["event"][:] = np.arange(self._count, self._count + len(rows))
        self._count += len(rows)
        return Log(
            rows=rows,
            processes=list(self._keys),
            sites=self._sites,
            values=self._dedup.take(rows["value"], places),
            losses=list(self._losses(until == _EVER)),
            metas=[meta | {"vm": vms.number(file)} for file in files for meta in file.metas],
            gaps=[gap for file in files for gap in file.gaps],
            complete=bool(files) and all(file.ended and not file.gaps for file in files),
            start_unix_ns=self._start,
            duration_ns=int(rows["at"][-1]) if len(rows) else 0,
            unfinished=[file.name for file in files if not file.ended],
            bytes=sum(len(file.data) for file in files),
            samples=self._samples,
        )

    def _rows(self, since: int, until: int) -> tuple[Rows, Numbers, Origin]:
        """Events in order of time with provisional process numbers; for each (file, start, length) of its value; and
        where they come from."""
        files = self._files
        found = [file.span(*(_own(time, self._shift(file)) for time in (since, until))) for file in files]
        events, starts = [part[0] for part in found], [part[1] for part in found]
        at = np.concatenate([_NO_TIMES, *(e["ts"] + self._shift(f) for f, e in zip(files, events, strict=True))])
        origin = Origin(events, np.argsort(at, kind="stable"))
        rows, places = Rows.empty(len(at)), np.empty((len(at), 3), np.int64)
        rows["at"][:] = at[origin.order]
        far = 0
        for number, (file, ranks) in enumerate(zip(files, origin.ranks(), strict=True)):
            vm = self._vms.number(file)
            pids, sites = self._pids.setdefault(number, Translation()), self._site_tables.setdefault(vm, Translation())
            pids.learn((events[number]["pid"], events[number]["peer"]), partial(self._process, file, vm))
            sites.learn((events[number]["site"],), partial(self._site, vm))
            far += put(events[number], starts[number], ranks, vm, number, pids, sites, rows, places.ravel())
            pids.forget()
            sites.forget()
        if far:
            self._look_up(rows, origin)
        return rows, places, origin

    def _look_up(self, rows: Rows, origin: Origin) -> None:
        """The numbers of what has ids that are too large for tables."""
        for place in np.flatnonzero((rows["process"] == FAR) | (rows["peer"] == FAR) | (rows["site"] == FAR)).tolist():
            number, event = origin.of(place)
            file, vm = self._files[number], int(rows["vm"][place])
            for name, own in (("process", int(event["pid"])), ("peer", int(event["peer"]))):
                if rows[name][place] == FAR:
                    rows[name][place], _ = self._process(file, vm, own)
            if rows["site"][place] == FAR:
                rows["site"][place], _ = self._site(vm, int(event["site"]))

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
        """Processes that appear in no event, for they lost all they did, come last."""
        for file in self._files:
            for pid, *_ in file.losses:
                if pid is not None:
                    self._processes.of(pid, self._vms.number(file))
        count = len(self._processes.keys)
        self._final = np.concatenate([self._final, np.full(count - len(self._final), -1, np.int32)])
        fresh = np.flatnonzero(self._final < 0)
        self._final[fresh] = np.arange(len(self._keys), len(self._keys) + len(fresh))
        self._keys += [self._processes.keys[number] for number in fresh.tolist()]

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


class _Vms:
    """The VMs of a recording: their numbers, their nodes, and how far their clocks are from Unix time."""

    def __init__(self, files: list[RawFile]) -> None:
        self._numbers: dict[str, int] = {}
        self.files: list[list[RawFile]] = []
        self.shifts: list[int] = []
        self.nodes: list[str] = []
        self.add(files)
        anchors = [file.header.unix_ns for file in files if file.header is not None]
        self.earliest = min(anchors, default=0)

    def add(self, files: list[RawFile]) -> None:
        """Further files; a VM that is known keeps its number, its clock and its node."""
        for name in sorted({file.vm_name for file in files} - self._numbers.keys()):
            group = [file for file in files if file.vm_name == name]
            self._numbers[name] = len(self.files)
            self.files.append([])
            self.shifts.append(_clock_shift(group))
            self.nodes.append(_node_name(name, group))
        for file in files:
            self.files[self.number(file)].append(file)

    def number(self, file: RawFile) -> int:
        return self._numbers[file.vm_name]

    def owner(self, node: str, seen_by: int) -> int:
        """The VM whose process a pid of `node` is, seen in a file of VM `seen_by`; -1: not recorded."""
        if node in (_NO_NODE, self.nodes[seen_by]):
            return seen_by
        return self.nodes.index(node) if node in self.nodes else -1


def _clock_shift(files: list[RawFile]) -> int:
    """ns to add to the VM's monotonic times to get Unix time: one for all files of a VM.

    The median, because headers have no checksum: one damaged anchor among several moves nothing.
    """
    shifts = [file.header.unix_ns - file.header.monotonic_ns for file in files if file.header is not None]
    possible = sorted(shift for shift in shifts if abs(shift) < 2**62)
    return possible[len(possible) // 2] if possible else 0


def _node_name(vm_name: str, files: list[RawFile]) -> str:
    hellos = (meta for file in files for meta in file.metas if meta.get("what") == "hello")
    for hello in hellos:
        if isinstance(node := hello.get("node"), str):
            return str(node)
    return vm_name.rpartition(".")[0] or vm_name


class _Processes:
    """Processes by a provisional number, in order of declaration."""

    def __init__(self, vms: _Vms) -> None:
        self._vms = vms
        self._numbers: dict[tuple[int, str, int, int], int] = {}
        self.keys: list[ProcessKey] = []

    def of(self, pid: Pid, seen_by: int) -> int:
        owner = self._vms.owner(pid.node, seen_by)
        node = self._vms.nodes[owner] if owner >= 0 else pid.node
        return self._number((owner, node, pid.id, pid.serial), ProcessKey(node, str(pid), owner))

    def find(self, pid: Pid, seen_by: int) -> int | None:
        """As `of`, of one that is known already."""
        owner = self._vms.owner(pid.node, seen_by)
        node = self._vms.nodes[owner] if owner >= 0 else pid.node
        return self._numbers.get((owner, node, pid.id, pid.serial))

    def undeclared(self, file: RawFile, index: int, seen_by: int) -> int:
        """A process whose declaration is lost: it keeps its events, under a made-up pid."""
        key = ProcessKey(self._vms.nodes[seen_by], f"#PID<?.{index}.{file.name}>", seen_by)
        return self._number((seen_by, key.pid_text, index, -1), key)

    def _number(self, identity: tuple[int, str, int, int], key: ProcessKey) -> int:
        number = self._numbers.setdefault(identity, len(self.keys))
        if number == len(self.keys):
            self.keys.append(key)
        return number
