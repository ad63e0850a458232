"""Joins the raw files of all VMs into one `Log`: one time line, dense numbers, each value once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from elixirscope.errors import EnvironmentProblem
from elixirscope.recording.dedup import dedup
from elixirscope.recording.format import FORMAT_VERSION, NONE32
from elixirscope.recording.frames import newer_format
from elixirscope.recording.log import EVENT_ROW, Log, Loss, ProcessKey, Site
from elixirscope.recording.rawfile import RawFile, read_raw_file
from elixirscope.recording.sitetable import unknown_site, vm_sites
from elixirscope.recording.terms import Pid

_NO_NODE: Final = "nonode@nohost"
_DENSE: Final = 1 << 22  # ids up to this are looked up in an array


def join(raw_dir: Path) -> Log:
    """See `log.read_log`."""
    files = [read_raw_file(path) for path in raw_paths(raw_dir)]
    headers = [file.header for file in files if file.header is not None]
    # One file among others with another version is a damaged header; all of them are a newer recording.
    if headers and all(header.version > FORMAT_VERSION for header in headers):
        raise newer_format(str(raw_dir.parent), max(header.version for header in headers))
    vms = _Vms(files)
    processes = _Processes(vms)
    sites, site_numbers = _sites(files, vms)
    rows, places = _rows(files, vms, processes, sites, site_numbers)
    order = _by_time(rows)
    rows, places = rows[order], places[order]
    keys = _number_by_appearance(rows, processes)
    order = _by_time(rows)  # numbers break ties: keep that true
    moved = np.flatnonzero(order != np.arange(len(order)))
    rows[moved], places[moved] = rows[order[moved]], places[order[moved]]
    start = int(rows["at"][0]) if len(rows) else vms.earliest
    rows["at"] -= start
    rows["event"] = np.arange(len(rows))
    return Log(
        rows=rows,
        processes=keys,
        sites=sites,
        values=dedup(rows, places, [file.data for file in files]),
        losses=list(_losses(files, vms, processes, keys, start)),
        metas=[meta | {"vm": vms.number(file)} for file in files for meta in file.metas],
        gaps=[gap for file in files for gap in file.gaps],
        complete=bool(files) and all(file.ended and not file.gaps for file in files),
        start_unix_ns=start,
        duration_ns=int(rows["at"][-1]) if len(rows) else 0,
        unfinished=[file.name for file in files if not file.ended],
        bytes=sum(len(file.data) for file in files),
    )


def raw_paths(raw_dir: Path) -> list[Path]:
    """The raw files of a recording, in the order they are joined."""
    try:
        return sorted(path for path in raw_dir.iterdir() if path.suffix == ".frames" and path.is_file())
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot read {raw_dir}: {error.strerror or error}",
            "give yourself permission to read the recording's folder",
        ) from error


class _Vms:
    """The VMs of a recording: their numbers, their nodes, and how far their clocks are from Unix time."""

    def __init__(self, files: list[RawFile]) -> None:
        names = sorted({file.vm_name for file in files})
        self._numbers = {name: number for number, name in enumerate(names)}
        self.files: list[list[RawFile]] = [[] for _ in names]
        for file in files:
            self.files[self.number(file)].append(file)
        self.shifts = [_clock_shift(group) for group in self.files]
        self.nodes = [_node_name(name, group) for name, group in zip(names, self.files, strict=True)]
        anchors = [file.header.unix_ns for file in files if file.header is not None]
        self.earliest = min(anchors, default=0)

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

    def undeclared(self, file: RawFile, index: int, seen_by: int) -> int:
        """A process whose declaration is lost: it keeps its events, under a made-up pid."""
        key = ProcessKey(self._vms.nodes[seen_by], f"#PID<?.{index}.{file.name}>", seen_by)
        return self._number((seen_by, key.pid_text, index, -1), key)

    def _number(self, identity: tuple[int, str, int, int], key: ProcessKey) -> int:
        number = self._numbers.setdefault(identity, len(self.keys))
        if number == len(self.keys):
            self.keys.append(key)
        return number


def _sites(files: list[RawFile], vms: _Vms) -> tuple[dict[int, Site], list[dict[int, int]]]:
    """All sites by dense number from 1, and per VM the dense number of each of its ids."""
    sites: dict[int, Site] = {}
    numbers: list[dict[int, int]] = []
    for group in vms.files:
        own: dict[int, int] = {}
        for captured, make in sorted(vm_sites(file.modules for file in group).items()):
            own[captured] = number = len(sites) + 1
            sites[number] = make(number)
        numbers.append(own)
    return sites, numbers


def _rows(
    files: list[RawFile],
    vms: _Vms,
    processes: _Processes,
    sites: dict[int, Site],
    site_numbers: list[dict[int, int]],
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
    """All events with provisional process numbers, and for each (file, start, length) of its value."""
    total = sum(len(file.events) for file in files)
    rows = np.zeros(total, EVENT_ROW)
    places = np.zeros((total, 3), np.int64)
    done = 0
    for file_number, file in enumerate(files):
        vm, events = vms.number(file), file.events
        part = slice(done, done + len(events))
        done = part.stop
        into = rows[part]
        into["at"] = events["ts"] + vms.shifts[vm]
        into["vm"] = vm
        for name in ("kind", "flags", "aux", "frame", "ref"):
            into[name] = events[name]

        def process(index: int, file: RawFile = file, vm: int = vm) -> int:
            pid = file.pids.get(index)
            return processes.undeclared(file, index, vm) if pid is None else processes.of(pid, vm)

        def peer(index: int) -> int:
            return -1 if index == NONE32 else process(index)

        def site(captured: int, numbers: dict[int, int] = site_numbers[vm]) -> int:
            if captured and captured not in numbers:
                numbers[captured] = len(sites) + 1
                sites[len(sites) + 1] = unknown_site(len(sites) + 1)
            return numbers[captured] if captured else 0

        into["process"] = _translate(events["pid"], process)
        into["peer"] = _translate(events["peer"], peer)
        into["site"] = _translate(events["site"], site)
        places[part, 0] = file_number
        places[part, 1] = file.value_starts
        places[part, 2] = events["value_length"]
    return rows, places


def _translate(column: npt.NDArray[np.uint32], number: Callable[[int], int]) -> npt.NDArray[np.int32]:
    """`number` of each element, called once for each distinct one."""
    listed = column != NONE32
    highest = int(column.max(initial=0, where=listed))
    if highest > _DENSE:
        distinct, inverse = np.unique(column, return_inverse=True)
        return np.array([number(value) for value in distinct.tolist()], np.int32)[inverse]
    numbers = np.full(highest + 2, -1, np.int32)  # the last stands for none
    dense = np.where(listed, column, highest + 1)
    for value in np.flatnonzero(np.bincount(dense, minlength=highest + 2)).tolist():
        numbers[value] = number(value if value <= highest else NONE32)
    return numbers[dense]


def _by_time(rows: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """The order by time, then process, then as they are. Most times differ, so ties are sorted by themselves."""
    at = rows["at"]
    order = np.argsort(at, kind="stable")
    equal = np.diff(at[order]) == 0
    tied = np.zeros(len(order), dtype=bool)
    tied[1:] |= equal
    tied[:-1] |= equal
    places = np.flatnonzero(tied)
    among = rows[order[places]]
    order[places] = order[places][np.lexsort((among["process"], among["at"]))]
    return order


def _number_by_appearance(rows: npt.NDArray[np.void], processes: _Processes) -> list[ProcessKey]:
    """Renumber the processes of `rows` (in time order) by first appearance, as actor or as peer.

    Processes that appear in no event (they only lost some) come last.
    """
    seen = np.stack([rows["process"], rows["peer"]], axis=1).ravel()
    count = len(processes.keys)
    first = np.full(count + 1, len(seen))  # the last stands for index -1: none
    first[seen[::-1]] = np.arange(len(seen) - 1, -1, -1)
    ordered = np.argsort(first[:count], kind="stable").tolist()
    renumbered = np.full(count + 1, -1, np.int32)
    renumbered[ordered] = np.arange(count)
    rows["process"] = renumbered[rows["process"]]
    rows["peer"] = renumbered[rows["peer"]]
    return [processes.keys[number] for number in ordered]


def _losses(
    files: list[RawFile], vms: _Vms, processes: _Processes, keys: list[ProcessKey], start: int
) -> Iterator[Loss]:
    """What files say they lost, plus values that lie outside their frames."""
    numbers = {key: number for number, key in enumerate(keys)}
    for file in files:
        vm = vms.number(file)
        for pid, count, reason, ts in file.losses:
            process = None
            if pid is not None:
                key = processes.keys[processes.of(pid, vm)]
                if key not in numbers:  # it lost all it did
                    numbers[key] = len(keys)
                    keys.append(key)
                process = numbers[key]
            at = max(ts + vms.shifts[vm] - start, 0) if ts else None
            yield Loss(vm, process, count, reason, at)
        if file.bad_values:
            yield Loss(vm, None, 0, f"{file.bad_values:,} values of {file.name} lie outside their frames")
