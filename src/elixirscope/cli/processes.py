"""`elixirscope processes REC`: the processes of a recording, as their supervision tree."""

from __future__ import annotations

import click

import elixirscope
from elixirscope.cli.output import duration, json_option, print_json, print_table, recording_argument

_COLUMNS = """
select p.process, p.pid, p.node, p.name, p.label, p.kind, p.module, p.initial, p.parent, p.supervisor,
       p.incarnation, p.predecessor, p.start, p."end", p.exit_kind, p.events, p.lost
from processes p order by p.process
"""


@click.command()
@recording_argument
@json_option
def command(recording: str, as_json: bool) -> None:
    """List the processes, as their supervision tree."""
    rows = elixirscope.open(recording).query.rows(_COLUMNS)
    if as_json:
        print_json(rows)
        return
    table = []
    for row, depth in _tree(rows):
        life = duration(row["start"]) + " – " + (duration(row["end"]) if row["end"] is not None else "alive")
        label = "  " * depth + str(row["label"])
        table.append(
            (row["process"], row["pid"], label, row["kind"], life, row["exit_kind"], row["events"], row["lost"])
        )
    columns = ("#", "pid", "process", "kind", "life", "exit", "events", "lost")
    print_table(columns, table, right=("#", "events", "lost"))


def _tree(rows: list[dict[str, object]]) -> list[tuple[dict[str, object], int]]:
    """Rows in supervision order with their depth: children follow their supervisor, else their parent."""
    known = {row["process"] for row in rows}
    children: dict[object, list[dict[str, object]]] = {}
    for row in rows:
        above = row["supervisor"] if row["supervisor"] is not None else row["parent"]
        children.setdefault(above if above in known else None, []).append(row)
    ordered: list[tuple[dict[str, object], int]] = []
    stack = [(row, 0) for row in reversed(children.get(None, []))]
    while stack:
        row, depth = stack.pop()
        ordered.append((row, depth))
        stack.extend((child, depth + 1) for child in reversed(children.pop(row["process"], [])))
    return ordered
