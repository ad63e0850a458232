"""`elixirscope open REC`: serve the Cinema on loopback and open it in the browser."""

from __future__ import annotations

import urllib.request
import webbrowser
from typing import TYPE_CHECKING

import click

from elixirscope.cli.output import open_film, recording_argument
from elixirscope.errors import EnvironmentProblem

if TYPE_CHECKING:
    from elixirscope.web.server import Server


@click.command()
@recording_argument
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1 (default: a free one).")
@click.option("--browser/--no-browser", default=True, help="Open the page in the default browser.")
@click.option("--check", is_flag=True, help="Serve, ask for the page and one answer, then end.")
def command(recording: str, port: int, browser: bool, check: bool) -> None:
    """Open the Cinema on a recording in the browser. Ctrl-C ends it."""
    film = open_film(recording)
    from elixirscope.web.server import Server, serving  # the server's libraries load only here

    if check:
        with serving(film) as checked:
            _check(checked)
        return
    server = Server(film, port=port)
    click.echo(server.url)
    click.echo("elixirscope: serving on this machine only; Ctrl-C ends it", err=True)
    if browser:
        webbrowser.open(server.url)
    server.run()


def _check(server: Server) -> None:
    click.echo(server.url)
    try:
        for path in ("/", "/api/info"):
            request = urllib.request.Request(
                f"http://127.0.0.1:{server.port}{path}", headers={"Authorization": f"Bearer {server.token}"}
            )
            with urllib.request.urlopen(request, timeout=20) as answer:
                answer.read()
    except OSError as error:
        raise EnvironmentProblem(
            f"the Cinema does not answer at its own address: {error}", "run `make ui`, then try again"
        ) from error
    click.echo("elixirscope: the Cinema answers; it was stopped again because of --check", err=True)
