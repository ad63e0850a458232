"""A recording that grows large is sealed while it is made, and is what sealing it anew gives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from elixirscope.cli.beside import BYTES
from tests.conftest import environment
from tests.recording.test_beside import anew, content, left_over

pytestmark = [pytest.mark.beam, pytest.mark.timeout(600)]

# Some ten thousand events a second, so that two processors have time left.
SELLS = """\
defmodule Seats do
  use GenServer
  def init(seats), do: {:ok, seats}
  def handle_call({:sell, who}, _from, seats), do: {:reply, :ok, [who | Enum.take(seats, 3)]}
end

defmodule Desk do
  def run(seats, stop, count) do
    for number <- 1..20, do: :ok = GenServer.call(seats, {:sell, count + number})
    Process.sleep(10)
    unless File.exists?(stop), do: run(seats, stop, count + 20)
  end
end

{:ok, seats} = GenServer.start_link(Seats, [], name: Seats)
Desk.run(seats, hd(System.argv()), 0)
"""
# The sealer would take only what others leave, and on a machine that is busy with something else that is nothing.
TAKES_ITS_TURN = "import os\nos.sched_setscheduler = lambda *_: None\n"


class Recorder:
    """The program, recorded until it is told to end, beside which is sealed with a fair share of the processors."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        script, self._stop, self.recording = folder / "sells.exs", folder / "stop", folder / "sells.scope"
        script.write_text(SELLS)
        (folder / "sitecustomize.py").write_text(TAKES_ITS_TURN)
        command: list[str | Path] = [sys.executable, "-m", "elixirscope.cli.main", "record", "-o", self.recording]
        self._process = subprocess.Popen(
            [*command, "--", "elixir", script, self._stop],
            cwd=folder,
            env=environment() | {BYTES: "1", "PYTHONPATH": str(folder)},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._stop.touch()

    def sealer(self) -> int:
        """The process that seals beside, when it has taken in some events."""
        while self._process.poll() is None:
            for path in self.recording.glob(".seal.*/columns/events.at.data"):
                with suppress(FileNotFoundError):  # it begins anew
                    if path.stat().st_size:
                        return int(path.parts[-3].removeprefix(".seal."))
            time.sleep(0.1)
        raise AssertionError("nothing is sealed beside")

    def end(self) -> str:
        self._stop.touch()
        _, told = self._process.communicate()
        assert self._process.returncode == 0, told
        return told


def test_it_is_sealed_when_the_program_ends(tmp_path: Path) -> None:
    for attempt in range(4):  # where a machine is very busy it may be quicker to seal anew
        with Recorder(tmp_path / str(attempt)) as recorder:
            recorder.sealer()
            told = recorder.end()
        assert " events · " in told
        assert not left_over(recorder.recording)
        beside = (recorder.recording / "columns").exists()  # a recording of this size has none otherwise
        assert content(recorder.recording) == anew(recorder.recording)
        if beside:
            return
    raise AssertionError("four recordings, and all of them were sealed anew")


def test_a_sealer_that_is_killed_costs_nothing_but_its_time(tmp_path: Path) -> None:
    with Recorder(tmp_path / "killed") as recorder:
        os.kill(recorder.sealer(), signal.SIGKILL)
        assert " events · " in recorder.end()
    assert content(recorder.recording) == anew(recorder.recording)
    assert not left_over(recorder.recording)
