"""However a recording is sliced, the tables are the same."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.kernels import run
from elixirscope.recording import etf
from elixirscope.recording.changes import Changes
from elixirscope.recording.format import Flag, Kind
from elixirscope.recording.log import EVENT_ROW, Callee, Log, Loss, ProcessKey, Rows, Site
from elixirscope.recording.schema import TABLES
from elixirscope.recording.terms import Atom, Pid, Ref, Term
from elixirscope.recording.values import RawValues

PROCESSES = 4
SITES = {
    1: Site(1, "function", "Shop", "f1", 1),
    2: Site(2, "function", "Shop", "f2", 1),
    3: Site(3, "tail", "Shop", "f1", 1, callee=Callee("Shop", "f1", 1)),
    4: Site(4, "tail", "Shop", "f1", 1, callee=Callee("Shop", "f2", 1)),
    5: Site(5, "fn", "Shop", "f1", 0),
    6: Site(6, "tail", "Shop", "f1", 1, callee=Callee("Enum", "map", 2)),
    7: Site(7, "function", "Seats", "handle_call", 3, behaviour="GenServer", callback="handle_call/3"),
    8: Site(8, "function", "Seats", "handle_info", 2, behaviour="GenServer", callback="handle_info/2"),
    9: Site(9, "function", "Door", "handle_event", 4, behaviour=":gen_statem", callback="handle_event/4"),
    10: Site(10, "function", "Shop", "handle_cast", 2),
    11: Site(11, "raise", "Shop", "f1", 1, callee=Callee(":erlang", "raise", 3)),
    12: Site(12, "function", "ShopTest", "test sells", 1, test=True),
    13: Site(13, "bind", "Shop", "f1", 1, vars=("a", "b"), line=3),
}
FUNCTIONS = [1, 2, 5, 7, 8, 9, 10, 12]
NODE = "n@h"
PIDS = [Pid(NODE, number, 0, 0) for number in range(PROCESSES)]
REFS = [Ref(NODE, (number, 1, 2), 3) for number in range(2)]


def a(name: str) -> Atom:
    return Atom(name)


REQUESTS: list[Term] = [a("get"), (a("put"), 1)]
MESSAGES: list[Term] = [
    *REQUESTS,
    *((a("$gen_call"), (pid, ref), REQUESTS[0]) for pid in PIDS[:2] for ref in REFS),
    *((ref, a("ok")) for ref in REFS),
    (a("$gen_cast"), REQUESTS[1]),
    (a("DOWN"), REFS[0], a("process"), PIDS[1], a("boom")),
    (a("EXIT"), PIDS[1], a("boom")),
    (a("system"), (PIDS[0], REFS[0]), a("get_state")),
]
ARGUMENTS: list[Term] = [
    *((request, (pid, ref)) for request in REQUESTS for pid in PIDS[:2] for ref in REFS),
    *((message,) for message in MESSAGES),
    ((a("call"), (PIDS[0], REFS[0])), REQUESTS[0]),
]
REASONS: list[Term] = [
    a("normal"),
    a("boom"),
    (a("badarith"), [(a("Elixir.Shop"), a("f1"), 1, [])]),
    (a("error"), a("boom"), []),
    (a("error"), a("boom")),
]


def _fits(message: Term, given: Term) -> bool:
    if isinstance(message, tuple) and message[0] == "$gen_call":
        return bool(given == (message[2], message[1]) or given[0] == (a("call"), message[1]))
    return bool(given == (message[1] if isinstance(message, tuple) and message[0] == "$gen_cast" else message,))


BIRTHS: list[Term] = [
    {a("mfa"): (a("Elixir.Shop"), a("f1"), 1)},
    {a("initial"): (a("supervisor"), a("Elixir.Top"), 1), a("ancestors"): [PIDS[0]]},
    {a("initial"): (a("Elixir.Task.Supervised"), a("reply"), 4), a("name"): a("worker")},
]
TEST: Term = {a("module"): a("Elixir.ShopTest"), a("name"): b"test sells", a("result"): a("failed")}
VALUES = [*MESSAGES, *ARGUMENTS, *REASONS, *BIRTHS, TEST, a("Elixir.Name"), (1, 2)]
ENCODED = [etf.encode(value) for value in VALUES]
SPANS = {
    "message": range(len(MESSAGES)),
    "arguments": range(len(MESSAGES), len(MESSAGES) + len(ARGUMENTS)),
    "reason": range(len(MESSAGES) + len(ARGUMENTS), len(MESSAGES) + len(ARGUMENTS) + len(REASONS)),
    "birth": range(len(VALUES) - 3 - len(BIRTHS), len(VALUES) - 3),
    "test": range(len(VALUES) - 3, len(VALUES) - 2),
    "name": range(len(VALUES) - 2, len(VALUES) - 1),
    "pair": range(len(VALUES) - 1, len(VALUES)),
}
# message → the arguments that a callback would be given for it
HANDLED = {
    number: [place for place, given in enumerate(ARGUMENTS, len(MESSAGES)) if _fits(message, given)]
    for number, message in enumerate(MESSAGES)
}
ANY = [
    *[Kind.CALL] * 6, *[Kind.TAIL] * 3, *[Kind.RETURN] * 3, *[Kind.SEND] * 4, *[Kind.RECEIVE] * 4, Kind.BIND,
    Kind.CAUGHT, Kind.RAISE, *[Kind.STATE] * 2, Kind.SPAWN, Kind.SPAWNED, Kind.EXIT, Kind.LINK, Kind.GETTING_LINKED,
    Kind.UNLINK, Kind.REGISTER, Kind.TEST_START, Kind.TEST_END, Kind.MARK,
]  # fmt: skip
CODE = (Kind.RETURN, Kind.TAIL, Kind.BIND, Kind.CAUGHT, Kind.RAISE, Kind.STATE)


def recording(seed: int, kinds: Sequence[Kind] = ANY) -> Log:
    """Events of few processes with much to do with each other, some seconds or nothing apart: mostly of frames that
    exist, of messages that were sent and of callbacks for what was received, but of others too."""
    random = Random(seed)
    processes = random.randint(1, PROCESSES)
    rows = np.zeros(random.randint(1, 120), EVENT_ROW)
    rows["peer"] = rows["value"] = -1
    frames: list[list[int]] = [[] for _ in range(PROCESSES)]
    sent: list[tuple[int, int, int]] = []
    came: list[tuple[int, int]] = []
    apart = random.choice([[0, 1, 1], [1, 1, 1, 1_000_000_000], [0, 1, 6_000_000_000]])
    at = 0

    def value(sort: str) -> int:
        return random.choice(SPANS[sort])

    for number, row in enumerate(rows):
        at += random.choice(apart)
        kind = random.choice(kinds)
        process, peer = random.randrange(processes), random.randrange(-1, processes)
        row["event"], row["at"], row["kind"], row["process"] = number, at, kind, process
        if kind == Kind.CALL:
            row["site"] = random.choice(FUNCTIONS)
            row["value"] = value("arguments") if random.random() < 0.7 else -1
            if came and random.random() < 0.7:
                row["process"], row["value"] = came.pop(random.randrange(len(came)))
                row["site"] = random.choice([7, 8, 9, 10])
            row["frame"] = 1000 + number
            frames[row["process"]].append(1000 + number)
        elif kind in CODE:
            row["frame"] = random.choice(
                [*frames[process][-3:], 7, 0] if random.random() < 0.2 else frames[process][-2:] or [7]
            )
            row["site"] = {Kind.RAISE: 11, Kind.BIND: 13, Kind.TAIL: random.choice([3, 4, 6])}.get(kind, 0)
            row["value"] = value({Kind.CAUGHT: "reason", Kind.RAISE: "reason", Kind.BIND: "pair"}.get(kind, "reason"))
            if kind in (Kind.RETURN, Kind.TAIL) and row["frame"] in frames[process]:
                del frames[process][frames[process].index(row["frame"]) :]
        elif kind == Kind.SEND:
            content = value("message")
            row["peer"], row["ref"], row["value"] = peer, content + 1, content if random.random() < 0.9 else -1
            sent.append((process, peer, content))
            if random.random() < 0.1:
                row["flags"], row["value"] = Flag.NO_RECEIVER, value("pair")
        elif kind == Kind.RECEIVE:
            content = value("message")
            if sent and random.random() < 0.8:
                peer, to, content = sent.pop(random.randrange(len(sent)))
                process = process if to < 0 else to
                peer = -1 if random.random() < 0.2 else peer
            row["process"], row["peer"], row["ref"], row["value"] = process, peer, content + 1, content
            came += [(process, number) for number in HANDLED[content]]
        else:
            row["peer"] = peer if kind not in (Kind.EXIT, Kind.REGISTER, Kind.MARK) else -1
            sorts = {Kind.EXIT: "reason", Kind.REGISTER: "name", Kind.SPAWN: "birth", Kind.SPAWNED: "birth"}
            sorts |= {Kind.TEST_START: "test", Kind.TEST_END: "test"}
            row["value"] = value(sorts[kind]) if kind in sorts and random.random() < 0.8 else -1
        if random.random() < 0.1:
            row["flags"] |= random.choice([Flag.TRUNCATED, Flag.UNCHANGED, Flag.GENERATED])
    lost = [Loss(0, process, 1, "full") for process in range(processes) if random.random() < 0.1]
    keys = [ProcessKey(NODE, f"#PID<0.{number}.0>", 0) for number in range(PROCESSES)]
    return Log(Rows.of(rows), keys, SITES, RawValues(list(ENCODED)), lost)


class Tables:
    """Tables that grow and change."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}

    def take(self, changes: Changes) -> None:
        for name, rows in changes.rows.items():
            assert rows.schema == TABLES[name]
            self.rows[name] += rows.to_pylist()
        for patch in changes.patches:
            for name, values in patch.columns.items():
                assert values.type == TABLES[patch.table].field(name).type
                for row, value in zip(patch.rows.tolist(), values.to_pylist(), strict=True):
                    self.rows[patch.table][row][name] = value


def cut(log: Log, cuts: Sequence[int]) -> list[Log]:
    """Slices that end at these events, or where the time next changes."""
    at = log.rows["at"]
    ends = [*sorted({int(np.searchsorted(at, at[min(cut, len(at) - 1)])) for cut in cuts} - {0}), len(at)]
    return [
        Log(log.rows[start:end], log.processes, log.sites, log.values, log.losses)
        for start, end in zip([0, *ends], ends, strict=False)
    ]


def one_by_one(log: Log, cuts: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
    """Each slice on two threads, and finished after each, as for one who looks on."""
    correlator, tables = EventCorrelator(threads=2, many=1), Tables()
    for part in cut(log, cuts):
        tables.take(correlator.take(part))
        correlator.finish(part)
    tables.take(correlator.finish(log))
    return tables.rows


def together(log: Log, cuts: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
    """Several slices at a time on three threads, but for small ones."""
    correlator, tables = EventCorrelator(threads=3, many=3), Tables()
    for changes in correlator.relate(cut(log, cuts)):
        tables.take(changes)
    tables.take(correlator.finish(log))
    return tables.rows


def equal(log: Log, cuts: Sequence[int]) -> None:
    """In slices by compiled kernels and several threads, as a whole by interpreted ones and one."""
    with run("interpreted"):
        whole: dict[str, pa.Table] = EventCorrelator.correlate(log)
    with run("compiled"):
        sliced, piped = one_by_one(log, cuts), together(log, cuts)
    for name in TABLES:
        rows = whole[name].to_pylist()
        assert sliced[name] == rows, name
        assert piped[name] == rows, name


TAILS = [*[Kind.CALL] * 3, *[Kind.TAIL] * 3, Kind.RETURN, Kind.BIND, Kind.SEND]
LETTERS = [Kind.SEND, Kind.RECEIVE, Kind.CALL]
SEEDS = st.integers(0, 2**32)
CUTS = st.lists(st.integers(1, 119), max_size=6)


@settings(max_examples=80)
@given(SEEDS, CUTS)
def test_slices_make_no_difference(seed: int, cuts: list[int]) -> None:
    equal(recording(seed), cuts)


@settings(max_examples=15)
@given(SEEDS)
def test_nor_does_a_slice_for_each_moment(seed: int) -> None:
    equal(recording(seed), range(120))


@settings(max_examples=60)
@given(SEEDS, CUTS)
def test_nor_for_frames_that_end_by_tail_calls(seed: int, cuts: list[int]) -> None:
    equal(recording(seed, TAILS), cuts)


@settings(max_examples=60)
@given(SEEDS, CUTS)
def test_nor_for_messages_on_their_way(seed: int, cuts: list[int]) -> None:
    equal(recording(seed, LETTERS), cuts)
