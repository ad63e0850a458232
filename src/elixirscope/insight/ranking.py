"""All detectives over one recording, and the order in which a person should read what they found."""

from __future__ import annotations

from elixirscope.dags import Dags
from elixirscope.insight import tests
from elixirscope.insight.collapse import collapses
from elixirscope.insight.crash import crashes
from elixirscope.insight.ets import table_races
from elixirscope.insight.failures import unexplained
from elixirscope.insight.findings import Finding
from elixirscope.insight.history import History
from elixirscope.insight.load import loads
from elixirscope.insight.race import races
from elixirscope.insight.timeout import timeouts

_LAST = {"test": 1, "overload": 2, "repetition": 2, "leak": 2}
"""What explains less than a cause does is read after the causes."""


def investigate(dags: Dags) -> list[Finding]:
    """The root causes found in a recording: those that failed a test first, then by confidence."""
    history = History(dags)
    failed = {row["end_event"] for row in tests.failed(history)}
    died = collapses(history)
    waits, explained_deaths = timeouts(history, died)
    rest = [collapse for collapse in died if collapse.process not in explained_deaths]
    findings = [*races(history), *table_races(history), *waits, *crashes(history, rest)]
    explained = {step.moment.event for finding in findings for step in finding.evidence} & failed
    findings += unexplained(history, {event for event in explained if event is not None})
    findings += loads(history)

    def rank(finding: Finding) -> tuple[int, bool, float]:
        cited = any(step.moment.event in failed for step in finding.evidence)
        return _LAST.get(finding.kind, 0), not cited, -finding.confidence

    return sorted(findings, key=rank)
