"""The sealed value store: every value by its id, from a few reads."""

from __future__ import annotations

import io
import struct
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.errors import NotFoundError, RecordingError
from elixirscope.recording import etf, valuewriter
from elixirscope.recording.slices import Slices
from elixirscope.recording.values import RawValues, SealedValues
from elixirscope.recording.valuewriter import BLOCK, ValueWriter, write_values


def sealed(folder: Path, values: list[bytes]) -> SealedValues:
    out = io.BytesIO()
    write_values(RawValues(values), out)
    path = folder / "values.zst"
    path.write_bytes(out.getvalue())
    return SealedValues(path)


@settings(max_examples=40)
@given(values=st.lists(st.binary(max_size=60), max_size=100), cuts=st.lists(st.integers(0, 99)), data=st.data())
def test_every_value_by_its_id(
    tmp_path_factory: pytest.TempPathFactory, values: list[bytes], cuts: list[int], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(valuewriter, "BLOCK", 64)
        patch.setattr(valuewriter, "_BLOCKS_PER_TASK", 3)
        store = sealed(tmp_path_factory.mktemp("values"), values)
        assert _written(values, cuts) == _written(values, [])
    assert len(store) == len(values)
    for number in data.draw(st.permutations(range(len(values)))):
        assert store.bytes(number) == values[number]
    for number in (-1, len(values)):
        with pytest.raises(NotFoundError, match="there is no value"):
            store.bytes(number)
    first = data.draw(st.integers(0, len(values)))
    found = list(store.blocks(first))
    assert b"".join(block for _, block, _ in found) == b"".join(values[found[0][0] if found else len(values) :])
    assert sum(len(ends) for start, _, ends in found if start <= first) > 0 or first == len(values)


def _written(values: list[bytes], cuts: list[int]) -> bytes:
    """The file of values that are given in several slices."""
    out, bounds = io.BytesIO(), [0, *sorted(cut for cut in cuts if cut < len(values)), len(values)]
    with ValueWriter(out) as writer:
        for first, last in pairwise(bounds):
            writer.append(RawValues(Slices.of_values(values), fresh=np.arange(first, last)))
        writer.finish()
    return out.getvalue()


def test_values_of_the_first_layout_are_read(tmp_path: Path) -> None:
    values = [bytes([number]) * (number % 7) for number in range(100)]
    blocks = [values[first : first + 32] for first in range(0, 100, 32)]
    packed = [zstandard.compress(b"".join(block)) for block in blocks]
    ends = [end for block in blocks for end in accumulate(map(len, block))]
    starts = [*accumulate(map(len, packed), initial=8)]
    index = np.array(ends, "<u4").tobytes() + np.array(starts, "<u8").tobytes()
    footer = struct.pack("<QQQ8s", len(values), len(packed), starts[-1], b"ELXVALS1")
    (tmp_path / "values.zst").write_bytes(b"ELXVALS1" + b"".join(packed) + index + footer)
    store = SealedValues(tmp_path / "values.zst")
    assert [store.bytes(number) for number in range(100)] == values
    assert [(first, len(ends)) for first, _, ends in store.blocks(70)] == [(64, 32), (96, 4)]


def test_terms_are_decoded_when_asked_for(tmp_path: Path) -> None:
    store = sealed(tmp_path, [b"damaged", etf.encode([1, 2])])
    assert store.term(1) == [1, 2]
    assert store.term(1) is store.term(1)
    with pytest.raises(etf.DecodeError):
        store.term(0)


def test_similar_values_take_little_room(tmp_path: Path) -> None:
    states = [etf.encode(dict.fromkeys(range(version, version + 30), b"seat" * 20)) for version in range(500)]
    sealed(tmp_path, states)
    assert (tmp_path / "values.zst").stat().st_size < sum(map(len, states)) / 20


def test_a_damaged_block_is_told_apart_from_the_others(tmp_path: Path) -> None:
    sealed(tmp_path, [bytes([number]) * (BLOCK // 2) for number in range(6)])
    path = tmp_path / "values.zst"
    content = bytearray(path.read_bytes())
    content[8:12] = b"\0\0\0\0"  # the first block's magic
    path.write_bytes(content)
    store = SealedValues(path)
    with pytest.raises(RecordingError, match="is damaged"):
        store.bytes(1)
    assert store.bytes(2) == bytes([2]) * (BLOCK // 2)
