"""`elixirscope why REC EVENT`: the chain of causes that led to an event."""

from __future__ import annotations

import click

from elixirscope.cli.output import duration, json_option, open_film, print_json, print_table, recording_argument
from elixirscope.errors import UsageError


@click.command()
@recording_argument
@click.argument("event")
@click.option("--limit", type=click.IntRange(min=1), default=30, show_default=True, help="At most this many causes.")
@json_option
def command(recording: str, event: str, limit: int, as_json: bool) -> None:
    """Show the backward chain of causes of an event, the nearest first.

    EVENT is the number of an event: `e18204` or `18204`.
    """
    digits = event.removeprefix("e")
    if not digits.isdigit():
        raise UsageError(f"{event!r} is not an event number", "write it as e123; `elixirscope query` lists events")
    steps = open_film(recording).dags.causality.why(int(digits), limit=limit)
    if as_json:
        print_json(steps)
        return
    rows = [
        (
            f"e{s.event}",
            duration(s.at),
            s.process_label,
            s.label,
            s.edge + ("" if s.certain else f" (inferred: {s.reason})"),
        )
        for s in steps
    ]
    print_table(("event", "at", "process", "what", "because of"), rows)
