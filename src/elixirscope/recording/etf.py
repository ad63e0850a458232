"""Erlang's External Term Format, read and written.

Source: "External Term Format" in the ERTS documentation. Reading is iterative and bounded: hostile
or damaged bytes give a `DecodeError`, never a stack overflow or a runaway allocation.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from elixirscope.errors import RecordingError
from elixirscope.recording.terms import (
    MARKER,
    NIL,
    Atom,
    Bitstring,
    ElixirMap,
    Fun,
    ImproperList,
    Pid,
    Port,
    Redacted,
    Ref,
    Term,
    Truncated,
    make_map,
)

MAX_DEPTH: Final = 128  # containers nested deeper become `Truncated`: what walks terms may recurse
MAX_INFLATED: Final = 64 * 1024 * 1024

_U16 = struct.Struct(">H").unpack_from
_U32 = struct.Struct(">I").unpack_from
_I32 = struct.Struct(">i").unpack_from
_U64 = struct.Struct(">Q").unpack_from
_F64 = struct.Struct(">d").unpack_from

_TUPLE, _LIST, _MAP, _FUN = range(4)
_KIND_NAMES: Final = ("tuple", "list", "map", "fun")
_UNKNOWN = Atom("unknown")


class DecodeError(RecordingError):
    """Bytes that are not one whole term."""


def decode(data: bytes | bytearray | memoryview) -> Term:
    """The term in `data`, which starts with the version byte 131. Raises `DecodeError` on damage."""
    raw = bytes(data)
    if not raw or raw[0] != 131:
        raise DecodeError("this is no term in Erlang's external format: it does not start with 131")
    if raw[1:2] == b"\x50":
        raw = _inflate(raw)
    try:
        reader = _Reader(raw)
        term = reader.term()
        if reader.at != len(raw):
            raise ValueError(f"{len(raw) - reader.at:,} bytes follow its end")
        return term
    except (IndexError, struct.error, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise DecodeError(f"a damaged term of {len(raw):,} bytes: {error}") from error


def _inflate(raw: bytes) -> bytes:
    size = int.from_bytes(raw[2:6], "big")
    if size > MAX_INFLATED:
        raise DecodeError(f"a compressed term of {size:,} bytes is too large to read")
    try:
        inflated = zlib.decompressobj().decompress(raw[6:], size + 1)
    except zlib.error as error:
        raise DecodeError(f"a damaged compressed term: {error}") from error
    if len(inflated) != size:
        raise DecodeError("a compressed term is not as long as it says")
    return b"\x83" + inflated


class _Open:
    """A container whose elements are still being read."""

    __slots__ = ("detail", "items", "kind", "need")

    def __init__(self, kind: int, need: int, detail: tuple[int, int, int, str] | None = None) -> None:
        self.kind = kind
        self.need = need
        self.items: list[Term] = []
        self.detail = detail


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = 1

    def term(self) -> Term:
        stack: list[_Open] = []
        while True:
            value = self._next()
            if type(value) is _Open:
                stack.append(value)
                continue
            while stack:
                top = stack[-1]
                top.items.append(value)
                if len(top.items) < top.need:
                    break
                stack.pop()
                value = _close(top, len(stack))
            else:
                return value

    def _next(self) -> Term:
        """The next whole scalar or empty container, or an `_Open` for a container with elements."""
        raw, at = self.raw, self.at
        tag = raw[at]
        at += 1
        match tag:
            case 119:  # SMALL_ATOM_UTF8_EXT
                end = at + 1 + raw[at]
                return Atom(self._take(at + 1, end).decode("utf-8"))
            case 97:  # SMALL_INTEGER_EXT
                self.at = at + 1
                return raw[at]
            case 98:  # INTEGER_EXT
                self.at = at + 4
                return _I32(raw, at)[0]
            case 109:  # BINARY_EXT
                (size,) = _U32(raw, at)
                return self._take(at + 4, at + 4 + size)
            case 104:  # SMALL_TUPLE_EXT
                self.at = at + 1
                return _Open(_TUPLE, raw[at]) if raw[at] else ()
            case 108:  # LIST_EXT
                (size,) = _U32(raw, at)
                self.at = at + 4
                return _Open(_LIST, size + 1)
            case 106:  # NIL_EXT
                self.at = at
                return []
            case 116:  # MAP_EXT
                (size,) = _U32(raw, at)
                self.at = at + 4
                return _Open(_MAP, 2 * size) if size else {}
            case 107:  # STRING_EXT
                (size,) = _U16(raw, at)
                return list(self._take(at + 2, at + 2 + size))
            case 70:  # NEW_FLOAT_EXT
                self.at = at + 8
                return _F64(raw, at)[0]
            case 88:  # NEW_PID_EXT
                self.at = at
                node = self._atom()
                at = self.at
                self.at = at + 12
                return Pid(node, _U32(raw, at)[0], _U32(raw, at + 4)[0], _U32(raw, at + 8)[0])
            case 90 | 114:  # NEWER_REFERENCE_EXT, NEW_REFERENCE_EXT
                return self._reference(at, tag)
            case 110 | 111:  # SMALL_BIG_EXT, LARGE_BIG_EXT
                size, at = (raw[at], at + 1) if tag == 110 else (_U32(raw, at)[0], at + 4)
                digits = self._take(at + 1, at + 1 + size)
                number = int.from_bytes(digits, "little")
                return -number if raw[at] else number
            case _:
                return self._rare(tag, at)

    def _rare(self, tag: int, at: int) -> Term:
        raw = self.raw
        match tag:
            case 118:  # ATOM_UTF8_EXT
                return Atom(self._take(at + 2, at + 2 + _U16(raw, at)[0]).decode("utf-8"))
            case 115:  # SMALL_ATOM_EXT (Latin-1)
                return Atom(self._take(at + 1, at + 1 + raw[at]).decode("latin-1"))
            case 100:  # ATOM_EXT (Latin-1)
                return Atom(self._take(at + 2, at + 2 + _U16(raw, at)[0]).decode("latin-1"))
            case 105:  # LARGE_TUPLE_EXT
                (size,) = _U32(raw, at)
                self.at = at + 4
                return _Open(_TUPLE, size) if size else ()
            case 77:  # BIT_BINARY_EXT
                (size,) = _U32(raw, at)
                return Bitstring(self._take(at + 5, at + 5 + size), raw[at + 4])
            case 113:  # EXPORT_EXT
                self.at = at
                module, name = self._atom(), self._atom()
                arity = self._next()
                return Fun(module, name, int(arity))
            case 112:  # NEW_FUN_EXT
                arity, uniq = raw[at + 4], self._take(at + 5, at + 21)
                index, free = _U32(raw, at + 21)[0], _U32(raw, at + 25)[0]
                self.at = at + 29
                module = self._atom()
                detail = (arity, index, int.from_bytes(uniq[:4], "big"), module)
                return _Open(_FUN, 3 + free, detail)  # old index, old uniq, pid, free variables
            case 120:  # V4_PORT_EXT
                self.at = at
                node = self._atom()
                at = self.at
                self.at = at + 12
                return Port(node, _U64(raw, at)[0], _U32(raw, at + 8)[0])
            case 89:  # NEW_PORT_EXT
                self.at = at
                node = self._atom()
                at = self.at
                self.at = at + 8
                return Port(node, _U32(raw, at)[0], _U32(raw, at + 4)[0])
            case 103:  # PID_EXT
                self.at = at
                node = self._atom()
                at = self.at
                self.at = at + 9
                return Pid(node, _U32(raw, at)[0], _U32(raw, at + 4)[0], raw[at + 8])
            case 99:  # FLOAT_EXT
                return float(self._take(at, at + 31).rstrip(b"\0").decode("ascii"))
            case _:
                raise ValueError(f"unknown tag {tag} at byte {at - 1}")

    def _take(self, start: int, end: int) -> bytes:
        if end > len(self.raw):
            raise IndexError("it ends too early")
        self.at = end
        return self.raw[start:end]

    def _atom(self) -> str:
        value = self._next()
        if not isinstance(value, Atom):
            raise ValueError("an atom was expected")
        return str(value)

    def _reference(self, at: int, tag: int) -> Ref:
        (count,) = _U16(self.raw, at)
        self.at = at + 2
        node = self._atom()
        at = self.at
        if tag == 90:
            creation, at = _U32(self.raw, at)[0], at + 4
        else:
            creation, at = self.raw[at], at + 1
        words = self._take(at, at + 4 * count)
        return Ref(node, struct.unpack(f">{count}I", words), creation)


def _close(done: _Open, depth: int) -> Term:
    items = done.items
    if depth >= MAX_DEPTH:
        size = len(items) // 2 if done.kind == _MAP else len(items)
        return Truncated(_KIND_NAMES[done.kind], None, size - (done.kind == _LIST))
    if done.kind == _TUPLE:
        return _marker(items) if type(items[0]) is Atom and items[0] == MARKER else tuple(items)
    if done.kind == _LIST:
        tail = items.pop()
        if type(tail) is list:
            return items + tail if tail else items
        return ImproperList(items, tail)
    if done.kind == _MAP:
        return make_map(list(zip(items[::2], items[1::2], strict=True)))
    assert done.detail is not None
    arity, index, uniq, module = done.detail
    return Fun(module, None, arity, index, uniq)


def _marker(items: list[Term]) -> Term:
    """The marker that `{'$elixirscope', …}` stands for; any other such tuple is the program's own."""
    match items:
        case [_, "redacted"]:
            return Redacted()
        case [_, "binary", bytes(prefix), int(total)]:
            return Truncated("binary", prefix, total)
        case [_, "more", count]:
            return Truncated("more", None, _count(count))
        case [_, "tuple", list(first), size]:
            return Truncated("tuple", tuple(first), _count(size))
        case [_, "deep", str(kind), size]:
            return Truncated(str(kind), None, _count(size))
        case [_, "fun", str(module), str(name), int(arity)]:
            return Fun(str(module), str(name), arity)
    return tuple(items)


def _count(value: Term) -> int | None:
    return value if isinstance(value, int) else None


def encode(term: Term) -> bytes:
    """`term` in the external format, with the leading 131. Raises `TypeError` for what is no term."""
    out = bytearray(b"\x83")
    _encode(term, out)
    return bytes(out)


def _encode(term: Term, out: bytearray) -> None:
    if isinstance(term, str):
        _encode_atom(term, out)
    elif term is None or isinstance(term, bool):
        _encode_atom(NIL if term is None else str(term).lower(), out)
    elif isinstance(term, int):
        _encode_int(term, out)
    elif isinstance(term, float):
        out += struct.pack(">Bd", 70, term)
    elif isinstance(term, bytes | bytearray | memoryview):
        out += struct.pack(">BI", 109, len(term)) + term
    elif isinstance(term, tuple):
        out += bytes((104, len(term))) if len(term) < 256 else struct.pack(">BI", 105, len(term))
        for item in term:
            _encode(item, out)
    elif isinstance(term, list):
        _encode_list(term, [], out)
    elif isinstance(term, dict | ElixirMap):
        out += struct.pack(">BI", 116, len(term))
        for key, value in term.items():
            _encode(key, out)
            _encode(value, out)
    else:
        _encode_rare(term, out)


def _encode_rare(term: Term, out: bytearray) -> None:
    match term:
        case ImproperList(items, tail):
            _encode_list(items, tail, out)
        case Bitstring(data, bits):
            out += struct.pack(">BIB", 77, len(data), bits) + data
        case Pid(node, number, serial, creation):
            out += b"\x58"
            _encode_atom(node, out)
            out += struct.pack(">III", number, serial, creation)
        case Port(node, number, creation):
            out += b"\x78"
            _encode_atom(node, out)
            out += struct.pack(">QI", number, creation)
        case Ref(node, ids, creation):
            out += struct.pack(">BH", 90, len(ids))
            _encode_atom(node, out)
            out += struct.pack(f">I{len(ids)}I", creation, *ids)
        case Fun(module, name, arity, index, uniq):
            if name is None:
                raise TypeError(f"a closure without a name cannot be written: {module} {index} {uniq}")
            _encode((MARKER, Atom("fun"), Atom(module), Atom(name), arity), out)
        case Redacted():
            _encode((MARKER, Atom("redacted")), out)
        case Truncated("binary", bytes(shown), total):
            _encode((MARKER, Atom("binary"), shown, total), out)
        case Truncated("more", None, total):
            _encode((MARKER, Atom("more"), _UNKNOWN if total is None else total), out)
        case Truncated("tuple", tuple(shown), total):
            _encode((MARKER, Atom("tuple"), list(shown), _UNKNOWN if total is None else total), out)
        case Truncated(kind, None, total):
            _encode((MARKER, Atom("deep"), Atom(kind), _UNKNOWN if total is None else total), out)
        case _:
            raise TypeError(f"no Elixir term: {type(term).__name__}")


def _encode_atom(name: str, out: bytearray) -> None:
    text = name.encode("utf-8")
    out += bytes((119, len(text))) if len(text) < 256 else struct.pack(">BH", 118, len(text))
    out += text


def _encode_int(number: int, out: bytearray) -> None:
    if 0 <= number < 256:
        out += bytes((97, number))
    elif -(2**31) <= number < 2**31:
        out += struct.pack(">Bi", 98, number)
    else:
        digits = abs(number).to_bytes((abs(number).bit_length() + 7) // 8, "little")
        size = len(digits)
        out += struct.pack(">BB", 110, size) if size < 256 else struct.pack(">BI", 111, size)
        out += bytes((number < 0,)) + digits


def _encode_list(items: list[Term], tail: Term, out: bytearray) -> None:
    if items:
        out += struct.pack(">BI", 108, len(items))
        for item in items:
            _encode(item, out)
    if tail == [] and type(tail) is list:
        out += b"\x6a"
    else:
        _encode(tail, out)
