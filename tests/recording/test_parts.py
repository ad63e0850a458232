"""Parts of files: digests and copies, compiled or not."""

from __future__ import annotations

import numpy as np
import pytest
from xxhash import xxh3_128_intdigest

from elixirscope.kernels import Way, run
from elixirscope.recording.slices import Slices, digests

_SIZES = [*range(1, 300), 511, 512, 513, 1024, 1025, 1088, 1089, 2048, 2049, 4096, 5000]
_BUFFERS = [memoryview(np.random.default_rng(number).bytes(6000)) for number in range(3)]
_PLACES = np.array([(number % 3, number % 97, size) for number, size in enumerate(_SIZES)])
_PARTS = [bytes(_BUFFERS[file][at : at + size]) for file, at, size in _PLACES.tolist()]


@pytest.mark.parametrize("way", ["interpreted", "compiled"])
def test_digests_are_those_of_xxhash(way: Way) -> None:
    with run(way):
        found = digests(_BUFFERS, _PLACES).tolist()
    assert [high << 64 | low for low, high in zip(found[::2], found[1::2], strict=True)] == [
        xxh3_128_intdigest(part) for part in _PARTS
    ]


@pytest.mark.parametrize("way", ["interpreted", "compiled"])
def test_parts_are_copied_one_after_the_other(way: Way) -> None:
    into = np.full(sum(_SIZES) + 9, 7, np.uint8)
    with run(way):
        Slices(_BUFFERS, _PLACES).copy(_PLACES, into)
    assert into.tobytes() == b"".join(_PARTS) + b"\7" * 9


@pytest.mark.parametrize("place", [(0, 5990, 11), (0, -1, 3), (1, 3, -1)])
def test_no_part_is_read_outside_of_its_file(place: tuple[int, int, int]) -> None:
    with run("compiled"), pytest.raises(IndexError, match="outside of its file"):
        digests(_BUFFERS, np.array([place]))
