"""Makes a recording of any size, as a shop of clients and servers would leave it: the same for the same seed.

    python benchmarks/generate.py OUT.scope [--size 1M] [--processes 1000] [--state-bytes 2500] [--seed 1]

Of 40 events 8 are messages and 4 are state changes; calls nest, end by return, tail call and exception. In each round
every client meets one server, and the round is one or the other scene of `scenes.py`; memory holds a few rounds.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent))

from scenes import CLIENT, NODE, REFUSED, SALE, SITES, Step, Template, templates

from elixirscope import __version__
from elixirscope.recording.format import FORMAT_VERSION, META_SHARD, NONE32, VM_SHARD, FrameType, Kind
from elixirscope.recording.framewriter import FrameWriter
from elixirscope.recording.manifest import Manifest
from elixirscope.recording.records import EVENT
from elixirscope.recording.terms import Atom, Pid, module_name

COLLECTORS: Final = 4
PER_FRAME: Final = 2048
PER_BLOCK: Final = 4000  # scenes made at once
STARTED: Final = 1_750_000_000_000_000_000
ROUND_NS: Final = 1_000_000
_VM_KINDS: Final = (Kind.SEND, Kind.RECEIVE)
_FIRST_PID: Final = 200

Rows = npt.NDArray[np.void]
Numbers = npt.NDArray[np.int64]


def generate(
    folder: Path, size: int, *, processes: int = 1000, state_bytes: int = 2500, seed: int = 1
) -> dict[str, int]:
    """Write a recording of about `size` events into `folder`, which must not exist. Gives its counts."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    made = _Shop(raw, processes, state_bytes, seed).write(size)
    command = ["benchmarks/generate.py", f"--size={size}", f"--seed={seed}"]
    Manifest(FORMAT_VERSION, __version__, command, "/shop", STARTED, 0, "finished").save(folder)
    return made


class _Shop:
    def __init__(self, raw: Path, processes: int, state_bytes: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.pairs = processes // 2  # process p < pairs is a client, the others are servers
        self.values = templates(state_bytes)
        shards = [*((str(n), n) for n in range(COLLECTORS)), ("vm", VM_SHARD), ("meta", META_SHARD)]
        self.writers = {
            name: FrameWriter(raw / f"{NODE}.4242-{name}.frames", os_pid=4242, unix_ns=STARTED, shard=shard)
            for name, shard in shards
        }
        self.written = 0

    def write(self, size: int) -> dict[str, int]:
        self._declare()
        scenes = max(self.pairs, size // len(SALE))
        done, states = 0, 0
        while done < scenes:
            count = min(max(PER_BLOCK // self.pairs, 1) * self.pairs, scenes - done)
            states += self._block(np.arange(done, done + count))
            done += count
        for writer in self.writers.values():
            writer.end()
        return {"events": self.written, "states": states}

    def _declare(self) -> None:
        pids = [(n, Pid(NODE, _FIRST_PID + n, 0, 3)) for n in range(2 * self.pairs + 1)]
        for name, writer in self.writers.items():
            if name != "meta":
                writer.term(FrameType.PROCESSES, pids)
        meta = self.writers["meta"]
        meta.term(FrameType.META, {Atom("what"): Atom("hello"), Atom("node"): Atom(NODE)})
        for module in sorted({site.module for site in SITES.values()}):
            described = [
                (number, Atom(code.kind), Atom(code.function), code.arity, code.line,
                 [name.encode() for name in code.vars], {Atom(key): value for key, value in code.detail})
                for number, code in SITES.items() if code.module == module
            ]  # fmt: skip
            info = {Atom("file"): f"/shop/lib/{module.lower()}.ex".encode()}
            meta.term(FrameType.SITES, (Atom(f"Elixir.Shop.{module}"), info, described))
        self._births()

    def _births(self) -> None:
        """The last process spawns all others; servers are registered."""
        parent, children = 2 * self.pairs, np.arange(2 * self.pairs)
        spawn, spawned = (np.zeros(len(children), EVENT) for _ in range(2))
        spawn["kind"], spawn["pid"], spawn["peer"] = Kind.SPAWN, parent, children
        spawned["kind"], spawned["pid"], spawned["peer"] = Kind.SPAWNED, children, parent
        spawn["ts"], spawned["ts"] = 10 + 20 * children, 20 + 20 * children
        rows = np.concatenate([spawn, spawned])
        rows = rows[np.argsort(rows["ts"])]
        self.writers["vm"].events(rows)
        self.written += len(rows)

    def _block(self, scenes: Numbers) -> int:
        """Play these scenes. Gives how many states changed."""
        rounds, client = np.divmod(scenes, self.pairs)
        order = np.argsort(self.random.random((int(rounds[-1] - rounds[0]) + 1, self.pairs)), axis=1)
        server = self.pairs + order[rounds - rounds[0], client]
        pauses = self.random.integers(100, ROUND_NS // (len(SALE) + 10), (len(scenes), len(SALE)))
        times = (1 + rounds[:, None]) * ROUND_NS + np.cumsum(pauses, axis=1)
        fields = {
            "seat": self.random.integers(0, 500, len(scenes)),
            "who": client,
            "scene": scenes,
            "client": _FIRST_PID + client,
        }
        refused = self.random.random(len(scenes)) < 0.05
        events = np.zeros((len(scenes), len(SALE)), EVENT)
        names = np.zeros(events.shape, np.int8)  # the value of each event, 1-based; 0 none
        for steps, chosen in ((SALE, ~refused), (REFUSED, refused)):
            for place, step in enumerate(steps):
                who, peer = (client, server) if step.who == CLIENT else (server, client)
                column = _event(step, times[chosen], place, scenes[chosen], who[chosen], peer[chosen])
                events[chosen, place] = column
                names[chosen, place] = 1 + list(self.values).index(step.value) if step.value else 0
        self._write(events, names, fields)
        return int((events["kind"] == Kind.STATE).sum())

    def _write(self, events: Rows, names: npt.NDArray[np.int8], fields: dict[str, Numbers]) -> None:
        flat, flat_names = events.ravel(), names.ravel()
        scene, place = np.divmod(np.arange(len(flat)), events.shape[1])
        by_vm = np.isin(flat["kind"], _VM_KINDS)
        shard = np.where(by_vm, COLLECTORS, flat["pid"] % COLLECTORS)
        order = np.lexsort((flat["ts"], shard))
        starts = np.searchsorted(shard[order], np.arange(COLLECTORS + 2))
        for number in range(COLLECTORS + 1):
            writer = self.writers["vm" if number == COLLECTORS else str(number)]
            mine = order[starts[number] : starts[number + 1]]
            for first in range(0, len(mine), PER_FRAME):
                part = mine[first : first + PER_FRAME]
                batch = flat[part]
                values = self._values(batch, flat_names[part], scene[part], place[part], fields)
                writer.events(batch, values)
                self.written += len(batch)

    def _values(
        self, batch: Rows, names: npt.NDArray[np.int8], scene: Numbers, place: Numbers, fields: dict[str, Numbers]
    ) -> bytes:
        """The values of a frame, kind by kind; sets where each event's is."""
        parts, offset = list[bytes](), 0
        for number, (name, value) in enumerate(self.values.items(), 1):
            mine = np.flatnonzero(names == number)
            if len(mine):
                turn = place[mine] if name == "state" else np.zeros(len(mine), np.int64)
                own = {key: column[scene[mine]] for key, column in fields.items()} | {"turn": turn}
                parts.append(_filled(value, own, len(mine)))
                size = len(value.data)
                batch["value_offset"][mine] = offset + size * np.arange(len(mine))
                batch["value_length"][mine] = size
                offset += size * len(mine)
        return b"".join(parts)


def _event(step: Step, times: Numbers, place: int, scenes: Numbers, who: Numbers, peer: Numbers) -> Rows:
    events = np.zeros(len(scenes), EVENT)
    events["ts"], events["kind"], events["site"], events["pid"] = times[:, place], step.kind, step.site, who
    events["frame"] = times[:, place if step.kind == Kind.CALL else step.frame] if step.site else 0
    events["peer"] = peer if step.message else NONE32
    # A call is unlike any other message; what carries no reference is sent again and again.
    unique = scenes + 1 if step.message < 3 else np.zeros_like(scenes)
    events["ref"] = (unique * 8 + step.message) * 0x9E3779B1 if step.message else 0
    events["aux"] = 1 if step.kind == Kind.STATE else 0
    return events


def _filled(value: Template, fields: dict[str, Numbers], count: int) -> bytes:
    cells = np.tile(np.frombuffer(value.data, np.uint8), count).reshape(count, len(value.data))
    for name, at in value.places:
        cells[:, at : at + 4] = fields[name].astype(">u4").view(np.uint8).reshape(count, 4)
    return cells.tobytes()


def count_of(text: str) -> int:
    """1M → 1,000,000."""
    units = {"k": 1_000, "M": 1_000_000}
    return int(float(text[:-1]) * units[text[-1]]) if text[-1] in units else int(text)


def main() -> None:
    """Parse the command line, generate, print what was made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=count_of, default=1_000_000)
    parser.add_argument("--processes", type=int, default=1000)
    parser.add_argument("--state-bytes", type=int, default=2500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    started = time.perf_counter()
    made = generate(
        options.out,
        options.size,
        processes=options.processes,
        state_bytes=options.state_bytes,
        seed=options.seed,
    )
    size = sum(path.stat().st_size for path in (options.out / "raw").iterdir())
    print(
        f"{module_name('Elixir.Shop')}: {made['events']:,} events, {made['states']:,} states, {size / 1e6:,.0f} MB in "
        f"{time.perf_counter() - started:.1f} s"
    )


if __name__ == "__main__":
    main()
