"""What a person types for a time or a process, made a number."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any, Final

from elixirscope.errors import NotFoundError, UsageError

_UNITS: Final = {"": 1, "ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_UNITS_MIN: Final = {**_UNITS, "m": 60_000_000_000, "min": 60_000_000_000}
_TIME: Final = re.compile(r"(\d{1,15})(?:\.(\d{1,15}))?\s*(ns|us|µs|μs|ms|s|min|m|)")
_EVENT: Final = re.compile(r"e(\d{1,18})")
_PID: Final = re.compile(r"(?:#PID)?<(\d+\.\d+\.\d+)>")


def parse_event(text: str) -> int | None:
    """The event number in "e1234", else None."""
    match = _EVENT.fullmatch(text.strip())
    return int(match.group(1)) if match else None


def parse_time(text: str) -> int:
    """Nanoseconds of "44.218ms", "1.2s", "812µs", "500ns" or a bare number of ns. Raises `UsageError`."""
    match = _TIME.fullmatch(text.strip().replace(",", "").replace("_", ""))
    if match is None:
        raise UsageError(f"{text!r} is not a time", "write 44.2ms, 1.5s, 812µs, 500ns, an event as e123, or end")
    whole, fraction, unit = match.groups()
    scale = _UNITS_MIN[unit]
    # Integer arithmetic: a float would lose nanoseconds beyond 104 days
    part = int(fraction) * scale // 10 ** len(fraction) if fraction else 0
    return int(whole) * scale + part


def find_process(text: str, processes: Sequence[dict[str, Any]]) -> int:
    """The process meant by a number, pid, registered name, label or module.

    Of several incarnations the last is meant. Raises `NotFoundError` naming near ones, `UsageError` when ambiguous.
    """
    wanted = text.strip()
    if wanted.isdigit():
        matches = [row for row in processes if row["process"] == int(wanted)]
        return _one(wanted, matches, processes)
    if pid := _PID.fullmatch(wanted):
        return _one(wanted, [row for row in processes if row["pid"] == f"#PID<{pid.group(1)}>"], processes)
    for exact in (True, False):
        key = _exact if exact else _loose
        for column in ("name", "label", "module"):
            matches = [row for row in processes if row[column] is not None and key(wanted) == key(row[column])]
            if not matches and column != "label":
                matches = [row for row in processes if row[column] and key(wanted) == key(_last(row[column]))]
            if matches:
                return _one(wanted, matches, processes)
    return _one(wanted, [], processes)


def _exact(text: str) -> str:
    return text.removeprefix("Elixir.").removeprefix(":")


def _loose(text: str) -> str:
    return _exact(text).casefold()


def _last(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _one(wanted: str, matches: Sequence[dict[str, Any]], processes: Sequence[dict[str, Any]]) -> int:
    replaced = {row["predecessor"] for row in matches}
    last = [row for row in matches if row["process"] not in replaced]
    if len(last) == 1:
        return int(last[0]["process"])
    if last:
        raise UsageError(f"{wanted!r} names {len(last)} processes", f"say which by number: {_listed(last)}")
    names = {str(row[c]) for row in processes for c in ("name", "label") if row[c]}
    folded = {name.casefold(): name for name in names} | {_last(name).casefold(): name for name in names}
    close = [folded[n] for n in difflib.get_close_matches(wanted.casefold(), folded, n=3, cutoff=0.5)]
    hint = f"did you mean {', '.join(dict.fromkeys(close))}?" if close else f"there are {_listed(processes)}"
    raise NotFoundError(f"there is no process {wanted!r} in this recording", hint)


def _listed(rows: Sequence[dict[str, Any]]) -> str:
    telling = sorted(rows, key=lambda row: row["name"] is None)  # a name says most
    shown = ", ".join(f"{row['process']} ({row['label'] or row['pid']})" for row in telling[:8])
    return shown + (f" and {len(rows) - 8} more" if len(rows) > 8 else "") if rows else "no processes in it"
