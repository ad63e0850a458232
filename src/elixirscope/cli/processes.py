"""`elixirscope processes REC`: the processes of a recording, as their supervision tree."""

from __future__ import annotations

import click

from elixirscope.cli.output import duration, json_option, last_recording_argument, open_film, print_json, print_table
from elixirscope.query.tree import supervision_order


@click.command()
@last_recording_argument
@json_option
def command(recording: str, as_json: bool) -> None:
    """List the processes, as their supervision tree."""
    rows = open_film(recording).query.processes
    if as_json:
        print_json(rows)
        return
    table = []
    for row, depth in supervision_order(rows):
        life = duration(row["start"]) + " – " + (duration(row["end"]) if row["end"] is not None else "alive")
        label = "  " * depth + str(row["label"])
        table.append(
            (row["process"], row["pid"], label, row["kind"], life, row["exit_kind"], row["events"], row["lost"])
        )
    columns = ("#", "pid", "process", "kind", "life", "exit", "events", "lost")
    print_table(columns, table, right=("#", "events", "lost"))
