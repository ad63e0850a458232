"""Check-then-act races: a process asks a server, decides, and acts on an answer that another process has made stale.

A request is one turn of a server: handled alone, between two versions of its state. A race is three turns of one
server, in this order, by two clients: A *checks* (its turn leaves the place alone), B *acts* (its turn changes the
place), A *acts* on the same place without having heard of what B did. Check and act of A belong together when one frame
encloses both and they name the same thing (`{:free?, "A1"}`, `{:put, "A1", "Ada"}`), or when the act overwrites the
very value that the check read. What happens within one turn cannot be a race; a B that A waited for has been heard of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from elixirscope.insight.findings import Finding
from elixirscope.insight.history import History
from elixirscope.insight.knowledge import heard_of
from elixirscope.insight.origin import INFERRED
from elixirscope.insight.telling import Act, Race, describe, thing_text
from elixirscope.insight.turns import Turn, Turns, contended
from elixirscope.insight.values import (
    MISSING,
    Change,
    Key,
    Path,
    answered,
    contains,
    diff,
    distinctive,
    overlaps,
    paths,
    requested,
    same,
    shared,
    short,
)
from elixirscope.query.cancellation import checkpoint
from elixirscope.recording.terms import Fun

SAMPLES = 500
"""Acts looked at in full per server and kind of request; further ones of the same kind say nothing new."""


@dataclass(frozen=True)
class Link:
    """Why an act depends on a check: `things` that both name, or the value that it read and then overwrote."""

    things: list[Any]
    mine: Change
    theirs: Change
    overwrote: bool
    inferred: bool = False  # what the act sent was a function: what it closes over is not recorded


def races(history: History) -> list[Finding]:
    """One finding per pair of check and act in the code, each with its clearest instance."""
    best: dict[tuple[Any, ...], Race] = {}
    times: dict[tuple[Any, ...], int] = defaultdict(int)
    for turns in contended(history):
        for race in Server(history, turns).races():
            times[race.key] += 1
            if race.key not in best or race.confidence > best[race.key].confidence:
                best[race.key] = race
    return [describe(history, race, times[key]) for key, race in best.items()]


class Server:
    """The turns of one server, and the races among them."""

    def __init__(self, history: History, turns: Turns) -> None:
        self.history = history
        self.turns = turns
        self._changes: dict[int, list[Change]] = {}
        self._enclosing: dict[int, list[int]] = {}
        self._looked_at: dict[str, int] = defaultdict(int)

    def races(self) -> Iterator[Race]:
        """Every act on an answer that had become stale."""
        for number in self.turns.suspects:
            checkpoint()
            race = self._race(self.turns.turn(number))
            if race is not None:
                yield race

    def _race(self, act: Turn) -> Race | None:
        """The race that `act` loses; its check is sought among the client's last turns before, the latest first."""
        frames = self._frames(act)
        for check, between in self._candidates(act, frames):
            if check.writes and any(overlaps(a.path, b.path) for a in self._changed(check) for b in self._changed(act)):
                return None  # the client had changed the place itself: the act builds on that
            if not between and self._fresh(check, act):
                return None  # an answer that nothing has made stale
            for other in map(self.turns.turn, reversed(between)):
                link = self._link(check, other, act)
                if link is not None and not heard_of(self.history, act.row, since=check.row, what=other.row):
                    return self._told(check, other, act, next(c for c in self._frames(check) if c in frames), link)
        return None

    def _candidates(self, act: Turn, frames: list[int]) -> list[tuple[Turn, list[int]]]:
        """The client's turns before its act, the latest first, each with what came in between if it is a check.

        Empty when nothing came between any check and the act.
        """
        kind = str(act.row["tag"])
        if self._looked_at[kind] >= SAMPLES:
            return []
        found = []
        for turn in reversed(self.turns.before(act.turn)):
            asks = turn.row["kind"] == "call" and turn.row["reply_event"] is not None
            retry = turn.row["tag"] == act.row["tag"]  # the same request again decides anew, in the server
            checks = asks and not retry and any(call in frames for call in self._frames(turn))
            if checks or turn.writes:
                found.append((turn, self.turns.between(turn, act) if checks else []))
        stale = any(between for _, between in found)
        self._looked_at[kind] += stale
        return found if stale else []

    def _frames(self, turn: Turn) -> list[int]:
        """The frames of the client that enclose its request, the innermost first."""
        if turn.turn not in self._enclosing:
            self._enclosing[turn.turn] = self.history.enclosing(turn.row["sender_call"])
        return self._enclosing[turn.turn]

    def _changed(self, turn: Turn) -> list[Change]:
        """What a turn changed in the state."""
        if turn.turn not in self._changes:
            before, after = (self.history.term(turn.row[name]) for name in ("before_value", "after_value"))
            self._changes[turn.turn] = diff(before, after) if turn.writes else []
        return self._changes[turn.turn]

    def _fresh(self, check: Turn, act: Turn) -> bool:
        """Whether the act depends on the answer of this check."""
        asked, done, answer = self._said(check, act)
        if hands_over(done):
            return True  # what the function was made of is not recorded: of the last answer, most likely
        if not act.writes:
            return bool(shared(asked, done))
        return any(
            named(asked, done, mine) or (carries(done, mine.after, mine) and carries(answer, mine.before, mine))
            for mine in self._changed(act)
        )

    def _link(self, check: Turn, other: Turn, act: Turn) -> Link | None:
        """How the act depends on what the check asked and the other changed; None when it does not."""
        asked, done, answer = self._said(check, act)
        if hands_over(done):
            return self._recomputed(answer, other, act)
        if not act.writes:
            return self._repeated(asked, done, answer, other)
        for mine in self._changed(act):
            overwrote = carries(done, mine.after, mine)
            for theirs in self._changed(other):
                if not overlaps(mine.path, theirs.path):
                    continue
                if things := named(asked, done, mine):
                    return Link(things, mine, theirs, overwrote)
                if overwrote and mine.path == theirs.path and carries(answer, theirs.before, theirs):
                    return Link([], mine, theirs, True)
        return None

    def _repeated(self, asked: Any, done: Any, answer: Any, other: Turn) -> Link | None:
        """An act that changed nothing, because the other had written the very number that it made of the same answer.

        Only numbers: two that store the same text or atom may well mean the same thing.
        """
        for theirs in self._changed(other):
            things = named(asked, done, theirs)
            number = _is_number(answer) and _is_number(theirs.after) and not same(answer, theirs.after)
            if things and number and carries(done, theirs.after, theirs):
                return Link(things, Change(theirs.path, theirs.after, theirs.after), theirs, True)
        return None

    def _recomputed(self, answer: Any, other: Turn, act: Turn) -> Link | None:
        """An act by a function handed to an `Agent` that left the very number which the other had made of the answer
        that both got: one that computes with what the agent holds would have gone on from there.
        """
        left = next(self.history.states_before(self.turns.server, int(act.row["answered_event"]) + 1), None)
        after = self.history.term(left["value"]) if left is not None else None
        for theirs in self._changed(other):
            numbers = _is_number(answer) and _is_number(theirs.after) and not same(answer, theirs.after)
            if not numbers or not (theirs.before is MISSING or same(answer, theirs.before)):
                continue
            if not any(path == theirs.path for path in paths(after, theirs.after)):
                continue
            mine = next((change for change in self._changed(act) if change.path == theirs.path), None)
            return Link([], mine or Change(theirs.path, theirs.after, theirs.after), theirs, True, inferred=True)
        return None

    def _said(self, check: Turn, act: Turn) -> tuple[Any, Any, Any]:
        """What the check asked, what the act did, and what the check was told."""
        asked, done = (requested(self.history.term(turn.row["value"])) for turn in (check, act))
        return asked, done, answered(self.history.term(check.row["reply_value"]))

    def _told(self, check: Turn, other: Turn, act: Turn, common: int, link: Link) -> Race:
        repeated = not act.writes
        confidence = 0.8 if not link.things or repeated else 0.95 if link.overwrote else 0.5
        confidence = round(confidence * INFERRED, 2) if link.inferred else confidence
        rival = self._rival_check(check, other, link)
        return Race(
            key=(self._site(common), str(check.row["tag"]), str(act.row["tag"])),
            where=self.history.label(self.turns.server),
            thing=thing_text(link.mine.path),
            common=common,
            check=self._act(check, f"was told {short(answered(self.history.term(check.row['reply_value'])))}"),
            rival=self._act(rival, f"was told {short(answered(self.history.term(rival.row['reply_value'])))}")
            if rival
            else None,
            other=self._act(other, _became(link.theirs)),
            act=self._act(act, _became(link.mine)),
            overwrote=link.overwrote,
            confidence=confidence,
            lost_update=repeated or not link.things,
        )

    def _rival_check(self, check: Turn, other: Turn, link: Link) -> Turn | None:
        """The other client's own check of the same thing, when it made one before it acted."""
        mine = self.turns.asked_alike(other, check)
        asked = requested(self.history.term(mine.row["value"])) if mine is not None else None
        return mine if all(contains(asked, thing) for thing in link.things) else None

    def _act(self, turn: Turn, outcome: str) -> Act:
        row = turn.row
        return Act(
            client=turn.client,
            event=row["asked_event"],
            call=row["sender_call"],
            result_event=row["after_state"] if turn.writes else row["reply_event"],
            request=_told(requested(self.history.term(row["value"]))),
            outcome=outcome,
        )

    def _site(self, call: int) -> int:
        row = self.history.call(call)
        return int(row["site"]) if row else -1


def named(asked: Any, done: Any, change: Change) -> list[Any]:
    """What both requests name and the changed place is kept under."""
    return [thing for thing in shared(asked, done) if goes_through(change.path, thing)]


def goes_through(path: Path, thing: Any) -> bool:
    """Whether a place is inside what is kept under `thing`."""
    return any(isinstance(step, Key) and contains(step.key, thing) for step in path)


def carries(said: Any, value: Any, change: Change) -> bool:
    """Whether a request or an answer holds the value of a place: as such, under the same name, or unmistakably."""
    if not distinctive(value):
        return any(len(path) <= 1 or path[-1:] == change.path[-1:] for path in paths(said, value))
    return contains(said, value)


def hands_over(request: Any) -> bool:
    """Whether a request is a function to be run by who gets it, as an `Agent` is sent: `{:update, fun}`."""
    return isinstance(request, tuple) and len(request) == 2 and isinstance(request[1], Fun)


def _told(request: Any) -> str:
    """A request as a person writes it: `{:free?, "A1"}`, `Agent.update(…)`."""
    return f"Agent.{request[0]}(…)" if hands_over(request) else short(request)


def _is_number(term: Any) -> bool:
    return isinstance(term, int | float) and not isinstance(term, bool)


def _became(change: Change) -> str:
    if same(change.before, change.after):
        return f"it was {short(change.after)} already"
    before, after = ("nothing" if value is MISSING else short(value) for value in (change.before, change.after))
    return f"{before} became {after}"
