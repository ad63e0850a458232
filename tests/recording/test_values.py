"""The sealed value store: every value by its id, from a few reads."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.errors import NotFoundError, RecordingError
from elixirscope.recording import etf
from elixirscope.recording.values import PER_BLOCK, SealedValues, write_values


def sealed(folder: Path, values: list[bytes]) -> SealedValues:
    out = io.BytesIO()
    write_values(values, out)
    path = folder / "values.zst"
    path.write_bytes(out.getvalue())
    return SealedValues(path)


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.binary(max_size=60), max_size=3 * PER_BLOCK), data=st.data())
def test_every_value_by_its_id(
    tmp_path_factory: pytest.TempPathFactory, values: list[bytes], data: st.DataObject
) -> None:
    store = sealed(tmp_path_factory.mktemp("values"), values)
    assert len(store) == len(values)
    for number in data.draw(st.permutations(range(len(values)))):
        assert store.bytes(number) == values[number]
    for number in (-1, len(values)):
        with pytest.raises(NotFoundError, match="there is no value"):
            store.bytes(number)


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
    sealed(tmp_path, [bytes([number]) * 50 for number in range(3 * PER_BLOCK)])
    path = tmp_path / "values.zst"
    content = bytearray(path.read_bytes())
    content[8:12] = b"\0\0\0\0"  # the first block's magic
    path.write_bytes(content)
    store = SealedValues(path)
    with pytest.raises(RecordingError, match="is damaged"):
        store.bytes(0)
    assert store.bytes(PER_BLOCK) == bytes([PER_BLOCK]) * 50
