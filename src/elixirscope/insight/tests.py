"""Which tests ran when something happened, which of them failed, and how that is told."""

from __future__ import annotations

import re

from elixirscope.insight.findings import Evidence
from elixirscope.insight.history import History
from elixirscope.query.row import Row

_PART = re.compile(r"^(code|left|right):\s+(.*?)\s*(?=^(?:code|left|right):|\Z)", re.MULTILINE | re.DOTALL)

TEXT = 200
"""Characters of a failure that are quoted."""

ALIKE = 4
"""So many characters that begin as what was sought tell where a long text is most like it."""


def failed(history: History) -> list[Row]:
    """The failed tests, in order."""
    return [row for row in history.tests if row["result"] == "failed"]


def ran_in(history: History, process: int, at: int) -> list[Row]:
    """The tests that started before `at` in the process or in one that it descends from.

    Each test has a process of its own, and what it started may outlive it.
    """
    line = set(history.ancestors(process))
    return [row for row in history.tests if row["process"] in line and row["start"] is not None and row["start"] <= at]


def alone_at(history: History, at: int) -> list[Row]:
    """The test that was running at `at`, when it was the only one."""
    running = [row for row in history.tests if during(row, at)]
    return running if len(running) == 1 else []


def left_waiting(history: History, processes: set[int], died: int, at: int) -> list[Row]:
    """The tests whose process was waiting for an answer of one of the processes when they died."""
    found = []
    for test in history.tests:
        if test["process"] is None or not during(test, at):
            continue
        asked = history.query.find_all("messages", "from_process", test["process"])
        if any(
            row["kind"] == "call" and row["to_process"] in processes and row["reply"] is None and row["message"] < died
            for row in asked
        ):
            found.append(test)
    return found


def failure(history: History, test: Row) -> Evidence:
    """The step of proof that says that a test failed."""
    return history.evidence(test["end_event"], f"{title(test)} failed: {summary(test)}", call=test["call"])


def summary(test: Row) -> str:
    """The first two lines of the failure, the kind of error and what it says; of an assertion what it compared."""
    lines = [line.strip() for line in (test["text"] or "").splitlines() if line.strip()]
    text = " ".join(lines[:2]).removeprefix("** ") or "no message was recorded"
    said = sides(test)
    long = TEXT // 2 if "=~" in said.get("code", "") else 2 * TEXT
    compared = [
        f"{side}: {excerpt(told, said.get('right', ''), long)}" for side, told in said.items() if side != "code"
    ]
    text = f"{text}: {', '.join(compared)}" if compared else text
    return text if len(text) <= TEXT else text[: TEXT - 1] + "…"


def sides(test: Row) -> dict[str, str]:
    """The `code`, `left` and `right` of a failed assertion, as ExUnit printed them; empty for other failures."""
    text = test["text"] or ""
    return dict(_PART.findall(text)) if "AssertionError" in text else {}


def excerpt(text: str, wanted: str, length: int) -> str:
    """A text on one line: of a longer one the part that begins most like what was sought in it, else its beginning."""
    line, sought = " ".join(text.split()), wanted.strip('"')
    if len(line) <= length:
        return line
    for size in range(len(sought), ALIKE - 1, -1):
        place = line.find(sought[:size])
        if place > 0:
            end = place + max(len(sought), size) + ALIKE
            return f"…{line[place:end]}{'…' if end < len(line) else ''}"
    return line[: length - 1] + "…"


def title(test: Row) -> str:
    """`test no seat is sold twice (TicketOffice.OpeningNightTest)`."""
    name = str(test["name"])
    return f"{name if name.startswith(('test', 'doctest', 'property')) else 'test ' + name} ({test['module']})"


def during(test: Row, at: int) -> bool:
    """Whether the test was running at `at`."""
    start, end = test["start"], test["end"]
    return start is not None and start <= at and (end is None or at <= end)
