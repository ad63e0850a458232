"""XXH3-128 of many parts of files in one compiled loop: the same digests as those of the package `xxhash`.

The algorithm is Yann Collet's, without a seed and with its default secret:
https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md. These kernels are only ever compiled: they reckon with
words that wrap around.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from elixirscope.kernels import I64, U64, Bytes, Word, kernel
from elixirscope.recording.instructions import add_stripes, half, high_half, word

u64: Any = np.uint64  # of a constant or an integer makes a word

SECRET: Final = np.frombuffer(
    bytes.fromhex(
        "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
        "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
        "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
        "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
    ),
    np.uint8,
)
_P1, _P2, _P3 = u64(0x9E3779B185EBCA87), u64(0xC2B2AE3D27D4EB4F), u64(0x165667B19E3779F9)
_P4, _P5 = u64(0x85EBCA77C2B2AE63), u64(0x27D4EB2F165667C5)
_N1, _N2, _N3 = u64(0x9E3779B1), u64(0x85EBCA77), u64(0xC2B2AE3D)
_M1, _M2 = u64(0x165667919E3779F9), u64(0x9FB21C651E98DF25)
_LOW = u64(0xFFFFFFFF)


@kernel
def _fold(one: Word, other: Word) -> Word:
    return (one * other) ^ high_half(one, other)


@kernel
def _stir(bits: Word) -> Word:
    bits = (bits ^ (bits >> u64(37))) * _M1
    return bits ^ (bits >> u64(32))


@kernel
def _stir_few(bits: Word) -> Word:
    bits = (bits ^ (bits >> u64(33))) * _P2
    bits = (bits ^ (bits >> u64(29))) * _P3
    return bits ^ (bits >> u64(32))


@kernel
def _turned(bits: Word) -> Word:
    """Four bytes the other way round."""
    bits = ((bits & u64(0xFF00FF)) << u64(8)) | ((bits >> u64(8)) & u64(0xFF00FF))
    return ((bits << u64(16)) | (bits >> u64(16))) & _LOW


@kernel
def _upto_3(data: Bytes, at: int, size: int, secret: Bytes, into: U64, place: int) -> None:
    first, middle, last = u64(data[at]), u64(data[at + (size >> 1)]), u64(data[at + size - 1])
    low = (first << u64(16)) | (middle << u64(24)) | last | (u64(size) << u64(8))
    high = _turned(low)
    high = ((high << u64(13)) | (high >> u64(19))) & _LOW
    into[place] = _stir_few(low ^ half(secret, 0) ^ half(secret, 4))
    into[place + 1] = _stir_few(high ^ half(secret, 8) ^ half(secret, 12))


@kernel
def _upto_8(data: Bytes, at: int, size: int, secret: Bytes, into: U64, place: int) -> None:
    bits = half(data, at) + (half(data, at + size - 4) << u64(32))
    bits ^= word(secret, 16) ^ word(secret, 24)
    factor = _P1 + (u64(size) << u64(2))
    low = bits * factor
    high = high_half(bits, factor) + (low << u64(1))
    low ^= high >> u64(3)
    low = (low ^ (low >> u64(35))) * _M2
    into[place] = low ^ (low >> u64(28))
    into[place + 1] = _stir(high)


@kernel
def _upto_16(data: Bytes, at: int, size: int, secret: Bytes, into: U64, place: int) -> None:
    last = word(data, at + size - 8)
    bits = word(data, at) ^ last ^ word(secret, 32) ^ word(secret, 40)
    last ^= word(secret, 48) ^ word(secret, 56)
    low = bits * _P1 + ((u64(size) - u64(1)) << u64(54))
    high = high_half(bits, _P1) + last + (last & _LOW) * (_N2 - u64(1))
    low ^= (_turned(high & _LOW) << u64(32)) | _turned(high >> u64(32))
    into[place] = _stir(low * _P2)
    into[place + 1] = _stir(high_half(low, _P2) + high * _P2)


@kernel
def _mixed(sum: Word, data: Bytes, at: int, other: int, secret: Bytes, key: int) -> Word:
    sum += _fold(word(data, at) ^ word(secret, key), word(data, at + 8) ^ word(secret, key + 8))
    return sum ^ (word(data, other) + word(data, other + 8))


@kernel
def _upto_240(data: Bytes, at: int, size: int, secret: Bytes, into: U64, place: int) -> None:
    low, high = u64(size) * _P1, u64(0)
    if size <= 128:
        for step in range((size - 1) >> 5, -1, -1):
            one, other = at + 16 * step, at + size - 16 * step - 16
            low = _mixed(low, data, one, other, secret, 32 * step)
            high = _mixed(high, data, other, one, secret, 32 * step + 16)
    else:
        for step in range(size >> 5):
            if step == 4:
                low, high = _stir(low), _stir(high)
            one, key = at + 32 * step, 32 * step if step < 4 else 32 * step - 125
            low = _mixed(low, data, one, one + 16, secret, key)
            high = _mixed(high, data, one + 16, one, secret, key + 16)
        if size < 160:
            low, high = _stir(low), _stir(high)
        one = at + size - 16
        low = _mixed(low, data, one, one - 16, secret, 103)
        high = _mixed(high, data, one - 16, one, secret, 119)
    into[place] = _stir(low + high)
    into[place + 1] = u64(0) - _stir(low * _P1 + high * _P4 + u64(size) * _P2)


@kernel
def _scrambled(sum: Word, key: Word) -> Word:
    return (sum ^ (sum >> u64(47)) ^ key) * _N1


@kernel
def _longer(data: Bytes, at: int, size: int, secret: Bytes, sums: U64, into: U64, place: int) -> None:
    sums[0], sums[1], sums[2], sums[3] = _N3, _P1, _P2, _P3
    sums[4], sums[5], sums[6], sums[7] = _P4, _N2, _P5, _N1
    stripes, last = (size - 1) >> 6, at + size - 64
    for _ in range(stripes >> 4):
        add_stripes(sums, data, at, secret, 0, 16)
        for lane in range(8):
            sums[lane] = _scrambled(sums[lane], word(secret, 128 + 8 * lane))
        at += 1024
    add_stripes(sums, data, at, secret, 0, stripes & 15)
    add_stripes(sums, data, last, secret, 121, 1)
    low, high = u64(size) * _P1, ~(u64(size) * _P2)
    for lane in range(0, 8, 2):
        key = 11 + 8 * lane
        low += _fold(sums[lane] ^ word(secret, key), sums[lane + 1] ^ word(secret, key + 8))
        high += _fold(sums[lane] ^ word(secret, key + 106), sums[lane + 1] ^ word(secret, key + 114))
    into[place] = _stir(low)
    into[place + 1] = _stir(high)


@kernel
def digests(places: I64, data: Bytes, begins: I64, limits: I64, secret: Bytes, sums: U64, into: U64) -> bool:
    """The digests of all places (file, start, size) that are not empty: of the one whose file comes at 3 * n, the lower
    half is into[2 * n], the upper half behind it. A file begins at `begins` in the data and has `limits` bytes; false
    for a place outside of its file. secret: SECRET; sums: room for eight."""
    for number in range(len(places) // 3):
        file, start, size = places[3 * number], places[3 * number + 1], places[3 * number + 2]
        if size == 0:
            continue
        if start < 0 or size < 0 or start + size > limits[file]:
            return False
        at = begins[file] + start
        if size <= 3:
            _upto_3(data, at, size, secret, into, 2 * number)
        elif size <= 8:
            _upto_8(data, at, size, secret, into, 2 * number)
        elif size <= 16:
            _upto_16(data, at, size, secret, into, 2 * number)
        elif size <= 240:
            _upto_240(data, at, size, secret, into, 2 * number)
        else:
            _longer(data, at, size, secret, sums, into, 2 * number)
    return True
