"""Parts of large files, read past the system's cache."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from elixirscope.errors import EnvironmentProblem
from elixirscope.recording.direct import DirectReader

CONTENT = np.random.default_rng(4).bytes(300_001)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(CONTENT)
    if not DirectReader.can_read(tmp_path / "file"):
        pytest.skip("this system, or the file system of temporary files, cannot do so")
    return tmp_path / "file"


@pytest.mark.parametrize(
    "parts",
    [
        [(0, 1)],
        [(4096, 8192)],
        [(4095, 4097), (4100, 4101), (200_000, 290_000)],
        [(299_999, 300_001)],
        [(0, 300_001)],
    ],
)
def test_parts_are_as_in_the_file(path: Path, parts: list[tuple[int, int]]) -> None:
    data, moved = DirectReader().read(path, parts).result()
    for (start, end), by in zip(parts, moved, strict=True):
        assert bytes(data[start + by : end + by]) == CONTENT[start:end]


def test_memory_is_used_again_only_when_nothing_looks_at_it(path: Path) -> None:
    reader, ends = DirectReader(), range(9_000, 90_000, 9_000)
    memory, looked_at = set(), []
    for end in ends:
        data, (by,) = reader.read(path, [(end - 9_000, end)]).result()
        memory.add(_address(data))
        looked_at.append(np.frombuffer(data[end - 9_000 + by : end + by], np.uint8))  # of a part of a view
        del data
    gc.collect()
    for end, part in zip(ends, looked_at, strict=True):
        assert part.tobytes() == CONTENT[end - 9_000 : end]
    assert len(memory) == len(looked_at)
    del part, looked_at
    gc.collect()
    again, _ = reader.read(path, [(0, 9_000)]).result()
    assert _address(again) in memory


def _address(data: memoryview) -> int:
    return np.frombuffer(data, np.uint8).ctypes.data


def test_a_file_that_has_become_shorter_is_told(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(100_000)
    with pytest.raises(EnvironmentProblem, match="ends at byte 100000, before byte 100001"):
        DirectReader().read(path, [(90_000, 100_001)]).result()


def test_a_file_that_is_gone_is_told(path: Path) -> None:
    path.unlink()
    with pytest.raises(EnvironmentProblem, match="No such file"):
        DirectReader().read(path, [(0, 1)]).result()
