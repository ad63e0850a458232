"""`elixirscope why REC EVENT`: the chain of causes that led to an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from elixirscope.cli.output import duration, json_option, open_film, print_json, print_table, recording_argument
from elixirscope.errors import UsageError

if TYPE_CHECKING:
    from elixirscope.dags.base import Step
    from elixirscope.dags.causality import Beside, Relation


@click.command()
@recording_argument
@click.argument("event")
@click.option("--limit", type=click.IntRange(min=1), default=30, show_default=True, help="At most this many causes.")
@click.option("--beside", metavar="EVENT", help="How another event stands to it, and what both follow from, instead.")
@click.option("--concurrent", is_flag=True, help="What neither led to it nor came of it, by process, instead.")
@json_option
def command(recording: str, event: str, limit: int, beside: str | None, concurrent: bool, as_json: bool) -> None:
    """Show the backward chain of causes of an event, the nearest first.

    EVENT is the number of an event: `e18204` or `18204`.
    """
    if beside is not None and concurrent:
        raise UsageError("--beside and --concurrent ask different questions", "give one of them")
    number, other = _number(event), None if beside is None else _number(beside)
    causality = open_film(recording).dags.causality
    if other is not None:
        found = causality.relation(other, number)
        print_json(found) if as_json else _print_relation(other, number, found)
    elif concurrent:
        spans = causality.concurrent_spans(number)
        print_json(spans) if as_json else _print_spans(spans)
    else:
        steps = causality.why(number, limit=limit)
        print_json(steps) if as_json else _print_steps(steps)


def _number(event: str) -> int:
    digits = event.removeprefix("e")
    if not digits.isdigit():
        raise UsageError(f"{event!r} is not an event number", "write it as e123; `elixirscope query` lists events")
    return int(digits)


def _print_relation(other: int, event: int, found: Relation) -> None:
    words = {"concurrent": "concurrent with", "same": "the same as"}
    print(f"e{other} is {words.get(found.relation, found.relation)} e{event}")
    causes = (
        ("latest", found.common_cause, found.label),
        ("earliest", found.earliest_common_cause, found.earliest_label),
    )
    for name, cause, label in causes:
        print(f"{name} common cause: " + ("none was recorded" if cause is None else f"e{cause} {label}"))
    if found.chain:
        print(f"the shortest way from e{found.chain[0].event} to e{found.chain[-1].event}:")
        _print_steps(found.chain)


def _print_spans(spans: list[Beside]) -> None:
    rows = [
        (f"{s.process_label}", f"{s.events:,}", f"e{s.first}", f"e{s.last}", duration(s.start), duration(s.end))
        for s in spans
    ]
    print_table(("process", "events", "first", "last", "from", "until"), rows, right=("events",))


def _print_steps(steps: list[Step]) -> None:
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
