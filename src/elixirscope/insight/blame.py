"""Blame: what kept a server from answering, followed through every process that it waited for itself.

A wait is covered by what the server did meanwhile: frames, or waits of its own. From the outermost frame down, the
part that took at least half of it is followed; a request leads into the next server. The way ends in a frame that took
the time itself, in an answer never given, in a mailbox full of others' requests, or where it began: a deadlock.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Literal

from elixirscope.insight.history import History
from elixirscope.insight.waits import Wait
from elixirscope.query.busy import busy_with
from elixirscope.query.requests import requests
from elixirscope.query.row import Row

Ending = Literal["deadlock", "slow", "no reply", "busy", "unknown"]

SHARE = 0.5
"""The part of a wait that something must take to be followed."""

DEPTH = 1_000
"""Frames and requests that are followed."""


@dataclass
class Link:
    """A request on the way: `client` sent `message` from `frame` (None: not recorded) and waited for `server`."""

    client: int
    server: int
    message: Row
    frame: Row | None


@dataclass
class Blame:
    """The way from a wait to what kept it waiting.

    `frame` is the frame to blame: the slow one, the one that did not answer, or for a deadlock the waiting one that
    closes the circle. `spent` are the ns of the wait that it took, in `times` calls of it from one frame; `ahead` the
    messages that were in the mailbox before this request. `circle` are the links of the deadlock.
    """

    ending: Ending
    links: list[Link]
    frame: Row | None = None
    spent: int = 0
    times: int = 1
    ahead: int = 0
    circle: list[Link] = field(default_factory=list)


def blame(history: History, wait: Wait) -> Blame:
    """What kept the server of `wait` from answering."""
    links = [Link(wait.client, wait.server, wait.message, history.call(wait.frame))]
    return _server(history, links, wait.since, wait.until)


def _server(history: History, links: list[Link], since: int, until: int) -> Blame:
    """What the server of the last link did in [since, until)."""
    link = links[-1]
    circle = next((i for i, other in enumerate(links) if other.client == link.server), None)
    if circle is not None and _waits_still(history, links[circle], link, until):
        return Blame("deadlock", links, link.frame, until - since, circle=links[circle:])
    if len(links) > DEPTH:
        return Blame("unknown", links)
    if (asked := _open_request(history, link.server, since, until)) is not None:
        return _server(history, [*links, asked], max(asked.message["sent_at"], since), until)
    turn = _turn(history, link.message["handle_call"])
    begun = turn[0]["start"] if turn else until
    if not turn or begun >= until or begun - since >= SHARE * (until - since):
        return _before(history, links, since, min(begun, until))
    longest = max(turn, key=lambda frame: _overlap(frame, since, until))
    last = turn[-1]
    answered_nobody = last["end"] is not None and last["end"] < until
    if answered_nobody and _overlap(longest, since, until) < SHARE * (until - since):
        return Blame("no reply", links, last)
    return _inside(history, links, longest, since, until)


def _turn(history: History, call: int | None) -> list[Row]:
    """A callback's frame and those that it went on in by tail calls."""
    frames: list[Row] = []
    frame = history.call(call)
    while frame is not None and len(frames) < DEPTH:
        frames.append(frame)
        frame = history.query.find("calls", "tail_of", frame["call"])
    return frames


def _open_request(history: History, process: int, since: int, until: int) -> Link | None:
    """The last request that a process made before `until`, if it waited for it most of [since, until)."""
    event = history.query.event_at(until - 1, process)
    sent = history.query.find_before("messages", "from_process", process, "message", (event or 0) + 1)
    row = next((row for row in sent if row["kind"] == "call" and row["sent_at"] is not None), None)
    if row is None or row["to_process"] is None:
        return None
    reply = history.message(row["reply"])
    answered = reply["received_at"] if reply is not None and reply["received_at"] is not None else until
    if min(answered, until) - max(row["sent_at"], since) < SHARE * (until - since):
        return None
    return Link(process, row["to_process"], row, _waiting(history, row))


def _waiting(history: History, request: Row) -> Row | None:
    """The frame that waited for a request: the nearest around it that was open; else the one that sent it."""
    sender = history.call(request["sender_call"])
    frame = sender
    while frame is not None and frame["end"] is not None and frame["end"] < request["sent_at"]:
        frame = history.call(frame["parent"])
    return frame or sender


def _waits_still(history: History, first: Link, last: Link, until: int) -> bool:
    """Whether the client of the circle's first request was still waiting when the last one was sent."""
    row = history.message(first.message["message"])  # none of an awaited task, which cannot have answered
    reply = history.message(row["reply"]) if row else None
    answered = reply["received_at"] if reply else None
    return answered is None or answered > last.message["sent_at"]


def _before(history: History, links: list[Link], since: int, until: int) -> Blame:
    """What the server was busy with while the request lay in its mailbox."""
    turns = [history.call(call) for call in busy_with(history.query, links[-1].server, since, until)]
    frames = [frame for frame in turns if frame is not None]
    if not frames:
        return Blame("unknown", links)
    longest = max(frames, key=lambda frame: _overlap(frame, since, until))
    if _overlap(longest, since, until) >= SHARE * (until - since):
        return _inside(history, links, longest, since, until)
    spent = sum(_overlap(frame, since, until) for frame in frames)
    if spent < SHARE * (until - since):
        return Blame("unknown", links)
    return Blame("busy", links, longest, spent, ahead=max(len(frames), _ahead(history, links[-1])))


_AHEAD = """
select count(*) as ahead from raw.messages
where to_process = ? and receive_event < ? and (handled_at is null or handled_at >= ?)
  and kind in ('call', 'cast', 'info')
"""


def _ahead(history: History, link: Link) -> int:
    """Messages that lay in the server's mailbox when the request arrived."""
    arrived = history.message(link.message["message"])
    if arrived is None or arrived["receive_event"] is None:
        return 0
    [row] = history.query.rows(_AHEAD, [link.server, arrived["receive_event"], arrived["received_at"]])
    return int(row["ahead"])


def _inside(history: History, links: list[Link], frame: Row, since: int, until: int) -> Blame:
    """The frame's part of [since, until), followed down to what took it."""
    found = requests(history.query)
    for _ in range(DEPTH):
        spent = _overlap(frame, since, until)
        spans = _spans(history, frame, since, until)
        child, in_child = max(spans, key=lambda span: span[1], default=(None, 0))
        asked = max(found.of(frame["call"]), key=lambda row: min(row[2], until) - max(row[1], since), default=None)
        in_wait = min(asked[2], until) - max(asked[1], since) if asked is not None else 0
        if asked is not None and in_wait >= max(in_child, SHARE * spent):
            message = history.message(asked[0])
            if message is None or message["to_process"] is None:
                return Blame("slow", links, frame, spent)
            link = Link(frame["process"], message["to_process"], message, frame)
            return _server(history, [*links, link], max(asked[1], since), min(asked[2], until))
        if child is not None and in_child < SHARE * spent:
            child, in_child, times = _most_called(spans)
            if in_child >= SHARE * spent:
                return Blame("slow", links, child, in_child, times)
        if child is None or in_child < SHARE * spent:
            return Blame("slow", links, frame, spent)
        if in_child > _overlap(child, since, until):
            return Blame("slow", links, child, in_child)
        frame = child
    return Blame("slow", links, frame, _overlap(frame, since, until))


def _spans(history: History, frame: Row, since: int, until: int) -> list[tuple[Row, int]]:
    """The frames that a frame called, with the ns of [since, until) that each took.

    One that ended by calling unrecorded code in tail position lasts on in it, until its caller is seen again.
    """
    children = history.children(frame["call"])
    continued = {row["tail_of"] for row in children}
    bound = history.query.find_all("bindings", "call", frame["call"])
    seen = sorted([row["start"] for row in children] + [row["at"] for row in bound])
    ended = frame["end"] if frame["end"] is not None else until
    spans = []
    for child in children:
        span = _overlap(child, since, until)
        if child["outcome"] == "tail" and child["call"] not in continued:
            again = bisect_right(seen, child["end"])
            last = seen[again] if again < len(seen) else ended
            span = max(0, min(last, until) - max(child["start"], since))
        spans.append((child, span))
    return spans


def _most_called(spans: list[tuple[Row, int]]) -> tuple[Row, int, int]:
    """The function that took most in all its calls: the longest of them, the ns of all, and how many they were."""
    by_site: dict[int, list[tuple[Row, int]]] = {}
    for row, span in spans:
        by_site.setdefault(row["site"], []).append((row, span))
    most = max(by_site.values(), key=lambda calls: sum(span for _, span in calls))
    return max(most, key=lambda call: call[1])[0], sum(span for _, span in most), len(most)


def _overlap(frame: Row, since: int, until: int) -> int:
    """Ns of [since, until) that the frame was open."""
    end = frame["end"] if frame["end"] is not None else until
    return max(0, int(min(end, until) - max(frame["start"], since)))
