"""Terms read in groups against each read by itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.correlate.alike import all_arguments, shapes
from elixirscope.correlate.shapes import arguments, from_reference, shape
from elixirscope.recording import etf
from elixirscope.recording.terms import Atom, ImproperList, Pid, Ref, Term
from elixirscope.recording.values import RawValues

_numbers = st.integers(0, 2**32 - 1)
_atoms = st.sampled_from(["pay", "ok", "alias", "$gen_call", "$gen_cast", "DOWN", "EXIT", "timeout"]).map(Atom)
_refs = _numbers.map(lambda n: Ref("n@h", (n, 1, 2), 3))
_froms = st.builds(
    lambda n, ref: (Pid("n@h", n, 0, 3), ref), _numbers, _refs | _refs.map(lambda r: ImproperList([Atom("alias")], r))
)
_scalars = _numbers | _atoms | _refs | st.binary(min_size=3, max_size=4) | st.floats(allow_nan=False)
_requests = st.tuples(_atoms, _scalars) | _scalars | st.dictionaries(_atoms, _scalars, max_size=2)
_messages = st.one_of(
    st.tuples(st.just(Atom("$gen_call")), _froms, _requests),
    st.tuples(st.just(Atom("$gen_cast")), _requests),
    st.tuples(_refs, _requests),
    st.tuples(_requests, _froms),
    st.tuples(st.just(Atom("DOWN")), _refs, _atoms, _froms, _atoms),
    _requests,
)  # fmt: skip


def _values(terms: list[Term], damaged: bytes) -> list[bytes]:
    encoded = [etf.encode(term) for term in terms]
    return [*encoded, *encoded[:2], damaged, *(data[:-1] for data in encoded[:2] if len(data) > 2)]


@settings(max_examples=200, deadline=None)
@given(st.lists(_messages, min_size=1, max_size=40), st.binary(min_size=1, max_size=30))
def test_messages_of_one_make_have_the_shapes_they_have_alone(terms: list[Term], damaged: bytes) -> None:
    data = _values(terms * 3, damaged)
    assert shapes(RawValues(data), np.arange(len(data))) == [shape(each) for each in data]


@settings(max_examples=200, deadline=None)
@given(st.lists(_messages, min_size=1, max_size=40), st.binary(min_size=1, max_size=30))
def test_so_have_arguments(terms: list[Term], damaged: bytes) -> None:
    data = _values(terms * 3, damaged)
    found = all_arguments(RawValues(data), np.arange(len(data)))
    for number, each in enumerate(data):
        parts = arguments(each)
        shown = found.of_call(number)
        assert list(shown.parts) == parts
        spans = [from_reference(part) for part in parts[:2]]
        assert list(shown.refs) == [
            part[slice(*span)] for part, span in zip(parts, spans, strict=False) if span is not None
        ]
