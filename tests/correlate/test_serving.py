"""Callbacks served by the kernel against each served in its turn."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.correlate.columns import NONE
from elixirscope.correlate.serving import Asked, Callbacks, Offered, digested, serve
from elixirscope.correlate.shapes import look
from elixirscope.kernels import Way, run
from elixirscope.recording import etf
from elixirscope.recording.log import Site
from elixirscope.recording.terms import Atom, Pid, Ref, Term
from elixirscope.recording.values import RawValues
from tests.correlate.mailbox import Mailbox, Message, look_at

WAYS: list[Way] = ["interpreted", "compiled"]
_SITES = {
    1: Site(1, "function", "M", "handle_call", 3, behaviour="GenServer", callback="handle_call/3"),
    2: Site(2, "function", "M", "handle_cast", 2, behaviour="GenServer", callback="handle_cast/2"),
    3: Site(3, "function", "M", "handle_info", 2, behaviour="GenServer", callback="handle_info/2"),
    4: Site(4, "function", "M", "handle_info", 2),  # only named like one
    5: Site(5, "function", "S", "handle_event", 4, behaviour=":gen_statem", callback="handle_event/4"),
}
_INFO = ("info", "down", "exit", "timer", "reply", "io", "system")
_ANY = ("call", "cast", "info", "down", "exit", "timer", "reply")
_GIVEN: dict[int, tuple[tuple[str, ...], bool]] = {
    1: (("call",), True),
    2: (("cast",), True),
    3: (_INFO, True),
    4: (_INFO, False),
    5: (_ANY, True),
}  # kinds of message that each is given, and whether it is declared a callback
_froms = st.integers(1, 4).map(lambda n: (Pid("n@h", n, 0, 3), Ref("n@h", (n, 1, 2), 3)))
_requests = st.sampled_from([Atom("pay"), (Atom("pay"), 1), (Atom("pay"), 2), Atom("refund")])
_messages = st.one_of(
    st.tuples(st.just(Atom("$gen_call")), _froms, _requests),
    st.tuples(st.just(Atom("$gen_cast")), _requests),
    _requests,
)
_arguments = st.one_of(st.tuples(_requests, _froms), st.tuples(_requests), st.tuples(_requests, _requests), _requests)
_steps = st.tuples(
    st.integers(0, 2),  # process
    st.booleans(),  # its content was cut
    st.one_of(_messages.map(lambda term: (0, term)), st.tuples(st.integers(1, 5), st.none() | _arguments)),
)


@settings(max_examples=400)
@given(
    st.lists(_steps, min_size=1, max_size=40),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from(["interpreted", "compiled"]),
)
def test_each_callback_takes_what_it_would_take_in_its_turn(
    steps: list[tuple[int, bool, tuple[int, Term]]], longest: int, cut_any: bool, way: Way
) -> None:
    arguments, messages = list[bytes](), list[bytes]()
    asked, offered, expected = list[list[int]](), list[list[int]](), list[int]()
    boxes, ranks = [Mailbox() for _ in range(3)], [0, 0, 0]
    for event, (process, cut, (site, term)) in enumerate(steps):
        cut = cut and cut_any
        if site:
            arguments += [etf.encode(term)] if term is not None else []
            value = len(arguments) - 1 if term is not None else -1
            oldest = ranks[process] - 3 * longest - 1
            asked.append([process, event, site, value, cut, oldest])
            kinds, declared = _GIVEN[site]
            told = term if isinstance(term, tuple) else ()
            expected.append(boxes[process].take(kinds, told, event, cut, declared, oldest))
        else:
            messages.append(etf.encode(term))
            offered.append([process, event, ranks[process], cut])
            boxes[process].waiting.append(Message(look_at(term), event, ranks[process], cut))
            ranks[process] += 1
    frames, mail = (
        np.array(asked, np.int64).reshape(-1, 6).T.copy(),
        np.array(offered, np.int64).reshape(-1, 4).T.copy(),
    )
    with run(way):
        looks = look(RawValues(messages), np.arange(len(messages)), {})
        came = Offered(mail[0], mail[1], mail[2], mail[3] == 1, looks.kind, looks.reference, looks.body)
        ran = Asked(
            frames[0], frames[1], frames[2], digested(RawValues(arguments), frames[3]), frames[4] == 1, frames[5]
        )
        found = serve(Callbacks(_SITES), ran, came)
    assert [NONE if number == NONE else mail[1][number] for number in found.tolist()] == expected
