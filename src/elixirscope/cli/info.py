"""`elixirscope info REC`: what a recording holds, and what it does not."""

from __future__ import annotations

import shlex

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
        for gap in info.coverage:
            out.print(Text(f"  {plain(gap.subject)}: {plain(gap.reason)}"))


def _cache(count: int) -> str:
    return f", and {size(count)} of columns/ and index/, which may be deleted" if count else ""
