"""`elixirscope state REC PROCESS --at T`: the state of a process at a time, and who changed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.text import Text

from elixirscope.cli.output import (
    console,
    duration,
    json_option,
    open_film,
    plain,
    print_json,
    print_table,
    recording_argument,
)
from elixirscope.errors import NotFoundError, UsageError
from elixirscope.query.row import Row

if TYPE_CHECKING:
    from elixirscope.film import Film

_AT = "A time (44.2ms, 1.5s), an event (e123), or end."


@click.command()
@recording_argument
@click.argument("process")
@click.option("--at", "at", default="end", show_default=True, help=_AT)
@click.option(
    "--who", "path", metavar="PATH", help='Which version last changed this part, as .seats["A1"] or .queue[0].'
)
@click.option("--since", "since", metavar="T", help="What changed from the state at T to that at --at.")
@json_option
def command(recording: str, process: str, at: str, path: str | None, since: str | None, as_json: bool) -> None:
    """Show the state of a process at a time.

    PROCESS is a name (Seats), a label ("Client 2"), a pid (<0.123.0>) or a number of `processes`.
    """
    if path is not None and since is not None:
        raise UsageError("--who and --since are different questions", "ask one, then the other")
    film = open_film(recording)
    number = film.query.process(process)
    moment = film.query.at(at)
    if since is not None:
        _print_changes(film, number, film.query.at(since), moment, as_json)
        return
    row = film.dags.state.existing(number, moment) if path is None else _changed(film, number, path, moment)
    answer = film.dags.state.answer(row)
    if as_json:
        print_json(answer)
        return
    out = console()
    heading = f"{plain(answer.name)}  version {answer.version}  since {duration(answer.at)}"
    out.print(Text(heading, style="bold"))
    out.print(Text(answer.value))
    if answer.changed_by is not None:
        out.print(Text(f"changed by {plain(answer.changed_by)}", style="dim"))


def _changed(film: Film, process: int, path: str, at: int) -> Row:
    """The version that last changed `path` up to `at`. Raises `NotFoundError`."""
    row = film.dags.state.who_changed(process, path, at)
    if row is None:
        name = film.dags.state.labels.process(process)
        raise NotFoundError(f"nothing changed {path} of {name} until then", "give a later --at, or another path")
    return row


def _print_changes(film: Film, process: int, before: int, after: int, as_json: bool) -> None:
    old, new = (film.dags.state.row_at(process, at) for at in (before, after))
    if old is None or new is None:
        film.dags.state.at(process, before)  # says why there is none
        film.dags.state.at(process, after)
        return
    changes = film.dags.state.diff(old["state"], new["state"])
    if as_json:
        print_json(changes)
        return
    print_table(("path", "", "before", "after"), [(c.path, c.op, c.before, c.after) for c in changes])
    click.echo(f"elixirscope: {len(changes)} changes from version {old['version']} to {new['version']}", err=True)
