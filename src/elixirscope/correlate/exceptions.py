"""Exceptions: what was raised where, whether it was caught, and which process it ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa

from elixirscope.correlate.calls import Calls
from elixirscope.correlate.columns import NONE, Ints, table
from elixirscope.correlate.reasons import Entry, describe, entries_of, exit_kind, is_error, stack_of
from elixirscope.correlate.walk import name_of
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Callee, Log, Site
from elixirscope.recording.terms import Atom, Term

_RERAISE = Callee(":erlang", "raise", 3)
_THROWN = (Kind.RAISE, Kind.CAUGHT, Kind.EXIT)


@dataclass
class Raised:
    """One exception, from the first event that shows it."""

    event: int
    process: int
    class_: str
    reason: Term
    value: int  # of the event
    where: Site | Entry | None = None
    caught: bool = False
    caught_event: int = NONE
    exit_event: int = NONE


def find_exceptions(log: Log, calls: Calls, cause: Ints) -> list[Raised]:
    """Joins each RAISE with the CAUGHT or EXIT that ended its flight. `cause`: per event its cause, or -1.

    An exit that was only passed on by a link, with the reason of the process it came from, is no exception of its own.
    """
    rows = log.rows
    modules = {site.module for site in log.sites.values()}
    found: list[Raised] = []
    flying: dict[int, Raised] = {}  # process → its latest, until something else happens to it
    survived: dict[int, Raised] = {}  # caught by code that is not recorded, as far as we know
    for event in _telling(log).tolist():
        row = rows[event]
        kind, process, value = int(row["kind"]), int(row["process"]), int(row["value"])
        if kind in (Kind.CALL, Kind.RETURN, Kind.TAIL, Kind.BIND):
            if process in flying:
                survived[process] = flying.pop(process)
                survived[process].caught = True
            continue
        term = log.values.term(value) if value != NONE else None
        if kind == Kind.RAISE:
            class_, reason = _class_and_reason(term)
            site = log.sites.get(int(row["site"]))
            again = _resumed(survived.get(process), event, site, calls)
            if again is None:
                again = Raised(event, process, class_, reason, value, site)
                found.append(again)
            flying[process] = again
        elif kind == Kind.CAUGHT:
            class_, reason = _class_and_reason(term)
            known = flying.pop(process, None) or _again(survived.pop(process, None), reason)
            if known is None or known.class_ != class_:
                known = Raised(event, process, class_, reason, value, _top(modules, term))
                found.append(known)
            known.caught, known.caught_event = True, event
            survived[process] = known
        else:
            ended = _exit(log, modules, flying.pop(process, None), survived.pop(process, None), event, term, value)
            if ended is not None and (ended.event != event or not _passed_on(log, event, cause)):
                ended.exit_event = event
                if ended.event == event:
                    found.append(ended)
    for raised in found:
        raised.where = raised.where or _running(log, calls, raised.event)
        raised.caught = raised.caught and (raised.exit_event == NONE or raised.caught_event != NONE)
    return found


def _running(log: Log, calls: Calls, event: int) -> Entry | None:
    """The function that was running, for want of a stack trace; where in it is not known."""
    frame = int(calls.of_event[event])
    site = log.sites.get(int(calls.site[frame])) if frame != NONE else None
    return Entry(*name_of(site), site.file, None) if site is not None else None


def _telling(log: Log) -> Ints:
    """Every RAISE, CAUGHT and EXIT, and whatever code event comes right after a RAISE in its process."""
    kinds, order = log.column("kind"), log.by_process
    code = order[np.isin(kinds, (*_THROWN, Kind.CALL, Kind.RETURN, Kind.TAIL, Kind.BIND))[order]]
    after = np.flatnonzero(kinds[code] == Kind.RAISE) + 1
    told = np.isin(kinds[code], _THROWN)
    told[after[after < len(code)]] = True
    return np.sort(code[told])


def _class_and_reason(term: Term) -> tuple[str, Term]:
    if isinstance(term, tuple) and len(term) >= 2 and isinstance(term[0], Atom):
        return str(term[0]), term[1]
    return "error", term


def _resumed(caught: Raised | None, event: int, site: Site | None, calls: Calls) -> Raised | None:
    """The exception that the frame which caught it passes on, as `reraise` does: it flies again, still the same."""
    if caught is None or caught.caught_event == NONE or site is None or site.callee != _RERAISE:
        return None
    if calls.of_event[caught.caught_event] != calls.of_event[event]:
        return None
    caught.caught, caught.caught_event = False, NONE
    return caught


def _again(raised: Raised | None, reason: Term) -> Raised | None:
    """An earlier exception that code unknown to us let pass: the same one when the reason is."""
    return raised if raised is not None and raised.reason == reason else None


def _exit(
    log: Log, modules: set[str], flying: Raised | None, survived: Raised | None, event: int, reason: Term, value: int
) -> Raised | None:
    """The exception that an EXIT shows or ends; None when the process ended for another reason."""
    if value == NONE:
        return flying
    taken = stack_of(reason)
    what = taken[0] if taken else reason
    if flying is not None and (what in (flying.reason, ("nocatch", flying.reason)) or flying.class_ == "exit"):
        return flying
    if (again := _again(survived, what)) is not None:
        return again
    process = int(log.column("process")[event])
    if taken and (is_error(what) or _is_nocatch(what)):
        entries = taken[1]
        if _is_nocatch(what):
            return Raised(event, process, "throw", what[1], value, _best(modules, entries))
        return Raised(event, process, "error", what, value, _best(modules, entries))
    if taken and flying is not None:
        return flying  # wrapped or cut on its way out, but nothing came between
    if exit_kind(reason) == "crash" and isinstance(reason, tuple) and len(reason) == 2:
        called = reason[1]  # an exit by GenServer.call and its kind: {why, {module, function, arguments}}
        if isinstance(called, tuple) and len(called) == 3 and isinstance(called[2], list):
            return Raised(event, process, "exit", reason, value)
    return None


def _is_nocatch(what: Term) -> bool:
    return isinstance(what, tuple) and len(what) == 2 and what[0] == "nocatch"


def _passed_on(log: Log, event: int, cause: Ints) -> bool:
    by = int(cause[event])
    return by != NONE and log.column("kind")[by] == Kind.EXIT and log.column("value")[by] == log.column("value")[event]


def _top(modules: set[str], caught: Term) -> Site | Entry | None:
    """Where a caught exception came from: the top of its stack trace that is recorded code."""
    if isinstance(caught, tuple) and len(caught) == 3:
        return _best(modules, entries_of(caught[2]))
    return None


def _best(modules: set[str], entries: list[Entry]) -> Entry | None:
    return next((entry for entry in entries if entry.module in modules), entries[0] if entries else None)


def exceptions_table(log: Log, calls: Calls, raised: list[Raised]) -> pa.Table:
    """The table, in order of event."""
    files = _files(log)
    types = [describe(each.class_, each.reason) for each in raised]
    places = [_place(each.where, files) for each in raised]
    frames = [int(calls.of_event[each.event]) for each in raised]

    def known(numbers: list[int]) -> list[int | None]:
        return [None if number == NONE else number for number in numbers]

    return table(
        "exceptions",
        **{"class": [each.class_ for each in raised]},
        event=[each.event for each in raised],
        process=[each.process for each in raised],
        at=[int(log.column("at")[each.event]) for each in raised],
        type=[name for name, _ in types],
        text=[text for _, text in types],
        module=[place[0] for place in places],
        function=[place[1] for place in places],
        arity=[place[2] for place in places],
        file=[place[3] for place in places],
        line=[place[4] for place in places],
        call=[int(calls.event[f]) if f != NONE else None for f in frames],
        caught=[each.caught for each in raised],
        caught_event=known([each.caught_event for each in raised]),
        exit_event=known([each.exit_event for each in raised]),
        value=known([each.value for each in raised]),
    )


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
