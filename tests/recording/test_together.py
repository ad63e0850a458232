"""Readers beside a writer: each sees what was written up to some moment, and in the end all of it."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from msgspec.structs import replace

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.recording.live import WAITS, Live
from elixirscope.recording.manifest import Manifest
from elixirscope.recording.recording import Recording
from elixirscope.recording.schema import TABLES
from tests.recording.samples import make_shop

SEED = 20
STEPS = 40


def test_two_who_open_and_two_who_follow_while_one_writes(tmp_path: Path) -> None:
    whole = make_shop(tmp_path / "whole.scope", 3_000, processes=20, state_bytes=100)
    sealed = Recording.open(whole, correlate=EventCorrelator)
    growing = tmp_path / "growing.scope"
    (growing / "raw").mkdir(parents=True)
    manifest = Manifest.load(whole)
    assert manifest is not None
    replace(manifest, state="recording", exit_status=None).save(growing)
    clock, written = [sealed.info.started_unix_ns], Event()

    def write() -> None:
        """As collectors do: all files together, in pieces that end anywhere."""
        chance = random.Random(SEED)
        sources = {path.name: path.read_bytes() for path in sorted((whole / "raw").iterdir())}
        done = dict.fromkeys(sources, 0)
        for step in range(1, STEPS + 1):
            for name, data in sources.items():
                end = len(data) if step == STEPS else max(done[name], len(data) * step // STEPS - chance.randrange(99))
                with (growing / "raw" / name).open("ab") as file:
                    file.write(data[done[name] : end])
                done[name] = end
                os.utime(growing / "raw" / name, ns=(clock[0], clock[0]))
            clock[0] = WAITS + sealed.info.started_unix_ns + sealed.info.duration_ns * step // STEPS

    def open_again() -> list[int]:
        seen = [0]
        while not written.is_set():
            if clock[0] > sealed.info.started_unix_ns:
                seen.append(Recording.open(growing, correlate=EventCorrelator).info.events)
        return seen

    def follow() -> Live:
        live = Live(growing, correlate=EventCorrelator, now=lambda: clock[0])
        while not written.is_set():
            live.refresh()
        live.refresh(whole=True)
        return live

    with ThreadPoolExecutor(5) as pool:
        opened = [pool.submit(open_again) for _ in range(2)]
        followed = [pool.submit(follow) for _ in range(2)]
        try:
            pool.submit(write).result()
        finally:
            written.set()
        counts, lives = [each.result() for each in opened], [each.result() for each in followed]

    manifest.save(growing)
    again = Recording.open(growing, correlate=EventCorrelator)
    for name in TABLES:
        assert again.table(name).equals(sealed.table(name)), name
    for seen in counts:
        assert seen == sorted(seen)
        assert seen[-1] <= sealed.info.events
    for live in lives:
        assert live.recording is not None
        assert live.recording.info.events + live.late == sealed.info.events
