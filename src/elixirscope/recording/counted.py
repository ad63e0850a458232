"""Calls that were counted and not recorded, because their function was called more often than the plan allows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from elixirscope.recording.log import Callee, Log, Site
from elixirscope.recording.terms import Atom, Term, module_name


@dataclass(frozen=True, slots=True)
class Counted:
    """`calls` of one function (`kind` as of a site: function, fn, external) from `start` to `end`, in ns from the first
    event: no call of it was recorded in that time. `limit`: how many a second may be."""

    kind: str
    callee: Callee
    line: int
    calls: int
    start: int
    end: int
    limit: int
    vm: int = 0

    @property
    def name(self) -> str:
        """What was called, for a person."""
        named = {
            "fn": f"a function in {self.callee}, line {self.line}",
            "external": f"{self.callee} in line {self.line}",
        }
        return named.get(self.kind, str(self.callee))


def counted(log: Log) -> list[Counted]:
    """All that `log` knows of; what does not have the shape of docs/format.md is not there."""
    found = []
    for meta in log.metas:
        until, limit, calls = meta.get("until_unix_ns"), meta.get("calls_per_second"), meta.get("calls")
        if meta.get("what") == "counted" and isinstance(until, int) and isinstance(limit, int):
            for entry in calls if isinstance(calls, list) else []:
                one = _one(entry, until, limit, log.start_unix_ns, meta.get("vm", 0))
                found += [one] if one is not None else []
    return found


def _one(entry: Term, until: int, limit: int, zero: int, vm: int) -> Counted | None:
    match entry:
        case ((Atom() as module, Atom() as kind, Atom() as function, int(arity), int(line)), int(calls), int(since)):
            callee = Callee(module_name(module), str(function), arity)
            return Counted(str(kind), callee, line, calls, since - zero, until - zero, limit, vm)
    return None


class LeftOut:
    """When calls of which functions were not recorded."""

    def __init__(self, log: Log | None = None) -> None:
        self._spans: defaultdict[tuple[bool, Callee], list[tuple[int, int]]] = defaultdict(list)
        for one in counted(log) if log is not None else []:
            self._spans[one.kind == "fn", one.callee].append((one.start, one.end))

    def __bool__(self) -> bool:
        return bool(self._spans)

    def spans(self, site: Site) -> list[tuple[int, int]]:
        """The times (ns from the start) between which no call of the function of `site` was recorded."""
        callee = site.callee if site.kind == "external" and site.callee else None
        return self._spans.get((site.kind == "fn", callee or Callee(site.module, site.function, site.arity)), [])
