"""A real recording that is being made, for as long as a test wants."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from elixirscope.recording.presence import is_recording
from tests.conftest import environment

# The program rests between two calls: it should still be running when it is looked at, and not be a large recording.
# Not by a `receive … after`: where an answer is written too late to be shown live, that would seem to be its timeout.
COUNTS_UNTIL_TOLD = """\
defmodule Counter do
  use GenServer
  def init(count), do: {:ok, count}
  def handle_call(:next, _from, count), do: {:reply, count, count + 1}
end

defmodule Loop do
  def run(counter, stop) do
    GenServer.call(counter, :next)
    Process.send_after(self(), :again, 20)
    receive do: (:again -> :ok)
    unless File.exists?(stop), do: run(counter, stop)
  end
end

{:ok, counter} = GenServer.start_link(Counter, 0, name: Counter)
Loop.run(counter, hd(System.argv()))
"""


@contextmanager
def counting(folder: Path) -> Iterator[tuple[Path, Path]]:
    """A recording of a server that counts, and the file whose appearance ends its program."""
    script, stop, recording = folder / "counts.exs", folder / "stop", folder / "counts.scope"
    script.write_text(COUNTS_UNTIL_TOLD)
    command: list[str | Path] = [sys.executable, "-m", "elixirscope.cli.main", "record", "-o", recording]
    recorder = subprocess.Popen(
        [*command, "--", "elixir", script, stop], cwd=folder, env=environment(), stdin=subprocess.DEVNULL
    )
    try:
        while not is_recording(recording):
            with pytest.raises(subprocess.TimeoutExpired):
                recorder.wait(0.05)
        yield recording, stop
    finally:
        stop.touch()
        recorder.wait(60)
