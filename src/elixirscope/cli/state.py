"""`elixirscope state REC PROCESS --at T`: the state of a process at a time, and who changed it."""

from __future__ import annotations

import click
from rich.text import Text

from elixirscope.cli.output import console, duration, json_option, open_film, plain, print_json, recording_argument


@click.command()
@recording_argument
@click.argument("process")
@click.option("--at", "at", default="end", show_default=True, help="A time (44.2ms, 1.5s), an event (e123), or end.")
@json_option
def command(recording: str, process: str, at: str, as_json: bool) -> None:
    """Show the state of a process at a time.

    PROCESS is a name (Seats), a label ("Client 2"), a pid (<0.123.0>) or a number of `processes`.
    """
    film = open_film(recording)
    number = film.query.process(process)
    answer = film.dags.state.at(number, film.query.at(at))
    if as_json:
        print_json(answer)
        return
    out = console()
    heading = f"{plain(answer.name)}  version {answer.version}  since {duration(answer.at)}"
    out.print(Text(heading, style="bold"))
    out.print(Text(answer.value))
    if answer.changed_by is not None:
        out.print(Text(f"changed by {plain(answer.changed_by)}", style="dim"))
