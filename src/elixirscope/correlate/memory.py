"""The table of how much memory processes had."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from elixirscope.correlate.columns import Ints, table
from elixirscope.recording.log import Log


def memory_table(log: Log, starts: Ints) -> pa.Table:
    """All samples as far as they are known. What was seen of a process before its first event is told there, once.
    `starts`: when (ns) each process began."""
    rows = log.samples()
    rows = rows[np.lexsort((rows["at"], rows["process"]))]
    start = starts[rows["process"]]
    early = rows["at"] <= start
    last = np.ones(len(rows), dtype=bool)  # of the early ones of a process
    last[:-1] = (rows["process"][1:] != rows["process"][:-1]) | ~early[1:]
    at = np.maximum(rows["at"], start)[~early | last]
    rows = rows[~early | last]
    order = np.lexsort((rows["process"], at))
    return table("memory", at=at[order], process=rows["process"][order], bytes=rows["bytes"][order])
