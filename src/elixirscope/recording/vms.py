"""Who is recorded: the VMs of a recording, how far their clocks are off, and their processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from elixirscope.recording.terms import Pid
from elixirscope.recording.told import Told

_NO_NODE: Final = "nonode@nohost"


class ProcessKey(NamedTuple):
    """Which process it is: its node, its pid as that node prints it, and the VM (-1: not recorded)."""

    node: str
    pid_text: str
    vm: int


class Vms:
    """The VMs of a recording: their numbers, their nodes, and how far their clocks are from Unix time."""

    def __init__(self, files: Sequence[Told]) -> None:
        self._numbers: dict[str, int] = {}
        self.files: list[list[Told]] = []
        self.shifts: list[int] = []
        self.nodes: list[str] = []
        self.add(files)
        anchors = [file.header.unix_ns for file in files if file.header is not None]
        self.earliest = min(anchors, default=0)

    def add(self, files: Sequence[Told]) -> None:
        """Further files; a VM that is known keeps its number, its clock and its node."""
        for name in sorted({file.vm_name for file in files} - self._numbers.keys()):
            group = [file for file in files if file.vm_name == name]
            self._numbers[name] = len(self.files)
            self.files.append([])
            self.shifts.append(_clock_shift(group))
            self.nodes.append(_node_name(name, group))
        for file in files:
            self.files[self.number(file)].append(file)

    @property
    def told(self) -> tuple[dict[str, int], list[int], list[str]]:
        """All that they are known by."""
        return self._numbers, self.shifts, self.nodes

    def number(self, file: Told) -> int:
        return self._numbers[file.vm_name]

    def owner(self, node: str, seen_by: int) -> int:
        """The VM whose process a pid of `node` is, seen in a file of VM `seen_by`; -1: not recorded."""
        if node in (_NO_NODE, self.nodes[seen_by]):
            return seen_by
        return self.nodes.index(node) if node in self.nodes else -1


def _clock_shift(files: list[Told]) -> int:
    """ns to add to the VM's monotonic times to get Unix time: one for all files of a VM.

    The median, because headers have no checksum: one damaged anchor among several moves nothing.
    """
    shifts = [file.header.unix_ns - file.header.monotonic_ns for file in files if file.header is not None]
    possible = sorted(shift for shift in shifts if abs(shift) < 2**62)
    return possible[len(possible) // 2] if possible else 0


def _node_name(vm_name: str, files: list[Told]) -> str:
    hellos = (meta for file in files for meta in file.metas if meta.get("what") == "hello")
    for hello in hellos:
        if isinstance(node := hello.get("node"), str):
            return str(node)
    return vm_name.rpartition(".")[0] or vm_name


class Processes:
    """Processes by a provisional number, in order of declaration."""

    def __init__(self, vms: Vms) -> None:
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

    def undeclared(self, file: Told, index: int, seen_by: int) -> int:
        """A process whose declaration is lost: it keeps its events, under a made-up pid."""
        key = ProcessKey(self._vms.nodes[seen_by], f"#PID<?.{index}.{file.name}>", seen_by)
        return self._number((seen_by, key.pid_text, index, -1), key)

    def _number(self, identity: tuple[int, str, int, int], key: ProcessKey) -> int:
        number = self._numbers.setdefault(identity, len(self.keys))
        if number == len(self.keys):
            self.keys.append(key)
        return number
