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
from elixirscope.insight.late import late_answers
from elixirscope.insight.load import loads
from elixirscope.insight.race import races
from elixirscope.insight.stale import stale_updates
from elixirscope.insight.timeout import timeouts
from elixirscope.insight.unread import unread
from elixirscope.insight.unrescued import unrescued

_LAST = {"test": 1, "overload": 3, "repetition": 3, "leak": 3}
"""What explains less than a cause does is read after the causes."""

WANTED = 0.4
"""What is trusted less than this, and failed no test, is most likely what a test that passed wants: read after them."""


def investigate(dags: Dags) -> list[Finding]:
    """The root causes found in a recording: those that failed a test first, then by confidence."""
    history = History(dags)
    failed = {row["end_event"] for row in tests.failed(history)}
    died = collapses(history)
    waits, explained_deaths = timeouts(history, died)
    rest = [collapse for collapse in died if collapse.process not in explained_deaths]
    findings = [
        *races(history),
        *table_races(history),
        *stale_updates(history),
        *waits,
        *crashes(history, rest),
        *unrescued(history),
        *unread(history),
        *late_answers(history),
    ]
    explained = {step.moment.event for finding in findings for step in finding.evidence} & failed
    findings += unexplained(history, {event for event in explained if event is not None})
    findings += loads(history)

    def rank(finding: Finding) -> tuple[int, bool, float]:
        cited = any(step.moment.event in failed for step in finding.evidence)
        wanted = bool(history.tests) and not cited and finding.confidence < WANTED
        return 2 if wanted else _LAST.get(finding.kind, 0), not cited, -finding.confidence

    return sorted(findings, key=rank)
