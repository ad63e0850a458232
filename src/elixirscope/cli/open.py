"""`elixirscope open REC`: serve the Cinema on loopback and open it in the browser."""

from __future__ import annotations

import sys
import threading
import urllib.request
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from elixirscope.cli.output import last_recording_argument, open_film, progress
from elixirscope.errors import EnvironmentProblem

if TYPE_CHECKING:
    from elixirscope.web.server import Server
    from elixirscope.web.showing import Showing


@click.command()
@last_recording_argument
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port on 127.0.0.1 (default: as last time, else a free one)."
)
@click.option("--browser/--no-browser", default=True, help="Open the page in the default browser.")
@click.option("--check", is_flag=True, help="Serve, ask for the page and one answer, then end.")
@click.option("--attached", is_flag=True, hidden=True, help="End when standard input does: `record --open` holds it.")
def command(recording: str, port: int | None, browser: bool, check: bool, attached: bool) -> None:
    """Open the Cinema on a recording in the browser, also on one that is still being made. Ctrl-C ends it."""
    showing = _showing(recording)
    from elixirscope.web.address import Address  # the server's libraries load only here
    from elixirscope.web.server import Server, serving

    if check:
        with serving(showing) as checked:
            _check(checked)
        return
    path = Path(str(showing.film.recording.path))
    address = Address.of(path)
    if port is not None:
        address = Address(port, address.token)
    server = Server(showing, address=address, insist=port is not None)
    server.address.keep(path)
    if attached:  # among what the recorded command says
        click.echo(f"elixirscope: watch it live at {server.url}")
        threading.Thread(target=_until_let_go, args=(server,), daemon=True).start()
    else:
        click.echo(server.url)
        click.echo("elixirscope: serving on this machine only; Ctrl-C ends it", err=True)
    if browser:
        webbrowser.open(server.url)
    server.run()


def _until_let_go(server: Server) -> None:
    """Stops the server when nobody holds the other end of standard input any more."""
    sys.stdin.buffer.read()
    server.stop()


def _showing(recording: str) -> Showing:
    """The recording, followed while it is being made."""
    from elixirscope.recording.presence import is_recording

    if not is_recording(Path(recording)):
        film = open_film(recording)
        from elixirscope.web.showing import Showing

        return Showing(film)
    from elixirscope.web.follower import follow

    with progress("waiting for the first event"):
        return follow(Path(recording), report=lambda text: click.echo(f"elixirscope: {text}", err=True))


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
