"""Exceptions: what was raised where, whether it was caught, and which process it ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, ints, known, patch, table
from elixirscope.correlate.reasons import Entry, describe, entries_of, exit_kind, is_error, stack_of
from elixirscope.correlate.walk import name_of
from elixirscope.kernels import I32, I64, U8, Bits, kernel
from elixirscope.recording.changes import Patch
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Callee, Log, Site
from elixirscope.recording.terms import Atom, Term

_CHANGING: Final = ("file", "caught", "caught_event", "exit_event")
_RERAISE = Callee(":erlang", "raise", 3)
_RAISE, _CAUGHT, _EXIT = int(Kind.RAISE), int(Kind.CAUGHT), int(Kind.EXIT)
_BIND: Final = int(Kind.BIND)  # this and all below are what code does


@dataclass(slots=True)
class Raised:
    """One exception, from the first event that shows it."""

    event: int
    at: int
    process: int
    call: int  # CALL event of the frame that was running
    class_: str
    reason: Term
    value: int  # of the event
    where: Site | Entry | None = None
    caught: bool = False
    caught_event: int = NONE
    caught_call: int = NONE  # the frame that caught it
    exit_event: int = NONE
    row: int = NONE  # in the table


class _Modules(NamedTuple):
    """The modules that are recorded, as far as is known, and those that were passed over for not being among them."""

    recorded: set[str]
    passed_over: set[str]

    def best(self, entries: list[Entry]) -> Entry | None:
        """The top of a stack trace that is recorded code, else the top."""
        for entry in entries:
            if entry.module in self.recorded:
                return entry
            self.passed_over.add(entry.module)
        return entries[0] if entries else None


class Flights:
    """Joins each RAISE with the CAUGHT or EXIT that ended its flight, slice by slice.

    An exit that was only passed on by a link, with the reason of the process it came from, is no exception of its own.
    """

    def __init__(self) -> None:
        self._found: list[Raised] = []
        self._changed = set[int]()  # rows of which more is known than was told as news
        self._told = 0  # rows
        self._files: dict[str, set[str]] = {}  # as they were told
        self._flying: dict[int, Raised] = {}  # process → its latest, until something else happens to it
        self._survived: dict[int, Raised] = {}  # caught by code that is not recorded, as far as we know
        self._described: dict[
            tuple[str, int], tuple[str, str]
        ] = {}  # by class and the reason's identity: type and text
        self.passed_over = set[str]()  # modules in stack traces that were not recorded, as far as was known

    def take(self, log: Log, calls: Calls, passed: set[int]) -> None:
        """The next slice. `passed`: the EXITs that passed on another's."""
        modules = _Modules({site.module for site in log.sites.values()}, self.passed_over)
        of_events, changed = calls.of_events, self._changed
        found, flying, survived = self._found, self._flying, self._survived

        def add(raised: Raised) -> None:
            raised.row = len(found)
            found.append(raised)

        places = _telling(log, list(flying))
        fields = log.rows.at(places, "event", "at", "kind", "process", "value", "site")
        for call, (event, at, kind, process, value, number) in zip(of_events[places].tolist(), fields, strict=True):
            if kind <= _BIND:
                if process in flying:
                    survived[process] = flying.pop(process)
                    survived[process].caught = True
                    changed.add(survived[process].row)
                continue
            term = log.values.term(value) if value != NONE else None
            if kind == _RAISE:
                class_, reason = _class_and_reason(term)
                site = log.sites.get(number)
                again = _resumed(survived.get(process), call, site)
                if again is None:
                    again = Raised(event, at, process, call, class_, reason, value, site)
                    add(again)
                changed.add(again.row)
                flying[process] = again
            elif kind == _CAUGHT:
                class_, reason = _class_and_reason(term)
                thrown = flying.pop(process, None) or _again(survived.pop(process, None), reason)
                if thrown is None or thrown.class_ != class_:
                    where = _top(modules, term)
                    thrown = Raised(event, at, process, call, class_, reason, value, where)
                    add(thrown)
                changed.add(thrown.row)
                thrown.caught, thrown.caught_event, thrown.caught_call = True, event, call
                survived[process] = thrown
            else:
                shown = Raised(event, at, process, call, "exit", term, value)
                ended = _exit(modules, flying.pop(process, None), survived.pop(process, None), shown)
                if ended is not None and (ended.event != event or event not in passed):
                    ended.exit_event = event
                    if ended.event == event:
                        add(ended)
                    changed.add(ended.row)
            if found and (raised := found[-1]).event == event:
                if isinstance(raised.where, Entry) and kind == _EXIT:
                    raised.call = _named(log, calls, raised)
                raised.where = raised.where or _running(log, calls, event)

    def whole(self, log: Log) -> pa.Table:
        """The table, in order of event."""
        return table("exceptions", **self._columns(self._found, _files(log)))

    def news(self, log: Log) -> tuple[pa.Table, list[Patch]]:
        """The rows that are new since this was asked, and what is new of others."""
        before, self._files, told = self._files, _files(log), self._told
        old = range(told) if before != self._files else sorted(row for row in self._changed if row < told)
        columns = self._columns([self._found[row] for row in old], self._files)
        patches = patch("exceptions", ints(old), **{name: columns[name] for name in _CHANGING})
        fresh = table("exceptions", **self._columns(self._found[told:], self._files))
        self._changed, self._told = set(), len(self._found)
        return fresh, patches

    def _columns(self, raised: list[Raised], files: dict[str, set[str]]) -> dict[str, Any]:
        """What the table has of exceptions. `files`: of each module."""
        types = list[tuple[str, str]]()
        for each in raised:
            key = each.class_, id(each.reason)  # of one object, as equal values of a slice are: it is kept
            if (said := self._described.get(key)) is None:
                said = self._described[key] = describe(each.class_, each.reason)
            types.append(said)
        places = [_place(each.where, files) for each in raised]
        return {
            "class": [each.class_ for each in raised],
            "event": [each.event for each in raised],
            "process": [each.process for each in raised],
            "at": [each.at for each in raised],
            "type": [name for name, _ in types],
            "text": [text for _, text in types],
            "module": [place[0] for place in places],
            "function": [place[1] for place in places],
            "arity": [place[2] for place in places],
            "file": [place[3] for place in places],
            "line": [place[4] for place in places],
            "call": known(ints(each.call for each in raised)),
            "caught": [each.caught and (each.exit_event == NONE or each.caught_event != NONE) for each in raised],
            "caught_event": known(ints(each.caught_event for each in raised)),
            "exit_event": known(ints(each.exit_event for each in raised)),
            "value": known(ints(each.value for each in raised)),
        }


def _running(log: Log, calls: Calls, event: int) -> Entry | None:
    """The function that was running, for want of a stack trace; where in it is not known."""
    frame = int(calls.of_event[event - log.first])
    site = log.sites.get(int(calls.site[frame])) if frame != NONE else None
    return Entry(*name_of(site), site.file, None) if site is not None else None


def _named(log: Log, calls: Calls, raised: Raised) -> int:
    """The CALL of the frame that a stack trace names, from the one that seemed to run at the end on outwards.

    One that ended by calling unrecorded code in tail position seems to run on until its caller is seen again, which a
    caller that fails is not. Where the stack names none of them it stays that one."""
    frame = int(calls.of_event[raised.event - log.first])
    while frame != NONE:
        site = log.sites.get(int(calls.site[frame]))
        if site is not None and isinstance(raised.where, Entry) and _is_at(site, raised.where):
            return int(calls.event[frame])
        frame = int(calls.parent[frame])
    return raised.call


def _is_at(site: Site, where: Entry) -> bool:
    if site.kind == "fn":  # `-buy/1-fun-0-`, with what it closes over among its arguments
        return site.module == where.module and where.function.startswith(f"-{site.function}/")
    return name_of(site) == (where.module, where.function, where.arity)


def _telling(log: Log, flying: list[int]) -> Ints:
    """Every RAISE, CAUGHT and EXIT, and whatever code event comes right after a RAISE in its process; `flying`: the
    processes in which a RAISE came last before the slice."""
    raised = np.zeros(len(log.processes), dtype=bool)
    raised[flying] = True
    places = np.empty(len(log.rows), np.int64)
    return places[: _tell(log.column("kind"), log.column("process"), raised, places)]


@kernel
def _tell(kind: U8, process: I32, raised: Bits, places: I64) -> int:
    count = 0
    for place in range(len(kind)):
        what = kind[place]
        # Without branches: kinds follow each other in no order.
        thrown = (what >= _CAUGHT) & (what <= _RAISE) | (what == _EXIT)
        if thrown | (raised[process[place]] & (what <= _BIND)):
            places[count] = place
            count += 1
            raised[process[place]] = what == _RAISE
    return count


def _class_and_reason(term: Term) -> tuple[str, Term]:
    if isinstance(term, tuple) and len(term) >= 2 and isinstance(term[0], Atom):
        return str(term[0]), term[1]
    return "error", term


def _resumed(caught: Raised | None, call: int, site: Site | None) -> Raised | None:
    """The exception that the frame which caught it passes on, as `reraise` does: it flies again, still the same."""
    if caught is None or caught.caught_event == NONE or site is None or site.callee != _RERAISE:
        return None
    if caught.caught_call != call:
        return None
    caught.caught, caught.caught_event = False, NONE
    return caught


def _again(raised: Raised | None, reason: Term) -> Raised | None:
    """An earlier exception that code unknown to us let pass: the same one when the reason is."""
    return raised if raised is not None and raised.reason == reason else None


def _exit(modules: _Modules, flying: Raised | None, survived: Raised | None, shown: Raised) -> Raised | None:
    """The exception that an EXIT shows or ends; None when the process ended for another reason. `shown`: as if
    the EXIT with its reason were an exception of its own."""
    reason = shown.reason
    if shown.value == NONE:
        return flying
    taken = stack_of(reason)
    what = taken[0] if taken else reason
    if flying is not None and (what in (flying.reason, ("nocatch", flying.reason)) or flying.class_ == "exit"):
        return flying
    if (again := _again(survived, what)) is not None:
        return again
    if taken and (is_error(what) or _is_nocatch(what)):
        shown.class_, shown.reason = ("throw", what[1]) if _is_nocatch(what) else ("error", what)
        shown.where = modules.best(taken[1])
        return shown
    if taken and flying is not None:
        return flying  # wrapped or cut on its way out, but nothing came between
    if exit_kind(reason) == "crash" and isinstance(reason, tuple) and len(reason) == 2:
        called = reason[1]  # an exit by GenServer.call and its kind: {why, {module, function, arguments}}
        if isinstance(called, tuple) and len(called) == 3 and isinstance(called[2], list):
            return shown
    return None


def _is_nocatch(what: Term) -> bool:
    return isinstance(what, tuple) and len(what) == 2 and what[0] == "nocatch"


def _top(modules: _Modules, caught: Term) -> Site | Entry | None:
    """Where a caught exception came from: the top of its stack trace that is recorded code."""
    if isinstance(caught, tuple) and len(caught) == 3:
        return modules.best(entries_of(caught[2]))
    return None


Place = tuple[str | None, str | None, int | None, str | None, int | None]


def _place(where: Site | Entry | None, files: dict[str, set[str]]) -> Place:
    if where is None:
        return None, None, None, None, None
    file = where.file
    if isinstance(where, Entry) and file is not None:
        # Stack traces name files relative to their application; sites know the whole path.
        whole = [
            f for f in files.get(where.module, ()) if PurePosixPath(f).parts[-1:] == PurePosixPath(file).parts[-1:]
        ]
        file = whole[0] if len(whole) == 1 else file
    return where.module, where.function, where.arity, file, where.line


def _files(log: Log) -> dict[str, set[str]]:
    files: dict[str, set[str]] = {}
    for site in log.sites.values():
        if site.file:
            files.setdefault(site.module, set()).add(site.file)
    return files
