"""What a recording does not hold, and why: one row for each thing a reader could be misled by."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from elixirscope.recording.counted import counted
from elixirscope.recording.frames import vm_of
from elixirscope.recording.log import Log
from elixirscope.recording.omissions import omissions
from elixirscope.recording.terms import Atom, Term, inspect, module_name

_MOST_ROWS: Final = 50  # of one sort; the rest is summed up in one row


class Uncovered(msgspec.Struct, frozen=True):
    """`subject` was not, or not wholly, recorded, because of `reason`. Both are text to show.

    `function` is the one of which `calls` were only counted.
    """

    subject: str
    reason: str
    function: str | None = None
    calls: int = 0


def uncovered(log: Log) -> list[Uncovered]:
    """All that `log` knows to be missing."""
    rows: list[Uncovered] = []
    metas = log.metas
    told = (_losses(log), _gaps(log), _unfinished(log), _told(metas), _spans(log), _counted(log), _skipped(metas))
    for source in told:
        found = list(dict.fromkeys(source))
        rows += found[:_MOST_ROWS]
        if len(found) > _MOST_ROWS:
            rest = len(found) - _MOST_ROWS
            rows.append(Uncovered(f"{rest:,} more like “{found[-1].subject}”", found[-1].reason))
    return rows


def _losses(log: Log) -> Iterator[Uncovered]:
    lost: Counter[tuple[str, str]] = Counter()
    for loss in log.losses:
        subject = "events" if loss.process is None else log.processes[loss.process].pid_text
        lost[subject, loss.reason] += loss.count
    for (subject, reason), count in lost.most_common():
        yield Uncovered(subject, f"{count:,} events lost: {reason}" if count else reason)


def _gaps(log: Log) -> Iterator[Uncovered]:
    for gap in log.gaps:
        why = "the file stops in the middle of a frame" if gap.tail else "damaged, and skipped"
        yield Uncovered(f"raw/{gap.file}, bytes {gap.start:,} to {gap.end:,}", why)


def _unfinished(log: Log) -> Iterator[Uncovered]:
    vms: defaultdict[str, int] = defaultdict(int)
    for name in log.unfinished:
        vms[vm_of(name)] += 1
    for vm, files in vms.items():
        node, _, os_pid = vm.rpartition(".")
        yield Uncovered(
            f"the end of VM {os_pid} ({node})",
            f"{files} of its files {'was' if files == 1 else 'were'} not closed: it was killed, or is still running",
        )


def _told(metas: Iterable[dict[str, Any]]) -> Iterator[Uncovered]:
    for meta in metas:
        if meta.get("what") == "coverage":
            yield Uncovered(_text(meta.get("subject")), _text(meta.get("reason")))


def _spans(log: Log) -> Iterator[Uncovered]:
    """Times in which the agent recorded less, because it cost more than the plan allows."""
    for one in omissions(log):
        if one.kind in ("step", "limit"):
            until = _moment(one.until) if one.until is not None else "the end"
            yield Uncovered(f"{one.subject}, from {_moment(one.at or 0)} to {until}", one.reason)


def _counted(log: Log) -> Iterator[Uncovered]:
    """Functions that were called too often, the most frequent first."""
    calls: Counter[tuple[str, str | None, int]] = Counter()
    for one in counted(log):
        calls[one.name, str(one.callee) if one.kind == "function" else None, one.limit] += one.calls
    for (name, function, limit), count in calls.most_common():
        why = f"{count:,} were only counted: its calls cost more than {limit:,} small ones a second"
        yield Uncovered(f"calls of {name}", why, function, count)


def _moment(at: int) -> str:
    return f"{at / 1e9:,.3f} s"


def _skipped(metas: Iterable[dict[str, Any]]) -> Iterator[Uncovered]:
    """Modules that were not instrumented, together when the reason is the same."""
    modules: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for meta in metas:
        if meta.get("what") == "module_skipped":
            modules[_text(meta.get("reason"))][_module(meta.get("module"))] = None
    for reason, names in modules.items():
        shown = ", ".join(list(names)[:3])
        more = f" and {len(names) - 3:,} more modules" if len(names) > 3 else ""
        yield Uncovered(shown + more, reason)


def _module(value: Term) -> str:
    return module_name(value) if isinstance(value, Atom) else _text(value)


def _text(value: Term) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Atom):
        return module_name(value) if value.startswith("Elixir.") else str(value)
    return inspect(value)
