"""Search for values: every place at which a value of some shape was recorded.

Equal values are stored once, so each distinct value is looked at once: block by block, its bytes first for the atoms
and texts that a match must contain, and only what has them is decoded. What was found is kept for the next page.
"""

from __future__ import annotations

import re
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from elixirscope.errors import RecordingError, UsageError
from elixirscope.moment import Moment
from elixirscope.query import patterns
from elixirscope.query.cancellation import checkpoint
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.grouping import parts
from elixirscope.query.labels import Labels
from elixirscope.query.patterns import Pattern
from elixirscope.query.row import Row
from elixirscope.query.values import Value
from elixirscope.recording import etf
from elixirscope.recording.format import Kind

KINDS: Final[dict[str, tuple[Kind, ...]]] = {
    "argument": (Kind.CALL,),
    "result": (Kind.RETURN,),
    "binding": (Kind.BIND,),
    "message": (Kind.SEND, Kind.RECEIVE),
    "state": (Kind.STATE,),
    "exception": (Kind.RAISE, Kind.CAUGHT, Kind.EXIT),
}
PAGE: Final = 100
SECONDS: Final = 5.0
_KEPT: Final = 16  # patterns whose matches are kept, per recording
_AT_ONCE: Final = 2_048  # values between two looks at the clock
_WORDS = re.compile(r"[\w?!@.' /-]+")


class Hit(msgspec.Struct, frozen=True):
    """A place at which a matching value was recorded: what it was there, and the part that matched."""

    kind: str  # a key of KINDS
    label: str
    process_label: str
    where: str  # the part's place in the recorded value, "" for all of it
    path: str  # the same by positions, for /api/value/children
    value: Value
    id: int  # of the recorded value
    moment: Moment


class HitPage(msgspec.Struct, frozen=True):
    """A page of hits in order of time. `total` counts all found so far; `complete` says that all values were searched,
    `searched` how many of `values`. Ask again to go on searching.
    """

    total: int
    hits: list[Hit]
    complete: bool
    searched: int
    values: int


class Scan:
    """A search through the distinct values of a recording, which can stop and go on."""

    def __init__(self, query: QueryCoordinator, pattern: Pattern) -> None:
        self.pattern = pattern
        self.searched = 0
        self.unreadable = 0
        self._values = query.recording.values
        self._found: list[int] = []
        self._lock = threading.Lock()

    @property
    def complete(self) -> bool:
        """Whether every value was looked at."""
        return self.searched >= len(self._values)

    def matches(self, seconds: float | None = None) -> NDArray[np.int64]:
        """The ids of the values with a match, ascending; after at most about `seconds` those found until then."""
        until = None if seconds is None else time.monotonic() + seconds
        with self._lock:
            for first, count, candidates in self._batches():
                checkpoint()
                for number, raw in candidates:
                    if number >= self.searched and self._holds(number, raw):
                        self._found.append(number)
                self.searched = first + count
                if until is not None and time.monotonic() > until:
                    break
            return np.array(self._found, np.int64)

    def _batches(self) -> Iterator[tuple[int, int, list[tuple[int, bytes]]]]:
        """(first id, how many values, those that may match) from where the search stopped."""
        blocks = getattr(self._values, "blocks", None)
        if blocks is None:  # not sealed: values lie in the raw files or in memory
            for first in range(self.searched, len(self._values), _AT_ONCE):
                count = min(_AT_ONCE, len(self._values) - first)
                raws = ((n, self._values.bytes(n)) for n in range(first, first + count))
                yield first, count, [(n, raw) for n, raw in raws if self.pattern.may_match(raw)]
            return
        for first, data, ends in blocks(self.searched):
            candidates = []
            if self.pattern.may_match(data):  # no value of the block can match when the block cannot
                bounds = [0, *ends.tolist()]
                raws = ((first + n, data[a:b]) for n, (a, b) in enumerate(pairwise(bounds)))
                candidates = [(n, raw) for n, raw in raws if self.pattern.may_match(raw)]
            yield first, len(ends), candidates

    def _holds(self, number: int, raw: bytes) -> bool:
        try:
            return next(self.pattern.find(etf.decode(raw)), None) is not None
        except RecordingError:
            self.unreadable += 1  # damaged: it can be no match, and the recording's coverage tells of damage
            return False


_scans: weakref.WeakKeyDictionary[QueryCoordinator, OrderedDict[str, Scan]] = weakref.WeakKeyDictionary()
_scans_lock = threading.Lock()


def scan(query: QueryCoordinator, text: str, *, plain: bool = False) -> Scan:
    """The search for a pattern (or for a `plain` text) in a recording: the one under way, or a new one.

    Raises `UsageError` for what is no pattern.
    """
    key = ("text " if plain else "pattern ") + text.strip()
    with _scans_lock:
        kept = _scans.setdefault(query, OrderedDict())
        if key not in kept:
            kept[key] = Scan(query, patterns.text_pattern(text.strip()) if plain else patterns.parse(text))
            if len(kept) > _KEPT:
                kept.popitem(last=False)
        kept.move_to_end(key)
        return kept[key]


def is_pattern(text: str) -> bool:
    """Whether a person who types this means a shape of values rather than a name or a text."""
    text = text.strip()
    if _WORDS.fullmatch(text):
        return text.replace(".", "", 1).lstrip("-").isdigit()
    return text[:1] in '%{[<:"~' or " | " in text or "<>" in text or text.startswith(("pid(", "-"))


def events_with(query: QueryCoordinator, values: NDArray[np.int64], kinds: Sequence[str]) -> NDArray[np.int64]:
    """The events of `kinds` that carry one of `values`, ascending; a message counts once."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no kind of value", f"give some of {', '.join(KINDS)}")
    if not len(values):
        return values
    carried, kind = query.column("events", "value"), query.column("events", "kind")
    wanted = np.zeros(len(query.recording.values) + 1, bool)
    wanted[values] = True  # the last, of no value (-1), never is
    chosen = np.isin(np.arange(256), [k.value for name in kinds for k in KINDS[name]])
    found = [values[:0]]
    for part in parts(len(carried)):
        checkpoint()
        found.append(np.flatnonzero(wanted[carried[part]] & chosen[kind[part]]) + part.start)
    mine = np.concatenate(found)
    if "message" in kinds:
        twice = np.isin(kind[mine], [k.value for k in KINDS["message"]])
        twice[twice] = ~np.isin(mine[twice], query.column("messages", "message"))
        mine = mine[~twice]
    return mine


def find(
    query: QueryCoordinator,
    text: str,
    kinds: Sequence[str] = (),
    *,
    plain: bool = False,
    limit: int = PAGE,
    offset: int = 0,
    seconds: float | None = SECONDS,
    within: tuple[int, int] | None = None,
) -> HitPage:
    """Where values of a pattern (or with a `plain` text) were recorded, as `kinds` (all of `KINDS` when none is given).

    `within`: only between these times (ns). Raises `UsageError` for what is no pattern or no kind.
    """
    search = scan(query, text, plain=plain)
    events = events_with(query, search.matches(seconds), tuple(kinds) or tuple(KINDS))
    if within is not None:
        at = query.column("events", "at")[events]
        events = events[(at >= within[0]) & (at <= within[1])]
    labels = Labels(query)
    hits = [_hit(query, labels, search.pattern, event) for event in events[offset : offset + limit].tolist()]
    values = len(query.recording.values)
    return HitPage(len(events), hits, search.complete, min(search.searched, values), values)


_KIND_OF: Final = {kind: name for name, of in KINDS.items() for kind in of}


def _hit(query: QueryCoordinator, labels: Labels, pattern: Pattern, event: int) -> Hit:
    row = query.event(event)
    kind = _KIND_OF[Kind(row["kind"])]
    found = next(pattern.find(query.values.term(row["value"])))
    label = _label(query, labels, kind, row, found.path)
    shown = query.values.of_term(found.term, row["value"] if not found.path else None)
    moment = Moment(row["at"], row["process"], event, row["call"], row["value"])
    return Hit(kind, label, labels.process(row["process"]), found.where, found.path, shown, row["value"], moment)


def _label(query: QueryCoordinator, labels: Labels, kind: str, row: Row, path: str) -> str:
    event, position = row["event"], path.split(".")[0]
    match kind:
        case "argument":
            number = f"argument {int(position) + 1}" if position else "arguments"
            return f"{number} of {labels.call(event)}"
        case "result":
            return f"result of {labels.call(row['call'])}"
        case "binding":
            bound = query.find_all("bindings", "event", event)
            name = next((b["name"] for b in bound if str(b["position"]) == position), "variables")
            return f"{name} in {labels.call(row['call'])}"
        case "state":
            state = query.find("states", "state", event)
            return f"state {state['version']}" if state is not None else "state"
    return labels.event(event)
