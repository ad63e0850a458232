"""Kernels: both ways do the same, and when which one is taken."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from elixirscope import kernels
from elixirscope.kernels import I64, R32, S32, U8, Bits, Bytes, Kernel, kernel, run
from elixirscope.machinecode import maker

_STEP = 3


def _of_byte(byte: int, odd: bool) -> int:
    return byte * _STEP if odd else -byte


_scaled = kernel(_of_byte)


def _running_sum(data: Bytes, odd: Bits, sums: I64) -> int:
    total = 0
    for place in range(len(data)):
        total += _scaled(data[place], odd[place])
        sums[place] = total
    return total


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "elixirscope" / "kernels"


def _asked(loop: Kernel[..., int], data: bytes) -> tuple[int, list[int]]:
    odd = np.frombuffer(data, np.uint8) % 2 == 1
    sums = np.zeros(len(data), np.int64)
    return loop(np.frombuffer(data, np.uint8), odd, sums), sums.tolist()


def _kept(cache: Path) -> list[Path]:
    return sorted((cache / maker()).iterdir()) if cache.exists() else []


def test_both_ways_do_the_same(cache: Path) -> None:
    with run("interpreted"):
        plain = _asked(kernel(_running_sum), bytes(range(10)))
        assert not cache.exists()
    with run("compiled"):
        assert _asked(kernel(_running_sum), bytes(range(10))) == plain
    assert plain[0] == 3 * (1 + 3 + 5 + 7 + 9) - (2 + 4 + 6 + 8)
    assert [path.name.rpartition("-")[0] for path in _kept(cache)] == ["_running_sum"]


def test_a_kernel_is_compiled_when_there_is_enough_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "ENOUGH", 30)
    monkeypatch.setattr(kernels, "ENOUGH_TO_LOAD", 20)
    monkeypatch.setattr(kernels, "ENOUGH_TO_COMPILE", 40)
    loop = kernel(_running_sum)
    assert [kernels.is_news(work) for work in (39, 40)] == [False, True]
    for _ in range(3):
        _asked(loop, bytes(10))
        assert not cache.exists()
    _asked(loop, bytes(10))
    assert len(_kept(cache)) == 1
    assert not kernels.is_news(40)
    again = kernel(_running_sum)  # what was compiled is there, and LLVM is imported
    loaded = [(_asked(again, bytes(10)), again._compiled is not None)[1] for _ in range(2)]
    assert loaded == [False, True]
    monkeypatch.delitem(sys.modules, "llvmlite")
    other = kernel(_running_sum)  # as in another process, which has to import it first
    for _ in range(2):
        _asked(other, bytes(10))
    assert other._compiled is None


@kernel
def _twice(numbers: I64) -> None:
    for place in range(len(numbers)):
        numbers[place] *= 2


def test_who_must_answer_soon_does_not_wait_for_a_compiler(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "ENOUGH_TO_LOAD", 10)
    monkeypatch.setattr(kernels, "ENOUGH_TO_COMPILE", 20)
    loop, later = kernel(_running_sum), kernel(_twice.plain)
    compiler, asked, times = kernels._Compiler(), threading.Event(), list[int]()
    monkeypatch.setattr(kernels, "_compiler", compiler)

    def compile_elsewhere() -> None:  # as soon as it was seen that nobody waits for it
        assert asked.wait(120)
        times.append(len(times))
        (kernel(_running_sum) if len(times) == 1 else kernel(_twice.plain)).ready()

    monkeypatch.setattr(kernels, "_compile_elsewhere", compile_elsewhere)
    with kernels.beside():
        plain = [_asked(loop, bytes(range(10))) for _ in range(3)]
        for _ in range(3):
            later(np.arange(10))
        assert (loop._compiled, later._compiled) == (None, None)
        assert compiler.is_at(loop)
        asked.set()
        for thread in threading.enumerate():
            if thread.name == "kernels":
                thread.join(120)
        assert not compiler.is_at(loop)
        assert not compiler.is_at(later), "one that is asked for while others are compiled is compiled next"
        assert _asked(loop, bytes(range(10))) == plain[0]
        later(np.arange(10))
    assert None not in (loop._compiled, later._compiled)
    assert times == [0, 1]


def test_what_is_kept_is_loaded_and_not_taken_for_garbage(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel(_running_sum).ready()
    kept, missing = kernel(_running_sum), kernel(_of_byte)
    monkeypatch.setattr(kernels, "_all", [missing, kept])
    frozen = gc.get_freeze_count()
    try:
        kernels.load_kept()
        assert gc.isenabled()
        assert kept._compiled is not None
        assert missing._compiled is None, "what nobody has compiled may not be needed"
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()


def test_another_process_can_compile_what_is_needed_here(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_all", [_twice, kernel(_running_sum)])
    kernels._compile_elsewhere()
    assert [path.name.rpartition("-")[0] for path in _kept(cache)] == ["_twice"]
    assert _twice.is_kept
    assert _twice._compiled is None


def test_what_is_kept_is_loaded_without_numba(cache: Path) -> None:
    _twice.ready()
    script = (
        "import sys, numpy as np; from elixirscope.kernels import load_kept; from tests.test_kernels import _twice\n"
        "load_kept(); assert _twice._compiled; found = np.arange(4); _twice(found)\n"
        "print(found.tolist(), 'numba' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True)
    assert told.stdout.strip() == "[0, 2, 4, 6] False"


@pytest.mark.parametrize("damage", [lambda kept: kept[:-9], lambda kept: kept[:80] + b"?" + kept[81:], lambda _: b""])
def test_what_is_not_whole_is_compiled_again(cache: Path, damage: Callable[[bytes], bytes]) -> None:
    kernel(_running_sum).ready()
    (file,) = _kept(cache)
    file.write_bytes(damage(file.read_bytes()))
    for _ in range(2):
        again = kernel(_running_sum)
        with run("compiled"):
            assert _asked(again, b"\1\2")[0] == 1
    assert "dispatched" not in vars(again), "what was compiled is kept"


def _divided(numbers: I64, by: int) -> int:
    return numbers[0] // by


def test_an_exception_of_machine_code_is_told() -> None:
    with run("compiled"):
        assert kernel(_divided)(np.array([-7]), 2) == -4
        with pytest.raises(ArithmeticError, match="_divided"):
            kernel(_divided)(np.array([7]), 0)


def _strided(numbers: S32, odd: Bits, found: I64) -> bool:
    for place in range(len(numbers)):
        found[place] = numbers[place]
    return odd[len(odd) - 1]


def test_a_field_of_records_is_read_where_it_lies() -> None:
    records = np.zeros(5, np.dtype([("kind", "u1"), ("number", "u4")], align=True))
    records["number"] = [1, 2, 3, 4, 2**32 - 1]
    for way in ("interpreted", "compiled"):
        found = np.zeros(3, np.int64)
        with run(way):
            assert kernel(_strided)(records["number"][::2], np.array([False, True]), found) is True
            assert kernel(_strided)(records["number"][::2], np.array([True, False]), found) is False
        assert found.tolist() == [1, 3, 2**32 - 1]


def test_machine_code_is_that_of_this_source(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = {kernel(_running_sum).digest}
    monkeypatch.setitem(globals(), "_scaled", kernel(lambda byte, odd: byte))
    monkeypatch.setattr(kernels, "get_type_hints", lambda _: {"byte": int, "odd": bool, "return": int})
    digests.add(kernel(_running_sum).digest)
    monkeypatch.undo()
    monkeypatch.setitem(globals(), "_STEP", 4)
    digests.add(kernel(_of_byte).digest)
    monkeypatch.undo()
    digests.add(kernel(_of_byte).digest)
    assert len(digests) == 4


def test_a_cache_that_cannot_be_written_costs_only_time(cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("in the way")
    with run("compiled"):
        assert _asked(kernel(_running_sum), b"\1\2")[0] == 1


def test_what_a_kernel_may_not_write_is_refused() -> None:
    def writes(data: U8) -> None:
        data[0] = 1

    mapped = np.frombuffer(b"abc", np.uint8)
    for way in ("interpreted", "compiled"):
        with run(way), pytest.raises(TypeError):
            kernel(writes)(mapped)


def test_numba_is_not_imported_for_a_small_recording() -> None:
    script = (
        "import sys; from tests.correlate.drawn import Drawn\n"
        "Drawn('a  b\\n|--:hello-->|'); print('numba' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True)
    assert told.stdout.strip() == "False"


def test_an_array_that_machine_code_would_not_take_is_refused_by_both_ways() -> None:
    loop: Kernel[..., int] = kernel(_running_sum)
    data, odd, sums = np.zeros(4, np.uint8), np.zeros(4, bool), np.zeros(8, np.int64)
    kept = np.zeros(4, np.int64)
    kept.flags.writeable = False
    for way in ("interpreted", "compiled"):
        with run(way):
            for wrong in (
                (data.astype(np.int8), odd, sums),
                (data, odd.astype(np.uint8), sums),
                (data, odd, sums[::2]),
                (data, odd, kept),
            ):
                with pytest.raises(TypeError):
                    loop(*wrong)
            loop(data, odd, sums)


def test_an_array_that_is_only_read_may_be_of_arrow() -> None:
    def last(data: R32) -> int:
        return data[len(data) - 1]

    column = pa.array([1, 2, 3], pa.int32()).to_numpy(zero_copy_only=True)
    assert not column.flags.writeable
    for way in ("interpreted", "compiled"):
        with run(way):
            assert kernel(last)(column) == 3
