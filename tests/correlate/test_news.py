"""What is told of processes as it becomes known is, at each step, what is told of them as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording import etf
from elixirscope.recording.format import Kind
from elixirscope.recording.log import EVENT_ROW, Log, Loss, ProcessKey, Rows, Site
from elixirscope.recording.terms import Atom, Pid, Ref, Term
from elixirscope.recording.values import RawValues
from tests.correlate.test_slices import Tables

NODE = "n@h"
MOST = 24
PIDS = [Pid(NODE, number, 0, 0) for number in range(MOST + 1)]
REF = Ref(NODE, (1, 1, 2), 3)
SITES = {
    1: Site(1, "function", "Shop.Page", "show", 1, file="/shop/lib/page.ex"),
    2: Site(2, "function", "Shop.Seats", "init", 1, behaviour="GenServer", callback="init/1"),
    3: Site(3, "function", "Shop.Seats", "handle_call", 3, behaviour="GenServer", callback="handle_call/3"),
    4: Site(4, "function", "Shop.Door", "handle_event", 4, behaviour=":gen_statem", callback="handle_event/4"),
    5: Site(5, "function", "Shop.Tree", "init", 1, behaviour="Supervisor", callback="init/1"),
    6: Site(6, "function", "Other.ShopTest", "test sells", 1, test=True),
    7: Site(7, "function", "Other.Thing", "run", 0),
}
NAMES: list[Term] = [Atom(name) for name in ("Elixir.Shop.Seats", "Elixir.Shop.Tree", "door", "Elixir.Task", "Task 2")]
INITIALS: list[Term] = [
    (Atom("supervisor"), Atom("Elixir.Shop.Tree"), 1),
    (Atom("Elixir.DynamicSupervisor"), Atom("init"), 1),
    (Atom("Elixir.Shop.Seats"), Atom("init"), 1),
    (Atom("Elixir.Task.Supervised"), Atom("reply"), 4),
    (Atom("Elixir.Shop.Page"), Atom("loop"), 0),
    (Atom("Elixir.Kernel.CLI"), Atom("start"), 0),
]
STACK: Term = [(Atom("Elixir.Shop.Page"), Atom("show"), 1, [(Atom("file"), b"lib/page.ex"), (Atom("line"), 3)])]
REASONS: list[Term] = [Atom("normal"), Atom("shutdown"), Atom("killed"), (Atom("badarg"), []), (Atom("badarg"), STACK)]
THROWN: list[Term] = [(Atom("error"), Atom("badarg")), (Atom("error"), Atom("badarg"), STACK), (Atom("throw"), 1)]
_OFTEN = (
    Kind.SPAWN,
    Kind.EXIT,
    Kind.RECEIVE,
    Kind.CALL,
    Kind.REGISTER,
    Kind.SPAWNED,
    Kind.STATE,
    Kind.RAISE,
    Kind.CAUGHT,
)


class Recorded:
    """Processes that begin, are named, work, end and are replaced, in any order and often as it would be; and what each
    slice of that knows."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.values: list[bytes] = []
        self.rows = list[tuple[int, ...]]()
        self.parents: dict[int, int] = {}
        self.origins: dict[int, Term] = {}
        self.born = [0]
        self.raised = [0]  # of these more is to be told
        self.frames: dict[int, int] = {}
        while len(self.rows) < random.randint(5, 90):
            if self.parents and random.random() < 0.25:
                self._replace(random.choice(list(self.parents)))
            else:
                self._happen(random.choice(_OFTEN), random.choice(random.choice([self.born, self.raised])))

    def _event(self, who: int, kind: Kind, *, peer: int = -1, value: int = -1, site: int = 0, frame: int = 0) -> None:
        self.rows.append((len(self.rows), who, peer, kind, site, value, frame))

    def _happen(self, kind: Kind, who: int) -> None:
        random = self.random
        if kind in (Kind.SPAWN, Kind.SPAWNED):
            child = random.randrange(MOST) if random.random() < 0.15 else min(len(self.born), MOST - 1)
            self._begin(kind, who, child, self._origin() if random.random() < 0.9 else None)
        elif kind == Kind.EXIT:
            self._event(who, kind, value=self._value(random.choice(REASONS)) if random.random() < 0.9 else -1)
        elif kind == Kind.REGISTER:
            self._event(who, kind, value=self._value(random.choice(NAMES)))
        elif kind in (Kind.RAISE, Kind.CAUGHT):
            self.raised.append(who)
            self._event(who, kind, value=self._value(random.choice(THROWN)), site=random.choice([1, 7]))
        elif kind == Kind.RECEIVE:
            self._event(who, kind, value=self._value(self._message()))
        elif kind == Kind.CALL:
            self.frames[who] = 1000 + len(self.rows)
            self._event(who, kind, site=random.choice(list(SITES)), frame=self.frames[who])
        else:
            frame = self.frames.get(who, 0) if random.random() < 0.5 else 0
            self._event(who, kind, value=self._value((Atom("state"), len(self.rows) // 3)), frame=frame)

    def _begin(self, kind: Kind, parent: int, child: int, origin: Term) -> None:
        self.born += [child] if child not in self.born else []
        self.parents[child], self.origins[child] = parent, origin
        ends = (parent, child) if kind == Kind.SPAWN else (child, parent)
        self._event(ends[0], kind, peer=ends[1], value=self._value(origin) if origin is not None else -1)

    def _replace(self, child: int) -> None:
        """A process ends, and who started it starts another like it."""
        random, parent, reason = self.random, self.parents[child], self.random.choice(REASONS)
        self._event(child, Kind.EXIT, value=self._value(reason))
        if random.random() < 0.8:
            self._event(parent, Kind.RECEIVE, value=self._value((Atom("EXIT"), PIDS[child], reason)))
        self._begin(Kind.SPAWN, parent, min(len(self.born), MOST - 1), self.origins[child])

    def _value(self, term: Term) -> int:
        self.values.append(etf.encode(term))
        return len(self.values) - 1

    def _origin(self) -> Term:
        random, told = self.random, dict[Term, Term]()
        if random.random() < 0.9:
            told[Atom(random.choice(["initial", "mfa"]))] = random.choice(INITIALS)
        if random.random() < 0.5:
            told[Atom("ancestors")] = [random.choice([*PIDS, *NAMES]) for _ in range(random.randint(1, 3))]
        if random.random() < 0.2:
            told[Atom("name")] = random.choice(NAMES)
        return told

    def _message(self) -> Term:
        random = self.random
        if random.random() < 0.4:
            return (Atom("EXIT"), PIDS[random.randrange(MOST)], random.choice(REASONS))
        return random.choice(
            [(Atom("$gen_call"), (PIDS[0], REF), Atom("start")), (Atom("$gen_cast"), (Atom("try_again_restart"), 1))]
        )

    def slices(self, cuts: list[int]) -> Iterator[Log]:
        """Numbers of processes are by first appearance; of what is not events, more is known with each slice."""
        random = self.random
        numbers: dict[int, int] = {}
        sites = {number: replace(site, kind="unknown", behaviour=None, callback=None, test=False, module="")
                 for number, site in SITES.items()}  # fmt: skip
        losses, metas = list[Loss](), list[dict[str, Any]]()
        ends = sorted({*cuts, len(self.rows)})
        for start, end in zip([0, *ends], [end for end in ends if end <= len(self.rows)], strict=False):
            rows = np.zeros(end - start, EVENT_ROW)
            for row, (event, who, peer, kind, site, value, frame) in zip(rows, self.rows[start:end], strict=True):
                row["event"], row["at"], row["kind"], row["site"] = event, 10 * event, kind, site
                row["value"], row["frame"] = value, frame
                row["process"] = numbers.setdefault(who, len(numbers))
                row["peer"] = numbers.setdefault(peer, len(numbers)) if peer >= 0 else -1
            for number in SITES:
                if random.random() < 0.6:
                    sites[number] = SITES[number]
            if random.random() < 0.3:
                losses = [*losses, Loss(0, random.choice([None, *numbers.values()]), random.randint(0, 2), "full")]
            if random.random() < 0.3:
                named = [(PIDS[random.randrange(MOST)], random.choice(NAMES))]
                metas = [*metas, {"what": Atom("names"), "vm": 0, "names": named, "main": random.choice(PIDS)}]
            if random.random() < 0.2:
                numbers.setdefault(random.randrange(MOST), len(numbers))  # of which only losses tell
            keys = [ProcessKey(NODE, f"#PID<0.{number}.0>", 0) for number in numbers]
            yield Log(Rows.of(rows), keys, dict(sites), RawValues(list(self.values)), losses, metas)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 90), max_size=8))
def test_what_is_told_as_it_becomes_known_is_what_is_told_as_a_whole(seed: int, cuts: list[int]) -> None:
    told, correlator, taken = Tables(), EventCorrelator(), list[Log]()
    for log in Recorded(seed).slices(cuts):
        taken.append(log)
        told.take(correlator.take(log))
        told.take(correlator.news(log))
        anew, whole = EventCorrelator(), Tables()
        for each in taken:
            whole.take(anew.take(each))
        whole.take(anew.finish(log))
        for name in ("processes", "exceptions", "calls", "states"):
            assert told.rows[name] == whole.rows[name], name
