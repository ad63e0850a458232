"""`elixirscope report REC`: the findings, with the guilty line and the evidence."""

from __future__ import annotations

import click
from rich.console import Console
from rich.text import Text

from elixirscope.cli.output import console, json_option, last_recording_argument, open_film, plain, print_json
from elixirscope.insight import Finding


@click.command()
@last_recording_argument
@json_option
def command(recording: str, as_json: bool) -> None:
    """Tell what went wrong, with the guilty line and the evidence."""
    film = open_film(recording)
    if as_json:
        print_json({"findings": film.findings})
        return
    out = console()
    if not film.info.events:
        out.print(Text("Nothing can be said: the recording holds no event."))
        out.print(Text("   → elixirscope info says what is missing; record again to see what happens."))
    elif not film.findings:
        out.print(Text("Nothing wrong was found: no crash, no race, no timeout or deadlock, no failed test."))
        out.print(Text("   → elixirscope open shows what happened; `why REC EVENT` and `search REC PATTERN` ask."))
    for number, finding in enumerate(film.findings, start=1):
        print_finding(out, number, finding)
    if not film.info.complete or film.info.lost:
        state = "complete" if film.info.complete else "incomplete"
        click.echo(f"The recording is {state}, {film.info.lost:,} events lost: see `elixirscope info`.", err=True)


def print_finding(out: Console, number: int, finding: Finding) -> None:
    """One finding as a person reads it: title, place, why, evidence, what to do."""
    out.print(Text(f"{number}. {plain(finding.title)}", style="bold red"))
    place = finding.location
    if place is not None:
        out.print(
            Text(f"   {plain(place.file)}:{place.line}", style="bold")
            + Text(
                f"  {plain(place.module)}.{plain(place.function)}/{place.arity}  · confidence {finding.confidence:.0%}"
            )
        )
    out.print(Text(f"   {plain(finding.explanation)}"))
    for step in finding.evidence:
        moment = f"e{step.moment.event}" if step.moment.event is not None else ""
        out.print(Text(f"     {moment:>8}  ", style="dim") + Text(plain(step.text)))
    if finding.suggestion:
        out.print(Text("   → " + plain(finding.suggestion), style="green"))
    out.print()
