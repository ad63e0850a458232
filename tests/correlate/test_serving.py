"""Callbacks served all at once against each served in its turn."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.correlate.alike import all_arguments
from elixirscope.correlate.serving import Asked, Callbacks, Offered, one_by_one, serve
from elixirscope.correlate.shapes import shape
from elixirscope.recording import etf
from elixirscope.recording.log import EVENT_ROW, Log, Site
from elixirscope.recording.terms import Atom, Pid, Ref, Term
from elixirscope.recording.values import RawValues

_SITES = {
    1: Site(1, "function", "M", "handle_call", 3, behaviour="GenServer", callback="handle_call/3"),
    2: Site(2, "function", "M", "handle_cast", 2, behaviour="GenServer", callback="handle_cast/2"),
    3: Site(3, "function", "M", "handle_info", 2, behaviour="GenServer", callback="handle_info/2"),
    4: Site(4, "function", "M", "handle_info", 2),  # only named like one
    5: Site(5, "function", "S", "handle_event", 4, behaviour=":gen_statem", callback="handle_event/4"),
}
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


@settings(max_examples=400, deadline=None)
@given(st.lists(_steps, min_size=1, max_size=40), st.integers(0, 3), st.booleans())
def test_all_at_once_is_as_each_in_its_turn(
    steps: list[tuple[int, bool, tuple[int, Term]]], longest: int, cut_any: bool
) -> None:
    values, asked, offered = list[bytes](), list[list[int]](), list[list[int]]()
    shapes, ranks = [], [0, 0, 0]
    for event, (process, cut, (site, term)) in enumerate(steps):
        if site:
            values += [etf.encode(term)] if term is not None else []
            value = len(values) - 1 if term is not None else -1
            asked.append([process, event, site, value, cut and cut_any, ranks[process] - 3 * longest - 1])
        else:
            shapes.append(shape(etf.encode(term)))
            offered.append([process, event, ranks[process], cut and cut_any])
            ranks[process] += 1
    log = Log(np.empty(0, EVENT_ROW), [], _SITES, RawValues(values))
    frames, mail = np.array(asked, np.int64).reshape(-1, 6), np.array(offered, np.int64).reshape(-1, 4)
    callbacks, args = Callbacks(_SITES), frames[:, 3]
    ran = Asked(frames[:, 0], frames[:, 1], frames[:, 2], args, frames[:, 4] == 1, frames[:, 5])
    came = Offered(mail[:, 0], mail[:, 1], mail[:, 2], mail[:, 3] == 1, shapes)
    distinct, where = np.unique(args, return_inverse=True)
    unknown = int(distinct[:1].tolist() == [-1])
    shown = all_arguments(log.values, distinct[unknown:])
    plain = one_by_one(callbacks, ran, came, shown, where - unknown, np.arange(len(asked)))
    assert serve(log, callbacks, ran, came).tolist() == plain.tolist()
