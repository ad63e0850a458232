"""`elixirscope unpack FILE`: a pack as a folder again."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("packed", type=click.Path(path_type=Path), metavar="FILE")
@click.argument("folder", type=click.Path(path_type=Path), required=False, metavar="[DIR]")
def command(packed: Path, folder: Path | None) -> None:
    """Unpack FILE into the new folder DIR (default: FILE's name with .scope). Nothing is written outside it."""
    from elixirscope.recording.pack import unpack

    target = folder if folder is not None else packed.with_suffix(".scope")
    count = unpack(packed, target)
    click.echo(str(target))
    click.echo(f"elixirscope: {count:,} files", err=True)
