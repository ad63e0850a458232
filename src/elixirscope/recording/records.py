"""The records in raw frames, as NumPy reads them. All else of the format is in `format`, which loads without NumPy."""

from __future__ import annotations

from typing import Final

import numpy as np

from elixirscope.recording.format import EVENT_BYTES

EVENT: Final = np.dtype(
    [
        ("ts", "<i8"),  # erlang:monotonic_time in ns
        ("frame", "<i8"),  # ts of the CALL this belongs to; 0 = none
        ("ref", "<i8"),  # SEND/RECEIVE: hash of the message; else 0
        ("pid", "<u4"),  # index into this file's PROCESSES
        ("peer", "<u4"),  # likewise; NONE32 = none
        ("site", "<u4"),  # site id, unique in the VM; 0 = none
        ("kind", "u1"),
        ("flags", "u1"),
        ("aux", "<u2"),
        ("value_offset", "<u4"),  # from the end of this frame's last event
        ("value_length", "<u4"),  # 0 = no value
    ]
)
assert EVENT.itemsize == EVENT_BYTES

SAMPLE: Final = np.dtype([("pid", "<u4"), ("bytes", "<u8")])
"""Of the memory of a process: its index as in PROCESSES, and how much it was at the time of the frame."""
