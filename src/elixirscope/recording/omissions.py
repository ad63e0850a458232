"""When less was recorded than the plan says, of what, and why: spans of time with what was dropped in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, Final, Literal

from elixirscope.recording.counted import counted
from elixirscope.recording.log import Log, Loss
from elixirscope.recording.terms import Atom, Term

LEFT_OUT: Final = {
    "calls": "values of instrumented code",
    "messages": "calls, values and states of instrumented code",
    "lifecycle": "calls, values, states and messages",
}
"""What is not recorded at each step of the agent's kill switch; nothing at the step `values`."""

_LIMITED: Final = {"code": "all events of instrumented code", "messages": "messages"}


@dataclass(frozen=True, slots=True)
class Omission:
    """One span. Times are ns since the recording's start; `until` None: it lasted to the end.

    kind: `step` (the agent had stepped down: `level` says to where), `limit` (its memory was full), `calls` (a function
    spent its budget: `count` of its calls were only counted), `loss` (`count` events of `process`, or of nobody in
    particular, were dropped some time in the span; `at` None: nobody knows when).
    """

    kind: Literal["step", "limit", "calls", "loss"]
    at: int | None
    until: int | None
    subject: str
    reason: str
    vm: int
    process: int | None = None
    level: str | None = None
    function: str | None = None
    count: int | None = None


def omissions(log: Log) -> list[Omission]:
    """All that `log` knows of, in order of time; those of unknown time come first."""
    found = [*steps(log), *_limits(log), *_calls(log), *_losses(log)]
    return sorted(found, key=lambda one: (-1 if one.at is None else one.at, one.vm))


def steps(log: Log) -> Iterator[Omission]:
    """Times in which the agent of a VM recorded less, because it cost more than the plan allows."""
    for vm, told in _by_vm(log, "step").items():
        for step, after in zip_longest(told, told[1:]):
            level = text(step.get("to"))
            if level in LEFT_OUT:
                until = _when(after, log) if after is not None else None
                yield Omission(
                    "step", _when(step, log), until, LEFT_OUT[level], text(step.get("reason")), vm, level=level
                )


def _limits(log: Log) -> Iterator[Omission]:
    """Times in which everything of a sort was dropped, since the agent's memory was full."""
    for vm, told in _by_vm(log, "limit").items():
        for of, subject in _LIMITED.items():
            mine = [meta for meta in told if text(meta.get("of")) == of]
            for limit, after in zip_longest(mine, mine[1:]):
                if text(limit.get("on")) == "true":
                    until = _when(after, log) if after is not None else None
                    yield Omission("limit", _when(limit, log), until, subject, text(limit.get("reason")), vm)


def _calls(log: Log) -> Iterator[Omission]:
    for one in counted(log):
        reason = f"its calls cost more than {one.limit:,} small ones a second: they were only counted"
        subject = f"calls of {one.name}"
        yield Omission(
            "calls", max(one.start, 0), one.end, subject, reason, one.vm, function=str(one.callee), count=one.calls
        )


def _losses(log: Log) -> Iterator[Omission]:
    """Dropped events; spans of the same process that touch are one."""
    last: dict[tuple[int, int | None, str], Omission] = {}
    for loss in sorted(log.losses, key=lambda loss: loss.at or 0):
        if not loss.count:
            continue
        key = loss.vm, loss.process, loss.reason
        before, (since, until) = last.get(key), _span(loss)
        fresh = Omission("loss", since, until, "events", loss.reason, loss.vm, loss.process, count=loss.count)
        if before is None:
            last[key] = fresh
        elif since is None or before.until is None or since > before.until:
            yield before
            last[key] = fresh
        else:
            last[key] = replace(before, until=max(before.until, until or 0), count=(before.count or 0) + loss.count)
    yield from last.values()


def _span(loss: Loss) -> tuple[int | None, int | None]:
    """From when to when: collectors write beside each other, so a loss may be told before the event it followed."""
    since = loss.since if loss.since is not None else loss.at
    return (since, loss.at) if since is None or loss.at is None or since <= loss.at else (loss.at, since)


def _by_vm(log: Log, what: str) -> dict[int, list[dict[str, Any]]]:
    """The metas of one sort by VM, in order of time."""
    found: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for meta in sorted((meta for meta in log.metas if meta.get("what") == what), key=_unix_ns):
        found[meta.get("vm", 0)].append(meta)
    return found


def _when(meta: dict[str, Any], log: Log) -> int:
    return max(0, _unix_ns(meta) - log.start_unix_ns)


def _unix_ns(meta: dict[str, Any]) -> int:
    at = meta.get("unix_ns")
    return at if isinstance(at, int) else 0


def text(value: Term) -> str:
    """What an agent said, as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value) if isinstance(value, Atom | bool) else ""
