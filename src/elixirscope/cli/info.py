"""`elixirscope info REC`: what a recording holds, and what it does not."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

import click
from rich.text import Text

from elixirscope.cli.output import (
    console,
    duration,
    json_option,
    last_recording_argument,
    open_film,
    plain,
    print_json,
    size,
)

if TYPE_CHECKING:
    from elixirscope.film import Film


@click.command()
@last_recording_argument
@json_option
def command(recording: str, as_json: bool) -> None:
    """Say what a recording holds and what it does not."""
    film = open_film(recording)
    info = film.info
    if as_json:
        print_json(info)
        return
    out = console()
    rows = [
        ("recording", str(info.path)),
        ("command", shlex.join(info.command)),
        ("duration", duration(info.duration_ns)),
        ("events", f"{info.events:,}"),
        ("processes", f"{info.processes:,}"),
        ("calls", f"{info.calls:,}"),
        ("messages", f"{info.messages:,}"),
        ("states", f"{info.states:,}"),
        ("lost", f"{info.lost:,} events"),
        ("truncated", f"{info.truncated:,} values"),
        ("size", size(info.bytes) + _cache(film.recording.cache_bytes)),
        ("engine", ", ".join(info.engines) or "not known"),
        ("format", f"version {info.format_version}"),
        ("complete", "yes" if info.complete else "no: everything written until it stopped is here"),
    ]
    for label, value in rows:
        out.print(Text(f"{label:>10}  ", style="dim") + Text(plain(value)))
    if info.coverage:
        out.print(Text("\nNot recorded", style="bold"))
        names = _names(film)
        for gap in info.coverage:
            out.print(Text(f"  {plain(names.get(gap.subject, gap.subject))}: {plain(gap.reason)}"))


def _names(film: Film) -> dict[str, str]:
    """A pid → what a person calls the process, and the pid; of those that only one process has."""
    rows = film.query.processes if film.info.lost else []
    counts = Counter(row["pid"] for row in rows)
    named = {row["pid"]: f"{row['label']} {row['pid']}" for row in rows if row["label"] not in (None, row["pid"])}
    return {pid: name for pid, name in named.items() if counts[pid] == 1}


def _cache(count: int) -> str:
    return f", and {size(count)} of columns/ and index/, which may be deleted" if count else ""
