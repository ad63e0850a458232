"""`elixirscope query REC SQL`: any question, in SQL, sandboxed."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from elixirscope.cli.formats import chosen, format_option, output_option, write_rows
from elixirscope.cli.output import json_option, open_film, recording_argument


@click.command()
@recording_argument
@click.argument("sql")
@click.option("--limit", type=click.IntRange(min=1), help="At most this many rows.")
@format_option
@output_option
@json_option
def command(recording: str, sql: str, limit: int | None, form: str | None, output: Path | None, as_json: bool) -> None:
    """Ask a recording in SQL (`-` reads it from standard input).

    Views: events, calls, messages, states, processes, exceptions, bindings, sites, tests, links,
    omissions, memory, dag_nodes, dag_edges. docs/schema.md describes their columns.
    """
    wanted = chosen(form, as_json, output)
    text = sys.stdin.read() if sql == "-" else sql
    result = open_film(recording).query.sql(text, limit=limit)
    write_rows(result.arrow, wanted, output)
    if result.truncated:
        click.echo(f"elixirscope: only the first {len(result.rows):,} rows, because of --limit", err=True)
