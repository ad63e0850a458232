"""Late answers: a `receive … after` ran out, the answer came afterwards, and the next `receive` took it for its own.

Seen where a process asks another by hand twice: it takes a message of the other before that can have seen the second
question, so that what it takes can only belong to the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from elixirscope.insight import tests
from elixirscope.insight.findings import Finding
from elixirscope.insight.history import History
from elixirscope.insight.receives import Receive, receives
from elixirscope.insight.values import duration, short
from elixirscope.insight.waits import went_on
from elixirscope.query.row import Row
from elixirscope.recording.format import Kind

SAMPLES = 500
"""Questions that are looked at, the first of each pair of processes and shape."""

GIVEN_UP = 20
"""Those among them that were given up, of which the answer is sought."""

_ASKED = """
select m.* from raw.messages m join raw.processes p on p.process = m.to_process
where m.kind = 'info' and sender_call is not null and receive_event is not null and send_event is not null
  and from_process <> to_process and p.kind in ('process', 'task')
qualify row_number() over (partition by from_process, to_process, tag order by message) <= 20
order by message limit ?
"""


@dataclass(frozen=True)
class Late:
    """The question that was given up at `ended`, its late answer, and the next question, whose frame took it."""

    asked: Row
    ended: Row
    answer: Row
    following: Row
    frame: Row
    taken: Row  # the first event by which the frame went on
    receive: Receive


def late_answers(history: History) -> list[Finding]:
    """One finding per function that took a late answer for another."""
    found: dict[int, Finding] = {}
    questions = ((asked, _gave_up(history, asked)) for asked in history.query.rows(_ASKED, [SAMPLES]))
    for asked, ended in islice(((asked, ended) for asked, ended in questions if ended is not None), GIVEN_UP):
        late = _late(history, asked, ended)
        if late is not None:
            found.setdefault(late.frame["site"], _told(history, late))
    return list(found.values())


def _gave_up(history: History, asked: Row) -> Row | None:
    """The event at which the `receive … after` of who asked ran out, if that came next."""
    row = went_on(history, {"client": asked["from_process"], "send_event": asked["send_event"]})
    return row if row is not None and row["kind"] == Kind.RECEIVE else None


def _late(history: History, asked: Row, ended: Row) -> Late | None:
    client, server = asked["from_process"], asked["to_process"]
    between = "select * from raw.messages where from_process = ? and to_process = ? and {} > ? order by message"
    answers = history.query.rows(between.format("receive_event"), [server, client, ended["event"]])
    questions = history.query.rows(between.format("send_event"), [client, server, ended["event"]])
    answer = next(iter(answers), None)
    following = next((row for row in questions if row["tag"] == asked["tag"]), None)
    frame = history.call(following["sender_call"]) if following is not None else None
    if answer is None or following is None or frame is None or following["receive_event"] is None:
        return None
    taken = went_on(history, {"client": client, "send_event": following["send_event"]})
    if taken is None or taken["kind"] == Kind.RECEIVE or answer["send_event"] is None:
        return None
    early = answer["send_event"] < following["receive_event"] and answer["receive_event"] < taken["event"]
    own = any(
        row["send_event"] is None or row["send_event"] > following["receive_event"]
        for row in answers
        if row["receive_event"] is not None and row["receive_event"] < taken["event"]
    )
    receive = _receive(history, frame, answer) if early and not own else None
    return Late(asked, ended, answer, following, frame, taken, receive) if receive is not None else None


def _receive(history: History, frame: Row, answer: Row) -> Receive | None:
    """The only `receive` of a function, if one of its clauses takes the answer for sure."""
    site, term = history.site(frame["site"]), history.term(answer["value"])
    lines = history.recording.source(site["file"]) if site and site["file"] and site["line"] else None
    if site is None or lines is None:
        return None
    found = receives(lines, site["line"], site["end_line"] or site["line"])
    sure = len(found) == 1 and any(
        each.pattern is not None and not each.pinned and each.pattern.match(term) is not None
        for each in found[0].clauses
    )
    return found[0] if sure else None


def _told(history: History, late: Late) -> Finding:
    client, server = history.label(late.asked["from_process"]), history.label(late.asked["to_process"])
    name = history.name(late.frame)
    first, second, answer = (short(history.term(row["value"])) for row in (late.asked, late.following, late.answer))
    waited = duration(int(late.ended["at"] - late.asked["sent_at"]))
    after = duration(int(late.answer["received_at"] - late.ended["at"]))
    clause = next(each for each in late.receive.clauses if each.may_take(history.term(late.answer["value"])))
    failed = [
        test
        for test in tests.ran_in(history, late.frame["process"], late.taken["at"])
        if test["result"] == "failed" and tests.during(test, late.taken["at"])
    ]
    return Finding(
        kind="timeout",
        title=f"Timeout: {name} gave up on {server}, and took its late answer for the next one",
        confidence=0.9,
        location=history.place(late.frame, clause.line),
        evidence=[
            history.evidence(
                late.asked["send_event"], f"{client} asked {server} {first}", call=late.asked["sender_call"]
            ),
            history.evidence(late.ended["event"], f"{client} gave up after {waited}"),
            history.evidence(late.answer["receive_event"], f"the answer, {answer}, came {after} later"),
            history.evidence(
                late.following["send_event"], f"{client} asked {server} {second}", call=late.frame["call"]
            ),
            history.evidence(
                late.taken["event"],
                f"{name} went on with {answer}, before {server} had answered that",
                call=late.frame["call"],
            ),
            *(tests.failure(history, test) for test in failed),
        ],
        explanation=f"{client} asked {server} {first} and gave up after {waited}. The answer, {answer}, came {after}"
        f" later, and nobody was waiting for it any more: it stayed in the mailbox. When {client} asked {second}, the"
        f" `receive` of {name} took it: {clause.text} does not tell which question an answer belongs to.",
        suggestion="Send a reference with each question (make_ref/0), let the answer bring it back, and match on it"
        " (^ref); or ask with GenServer.call, which does that.",
    )
