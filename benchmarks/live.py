"""Following a recording while it is made: what a look costs, and how soon after it happened an event is there.

    python benchmarks/live.py [--size 1M] [--processes 1000] [--step 2000] [--seconds 8]

A generated recording of 20,000 events a second is followed up to an eighth, a quarter, a half and all of its length in
large steps, and there in steps as they come live: what a look costs must follow what is new, not what is there. That is
processor time of this thread, so that other work counts little. Then a program that spawns and sends is recorded by
either engine, and looked at all 50 ms.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

import generate
import numpy as np

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.film import Film
from elixirscope.recording.joiner import Joiner
from elixirscope.recording.live import Live

RATE: Final = 20_000
"""Events a second."""
LOOKS: Final = 40
EVENTS_PER_SCENE: Final = 40


PAUSE_S: Final = 0.05
PROGRAM: Final = """
ends = System.monotonic_time(:millisecond) + String.to_integer(hd(System.argv()))
{:ok, kept} = Agent.start_link(fn -> 0 end, name: Kept)
Enum.each(Stream.repeatedly(fn -> :ok end) |> Stream.take_while(fn _ -> System.monotonic_time(:millisecond) < ends end),
  fn _ ->
    Task.await(Task.async(fn -> Agent.update(kept, &(&1 + 1)) end))
    Process.sleep(2)
  end)
"""


def latency(engine: str, seconds: float, folder: Path) -> str:
    """A line on how soon events of a real program were in the tables."""
    out, script = folder / f"{engine}.scope", folder / "program.exs"
    script.write_text(PROGRAM)
    command = [sys.executable, "-m", "elixirscope.cli.main", "record", "-o", str(out), "--engine", engine, "--"]
    program = subprocess.Popen(
        [*command, "elixir", str(script), str(int(1000 * seconds))], stderr=subprocess.PIPE, text=True
    )
    live = Live(out, correlate=EventCorrelator)
    delays, looks, known, late = list[int](), list[float](), 0, 0
    while program.poll() is None:
        time.sleep(PAUSE_S)
        began = time.perf_counter()
        if not (out / "raw").is_dir() or not live.refresh() or (recording := live.recording) is None:
            continue
        seen, events = time.time_ns(), recording.table("events")
        looks.append(1000 * (time.perf_counter() - began))
        at = np.asarray(events.column("at").slice(known).combine_chunks()) + recording.info.started_unix_ns
        if known:  # what there is at the first look has waited for the reader to start
            delays += (seen - at).tolist()
        known, late = len(events), live.late
    _, said = program.communicate()
    if not delays:
        raise SystemExit(f"nothing was seen live of the {engine} engine's recording:\n{said}")
    spread = np.percentile(delays, [50, 95, 99]) / 1e6
    return (
        f"{engine:>12}: of {known:,} events half were there after {spread[0]:.0f} ms, 95% after {spread[1]:.0f} ms, "
        f"99% after {spread[2]:.0f} ms, {late:,} too late; a look took {statistics.median(looks):.0f} ms (median)"
    )


class Followed:
    """A recording on disk that is read as if it were being written: by a clock of ours."""

    def __init__(self, folder: Path) -> None:
        self.now = 0
        joiner = Joiner.open(folder / "raw")
        (log,) = joiner.slices(None)
        self.start, self.duration, self.events = log.start_unix_ns, log.duration_ns, len(log.rows)
        self.live = Live(folder, correlate=EventCorrelator, now=lambda: self.now)

    def look(self, event: int) -> tuple[float, float, float]:
        """Take in all up to about `event`; ms that the look took, its recording, and a first question to that."""
        # However long events take to be written, the clock is this much after them.
        self.now = self.start + self.duration * event // self.events + self.live.waits
        times = [time.thread_time()]
        self.live.refresh()
        times.append(time.thread_time())
        recording = self.live.recording
        assert recording is not None
        times.append(time.thread_time())
        Film(recording).query.events_of(1)
        times.append(time.thread_time())
        look, shown, asked = (1000 * (after - before) for before, after in pairwise(times))
        return look, shown, asked


def main() -> None:
    """Parse the command line, follow, print a line per length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", type=generate.count_of, default=1_000_000)
    parser.add_argument("--processes", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=8, help="of the program that is recorded")
    parser.add_argument("--step", type=int, default=RATE // 10, help="events per look: 100 ms")
    options = parser.parse_args()
    generate.ROUND_NS = options.processes // 2 * EVENTS_PER_SCENE * 1_000_000_000 // RATE  # type: ignore[misc]
    print(f"load average: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        for engine in ("native", "portable") if options.seconds else ():
            print(latency(engine, options.seconds, Path(folder)), flush=True)
        if not options.size:
            return
        out = Path(folder) / "live.scope"
        generate.generate(out, options.size, processes=options.processes, state_bytes=300)
        followed = Followed(out)
        reached = 0
        for part in (8, 4, 2, 1):
            aim = followed.events // part - (LOOKS + 1) * options.step
            while reached < aim:
                reached = min(aim, reached + 500_000)
                followed.look(reached)
            looks = []
            for _ in range(LOOKS):
                reached += options.step
                looks.append(followed.look(reached))
            look, shown, asked = (statistics.median(column) for column in zip(*looks, strict=True))
            worst = max(look + shown for look, shown, _ in looks)
            print(
                f"{reached:>12,} events: look {look:6.1f} ms, tables {shown:6.1f} ms, at most {worst:6.1f} ms; "
                f"first question {asked:6.1f} ms"
            )


if __name__ == "__main__":
    main()
