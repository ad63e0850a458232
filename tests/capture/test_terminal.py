"""Recording on a terminal: it is the command's, Ctrl-C included."""

from __future__ import annotations

import os
import pty
import re
import sys
import time
from pathlib import Path

import pytest

from elixirscope.recording.format import FrameType, Kind
from elixirscope.recording.frames import Frame, read_frames
from elixirscope.recording.log import read_log
from tests.conftest import environment

pytestmark = pytest.mark.beam


class Terminal:
    """`elixirscope record` in a terminal of its own, as its session's foreground job."""

    def __init__(self, *arguments: str | Path) -> None:
        self.seen = ""
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            command = [sys.executable, "-m", "elixirscope.cli.main", "record", *map(str, arguments)]
            os.execve(command[0], command, environment() | {"TERM": "dumb"})

    def expect(self, pattern: str) -> None:
        """Read until `pattern` has been written since the last time."""
        while not (found := re.search(pattern, self.seen)):
            try:
                self.seen += os.read(self.screen, 4096).decode(errors="replace")
            except OSError as error:
                raise AssertionError(f"the terminal closed before {pattern!r}: {self.seen}") from error
        self.seen = self.seen[found.end() :]

    def type(self, keys: str) -> None:
        os.write(self.screen, keys.encode())

    def status(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        os.close(self.screen)
        return os.waitstatus_to_exitcode(status)


def _recorded(raw: Path) -> bool:
    """Whether an event is on disk."""
    frames = (frame for file in raw.glob("*.frames") for frame in read_frames(file))
    return any(isinstance(frame, Frame) and frame.type == FrameType.EVENTS and frame.count for frame in frames)


@pytest.mark.parametrize("engine", ["auto", "portable"])
def test_iex_has_the_terminal_and_its_break_menu(tmp_path: Path, engine: str) -> None:
    terminal = Terminal("--engine", engine, "-o", tmp_path / "r.scope", "--", "iex")
    terminal.expect(r"iex\(1\)>")
    terminal.type("6 * 7\r")
    terminal.expect(r"42")
    deadline = time.monotonic() + 120
    while not _recorded(tmp_path / "r.scope" / "raw"):  # its prompt is there before its recording is
        assert time.monotonic() < deadline
        terminal.type("spawn(fn -> :ok end)\r")
        terminal.expect(r"#PID<[\d.]+>")
    # A process that is born now is recorded; the shell's own is older than the recording.
    terminal.type('spawn(fn -> for n <- 1..500, do: send(self(), {:numbered, n}); IO.puts("all " <> "sent") end)\r')
    terminal.expect(r"all sent")
    if not list(
        (tmp_path / "r.scope" / "raw").glob("*.ring")
    ):  # what still waits for its collector goes with the VM: some 10 ms
        while _numbers(tmp_path / "r.scope" / "raw")[-1:] != [500]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    terminal.type("\x03")
    terminal.expect(r"BREAK: \(a\)bort")
    terminal.type("a\r")
    terminal.expect(r"elixirscope: .*events.* r?/.*r\.scope")
    assert terminal.status() == 0
    assert _numbers(tmp_path / "r.scope" / "raw") == list(range(1, 501))
    log = read_log(tmp_path / "r.scope" / "raw")
    assert log.gaps == []
    assert log.losses == []


def _numbers(raw: Path) -> list[object]:
    """What was sent with a number, as far as it is on disk."""
    log = read_log(raw)
    sent = [log.values.term(value) for kind, value in log.rows.at(slice(None), "kind", "value") if kind == Kind.SEND]
    return [term[1] for term in sent if isinstance(term, tuple) and term[0] == "numbered"]


def test_ctrl_c_is_for_the_command_alone(tmp_path: Path) -> None:
    script = "trap 'echo caught; exit 5' INT; echo ready; read x"
    terminal = Terminal("-o", tmp_path / "r.scope", "--", "sh", "-c", script)
    terminal.expect("ready")
    terminal.type("\x03")
    terminal.expect("caught")
    terminal.expect("nothing was recorded")
    assert terminal.status() == 5
