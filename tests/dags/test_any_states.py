"""States of processes over any history, against a plain walk: at a time, at an event, from one to another, and who
changed what."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.dags import Dags
from elixirscope.errors import NotFoundError
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.paths import at_path, touches
from elixirscope.recording import etf, sealer
from elixirscope.recording.format import META_SHARD, NONE32, Flag, FrameType, Kind
from elixirscope.recording.recording import Recording
from elixirscope.recording.records import EVENT
from elixirscope.recording.terms import Atom, inspect
from tests.recording.samples import NODE, pid, writer_of

PROCESSES = 3
FILES = 2  # processes are in the one with their number modulo this
GONE = object()

leaves = st.one_of(st.integers(0, 2), st.sampled_from([b"A1", Atom("ok"), Atom("nil"), 1.0]))
keys = st.sampled_from([Atom("a"), Atom("b c"), b"A1", b"x]", 1])
Key = Any


def _map_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[Key, Any]]:
    """Maps, their keys always in the same order, so that equal ones are equal bytes."""
    return st.dictionaries(keys, inner, max_size=3).map(lambda m: dict(sorted(m.items(), key=lambda kv: repr(kv[0]))))


terms = st.recursive(
    leaves,
    lambda inner: st.one_of(_map_of(inner), st.lists(inner, max_size=3), st.lists(inner, max_size=2).map(tuple)),
    max_leaves=6,
)
states = st.one_of(_map_of(terms), _map_of(leaves), terms)


class Happened(NamedTuple):
    """Something that a process did."""

    process: int
    what: str  # state | same | unchanged | cut | replaced | call | mark | lost | exit
    state: Any
    apart: int  # ns since what happened before, in any process


happened = st.builds(
    Happened,
    st.sampled_from([0, 0, 0, *range(PROCESSES)]),
    st.sampled_from([*["state"] * 6, "same", "unchanged", "cut", "replaced", "call", "mark", "lost", "exit"]),
    states,
    st.integers(0, 3),
)
histories = st.lists(happened, max_size=30)


class Held(NamedTuple):
    """A version, as a plain walk has it."""

    at: int
    event: int
    state: Any
    replaced: bool


class Film(NamedTuple):
    """A history, recorded and opened, and what is to be found in it."""

    dags: Dags
    numbers: dict[int, int]  # of processes as drawn, those in the recording
    versions: dict[int, list[Held]]
    events: dict[int, list[tuple[int, int]]]  # of each process: when, and how many versions it had by then
    length: int


def record(history: list[Happened], folder: Path, per_frame: int) -> Film:
    """Write a history as collectors do, and walk through it."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    with writer_of(raw, "meta", META_SHARD) as meta:
        meta.term(FrameType.META, {Atom("what"): Atom("hello"), Atom("node"): Atom(NODE)})
        site = (7, Atom("function"), Atom("handle_cast"), 2, 10, [b"m", b"s"], {Atom("callback"): b"handle_cast/2"})
        meta.term(FrameType.SITES, (Atom("Elixir.Box"), {Atom("file"): b"/app/lib/box.ex"}, [site]))
        meta.end()
    writers = [writer_of(raw, str(number), number) for number in range(FILES)]
    waiting: list[list[tuple[Any, bytes]]] = [[] for _ in range(FILES)]
    versions: dict[int, list[Held]] = {process: [] for process in range(PROCESSES)}
    shown: dict[int, bytes | None] = dict.fromkeys(range(PROCESSES))
    frames, known, order = dict.fromkeys(range(PROCESSES), 0), set[int](), list[tuple[int, int, int]]()
    at, losses = 1_000, [0] * FILES

    def put(file: int) -> None:
        rows = np.array([row for row, _ in waiting[file]], EVENT)
        values = [value for _, value in waiting[file]]
        rows["value_length"] = [len(value) for value in values]
        rows["value_offset"] = np.cumsum(rows["value_length"]) - rows["value_length"]
        writers[file].events(rows, b"".join(values), losses[file])
        waiting[file], losses[file] = [], 0

    for process, what, state, apart in history:
        at += apart
        file = process % FILES
        if process not in known:
            known.add(process)
            writers[file].term(FrameType.PROCESSES, [(process, pid(100 + process))])
        if what == "lost":
            writers[file].term(FrameType.LOSS, [(pid(100 + process), 3, Atom("limit"))])
            losses[file] += 3
            continue
        kind = {"call": Kind.CALL, "mark": Kind.MARK, "exit": Kind.EXIT}.get(what, Kind.STATE)
        flags = {"unchanged": Flag.UNCHANGED, "cut": Flag.TRUNCATED, "replaced": Flag.DISCONTINUITY}.get(what, 0)
        old = shown[process]
        if what in ("same", "cut") and versions[process]:
            state = versions[process][-1].state
        value = etf.encode(state) if kind == Kind.STATE and what != "unchanged" else b""
        if what == "call":
            frames[process] = at
        row = (at, frames[process] if kind in (Kind.CALL, Kind.STATE) else 0, 0, process, NONE32)
        waiting[file].append(((*row, 7 if what == "call" else 0, int(kind), int(flags), 1, 0, 0), value))
        if value and (value != old or what == "cut"):
            versions[process].append(Held(at, len(order), state, what == "replaced"))
        shown[process] = value or old
        order.append((at, process, len(versions[process])))
        if len(waiting[file]) == per_frame:
            put(file)
    for file, writer in enumerate(writers):
        if waiting[file]:
            put(file)
        writer.end()
    query = QueryCoordinator(Recording.open(folder, correlate=EventCorrelator))
    numbers = {int(row["pid"].split(".")[1]) - 100: int(row["process"]) for row in query.processes}
    # Of events at one time those of processes with lower numbers come first
    places = sorted(range(len(order)), key=lambda place: (order[place][0], numbers[order[place][1]], place))
    number = {place: event for event, place in enumerate(places)}
    began = min((when for when, _, _ in order), default=0)
    found = {
        process: [Held(held.at - began, number[held.event], held.state, held.replaced) for held in mine]
        for process, mine in versions.items()
    }
    events: dict[int, list[tuple[int, int]]] = {process: [] for process in range(PROCESSES)}
    for place in places:
        events[order[place][1]].append((number[place], order[place][2]))
    return Film(Dags(query), numbers, found, events, at - began)


@pytest.fixture(params=["memory", "mapped"])
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as place:
        if request.param == "mapped":
            patch.setattr(sealer, "LARGE", 1)
            patch.setattr(sealer, "SLICE", 4)
        yield Path(place)


examples = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@examples
@given(histories, st.integers(1, 5))
def test_the_state_at_any_time_is_what_a_walk_finds(folder: Path, history: list[Happened], per_frame: int) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        film = record(history, Path(place), per_frame)
        for process, number in film.numbers.items():
            held = film.versions[process]
            for at in sorted({-1, 0, film.length, *(v.at + d for v in held for d in (-1, 0, 1))}):
                before = [version for version in held if version.at <= at]
                if not before:
                    with pytest.raises(NotFoundError):
                        film.dags.state.at(number, at)
                    continue
                told = film.dags.state.at(number, at)
                assert (told.version, told.at) == (len(before) - 1, before[-1].at)
                assert told.value == inspect(before[-1].state, limit=10**6)
            for event, count in film.events[process]:
                view = film.dags.state.view(event)
                assert (view.version if view else None) == (count - 1 if count else None)
            history_ = film.dags.state.history(number)
            assert [(v.version, v.state, v.at, v.discontinuity) for v in history_] == [
                (place, version.event, version.at, version.replaced) for place, version in enumerate(held)
            ]
            assert [v.until for v in history_] == [*(version.at for version in held[1:]), None][: len(held)]


Steps = tuple[tuple[str, Key], ...]


def paths_in(term: Any, here: Steps = ()) -> Iterator[Steps]:
    """All places in a term."""
    yield here
    if isinstance(term, dict):
        for key, part in term.items():
            yield from paths_in(part, (*here, ("key", key)))
    elif isinstance(term, (list, tuple)):
        for number, part in enumerate(term):
            yield from paths_in(part, (*here, ("[]" if isinstance(term, list) else "{}", number)))


def text_of(path: Steps) -> str:
    """A place as a person writes it."""
    words = {Atom("a"): ".a", Atom("b c"): '[:"b c"]', b"A1": '["A1"]', b"x]": '["x]"]', 1: "[1]"}
    return "".join(words[key] if sort == "key" else f"{sort[0]}{key}{sort[1]}" for sort, key in path)


def look(term: Any, path: Steps) -> Any:
    """What is at a place; GONE for nothing."""
    for sort, key in path:
        number = type(key) is int  # `[1]` is written for a key as for a place in a list
        if isinstance(term, dict) and sort != "{}":
            found = [part for known, part in term.items() if (type(known), known) == (type(key), key)]
        elif isinstance(term, tuple if sort == "{}" else list) and number:
            found = list(term[key : key + 1])
        else:
            found = []
        if not found:
            return GONE
        (term,) = found
    return term


def bytes_of(term: Any) -> bytes | None:
    return None if term is GONE else etf.encode(term)


@examples
@given(histories, st.data())
def test_who_last_changed_a_path_is_what_a_walk_finds(
    folder: Path, history: list[Happened], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        film = record(history, Path(place), 3)
        for process, number in film.numbers.items():
            held = film.versions[process]
            places = sorted({path for version in held for path in paths_in(version.state)}, key=repr)
            nowhere: Steps = (("key", Atom("a")), ("key", b"A1"), ("[]", 7))
            for path in (*data.draw(st.lists(st.sampled_from(places), max_size=6) if places else st.just([])), nowhere):
                at = data.draw(st.integers(0, film.length))
                expected, before = None, GONE
                for count, version in enumerate(version for version in held if version.at <= at):
                    now = look(version.state, path)
                    if bytes_of(now) != bytes_of(before):
                        expected = count
                    before = now
                told = film.dags.state.changed(number, text_of(path), at)
                assert (told.version.version if told.version else None) == expected, text_of(path)
                assert told.certain
                if expected:
                    assert told.changes
                    assert all(touches(change.path, text_of(path)) for change in told.changes)


@examples
@given(histories, st.data())
def test_the_difference_of_any_two_versions_is_what_is_elsewhere_than_before(
    folder: Path, history: list[Happened], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        film = record(history, Path(place), 3)
        every = [version for mine in film.versions.values() for version in mine]
        for _ in range(4 if every else 0):
            one, other = data.draw(st.sampled_from(every)), data.draw(st.sampled_from(every))
            check_difference(film, one, other)


def check_difference(film: Film, one: Held, other: Held) -> None:
    """Every change is true, and whatever is not the same is in one."""
    changes = film.dags.state.diff(one.event, other.event)
    for change in changes:
        for state, text in ((one.state, change.before), (other.state, change.after)):
            if text is not None:
                assert text in [inspect(found, limit=200) for found in at_path(state, change.path)[0]]
        assert (change.before is None, change.after is None) == (change.op == "add", change.op == "remove")
    for path in {*paths_in(one.state), *paths_in(other.state)}:
        if bytes_of(look(one.state, path)) != bytes_of(look(other.state, path)):
            lists = [number for number, (sort, _) in enumerate(path) if sort == "[]"]
            until = path[: lists[0]] if lists else path  # in a list others may have moved
            assert any(touches(change.path, text_of(until)) for change in changes), text_of(path)
    if bytes_of(one.state) == bytes_of(other.state):
        assert changes == []
