"""The table of what was left out, and when."""

from __future__ import annotations

import pyarrow as pa

from elixirscope.correlate.columns import table
from elixirscope.recording.log import Log
from elixirscope.recording.omissions import omissions, text

_MOST = (1 << 62) - 1  # what damaged files say may be any number


def omissions_table(log: Log) -> pa.Table:
    """All of the recording as far as it is known."""
    rows = omissions(log)
    nodes = {meta.get("vm"): text(meta.get("node")) for meta in log.metas if meta.get("what") == "hello"}
    return table(
        "omissions",
        at=[_bounded(row.at) for row in rows],
        until=[_bounded(row.until) for row in rows],
        kind=[row.kind for row in rows],
        subject=[row.subject for row in rows],
        reason=[row.reason for row in rows],
        node=[nodes.get(row.vm) for row in rows],
        process=[row.process for row in rows],
        level=[row.level for row in rows],
        function=[row.function for row in rows],
        count=[_bounded(row.count) for row in rows],
    )


def _bounded(number: int | None) -> int | None:
    return None if number is None else max(min(number, _MOST), -_MOST)
