"""The raw frame format, version 1: what the agent writes and everything else is derived from.

docs/format.md is the prose; this module and `records`, which is for NumPy, are the place in Python that knows the
numbers. All integers are little endian.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import Final

from elixirscope.recording.version import FORMAT_VERSION as FORMAT_VERSION

FILE_MAGIC: Final = b"ELXSCOPE"
# magic, version, checksum kind (1 = CRC-32 as zlib), event size, os pid, monotonic ns, unix ns,
# shard, reserved, reserved
FILE_HEADER: Final = struct.Struct("<8sHBBIqqHHI")  # 40 bytes
CHECKSUM_CRC32: Final = 1

EVENT_BYTES: Final = 48

FRAME_MAGIC: Final = b"EXSF"
# magic, crc32 of everything after this field (the rest of the header and the payload)
FRAME_PREFIX: Final = struct.Struct("<4sI")  # 8 bytes
# type, flags, reserved, payload length, first ts, last ts, count, loss
FRAME_HEADER: Final = struct.Struct("<BBHIqqII")  # 32 bytes
MAX_PAYLOAD: Final = 64 * 1024 * 1024

META_SHARD: Final = 0xFFFF
VM_SHARD: Final = 0xFFFE


class FrameType(IntEnum):
    """What a frame carries. Payloads other than EVENTS and SAMPLES are one External Term Format term."""

    EVENTS = 1
    PROCESSES = 2
    SITES = 3
    LOSS = 4
    META = 5
    END = 6
    SAMPLES = 7


class Kind(IntEnum):
    """What happened. Values are part of the format: never renumber."""

    CALL = 1
    RETURN = 2
    TAIL = 3
    BIND = 4
    CAUGHT = 5
    RAISE = 6

    STATE = 10

    SPAWN = 20
    SPAWNED = 21
    EXIT = 22
    LINK = 23
    UNLINK = 24
    GETTING_LINKED = 25
    GETTING_UNLINKED = 26
    REGISTER = 27
    UNREGISTER = 28
    SEND = 29
    RECEIVE = 30
    SCHEDULED_IN = 36
    SCHEDULED_OUT = 37

    TEST_START = 40
    TEST_END = 41
    MARK = 42


class Flag(IntFlag):
    """Bits of an event's `flags`."""

    TRUNCATED = 1  # the value was cut to its budget
    REDACTED = 2  # part of the value was replaced by the redaction marker
    GENERATED = 4  # the compiler or a macro wrote this code
    UNCHANGED = 8  # STATE: the very same term as before, so no value is carried
    NO_RECEIVER = 16  # SEND: to a process or name that did not exist
    DISCONTINUITY = 32  # STATE: replaced outside the callbacks (code change, :sys.replace_state)


NONE32: Final = 0xFFFFFFFF  # "no peer"
