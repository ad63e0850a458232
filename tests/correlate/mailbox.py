"""The messages that wait in one process, plainly: as `correlate.serving` finds which callback handles which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from elixirscope.recording.terms import Atom, ImproperList, Ref, Term


class Look(NamedTuple):
    """What a message is: its kind, the reference that it carries or answers to, and what a callback is given."""

    kind: str
    reference: Term
    body: Term


def look_at(term: Term) -> Look:
    match term:
        case (Atom("$gen_call"), (_, tag), request):
            return Look("call", reference_in(tag), request)
        case (Atom("$gen_cast"), request):
            return Look("cast", None, request)
        case (Atom("DOWN"), _, _, _, _):
            return Look("down", None, term)
        case (Atom("EXIT"), _, _):
            return Look("exit", None, term)
        case (Atom("io_request" | "io_reply"), _, _) | (Atom("io_request" | "io_reply"), _, _, _):
            return Look("io", None, term)
        case (Atom("system"), _, _):
            return Look("system", None, term)
        case (Atom("timeout"), Ref(), _):
            return Look("timer", None, term)
        case (tag, _) if reference_in(tag) is not None:
            return Look("reply", reference_in(tag), term)
    return Look("info", None, term)


def reference_in(tag: Term) -> Ref | None:
    """A reference, itself or within `[:alias | ref]`."""
    if isinstance(tag, ImproperList) and tag.items == [Atom("alias")]:
        tag = tag.tail
    return tag if isinstance(tag, Ref) else None


def references_in(arguments: tuple[Term, ...]) -> list[Ref]:
    """Those in the `{pid, tag}` or `{:call, {pid, tag}}` among the first two arguments of a callback."""
    found = list[Ref]()
    for argument in arguments[:2]:
        for _ in range(2):
            if not isinstance(argument, tuple) or len(argument) != 2:
                break
            argument = argument[1]
            if (reference := reference_in(argument)) is not None:
                found.append(reference)
                break
    return found


class Message(NamedTuple):
    look: Look
    received: int  # event
    rank: int
    cut: bool


class Mailbox:
    """Messages in order of arrival, which are taken one by one."""

    def __init__(self) -> None:
        self.waiting: list[Message] = []

    def take(
        self, kinds: tuple[str, ...], given: tuple[Term, ...], before: int, cut: bool, declared: bool, oldest: int
    ) -> int:
        """The event by which came what a callback handles that ran at event `before`, or -1; nothing below the rank
        `oldest`."""
        there = [each for each in self.waiting if each.received < before and each.rank >= oldest]
        for fits in self._ways(kinds, given, cut, declared, there):
            if fits:
                self.waiting.remove(fits[0])
                return fits[0].received
        return -1

    def _ways(
        self, kinds: tuple[str, ...], given: tuple[Term, ...], cut: bool, declared: bool, there: list[Message]
    ) -> Iterator[list[Message]]:
        if "call" in kinds:
            references = references_in(given)
            yield [each for each in there if each.look.kind == "call" and each.look.reference in references]
        fitting = [each for each in there if each.look.kind in kinds]
        yield [each for each in fitting if any(_same(each.look.body, part) for part in given)]
        if declared and fitting and (cut or not given or fitting[0].cut):
            yield fitting[:1]


def _same(one: Term, other: Term) -> bool:
    return type(one) is type(other) and one == other
