"""EventCorrelator: the raw log in, every table of the schema out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from elixirscope.correlate.bindings import bindings_table
from elixirscope.correlate.calls import Calls, calls_table, find_calls
from elixirscope.correlate.causality import find_causes, find_previous
from elixirscope.correlate.columns import Ints, known, table
from elixirscope.correlate.exceptions import exceptions_table, find_exceptions
from elixirscope.correlate.handling import join_handlers
from elixirscope.correlate.labels import give_labels
from elixirscope.correlate.links import find_links, find_monitors, links_table
from elixirscope.correlate.messages import find_messages, messages_table
from elixirscope.correlate.origins import remote_parents
from elixirscope.correlate.processes import Pids, find_processes, processes_table
from elixirscope.correlate.restarts import join_restarts, told_supervisors
from elixirscope.correlate.states import states_table
from elixirscope.correlate.testruns import tests_table
from elixirscope.recording.log import Log


class EventCorrelator:
    """Relates every event to every other. Pure: the same log gives the same tables."""

    def correlate(self, log: Log) -> dict[str, pa.Table]:
        """Every table of `schema.TABLES`, with exactly those schemas."""
        lost = _lost(log)
        lossy = _lossy(log, lost)
        pids = Pids(log)
        calls = find_calls(log, lossy)
        messages = find_messages(log, lossy)
        lives = find_processes(log, calls, pids)
        told = told_supervisors(lives, messages)
        join_restarts(log, lives, messages, told, pids)
        give_labels(log, lives)
        handled = join_handlers(log, calls, messages)
        links = find_links(log, lives)
        cause = find_causes(log, lives, messages, links, pids)
        return {
            "events": _events_table(log, calls, cause),
            "calls": calls_table(log, calls, handled, remote_parents(log, calls, messages, lives, told)),
            "messages": messages_table(log, messages, calls),
            "states": states_table(log, calls, lives, handled),
            "processes": processes_table(log, lives, lost),
            "links": links_table(links + find_monitors(log, messages, pids)),
            "exceptions": exceptions_table(log, calls, find_exceptions(log, calls, cause)),
            "bindings": bindings_table(log, calls),
            "sites": _sites_table(log),
            "tests": tests_table(log, calls),
        }


def _lost(log: Log) -> Ints:
    """Dropped events per process. What was dropped of nobody in particular counts for no one here."""
    lost = np.zeros(len(log.processes), dtype=np.int64)
    for loss in log.losses:
        if loss.process is not None:
            lost[loss.process] += loss.count
    return lost


def _lossy(log: Log, lost: Ints) -> set[int]:
    """Processes that lost events, or may have: those of a VM that dropped some of nobody in particular."""
    vms = {loss.vm for loss in log.losses if loss.process is None and loss.count}
    return {n for n, key in enumerate(log.processes) if lost[n] or key.vm in vms}


def _events_table(log: Log, calls: Calls, cause: Ints) -> pa.Table:
    return table(
        "events",
        event=log.column("event"),
        at=log.column("at"),
        process=log.column("process"),
        kind=log.column("kind").astype(np.int8),
        flags=log.column("flags").astype(np.int16),
        site=pa.array(log.column("site"), mask=log.column("site") == 0),
        call=known(calls.event_of(calls.of_event)),
        peer=known(log.column("peer")),
        value=known(log.column("value")),
        previous=known(find_previous(log)),
        cause=known(cause),
    )


def _sites_table(log: Log) -> pa.Table:
    sites = sorted(log.sites.values(), key=lambda site: site.id)
    largest = sites[-1].id if sites else 0
    hits = np.bincount(log.column("site"), minlength=largest + 1)
    return table(
        "sites",
        site=[site.id for site in sites],
        kind=[site.kind for site in sites],
        module=[site.module for site in sites],
        function=[site.function for site in sites],
        arity=[site.arity for site in sites],
        file=[site.file for site in sites],
        line=[site.line for site in sites],
        end_line=[site.end_line for site in sites],
        vars=[list(site.vars) for site in sites],
        callee=[str(site.callee) if site.callee is not None else None for site in sites],
        behaviour=[site.behaviour for site in sites],
        callback=[site.callback for site in sites],
        hits=[int(hits[site.id]) for site in sites],
    )
