"""Terms as JSON: nothing is dropped, and what JSON cannot say is said in words."""

from __future__ import annotations

import json

from elixirscope.query.plain import plain
from elixirscope.recording.terms import NIL, TRUE, Atom, ElixirMap, ImproperList, Pid, Truncated


def test_terms_become_json() -> None:
    term = {
        Atom("seats"): {b"A1": NIL, b"A2": b"Ada"},
        Atom("open"): TRUE,
        Atom("of"): (Atom("ok"), 1, 2.5, [Atom("Elixir.TicketOffice.Seats")]),
    }
    expected = {"seats": {"A1": None, "A2": "Ada"}, "open": True, "of": ["ok", 1, 2.5, ["TicketOffice.Seats"]]}
    assert json.loads(json.dumps(plain(term))) == expected


def test_what_json_cannot_say_is_said_in_words() -> None:
    assert plain(b"\xff\x00") == "<<255, 0>>"
    assert plain(Pid("n", 7, 1)) == "#PID<0.7.1>"
    assert plain({1: 2}) == [[1, 2]]
    assert plain(ElixirMap([((1, 2), b"x")])) == [[[1, 2], "x"]]
    assert plain(ImproperList([1], 2)) == [1, 2]
    assert "not recorded" in plain(Truncated("tuple", (1, 2), 5))[-1]
