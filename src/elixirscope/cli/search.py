"""`elixirscope search REC WHAT`: names, texts, and values by Elixir pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from elixirscope.cli.output import duration, json_option, open_film, print_json, print_table, recording_argument
from elixirscope.errors import UsageError

if TYPE_CHECKING:
    from elixirscope.query.search import HitPage
    from elixirscope.query.searching import NamePage

_KINDS = ("argument", "result", "binding", "message", "state", "exception")
_NAMES = ("process", "function", "exception", "test", "message")


@click.command()
@recording_argument
@click.argument("what")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(_KINDS),
    help="Only values recorded as this; can be given several times.",
)
@click.option(
    "--as",
    "meant",
    type=click.Choice(("auto", "pattern", "text", "name")),
    default="auto",
    show_default=True,
    help="How to understand WHAT.",
)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many to show.")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="How many to pass over.")
@json_option
def command(
    recording: str, what: str, kinds: tuple[str, ...], meant: str, limit: int, offset: int, as_json: bool
) -> None:
    """Find values by Elixir pattern, or names and texts.

    WHAT is a pattern such as '%{status: :error}', '{:reserve, _}', '%User{age: a} when a > 40', or a text such
    as Seats or Till.total/2, which is looked for in names and then in recorded strings. docs/search.md has more.
    """
    from elixirscope.query.search import find, is_pattern
    from elixirscope.query.searching import named

    if not what.strip():
        raise UsageError("there is nothing to search for", "give a pattern, a name or a text")
    film = open_film(recording)
    pattern = is_pattern(what) if meant == "auto" else meant == "pattern"
    by_name = meant == "name" or (meant == "auto" and not pattern and not kinds)
    names = [named(film.query, what, kind, limit, offset) for kind in _NAMES] if by_name else []
    page = None
    if meant != "name":
        page = find(film.query, what, kinds, plain=not pattern, limit=limit, offset=offset, seconds=None)
    if as_json:
        print_json({"names": [hit for found in names for hit in found.results], "values": page})
        return
    _print_names(names)
    if page is not None:
        _print_values(page, offset, spaced=any(found.results for found in names))


def _print_names(pages: list[NamePage]) -> None:
    found = [hit for page in pages for hit in page.results]
    if found:
        rows = [(hit.moment.text, duration(hit.moment.at), hit.kind, hit.label) for hit in found]
        print_table(("event", "at", "kind", "name"), rows)
    if pages:
        click.echo(f"elixirscope: {len(found):,} of {sum(page.total for page in pages):,} names", err=True)


def _print_values(page: HitPage, offset: int, *, spaced: bool) -> None:
    rows = [
        (hit.moment.text, duration(hit.moment.at), hit.process_label, hit.label, hit.where or "all", hit.value.text)
        for hit in page.hits
    ]
    if rows:
        if spaced:
            click.echo()
        print_table(("event", "at", "process", "what", "where", "value"), rows)
    shown = f"values {offset + 1:,} to {offset + len(rows):,}" if rows else "no values"
    click.echo(f"elixirscope: {shown} of {page.total:,} found in {page.values:,} distinct ones", err=True)
