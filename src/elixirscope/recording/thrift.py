"""Thrift's compact protocol, as much of it as the metadata of Parquet files needs: values are their type and bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

_I32, _I64, _BINARY, _LIST, _STRUCT = 5, 6, 8, 9, 12
_FEW: Final = 15  # what fits beside a type into one byte is less


class Value(NamedTuple):
    """A value as it is written."""

    kind: int
    data: bytes


def varint(number: int) -> bytes:
    """A number that is not negative, seven bits at a time, the lowest first."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def zigzag(number: int) -> bytes:
    """A number near zero, of whichever sign."""
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def i32(number: int) -> Value:
    return Value(_I32, zigzag(number))


def i64(number: int) -> Value:
    return Value(_I64, zigzag(number))


def binary(data: bytes) -> Value:
    return Value(_BINARY, varint(len(data)) + data)


def many(values: Sequence[Value]) -> Value:
    """A list of values of one type."""
    kind, count = values[0].kind if values else _STRUCT, len(values)
    head = bytes([count << 4 | kind]) if count < _FEW else bytes([_FEW << 4 | kind]) + varint(count)
    return Value(_LIST, head + b"".join(value.data for value in values))


def struct(fields: dict[int, Value]) -> Value:
    """A struct: its fields by their numbers, which ascend by less than 16."""
    found, last = bytearray(), 0
    for number, (kind, data) in fields.items():
        found.append((number - last) << 4 | kind)
        found += data
        last = number
    return Value(_STRUCT, bytes(found) + b"\0")
