"""How Parquet writes columns: packed differences, packed numbers of words, bits.

https://parquet.apache.org/docs/file-format/data-pages/encodings
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from elixirscope.kernels import I32, I64, U8, kernel
from elixirscope.recording.thrift import varint, zigzag

_BLOCK: Final = 128  # differences, of which the least is told once
_PART: Final = 32  # of those take the same number of bits
_PARTS: Final = _BLOCK // _PART
_HELD: Final = 31  # bits of a number that are packed at once

Numbers = npt.NDArray[np.int64]


def differences(numbers: Numbers) -> bytes:
    """DELTA_BINARY_PACKED; any two of the numbers differ by less than 2⁶²."""
    head = varint(_BLOCK) + varint(_PARTS) + varint(len(numbers)) + zigzag(int(numbers[0]) if len(numbers) else 0)
    into = np.empty(9 * (len(numbers) + _BLOCK), np.uint8)
    return head + into[: _pack_differences(numbers, np.empty(_BLOCK, np.int64), into)].tobytes()


@kernel
def _pack_differences(numbers: I64, block: I64, into: U8) -> int:
    """What follows the head, and how many bytes that is."""
    at, place = 0, 1
    while place < len(numbers):
        count = len(numbers) - place
        if count > _BLOCK:
            count = _BLOCK
        least = numbers[place] - numbers[place - 1]
        for each in range(count):
            block[each] = numbers[place + each] - numbers[place + each - 1]
            if block[each] < least:
                least = block[each]
        for each in range(count, _BLOCK):
            block[each] = least
        place += count
        code = (least << 1) ^ (least >> 63)
        while code > 127:
            into[at] = code & 127 | 128
            code >>= 7
            at += 1
        into[at] = code
        widths = at + 1
        at = widths + _PARTS
        for part in range(_PARTS):
            first, bits, width = part * _PART, 0, 0
            for each in range(first, first + _PART):
                block[each] -= least
                bits |= block[each]
            while bits >> width > 0:
                width += 1
            into[widths + part] = width
            held, used = 0, 0
            low = width if width < _HELD else _HELD
            for each in range(first, first + _PART):
                held |= (block[each] & ((1 << _HELD) - 1)) << used
                used += low
                if used >= 32:
                    into[at], into[at + 1] = held & 255, held >> 8 & 255
                    into[at + 2], into[at + 3] = held >> 16 & 255, held >> 24 & 255
                    held >>= 32
                    used -= 32
                    at += 4
                if width > _HELD:
                    held |= block[each] >> _HELD << used
                    used += width - _HELD
                    if used >= 32:
                        into[at], into[at + 1] = held & 255, held >> 8 & 255
                        into[at + 2], into[at + 3] = held >> 16 & 255, held >> 24 & 255
                        held >>= 32
                        used -= 32
                        at += 4
    return at


def codes(numbers: npt.NDArray[np.int32], words: int) -> bytes:
    """RLE_DICTIONARY: numbers of so many words."""
    width = max((words - 1).bit_length(), 1)
    head = bytes([width])
    if not len(numbers):
        return head
    if (numbers == numbers[0]).all():
        return head + varint(len(numbers) << 1) + int(numbers[0]).to_bytes((width + 7) // 8, "little")
    groups = (len(numbers) + 7) // 8
    into = np.zeros(groups * width, np.uint8)
    _pack(np.ascontiguousarray(numbers), width, into)
    return head + varint(groups << 1 | 1) + into.tobytes()


@kernel
def _pack(numbers: I32, width: int, into: U8) -> None:
    """So many bits of each number, one after the other."""
    held, used, at = 0, 0, 0
    for each in range(len(numbers)):
        held |= numbers[each] << used
        used += width
        while used >= 8:
            into[at] = held & 255
            held >>= 8
            used -= 8
            at += 1
    if used > 0:
        into[at] = held


def levels(known: npt.NDArray[np.bool_]) -> bytes:
    """Which of the values of a column are known, before the values themselves."""
    if known.all() or not known.any():
        told = varint(len(known) << 1) + bytes([bool(len(known) and known[0])])
    else:
        told = varint((len(known) + 7) // 8 << 1 | 1) + bits(known)
    return len(told).to_bytes(4, "little") + told


def bits(flags: npt.NDArray[np.bool_]) -> bytes:
    """PLAIN truth values."""
    return np.packbits(flags, bitorder="little").tobytes()


def plain(numbers: npt.NDArray[Any], bytes_each: int) -> bytes:
    """PLAIN numbers."""
    return numbers.astype(f"<i{bytes_each}").tobytes()


def texts(words: list[str]) -> bytes:
    """PLAIN texts."""
    encoded = [word.encode() for word in words]
    return b"".join(len(word).to_bytes(4, "little") + word for word in encoded)
