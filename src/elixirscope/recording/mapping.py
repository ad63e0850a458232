"""`columns/` beside `segments/`: made of them where a recording is large, and found again by what it was made of.

Small recordings are read from Parquet faster than two hundred files are mapped, so they get none.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa

from elixirscope.errors import NotFoundError
from elixirscope.recording.columns import COLUMNS, ColumnStore
from elixirscope.recording.derived import Completion
from elixirscope.recording.seal import SEGMENTS, Seal, identity
from elixirscope.recording.sealing import Progress
from elixirscope.recording.workplace import placed

_BATCH: Final = 1 << 17  # rows held at once


def mapped(recording: Path, seal: Seal) -> ColumnStore | None:
    """The columns of a sealed recording; None when there are none of these segments."""
    try:
        store = ColumnStore.open(recording / COLUMNS)
    except NotFoundError:
        return None
    whole = store.about == identity(seal) and all(store.rows(table) == count for table, count in seal.rows.items())
    return store if whole else None


def make(recording: Path, seal: Seal, progress: Progress | None = None) -> ColumnStore:
    """Write `columns/` from `segments/`, a part of a table at a time; the caller holds the lock.

    Raises `EnvironmentProblem` when it cannot be written, and whatever reading Parquet raises.
    """
    import pyarrow.parquet as pq  # what is mapped already does without

    if progress is not None:
        progress(f"mapping {seal.events:,} events")
    with placed(recording) as place:
        store = ColumnStore.create(place.columns)
        for table in seal.rows:
            whole = Completion(table, partial(store.numbers, "events"))
            with pq.ParquetFile(recording / SEGMENTS / f"{table}.parquet") as file:
                for batch in file.iter_batches(_BATCH):
                    store.append(table, whole.take(pa.Table.from_batches([batch])))
            store.commit()  # what other tables take from events is read from there
        store.commit(identity(seal), sync=True)
        store.close()
    return ColumnStore.open(recording / COLUMNS)
