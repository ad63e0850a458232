"""The critical path of a frame: the stretches of time, in whatever process, that together made it last as long.

Read backwards from the frame's end: of what it called, asked for or spawned, the one that ended last before it went on
is what it waited for; then from that one's beginning on. The segments fill the frame's span without gap or overlap.
Reference: C.-Q. Yang, B. P. Miller, "Critical Path Analysis for the Execution of Parallel and Distributed Programs"
(1988); here along recorded calls and replies instead of a graph of all events.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from elixirscope.errors import NotFoundError
from elixirscope.query.busy import busy_with
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.labels import Labels
from elixirscope.query.requests import requests
from elixirscope.query.row import Row

_RESOLUTION: Final = 2_000


class Segment(msgspec.Struct, frozen=True):
    """A stretch [start, end) ns of the path.

    kind: `self` (the frame itself ran) · `frame` (a callee too short to be opened) · `travel` (a request or a
    message on its way) · `mailbox` (a request waited until the server took it) · `reply` (an answer on its way).
    `call` is the frame concerned, `behind` counts the frames that the server ran first, of a request in its mailbox.
    """

    start: int
    end: int
    kind: str
    process: int
    call: int
    label: str
    process_label: str
    behind: int | None = None
    certain: bool = True
    reason: str | None = None


class Share(msgspec.Struct, frozen=True):
    """How much of the path went to one thing."""

    kind: str
    label: str
    ns: int
    segments: int


class CriticalPath(msgspec.Struct, frozen=True):
    """Where the time of a frame went; `shares` add up to its span, the largest first. `total` counts all segments."""

    call: int
    label: str
    start: int
    end: int
    total: int
    segments: list[Segment]
    shares: list[Share]


class _Part(NamedTuple):
    """Something that a frame waited for, in [start, end]."""

    start: int
    end: int
    frame: Row | None  # the frame that did it
    message: Row | None  # the request, when asked by message
    certain: bool = True
    reason: str | None = None
    spawned: bool = False


def critical_path(
    query: QueryCoordinator,
    call: int,
    *,
    resolution: int = _RESOLUTION,
    limit: int | None = None,
    offset: int = 0,
    within: tuple[int, int] | None = None,
) -> CriticalPath:
    """The path through the frame `call`. Frames shorter than a `resolution`-th of its span are not opened. What of it
    lies in `within` (ns, ns) alone, when that is given: no segments when the frame ran before it or after it.

    Raises `NotFoundError` for what is no frame.
    """
    frame = query.find("calls", "call", call)
    if frame is None:
        raise NotFoundError(f"e{call} is not a function call", "the view calls lists them")
    walk = _Walk(query)
    start, end = frame["start"], walk.end(frame)
    segments = walk.run(frame, start, end, max((end - start) // max(resolution, 1), 1))
    if within is not None:
        start, end = max(start, within[0]), min(end, within[1])
        end = max(start, end)
        segments = [_cut(segment, start, end) for segment in segments if segment.end > start and segment.start < end]
    shares: dict[tuple[str, str], list[int]] = {}
    for segment in segments:
        share = shares.setdefault((segment.kind, segment.label), [0, 0])
        share[0] += segment.end - segment.start
        share[1] += 1
    ranked = sorted((Share(*key, *found) for key, found in shares.items()), key=lambda s: (-s.ns, s.kind, s.label))
    page = segments[offset:] if limit is None else segments[offset : offset + limit]
    return CriticalPath(call, walk.labels.call(call), start, end, len(segments), page, ranked)


def _cut(segment: Segment, start: int, end: int) -> Segment:
    return msgspec.structs.replace(segment, start=max(segment.start, start), end=min(segment.end, end))


class _Walk:
    def __init__(self, query: QueryCoordinator) -> None:
        self._query = query
        self.labels = Labels(query)
        self._duration = int(query.recording.info.duration_ns)

    def end(self, frame: Row) -> int:
        """When a frame ended; the recording's end while it is open."""
        return int(frame["end"] if frame["end"] is not None else self._duration)

    def run(self, frame: Row, start: int, end: int, least: int) -> list[Segment]:
        """The segments of [start, end), in order."""
        latest_first: list[Segment] = []
        pending: list[Segment | tuple[Row, int, int]] = [(frame, start, end)]
        opened: set[int] = set()
        while pending:
            item = pending.pop()
            if isinstance(item, Segment):
                latest_first.append(item)
                continue
            inner, low, high = item
            if inner["call"] in opened or high - low < least:
                kind = "frame" if high - low < least and self._calls(inner) else "self"
                latest_first.append(self._segment(low, high, kind, inner))
                continue
            opened.add(inner["call"])
            pending += reversed(self._opened(inner, low, high))
        return [segment for segment in reversed(latest_first) if segment.end > segment.start]

    def _calls(self, frame: Row) -> bool:
        return self._query.count("calls", "parent", frame["call"]) > 0

    def _opened(self, frame: Row, low: int, high: int) -> list[Segment | tuple[Row, int, int]]:
        """What a frame's stretch consists of, the latest first."""
        found: list[Segment | tuple[Row, int, int]] = []
        now = high
        for part in sorted(self._parts(frame), key=lambda part: (-part.end, -part.start)):
            start, end = max(part.start, low), min(part.end, now)
            if start >= now or end <= low or end <= start:
                continue
            if part.spawned and part.end > now:  # it still ran when this went on: nobody waited for it here
                continue
            found.append(self._segment(end, now, "self", frame))
            found += self._within(part, frame, start, end)
            now = start
        return [*found, self._segment(low, now, "self", frame)]

    def _parts(self, frame: Row) -> list[_Part]:
        query, call = self._query, frame["call"]
        found = [_Part(row["start"], self.end(row), row, None) for row in query.find_all("calls", "parent", call)]
        for number, sent, answered in requests(query).of(call):
            message = query.find("messages", "message", number)
            assert message is not None
            handler = query.find("calls", "call", message["handle_call"])
            found.append(_Part(sent, answered, handler, message, bool(message["certain"]), message["reason"]))
        for row in query.find_all("calls", "remote_parent", call):
            if row["message"] is None and row["process"] != frame["process"]:
                found += self._spawned(frame, row)
        return found

    def _spawned(self, frame: Row, body: Row) -> list[_Part]:
        """The body of a process that the frame spawned, when its message came back before the frame went on."""
        until = self.end(frame)
        told = self._query.flow(body["process"], frame["process"], body["start"], until)
        answers = told.slice(0, 1).to_pylist()
        if not answers or answers[0]["received_at"] is None:
            return []
        reason = "spawned here, and what it sent was received here"
        child = self._query.process_row(body["process"])
        begun = child["start"] if child is not None and child["start"] is not None else body["start"]
        return [_Part(min(begun, body["start"]), answers[0]["received_at"], body, None, False, reason, True)]

    def _within(self, part: _Part, frame: Row, start: int, end: int) -> list[Segment | tuple[Row, int, int]]:
        """The stretches of a part, cut to [start, end), the latest first."""
        handler, message = part.frame, part.message
        if handler is None:  # asked, and what was done for it was not recorded
            return [self._segment(start, end, "reply", frame, part)]
        done = min(max(self.end(handler), start), end)
        taken = min(max(handler["start"], start), done)
        found: list[Segment | tuple[Row, int, int]] = []
        if done < end:
            found.append(self._segment(done, end, "reply", handler, part))
        found.append((handler, taken, done))
        if message is None:
            return [*found, self._segment(start, taken, "travel", handler, part)]
        arrived = message["received_at"] if message["received_at"] is not None else taken
        arrived = min(max(arrived, start), taken)
        if arrived < taken:
            before = busy_with(self._query, handler["process"], arrived, handler["start"])
            behind = sum(1 for call in before if call != handler["call"])
            found.append(self._segment(arrived, taken, "mailbox", handler, part, behind))
        return [*found, self._segment(start, arrived, "travel", handler, part)]

    def _segment(
        self,
        start: int,
        end: int,
        kind: str,
        frame: Row,
        part: _Part | None = None,
        behind: int | None = None,
    ) -> Segment:
        process, call = frame["process"], frame["call"]
        certain, reason = (part.certain, part.reason) if part is not None else (True, None)
        names = self.labels.call(call), self.labels.process(process)
        return Segment(start, end, kind, process, call, *names, behind, certain, reason)
