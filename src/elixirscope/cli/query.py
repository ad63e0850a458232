"""`elixirscope query REC SQL`: any question, in SQL, sandboxed."""

from __future__ import annotations

import sys

import click

from elixirscope.cli.output import json_option, open_film, print_json, print_table, recording_argument


@click.command()
@recording_argument
@click.argument("sql")
@click.option("--limit", type=click.IntRange(min=1), help="At most this many rows.")
@json_option
def command(recording: str, sql: str, limit: int | None, as_json: bool) -> None:
    """Ask a recording in SQL (`-` reads it from standard input).

    Views: events, calls, messages, states, processes, exceptions, bindings, sites, tests, links,
    dag_nodes, dag_edges. docs/schema.md describes their columns.
    """
    text = sys.stdin.read() if sql == "-" else sql
    result = open_film(recording).query.sql(text, limit=limit)
    if as_json:
        print_json([dict(zip(result.columns, row, strict=True)) for row in result.rows])
    else:
        print_table(result.columns, result.rows)
