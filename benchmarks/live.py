"""Following a recording while it is made: what a look costs, and how soon after it happened an event is there.

    python benchmarks/live.py [--size 1M] [--processes 1000] [--step 2000] [--seconds 8] [--pairs 24]
    python benchmarks/live.py --crowd 20k,100k,200k [--seconds 8]

A program that spawns and sends is recorded by either engine, and followed as the page does that asks for the next
edition as soon as it has one: alone, and with two other programs beside it that keep all cores busy and give way
(nice 10). How fast a program is that never rests is told with and without such a reader, in turns of one run. Then a
generated recording of 20,000 events a second is followed up to an eighth, a quarter, a half and all of its length in
large steps, and there in steps as they come live: what a look costs must follow what is new, not what is there. That
is processor time of this thread, so that other work counts little.

With `--crowd` it is about programs whose processes come and go: what a look costs when there were so many, and how soon
events are there of a program that had so many before.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

import generate
import numpy as np
from crowd import EVENTS, Crowd

from elixirscope import kernels
from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.film import Film
from elixirscope.garbage import settled
from elixirscope.recording.joiner import Joiner
from elixirscope.recording.live import Live
from elixirscope.recording.presence import is_recording, recorder_of
from elixirscope.web.follower import Follower, follow
from elixirscope.web.showing import Showing

RATE: Final = 20_000
"""Events a second."""
LOOKS: Final = 40
STEP_NS: Final = 40_000_000
EVENTS_PER_SCENE: Final = 40
BURNERS: Final = 2
START_S: Final = 3.0
"""Before the first turn of a reader."""
TURN_S: Final = 0.25

PROGRAM: Final = """
ends = System.monotonic_time(:millisecond) + String.to_integer(hd(System.argv()))
{:ok, kept} = Agent.start_link(fn -> 0 end, name: Kept)
Enum.each(Stream.repeatedly(fn -> :ok end) |> Stream.take_while(fn _ -> System.monotonic_time(:millisecond) < ends end),
  fn _ ->
    Task.await(Task.async(fn -> Agent.update(kept, &(&1 + 1)) end))
    Process.sleep(2)
  end)
"""
BUSY: Final = """
[seconds, out] = System.argv()
ends = System.monotonic_time(:millisecond) + String.to_integer(seconds)
calls = :counters.new(1, [:write_concurrency])
run = fn run, agent ->
  Agent.update(agent, &(&1 + 1))
  :counters.add(calls, 1, 1)
  if System.monotonic_time(:millisecond) < ends, do: run.(run, agent)
end
for _ <- 1..System.schedulers_online() do
  {:ok, agent} = Agent.start_link(fn -> 0 end)
  Task.async(fn -> run.(run, agent) end)
end
told = File.open!(out, [:write])
tell = fn tell ->
  IO.puts(told, "#{System.os_time(:millisecond)} #{:counters.get(calls, 1)}")
  Process.sleep(20)
  if System.monotonic_time(:millisecond) < ends, do: tell.(tell)
end
tell.(tell)
"""


@contextmanager
def recorded(program: str, engine: str, seconds: float, out: Path, *told: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program, being recorded, in a session of its own; `told` are further arguments."""
    script = out.with_suffix(".exs")
    script.write_text(program)
    command = [sys.executable, "-m", "elixirscope.cli.main", "record", "-o", str(out), "--engine", engine, "--"]
    command += ["elixir", str(script), str(int(1000 * seconds)), *told]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while not is_recording(out):
        if running.poll() is not None:
            raise SystemExit(f"the {engine} engine records nothing: {' '.join(command)}")
        time.sleep(0.02)
    yield running
    running.wait()


@contextmanager
def burning(count: int) -> Iterator[None]:
    """So many programs beside, which would take a core each and give way."""
    command = ["nice", "-n", "10", sys.executable, "-c", "while True: pass"]
    beside = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for each in beside:
            each.kill()
            each.wait()


def latency(engine: str, seconds: float, out: Path, burners: int) -> str:
    """A line on how soon events of a real program were in an edition."""
    with recorded(PROGRAM, engine, seconds, out), burning(burners):
        return f"{engine:>12}, {burners} beside: {delays_of(follow(out))}"


def delays_of(showing: Showing) -> str:
    """How soon events were in an edition, of a recording that is followed until it ends."""
    delays = list[float]()
    edition, known, late = showing.head().edition, 0, list[str]()
    while (head := showing.head(edition)).state == "recording":
        seen, edition, film = time.time_ns(), head.edition, showing.film
        at = np.asarray(film.table("events").column("at").slice(known).combine_chunks()) + film.info.started_unix_ns
        if known:  # what there is at first has waited for the reader to start
            delays += ((seen - at) / 1e6).tolist()
        known, late = known + len(at), [row.subject for row in film.info.coverage if "too late" in row.reason]
    spread = np.percentile(delays, [50, 95, 99, 100])
    return (
        f"{len(delays):,} events; half after {spread[0]:.0f} ms, 95% after {spread[1]:.0f}, 99% after {spread[2]:.0f}, "
        f"all after {spread[3]:.0f}; {late[0] if late else 'none'} too late"
    )


def slowdown(engine: str, pairs: int, folder: Path) -> str:
    """A line on how fast a program is that never rests, while a reader in a process of its own is stopped and while it
    is not, in turns within one run: two runs of such a program differ by more than a reader takes."""
    out, counts = folder / f"{engine}-busy.scope", folder / f"{engine}-busy.txt"
    turns, used = list[tuple[float, float, bool]](), dict[bool, float]()
    with recorded(BUSY, engine, START_S + 2 * pairs * TURN_S + 1, out, str(counts)) as program:
        code = f"import runpy; runpy.run_path({__file__!r})['read_along']({str(out)!r})"
        reader = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        try:
            time.sleep(START_S)
            for turn in range(2 * pairs):
                reading = turn % 4 in (1, 2)  # without, with, with, without: what only falls or rises is no difference
                reader.send_signal(signal.SIGCONT if reading else signal.SIGSTOP)
                began, before = time.time(), _processor_time(reader.pid)
                time.sleep(TURN_S)
                turns.append((began, time.time(), reading))
                used[reading] = used.get(reading, 0) + _processor_time(reader.pid) - before
        finally:
            reader.kill()
            reader.wait()
            os.killpg(program.pid, signal.SIGKILL)  # nobody needs it sealed, which takes a minute
            for ring in (out / "raw").glob("*.ring"):  # in shared memory
                ring.resolve().unlink(missing_ok=True)
    at, count = np.loadtxt(counts).T
    rates = [
        float(np.diff(np.interp([began, ended], at / 1000, count))[0]) / (ended - began) for began, ended, _ in turns
    ]
    both = [(rates[n], rates[n + 1])[:: 1 if turns[n + 1][2] else -1] for n in range(0, len(turns), 2)]
    ratios = [beside / without for without, beside in both]
    low, ratio, high = np.percentile(ratios, [25, 50, 75])
    without, beside = (statistics.median(column) for column in zip(*both, strict=True))
    # What a median of as many ratios is off by, about: 1.25 standard deviations over the root of their number.
    error = 1.25 * statistics.stdev(ratios) / len(ratios) ** 0.5
    told = "within noise" if abs(1 - ratio) <= 2 * error else "slower" if ratio < 1 else "faster"
    return (
        f"{engine:>12}: {without:,.0f} calls a second without a reader, {beside:,.0f} with one; {len(ratios)} pairs of "
        f"{TURN_S} s: ratio {ratio:.3f} (half of them {low:.3f} to {high:.3f}; ± {2 * error:.3f}): {told}; the reader "
        f"took {used[True] / (len(ratios) * TURN_S):.2f} of a core"
    )


def _processor_time(pid: int) -> float:
    """Seconds that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_along(path: str) -> None:
    """Take every edition as it comes."""
    showing = follow(Path(path))
    head = showing.head()
    while head.state == "recording":
        head = showing.head(head.edition)


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
        while self.live.refresh():
            pass  # in several looks, of what is far ahead
        times.append(time.thread_time())
        recording = self.live.recording
        assert recording is not None
        times.append(time.thread_time())
        Film(recording).query.events_of(1)
        times.append(time.thread_time())
        look, shown, asked = (1000 * (after - before) for before, after in pairwise(times))
        return look, shown, asked


def crowded(marks: list[int], folder: Path) -> Iterator[str]:
    """Lines on what a look costs when there were so many processes. A program has `RATE` events a second, of processes
    that live a few microseconds, and is looked at as they come: every 40 ms."""
    out = folder / "crowd.scope"
    # Long ago: by how long files took to be written a reader would tell that its clock is not theirs.
    crowd, now, at = Crowd(out, started_unix_ns=generate.STARTED), [0], 1_000_000
    live = Live(out, correlate=EventCorrelator, now=lambda: now[0])

    def look(requests: int, ns: int) -> tuple[float, float]:
        nonlocal at
        crowd.play(requests, at, at + ns)
        at += ns
        now[0] = crowd.started + at + live.waits
        times = [time.thread_time()]
        while live.refresh():
            pass
        times.append(time.thread_time())
        _ = live.recording
        times.append(time.thread_time())
        return 1000 * (times[1] - times[0]), 1000 * (times[2] - times[1])

    for mark in marks:
        while crowd.processes < mark:
            look(min(5_000, mark - crowd.processes), 2_500_000_000)
        settled()  # as who follows does again and again
        looks = [look(RATE * STEP_NS // 10**9 // EVENTS, STEP_NS) for _ in range(5 * LOOKS)]
        ms, shown = (np.array(column) for column in zip(*looks, strict=True))
        yield (
            f"{mark:>12,} processes: look {np.median(ms):6.1f} ms, tables {np.median(shown):6.1f} ms, 99% of both "
            f"{np.percentile(ms + shown, 99):6.1f} ms, at most {(ms + shown).max():6.1f} ms"
        )


def crowd_latency(before: int, seconds: float, out: Path) -> str:
    """A line on how soon events are in an edition, of such a program that had so many processes before. Another
    program writes them when they happen; the reader knows what was before when it begins to follow."""
    out.mkdir()
    told = subprocess.PIPE
    code = (
        f"import runpy; runpy.run_path({__file__!r})['write_crowd']({str(out / 'crowd.scope')!r}, {before}, {seconds})"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=told, stdout=told, start_new_session=True) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdout.readline()
        live = Live(out / "crowd.scope", correlate=EventCorrelator)
        while live.refresh():
            pass
        recording = live.recording
        assert recording is not None
        settled()  # before anything happens, as one who has followed it is
        writer.stdin.close()
        showing = Showing(Film(recording), "recording")
        Follower(live, showing).start()
        line = delays_of(showing)
    return f"after {before:,} processes: {line}"


def write_crowd(path: str, before: int, seconds: float) -> None:
    """Write what so many processes did long ago; when told to, what others do, when they do it."""
    length = 1_000_000_000 * before // (RATE // EVENTS)
    crowd = Crowd(Path(path), started_unix_ns=time.time_ns() - length - 3_600_000_000_000)
    with recorder_of(crowd.raw):
        for part in range(-(-before // 5_000)):
            crowd.play(5_000, length * part * 5_000 // before + 1_000_000, length * (part + 1) * 5_000 // before)
        print("written", flush=True)
        sys.stdin.read()
        ends = time.time() + seconds
        at = time.time_ns() - crowd.started
        while time.time() < ends:
            time.sleep(0.01)
            now = time.time_ns() - crowd.started
            crowd.play((now - at) * (RATE // EVENTS) // 1_000_000_000, at, now)
            at = now


def main() -> None:
    """Parse the command line, follow, print a line per length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", type=generate.count_of, default=1_000_000)
    parser.add_argument("--processes", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=8, help="of the program that is recorded")
    parser.add_argument("--pairs", type=int, default=24, help="of turns with and without a reader; 0: none")
    parser.add_argument("--engine", choices=("native", "portable"), help="only this one")
    parser.add_argument("--step", type=int, default=RATE // 10, help="events per look: 100 ms")
    parser.add_argument("--crowd", type=lambda text: [generate.count_of(each) for each in text.split(",")], default=[])
    options = parser.parse_args()
    generate.ROUND_NS = options.processes // 2 * EVENTS_PER_SCENE * 1_000_000_000 // RATE  # type: ignore[misc]
    print(f"load average: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        if options.crowd:
            kernels.load_kept()  # as who follows does before events come
            for line in crowded(options.crowd, Path(folder)):
                print(line, flush=True)
            if options.seconds:
                for mark in options.crowd:
                    print(crowd_latency(mark, options.seconds, Path(folder) / str(mark)), flush=True)
            return
        for engine in (options.engine,) if options.engine else ("native", "portable"):
            for burners in (0, BURNERS) if options.seconds else ():
                out = Path(folder) / f"{engine}-{burners}.scope"
                print(latency(engine, options.seconds, out, burners), flush=True)
            if options.pairs:
                print(slowdown(engine, options.pairs, Path(folder)), flush=True)
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
