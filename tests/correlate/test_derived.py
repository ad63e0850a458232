"""What Parquet files leave out of tables comes back out of the events."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.kernels import run
from elixirscope.recording.derived import DERIVED, Completion, complete, stored
from tests.correlate.test_slices import recording


@settings(max_examples=100)
@given(st.integers(0, 2**32))
def test_tables_come_back_as_they_were(seed: int) -> None:
    tables = EventCorrelator.correlate(recording(seed))

    def events(column: str) -> npt.NDArray[Any]:
        return np.asarray(pc.fill_null(tables["events"].column(column), -1))

    for name, table in tables.items():
        kept = stored(name, table)
        assert not set(kept.column_names) & DERIVED.get(name, {}).keys()
        assert complete(name, kept, events).equals(table), name
        with run("compiled"):  # Arrow's columns are only read
            assert complete(name, stored(name, table, events), events).equals(table), name
        whole, cut = Completion(name, events), seed % (kept.num_rows + 1)
        parts = [whole.take(part) for part in (kept.slice(0, cut), kept.slice(cut))]
        assert pa.concat_tables(parts).equals(table), name
