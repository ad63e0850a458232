"""`elixirscope pack REC`: a recording as one file, which opens in place."""

from __future__ import annotations

from pathlib import Path

import click

from elixirscope.cli.output import open_film, recording_argument, size
from elixirscope.errors import UsageError


@click.command()
@recording_argument
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file (default: REC with .scopez)."
)
def command(recording: str, output: Path | None) -> None:
    """Write a recording into one file, to keep or to send.

    The file opens wherever a recording is expected, without being unpacked, and from an http address too.
    """
    from elixirscope.recording.pack import pack
    from elixirscope.recording.packed import SUFFIX

    folder = Path(recording)
    film = open_film(recording)  # seals it
    if not folder.is_dir():
        raise UsageError(f"{recording} is a pack already", "copy the file")
    target = output if output is not None else folder.absolute().with_suffix(SUFFIX)
    written = pack(folder, target)
    click.echo(str(target))
    click.echo(f"elixirscope: {size(written)}, {film.info.events:,} events", err=True)
