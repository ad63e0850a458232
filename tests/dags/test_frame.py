"""`frame_at`: every view of one moment agrees on it."""

from typing import Any, cast

import msgspec
import pytest

from elixirscope.dags import Dags
from elixirscope.dags.picture import Picture
from elixirscope.errors import NotFoundError, RecordingError
from elixirscope.moment import UNKNOWN_TIME, Moment
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.recording.format import Kind
from elixirscope.recording.recording import Recording
from tests.dags.conftest import Draw
from tests.dags.drawn import Drawn


def test_an_event_gives_a_picture_of_all_seven(sale: Drawn) -> None:
    event = sale.event("seats", Kind.BIND, 1)
    picture = sale.dags.frame_at(Moment(at=UNKNOWN_TIME, event=event))
    seats = sale.process("seats")
    assert picture.moment == Moment(at=24_000, process=seats, event=event, call=sale.event("seats", Kind.CALL, 1))
    assert picture.event is not None
    assert (picture.event.kind, picture.event.file, picture.event.line) == ("bind", "lib/seats.ex", 22)
    assert [frame.function for frame in picture.stack] == ["handle_call", "buy"]
    known = {binding.name: binding.value.text for binding in picture.bindings}
    assert known == {"who": ":ann", "seat": '"A1"', "receipt": '{:sold, "A1", 1}'}
    assert picture.source is not None
    assert (picture.source.line, picture.source.lines) == (22, [])  # a drawn file was never kept
    assert {value.line for value in picture.source.values} == {21, 22}
    assert picture.state is not None
    assert picture.state.version == 0
    assert picture.performance is not None
    assert picture.performance.wait_mailbox_ns == 2_000
    assert [step.edge for step in picture.causes[:2]] == ["in", "handles"]


def test_a_time_means_the_last_event_before_it(sale: Drawn) -> None:
    everywhere = sale.dags.frame_at(Moment(at=12_500))
    client = sale.dags.frame_at(Moment(at=12_500, process=sale.process("client")))
    assert everywhere.moment.event == sale.event("rival", Kind.CALL)
    assert client.moment.event == sale.event("client", Kind.SEND)
    assert client.moment.at == 12_500


def test_a_message_waits_until_its_handling_begins(sale: Drawn) -> None:
    seats = sale.process("seats")
    (waiting,) = sale.dags.frame_at(Moment(at=14_500, process=seats)).mailbox
    assert (waiting.tag, waiting.waiting_ns, waiting.sender) == ("{:reserve, _, _}", 1_500, sale.process("client"))
    assert sale.dags.frame_at(Moment(at=15_000, process=seats)).mailbox == []


def test_what_is_more_than_a_person_looks_at_is_counted(drawn: Draw) -> None:
    sent = [f"{n} main -> slow cast {{:job, {n}}} arrives {n + 1}" for n in range(1, 1_203, 2)]
    calls = [f"{2_000 + n} slow call Deep.down({n})" for n in range(250)]
    film = drawn("\n".join(["processes: main, slow", *sent, *calls]))
    picture = film.dags.frame_at(Moment(at=UNKNOWN_TIME, event=film.event("slow", Kind.CALL, 249)))
    assert (len(picture.mailbox), picture.waiting) == (500, 601)
    assert [len(picture.stack), picture.deeper] == [200, True]
    assert picture.stack == film.dags.code.stack(picture.stack[0].call)[:200]
    assert len(film.dags.code.stack(picture.stack[0].call)) == 250


def test_an_event_without_a_place_is_shown_where_its_frame_was(sale: Drawn) -> None:
    source = sale.dags.frame_at(Moment(at=UNKNOWN_TIME, event=sale.event("client", Kind.SEND))).source
    assert source is not None
    assert (source.file, source.line) == ("lib/client.ex", 11)


def test_before_the_first_event_there_is_nothing_to_see(sale: Drawn) -> None:
    picture = sale.dags.frame_at(Moment(at=0, process=sale.process("client")))
    assert (picture.event, picture.stack, picture.state) == (None, [], None)


class Damaged:
    """A recording one of whose values cannot be decoded."""

    def __init__(self, recording: Recording, value: int) -> None:
        self._recording, self._value = recording, value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recording, name)

    def term(self, value: int) -> Any:
        if value == self._value:
            raise RecordingError("the value is damaged")
        return self._recording.term(value)


def test_a_damaged_value_never_hides_the_rest_of_the_picture(sale: Drawn) -> None:
    for value in {row["value"] for row in sale.query.rows("select value from events where value is not null")}:
        dags = Dags(QueryCoordinator(cast(Recording, Damaged(sale.query.recording, value))))
        for event in range(sale.query.event_count):
            assert dags.frame_at(Moment(at=0, event=event)).event is not None


def test_unknown_events_and_processes(sale: Drawn) -> None:
    with pytest.raises(NotFoundError, match="no event"):
        sale.dags.frame_at(Moment(at=0, event=10_000))
    with pytest.raises(NotFoundError, match="no process 99"):
        sale.dags.frame_at(Moment(at=0, process=99))


def test_every_moment_has_a_picture_that_can_be_sent(sale: Drawn) -> None:
    for event in range(sale.query.event_count):
        sent = msgspec.json.decode(msgspec.json.encode(sale.dags.frame_at(Moment(at=0, event=event))))
        assert sent["moment"]["event"] == event
        assert set(sent) == set(Picture.__struct_fields__)
