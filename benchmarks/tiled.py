"""A large recording's tables without its raw files: those of a sealed one, repeated with times and numbers moved on.

What is asked of tables can so be measured at sizes that would take long to generate and to seal. Processes are the same
throughout, each continues where it ended in the repetition before, and values are shared by all repetitions;
everything else is as in a recording of that size.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from elixirscope.film import Film
from elixirscope.recording import mapping, sealer
from elixirscope.recording.columns import COLUMNS, ColumnStore
from elixirscope.recording.schema import TABLES

_ONCE: Final = ("processes", "sites", "tests")
_TIMES: Final = {"at", "start", "end", "until", "sent_at", "received_at", "handled_at"}
_EVENTS: Final = {
    *("event", "call", "previous", "cause", "parent", "end_event", "tail_of", "remote_parent", "message"),
    *("send_event", "receive_event", "handle_call", "sender_call", "request", "reply", "state", "caught_event"),
    "exit_event",
}


def tiled(source: Path, folder: Path, times: int) -> int:
    """Write into `folder` the recording `source` repeated; it opens as if it had been sealed. Gives its events."""
    film, seal = Film.open(source), sealer.sealed(source)
    if seal is None:
        raise ValueError(f"{source} is not sealed")
    shutil.copytree(source / sealer.SEGMENTS, folder / sealer.SEGMENTS)
    shutil.copy(source / "manifest.json", folder / "manifest.json")
    (folder / "raw").mkdir()
    for name in seal.raw:
        (folder / "raw" / name).write_bytes(b"")
    moved = {**dict.fromkeys(_EVENTS, seal.events), **dict.fromkeys(_TIMES, seal.duration_ns + 1)}
    with ColumnStore.create(folder / COLUMNS) as store:
        rows = dict[str, int]()
        for name, schema in TABLES.items():
            table, turns = film.table(name), 1 if name in _ONCE else times
            for turn in range(turns):
                columns = {
                    field: pc.add(table.column(field), turn * moved[field])
                    if turn and field in moved
                    else table.column(field)
                    for field in schema.names
                }
                if turn and name == "events":
                    columns["previous"] = _joined(table, turn, seal.events)
                store.append(name, pa.table(list(columns.values()), schema=schema))
            rows[name] = turns * table.num_rows
        made: Any = msgspec.structs.replace(
            seal,
            raw=dict.fromkeys(seal.raw, 0),
            events=seal.events * times,
            duration_ns=(seal.duration_ns + 1) * times,
            rows=rows,
        )
        (folder / sealer.SEGMENTS / "seal.json").write_bytes(msgspec.json.encode(made))
        store.commit(mapping.identity(made))
    return seal.events * times


def _joined(events: pa.Table, turn: int, count: int) -> pa.Array:
    """`previous` of a repetition: the first event of each process follows its last of the one before."""
    process = np.asarray(events.column("process"))
    previous = np.asarray(pc.fill_null(events.column("previous"), -1)).copy()
    previous[previous >= 0] += turn * count
    first = np.unique(process, return_index=True)[1]
    last = len(process) - 1 - np.unique(process[::-1], return_index=True)[1]
    previous[first] = last + (turn - 1) * count
    return pa.array(previous)
