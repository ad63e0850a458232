"""The picture language: both ways of drawing, every statement of docs/pictures.md, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.pictures import PictureError, draw, record
from elixirscope.pictures.literals import Reader
from elixirscope.recording.format import Flag, Kind
from elixirscope.recording.log import Log
from elixirscope.recording.recording import Recording
from elixirscope.recording.terms import Atom, Pid, Ref, Term, inspect

DRAWN = """
      client                         seats
 1    call BoxOffice.sell("A1")      |
 2    |--call {:free?, "A1"} as q--->|
 3    |                              callback Seats.handle_call({:free?, "A1"}, {client, #q})
 4    |                              state %{"A1" => nil}
 5    |                              return {:reply, true, %{"A1" => nil}}
 6    |<--reply true to q------------|
 7    bind free = true               |
 8    return :sold                   |
 9    |                              exits {:badkey, :a1}
"""

TOLD = """
processes: client, seats
 1  client call BoxOffice.sell("A1")
 2  client -> seats  call {:free?, "A1"} as q
 3  seats callback Seats.handle_call({:free?, "A1"}, {client, #q})
 4  seats state %{"A1" => nil}
 5  seats return {:reply, true, %{"A1" => nil}}
 6  seats -> client  reply true to q
 7  client bind free = true
 8  client return :sold
 9  seats exits {:badkey, :a1}
"""


def story(log: Log) -> list[str]:
    """Every event in words."""
    words = []
    fields = log.rows.at(slice(None), "at", "process", "kind", "peer", "value")
    for at, process, kind, peer, value in fields:
        shown = f" {inspect(log.values.term(value))}" if value >= 0 else ""
        to = f" {peer}" if peer >= 0 else ""
        words.append(f"{at} {process} {Kind(kind).name}{to}{shown}")
    return words


def test_a_picture_and_the_same_told_are_the_same_events() -> None:
    assert story(draw(DRAWN)) == story(draw(TOLD))


def test_what_a_picture_says() -> None:
    assert story(draw(DRAWN)) == [
        '0 0 CALL {"A1"}',
        '1000 0 SEND 1 {:"$gen_call", {#PID<0.100.0>, [:alias | #Reference<0.2.1.1000>]}, {:free?, "A1"}}',
        '1001 1 RECEIVE 0 {:"$gen_call", {#PID<0.100.0>, [:alias | #Reference<0.2.1.1000>]}, {:free?, "A1"}}',
        '2000 1 CALL {{:free?, "A1"}, {#PID<0.100.0>, #Reference<0.2.1.1000>}}',
        '3000 1 STATE %{"A1" => nil}',
        '4000 1 RETURN {:reply, true, %{"A1" => nil}}',
        "5000 1 SEND {[:alias | #Reference<0.2.1.1000>], true}",
        "5001 0 RECEIVE 1 {[:alias | #Reference<0.2.1.1000>], true}",
        "6000 0 BIND {true}",
        "7000 0 RETURN :sold",
        "8000 1 EXIT {:badkey, :a1}",
    ]


def test_frames_and_sites() -> None:
    log = draw("""
        p
        call Shop.buy("A1") as outer    @ lib/shop.ex:7
        callback Shop.handle_cast({:put, 1}) as inner
        bind x = 1, seat = "A1" in outer @ :9 generated
    """)
    call, callback, bind = log.rows["frame"].tolist()
    assert call == bind != callback
    assert log.rows["flags"][2] == Flag.GENERATED
    buy, cast, variables = (log.sites[site] for site in log.rows["site"].tolist())
    assert (buy.module, buy.function, buy.arity, buy.file, buy.line) == ("Shop", "buy", 1, "lib/shop.ex", 7)
    assert (cast.callback, cast.behaviour, cast.state_arg) == ("handle_cast/2", "GenServer", 2)
    assert (variables.kind, variables.vars, variables.line) == ("bind", ("x", "seat"), 9)


def test_times() -> None:
    log = draw("""
        p
  5     mark "a"
        mark "b"
  1ms   mark "c"
  1ms   mark "d"
  2s    mark "e"
    """)
    assert log.rows["at"].tolist() == [0, 1_000, 995_000, 995_001, 1_999_995_000]


def test_messages_that_take_time_and_messages_that_get_lost() -> None:
    log = draw("""
        a                     b
  1     |--:slow arrives 9--->|
  2     |--:quick------------>|
  3     |<--:back-------------|
  4     |--:lost------------x |
    """)
    assert [line.split(" ", 1)[1] for line in story(log)] == [
        "0 SEND 1 :slow",
        "0 SEND 1 :quick",
        "1 RECEIVE 0 :quick",
        "1 SEND 0 :back",
        "0 RECEIVE 1 :back",
        "0 SEND 1 :lost",
        "1 RECEIVE 0 :slow",
    ]


STATEMENTS = """
    a             b             c
    registers App.Name
    starts b supervising App.Sup as App.Sup
    |             starts c running App.Child
    spawns b running App.Worker.loop/1
    links c       |
    unlinks c     |
    test "one" of AppTest starts @ test/a.exs:3
    runs test "one" of AppTest
    external :ets.insert(:t, {1, 2})
    return true
    fn App.map(1)
    tail App.map/1
    call App.map(1)
    tail fn
    raise :error, :badarith
    caught :error, :badarith, []
    reraise :error, :badarith
    state unchanged
    receives {:DOWN, #m, :process, b, :noproc} from b
    sends :hello to :nobody
    test "one" of AppTest passed
    mark "here"
    loses 3
    scheduled out
    scheduled in
    unregisters App.Name
    exits :normal
"""


def test_every_statement() -> None:
    log = draw(STATEMENTS)
    kinds = {Kind(int(kind)) for kind in log.rows["kind"]}
    assert kinds == set(Kind) - {Kind.BIND}
    assert [(loss.process, loss.count) for loss in log.losses] == [(0, 3)]


def test_a_whole_recording(tmp_path: Path) -> None:
    recording = Recording.open(record(DRAWN, tmp_path / "drawn.scope"), correlate=EventCorrelator)
    assert recording.info.complete
    assert (recording.info.events, recording.info.calls, recording.info.messages) == (11, 2, 2)
    assert recording.table("states").num_rows == 1


@pytest.mark.parametrize(
    ("picture", "about"),
    [
        ("", "empty"),
        ("Client seats", "cannot name a process"),
        ("a  a", "same name"),
        ("a\ndances :now", "no statement begins with 'dances'"),
        ("    a\n  x mark 1", "only room for the time"),
        ("a\nreturn 1", "no open call"),
        ("a\ncall Shop.buy(1)\nreturn 1 from outer", "no open call 'outer'"),
        ("a\nexits", "expected a literal"),
        ("a\nexits :normal :twice", "expected nothing more"),
        ("a\nexits zoe", "no process 'zoe'"),
        ("   a\n5  mark 1\n2  mark 2", "time runs backwards"),
        ("a        b\n|--reply 1 to q-->|", "no call was named 'q'"),
        ("processes: a\nb mark 1", "starts with one of a"),
    ],
)
def test_what_cannot_be_read_says_why(picture: str, about: str) -> None:
    with pytest.raises(PictureError, match=about) as raised:
        draw(picture)
    assert raised.value.hint


def read(text: str) -> Term:
    reader = Reader(text, lambda name: Pid("n", 1, 0), lambda name: Ref("n", (1,)))
    value = reader.value()
    assert reader.done()
    return value


@pytest.mark.parametrize(
    ("text", "term"),
    [
        (":ok", Atom("ok")),
        (":free?", Atom("free?")),
        (':"odd name"', Atom("odd name")),
        ("nil", Atom("nil")),
        ("A.B", Atom("Elixir.A.B")),
        ("1_000", 1000),
        ("-2.5", -2.5),
        ('"a\\n\\"b"', b'a\n"b'),
        ("{1, {}}", (1, ())),
        ("[a: 1, b: :c]", [(Atom("a"), 1), (Atom("b"), Atom("c"))]),
        ('%{"A1" => nil, 2 => [3]}', {b"A1": Atom("nil"), 2: [3]}),
        ("%Seat{row: 1}", {Atom("__struct__"): Atom("Elixir.Seat"), Atom("row"): 1}),
        ("somebody", Pid("n", 1, 0)),
        ("#r", Ref("n", (1,))),
    ],
)
def test_literals(text: str, term: Term) -> None:
    assert read(text) == term


LITERALS = st.recursive(
    st.integers(-(10**9), 10**9)
    | st.sampled_from([Atom("ok"), Atom("nil"), Atom("Elixir.A.B")])
    | st.from_regex(rb"\A[a-z ]{1,8}\Z"),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(tuple)
        | st.dictionaries(st.from_regex(rb"\A[a-z]{1,3}\Z"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(LITERALS)
def test_what_is_printed_is_read_back(term: Term) -> None:
    assert read(inspect(term, limit=10_000)) == term
