"""Which turns of a server may end a race, by numbers: all that a plain look at each finds, whatever happened."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from elixirscope.insight import turns
from elixirscope.insight.history import History
from elixirscope.insight.race import races
from tests.insight.conftest import dags_of
from tests.insight.scenes import OPENING, plan, turn

CLIENTS = ("ada", "joe", "pricing")
SEATS = ("A1", "A2")
WITHIN = ("enter", "leave", "tail")
ASKED = ("look", "take", "note")
Step = tuple[str, str, str]


def picture(steps: list[Step]) -> str:
    """What clients did, one after the other; a step that makes no sense where they are is left out."""
    lines, depth, holders = [OPENING], dict.fromkeys(CLIENTS, 0), dict[str, str]()
    lines.append("main spawns pricing running Office.Client.run/0\n")
    for client, what, seat in steps:
        if what == "enter":
            lines.append(f'{client} call Office.BoxOffice.sell_{depth[client]}("{seat}") @ lib/box_office.ex:7\n')
            depth[client] += 1
        elif what == "look":
            lines.append(turn(client, f'{{:free?, "{seat}"}}', str(seat not in holders).lower()))
        elif what == "take":
            holders[seat] = f"{client}_{len(lines)}"
            lines.append(turn(client, f'{{:put, "{seat}", "{holders[seat]}"}}', ":ok", plan(**holders)))
        elif what == "note":
            lines.append(turn(client, f'{{:put, "{seat}", "nobody"}}', ":error"))
        elif depth[client] and what == "tail":
            lines.append(f"{client} tail Office.BoxOffice.go_on/1\n")
            lines.append(f'{client} call Office.BoxOffice.go_on("{seat}") @ lib/box_office.ex:19\n')
        elif depth[client]:
            lines.append(f"{client} return :ok\n")
            depth[client] -= 1
    return "".join(lines)


def handled(history: History) -> Iterator[dict[str, Any]]:
    """The turns of all servers, in order of handling."""
    states = history.query.recording.table("states").to_pylist()
    versions = {row["state"]: row["version"] for row in states}
    messages = {row["message"]: row for row in history.query.recording.table("messages").to_pylist()}
    last = {row["call"]: row for row in states if row["call"] is not None}
    for row in sorted(messages.values(), key=lambda row: row["handle_call"] or -1):
        if row["handle_call"] is None or row["kind"] == "reply" or row["from_process"] in (None, row["to_process"]):
            continue
        state, reply = last.get(row["handle_call"]), messages.get(row["reply"])
        writes = state is not None and state["previous"] is not None
        writes = writes and state is not None and state["version"] != versions[state["previous"]]
        at = row["handle_call"] if reply is None or reply["send_event"] is None else reply["send_event"]
        yield {**row, "writes": writes, "answer": reply, "answered": at}


def plainly_suspected(history: History) -> set[int]:
    """The messages whose turns may be the last act of a race, by going through everything."""
    found, rows = set(), list(handled(history))
    for number, act in enumerate(rows):
        here = [row for row in rows if row["to_process"] == act["to_process"]]
        if not act["writes"] and not any(row["writes"] and row["tag"] == act["tag"] for row in here):
            continue
        frames = set(history.enclosing(act["sender_call"]))
        mine = [row for row in rows[:number] if row in here and row["from_process"] == act["from_process"]]
        for check in mine[-turns.LOOK_BACK :]:
            asks = check["kind"] == "call" and check["answer"] is not None and check["tag"] != act["tag"]
            if asks and frames & set(history.enclosing(check["sender_call"])):
                between = [row for row in here if check["answered"] < row["handle_call"] < act["handle_call"]]
                if any(row["writes"] and row["from_process"] != act["from_process"] for row in between):
                    found.add(act["message"])
    return found


def suspected(history: History) -> set[int]:
    return {server.turn(number).row["message"] for server in turns.contended(history) for number in server.suspects}


RACE: list[Step] = [("ada", "enter", "A1"), ("ada", "look", "A1"), ("joe", "take", "A1"), ("ada", "take", "A1")]
DEEP: list[Step] = [*[("ada", "enter", "A1")] * 4, ("ada", "look", "A1"), *[("ada", "leave", "A1")] * 3]
ON: list[Step] = [("ada", "enter", "A1"), ("ada", "look", "A1"), ("ada", "tail", "A1")]
LOOP: list[Step] = [("ada", "enter", "A1"), ("ada", "look", "A1"), *[("ada", "tail", "A1")] * 5]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.sampled_from(CLIENTS), st.sampled_from(WITHIN + ASKED * 2), st.sampled_from(SEATS)), max_size=24
    ),
    st.sampled_from([2, 64]),
)
@example(RACE, 64)
@example([*DEEP, *RACE[2:]], 2)
@example([*RACE[:2], *[("ada", "note", "A2")] * 3, *RACE[2:]], 64)
@example([*ON, *RACE[2:]], 64)
@example([*LOOP, *RACE[2:]], 2)
@example([*LOOP, *RACE[2:]], 64)
def test_numbers_leave_out_no_turn_that_counts(steps: list[Step], outward: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        history = History(dags_of(picture(steps), Path(folder) / "turns.scope"))
        patch.setattr(turns, "_OUTWARD", outward)
        patch.setattr(turns, "_BATCH", 3)
        found, told = suspected(history), races(history)
        assert plainly_suspected(history) <= found
        patch.setattr(turns, "suspected", lambda _, columns: columns.row >= 0)
        assert told == races(history)  # of all turns none was missing


def test_what_happens_one_after_the_other_is_not_looked_at(tmp_path: Path) -> None:
    steps = [("ada", "enter", "A1"), ("ada", "look", "A1"), ("ada", "take", "A1"), ("ada", "leave", "A1")]
    steps += [(client, what, "A2") for client in ("joe", "ada") for _, what, _ in steps]
    assert suspected(History(dags_of(picture(steps), tmp_path / "serial.scope"))) == set()
    raced = History(dags_of(picture(RACE), tmp_path / "race.scope"))
    assert suspected(raced) == plainly_suspected(raced) != set()
