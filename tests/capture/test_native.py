"""The native engine: built once, chosen by an option, and nothing it had committed is missing after `kill -9`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest

from elixirscope.capture import native, rings
from elixirscope.capture.toolchain import Toolchain, find_toolchain
from elixirscope.errors import RecordingError, TargetError
from elixirscope.recording.format import Kind
from elixirscope.recording.log import Log, read_log
from tests.capture.projects import tiny_project
from tests.conftest import Run, environment

pytestmark = pytest.mark.beam

# Each of its processes counts, one event for each number, as fast as it can.
COUNTING = """\
defmodule Counting do
  def step(n), do: n
  def run(n, main) do
    step(n)
    if n == 5_000, do: send(main, :counted)
    if rem(n, 40) == 0, do: Process.sleep(1)
    run(n + 1, main)
  end
end
main = self()
for _ <- 1..6, do: spawn(fn -> Counting.run(1, main) end)
for _ <- 1..6, do: receive(do: (:counted -> :ok))
IO.puts("ready #{System.pid()}")
Process.sleep(:infinity)
"""


RECORD = (sys.executable, "-m", "elixirscope.cli.main", "record", "--engine", "native")


@pytest.fixture
def toolchain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toolchain:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    toolchain = find_toolchain()
    if toolchain.otp_release not in native.KNOWN_OTP:
        pytest.skip(f"the native engine does not know Erlang/OTP {toolchain.otp_release}")
    return toolchain


def test_it_is_built_once_and_again_when_it_changes(toolchain: Toolchain, tmp_path: Path) -> None:
    sources = tmp_path / "c_src"
    sources.mkdir()
    (sources / "a.c").write_text("#include <erl_nif.h>\nint one(void) { return 1; }\n")
    said: list[str] = []
    library = native.native_library(toolchain, said.append, sources)
    assert library.read_bytes()[:4] == b"\x7fELF"
    assert native.native_library(toolchain, said.append, sources) == library
    assert len(said) == 1
    (sources / "a.c").write_text("int two(void) { return 2; }\n")
    assert native.native_library(toolchain, said.append, sources) != library
    assert sorted(file.suffix for file in library.parent.iterdir()) == [".so", ".so"]


def test_what_the_compiler_says_is_passed_on(toolchain: Toolchain, tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int one(void) { return nowhere; }\n")
    with pytest.raises(TargetError, match=r"(?s)does not compile.*nowhere"):
        native.native_library(toolchain, sources=tmp_path)


def test_without_a_compiler_it_says_how_to_go_on(
    toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(TargetError, match="needs a C compiler") as raised:
        native.native_library(toolchain)
    assert "--engine portable" in str(raised.value)


def test_an_unknown_release_of_otp_is_recorded_portably_and_told(toolchain: Toolchain) -> None:
    said: list[str] = []
    other = msgspec.structs.replace(toolchain, otp_release="99")
    assert native.choose_library("native", other, said.append) is None
    assert len(said) == 1
    assert "99" in said[0]
    assert "portably" in said[0]


def test_nothing_changes_for_who_does_not_ask(toolchain: Toolchain) -> None:
    assert native.choose_library("auto", toolchain) is None
    assert native.choose_library("portable", toolchain) is None


def test_a_recording_says_by_which_engine(elixirscope: Run, tmp_path: Path) -> None:
    project = tiny_project(tmp_path / "tiny")
    seen = {}
    for engine in ("native", "portable"):
        path = tmp_path / f"{engine}.scope"
        run = elixirscope("record", "--engine", engine, "-o", path, "--", "mix", "test", cwd=project)
        assert run.returncode == 0, run.stderr
        info = json.loads(elixirscope("info", path, "--json").stdout)
        assert info["engines"] == [engine], run.stderr
        assert info["complete"]
        assert info["lost"] == 0
        assert list((path / "raw").glob("*.ring")) == []
        seen[engine] = _instrumented(read_log(path / "raw"))
    assert re.search(r"engine +native", elixirscope("info", tmp_path / "native.scope").stdout)
    assert seen["native"] == seen["portable"]
    assert len(seen["native"]) > 10


def _instrumented(log: Log) -> list[tuple[str, str]]:
    """What instrumented code did, without what differs from run to run."""
    kinds = {int(kind) for kind in (Kind.CALL, Kind.RETURN, Kind.TAIL, Kind.BIND, Kind.STATE)}
    rows = [row for row in log.rows if row["kind"] in kinds and row["site"]]
    return sorted((str(log.sites[int(row["site"])].function), Kind(int(row["kind"])).name) for row in rows)


def test_after_kill_9_nothing_that_was_committed_is_missing(tmp_path: Path) -> None:
    (tmp_path / "counting.exs").write_text(COUNTING)
    path = tmp_path / "r.scope"
    run = subprocess.Popen(
        [*RECORD, "-o", str(path), "--", "elixir", "counting.exs"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    ready = re.fullmatch(r"ready (\d+)\n", run.stdout.readline())
    assert ready, run.communicate()
    links = sorted((path / "raw").glob("*.ring"))
    shared = [link.readlink() for link in links if link.is_symlink()]
    assert links
    os.kill(int(ready[1]), signal.SIGKILL)
    _, err = run.communicate(timeout=100)
    assert run.returncode == 128 + signal.SIGKILL
    assert "incomplete" in err
    assert not any(link.is_symlink() or link.exists() for link in links)
    assert not any(target.exists() for target in shared)

    log = read_log(path / "raw")
    assert log.gaps == []
    assert sum(loss.count for loss in log.losses) == 0
    numbers: defaultdict[int, list[int]] = defaultdict(list)
    for row in log.rows:
        if row["kind"] == Kind.CALL and log.sites[int(row["site"])].function == "step":
            (number,) = log.values.term(int(row["value"]))
            numbers[int(row["process"])].append(number)
    assert len(numbers) == 6
    for counted in numbers.values():
        assert counted == list(range(1, len(counted) + 1))
        assert len(counted) >= 5000


def _ring(raw: Path, *, size: int = 8192, head: int = 0, tail: int = 0, file_bytes: int = 40) -> Path:
    """A ring as C lays it out, empty unless told otherwise, with its file of frames."""
    header = bytearray(4096)
    header[:8] = b"ELXRING1"
    header[8:16] = size.to_bytes(8, "little")
    header[64:72] = head.to_bytes(8, "little")
    header[256:272] = tail.to_bytes(8, "little") + file_bytes.to_bytes(8, "little")
    (raw / "n@h.1-256.frames").write_bytes(bytes(40))
    ring = raw / "n@h.1-256.ring"
    ring.write_bytes(bytes(header) + bytes(size))
    return ring


def test_a_frame_that_was_written_but_not_marked_is_not_repeated(tmp_path: Path) -> None:
    ring = _ring(tmp_path, head=64)
    record = (64).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(56)
    ring.write_bytes(ring.read_bytes()[:4096] + record + bytes(8192 - 64))
    frames = ring.with_suffix(".frames")
    with frames.open("ab") as file:
        file.write(b"EXSF" + b"the same event, or half of it")
    assert rings.recover(tmp_path) == 1
    assert frames.stat().st_size == 40 + 40 + 48
    assert not ring.exists()


def test_a_damaged_ring_is_told_and_kept(tmp_path: Path) -> None:
    ring = _ring(tmp_path, head=64)  # of zeros
    with pytest.raises(RecordingError, match="damaged"):
        rings.recover(tmp_path)
    assert ring.exists()
    _ring(tmp_path, head=10_000)
    with pytest.raises(RecordingError, match="damaged"):
        rings.recover(tmp_path)
    record = (16).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(8)
    _ring(tmp_path, head=16, file_bytes=41)
    ring.write_bytes(ring.read_bytes()[:4096] + record + bytes(8192 - 16))
    with pytest.raises(RecordingError, match="shorter than it was"):
        rings.recover(tmp_path)


def test_a_link_that_names_a_strangers_file_leaves_it_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "n@h.1-256.ring").symlink_to(tmp_path / "precious")
    assert rings.recover(raw) == 0
    assert (tmp_path / "precious").read_text() == "mine"
    assert list(raw.iterdir()) == []
