"""`elixirscope open REC`: serve the Cinema on loopback and open it in the browser."""

from __future__ import annotations

import webbrowser

import click

import elixirscope
from elixirscope.cli.output import recording_argument


@click.command()
@recording_argument
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1 (default: a free one).")
@click.option("--browser/--no-browser", default=True, help="Open the page in the default browser.")
def command(recording: str, port: int, browser: bool) -> None:
    """Open the Cinema on a recording in the browser. Ctrl-C ends it."""
    film = elixirscope.open(recording)
    from elixirscope.web.server import Server

    server = Server(film, port=port)
    click.echo(server.url)
    click.echo("elixirscope: serving on this machine only; Ctrl-C ends it", err=True)
    if browser:
        webbrowser.open(server.url)
    server.run()
