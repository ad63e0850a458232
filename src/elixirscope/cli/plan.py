"""`elixirscope plan DIR --intent …`: write the plan that says what to record."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from elixirscope.brain.levels import INTENTS, PRESETS
from elixirscope.cli.output import json_option, print_json
from elixirscope.errors import EnvironmentProblem

if TYPE_CHECKING:
    from elixirscope.brain.levels import Intent


@click.command(epilog="\b\nIntents:\n" + "\n".join(f"  {name:<12} {PRESETS[name].about}" for name in INTENTS))
@click.argument("directory", type=click.Path(path_type=Path), default=".", metavar="[DIR]")
@click.option("--intent", type=click.Choice(INTENTS), default="debug", show_default=True, help="What it is for.")
@click.option("--budget", type=click.FloatRange(min=0), metavar="PERCENT", help="Roughly how much slower it may get.")
@click.option("--from", "earlier", metavar="REC", help="An earlier recording: what ran very often is stepped down.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the plan there.")
@json_option
def command(
    directory: Path, intent: Intent, budget: float | None, earlier: str | None, output: Path | None, as_json: bool
) -> None:
    """Write a plan for the project in DIR, as TOML to edit and to give to `record --plan`.

    Every rule says why it is there.
    """
    from elixirscope.brain.orchestrator import analysis_of
    from elixirscope.brain.planner import make_plan, replan

    plan = make_plan(analysis_of(directory), intent, None if budget is None else budget / 100)
    if earlier is not None:
        plan = replan(plan, _hits(earlier))
    if output is not None:
        try:
            plan.dump(output)
        except OSError as error:
            raise EnvironmentProblem(
                f"cannot write {output}: {error.strerror or error}", "choose another file with -o"
            ) from error
        click.echo(f"elixirscope: wrote {output}", err=True)
    if as_json:
        print_json(plan)
    elif output is None:
        click.echo(plan.dumps(), nl=False)


def _hits(recording: str) -> Counter[str]:
    """Calls of each function, those that were only counted among them."""
    import elixirscope

    recorded = elixirscope.open(recording)
    rows = recorded.query.rows(
        "SELECT module || '.' || function || '/' || arity AS name, count(*) AS hits FROM calls"
        " WHERE module IS NOT NULL GROUP BY ALL"
    )
    hits = Counter({row["name"]: row["hits"] for row in rows})
    hits.update({row.function: row.calls for row in recorded.info.coverage if row.function is not None})
    return hits
