"""What kernels read in passing against what the decoded terms say."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from elixirscope.correlate.digests import digest, numbered
from elixirscope.correlate.shapes import KINDS, arguments, arities, elements, look, skip, tag_text
from elixirscope.kernels import Way, run
from elixirscope.recording import etf
from elixirscope.recording.terms import Atom, ImproperList, Pid, Ref, Term
from elixirscope.recording.values import RawValues
from tests.correlate.mailbox import look_at, references_in

WAYS: list[Way] = ["interpreted", "compiled"]
_numbers = st.integers(0, 2**32 - 1)
_atoms = st.sampled_from(["pay", "ok", "alias", "$gen_call", "$gen_cast", "DOWN", "EXIT", "timeout", "é"]).map(Atom)
_refs = _numbers.map(lambda n: Ref("n@h", (n, 1, 2), 3))
_froms = st.builds(
    lambda n, ref: (Pid("n@h", n, 0, 3), ref), _numbers, _refs | _refs.map(lambda r: ImproperList([Atom("alias")], r))
)
_scalars = _numbers | _atoms | _refs | st.binary(min_size=3, max_size=4) | st.floats(allow_nan=False)
_structs = st.builds(lambda name, n: {Atom("__struct__"): name, Atom("n"): n}, _atoms, _numbers)
_requests = st.tuples(_atoms, _scalars) | _scalars | st.dictionaries(_atoms, _scalars, max_size=2) | _structs
_messages = st.one_of(
    st.tuples(st.just(Atom("$gen_call")), _froms, _requests),
    st.tuples(st.just(Atom("$gen_cast")), _requests),
    st.tuples(_refs, _requests),
    st.tuples(_requests, _froms),
    st.tuples(st.sampled_from(["EXIT", "timeout", "io_request", "system"]).map(Atom), _refs, _requests),
    st.tuples(st.just(Atom("DOWN")), _refs, _atoms, _froms, _atoms),
    _requests,
)  # fmt: skip


def _digest(term: Term) -> int:
    data = etf.encode(term)[1:]
    return digest.interpreted(data, 0, len(data))


@settings(max_examples=200)
@given(st.lists(_messages, min_size=1, max_size=20), st.sampled_from(WAYS))
def test_messages_look_as_their_terms_say(terms: list[Term], way: Way) -> None:
    values = RawValues([etf.encode(term) for term in terms])
    with run(way):
        found = look(values, np.array([-1, *range(len(terms))]), {})
    assert [column[0] for column in found] == [0] * len(found)  # without a value
    tags = dict[str | None, set[int]]()
    for number, term in enumerate(terms, 1):
        expected, data = look_at(term), values.bytes(number - 1)
        assert KINDS[found.kind[number]] == expected.kind
        assert found.reference[number] == (0 if expected.reference is None else _digest(expected.reference))
        assert found.body[number] == _digest(expected.body)
        subject = data[found.subject[number] : found.subject_end[number]]
        assert subject == (etf.encode(_subject(term))[1:] if expected.kind in ("down", "exit") else b"")
        tags.setdefault(tag_text(data, int(found.tag_at[number])), set()).add(int(found.tag[number]))
    assert None not in tags
    assert len(set().union(*tags.values())) == sum(map(len, tags.values()))  # no number has two texts


def _subject(term: Term) -> Term:
    return term[3 if term[0] == "DOWN" else 1]


@settings(max_examples=100)
@given(st.lists(_messages, min_size=1, max_size=20), st.sampled_from(WAYS))
def test_so_do_arguments(terms: list[Term], way: Way) -> None:
    values = RawValues([etf.encode(term) for term in terms])
    count, found = np.zeros(len(terms), np.int64), np.zeros(2 * len(terms), np.int64)
    with run(way):
        buffer, mine, start, end = values.located(np.arange(len(terms)))
        arities(mine, buffer, start, end, count)
        first = np.cumsum(count) - count
        parts = np.zeros(int(count.sum()), np.int64)
        arguments(mine, buffer, start, end, first, count, parts, found)
    for number, term in enumerate(terms):
        own = term if isinstance(term, tuple) else ()
        assert parts[first[number] : first[number] + count[number]].tolist() == list(map(_digest, own))
        asked = [each for each in found[2 * number : 2 * number + 2].tolist() if each]
        assert asked == list(map(_digest, references_in(own)))


TERMS = st.recursive(
    st.none().map(lambda _: Atom("nil"))
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.binary(max_size=20)
    | st.text(max_size=10).map(Atom)
    | st.builds(lambda n: Pid("n@h", n, 0, 3), _numbers)
    | st.integers(0, 2**32 - 1).map(lambda n: Ref("n@h", (n, 1, 2), 3)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.binary(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(TERMS)
def test_skipping_a_term_ends_where_it_ends(term: Term) -> None:
    data = etf.encode(term)
    assert skip.interpreted(data + b"rest", 1, len(data) + 4) == len(data)
    assert skip.interpreted(data, 1, len(data) - 1) == -1
    with run("compiled"):
        assert skip(np.frombuffer(data + b"rest", np.uint8), 1, len(data) + 4) == len(data)


@given(st.lists(TERMS, max_size=5))
def test_the_elements_of_a_tuple(terms: list[Term]) -> None:
    data = etf.encode(tuple(terms))
    assert [etf.encode(term)[1:] for term in terms] == [data[slice(*span)] for span in elements(data)]


@given(TERMS, st.binary(max_size=6), st.integers(0, 60))
def test_damaged_messages_look_the_same_in_both_ways(term: Term, junk: bytes, at: int) -> None:
    data = etf.encode((Atom("$gen_call"), (term, [term]), term))
    values = RawValues([data[:at] + junk + data[at:], data[:at] or b"\x83", b"\x83" + junk])
    found = list[list[list[int]]]()
    for way in WAYS:
        with run(way):
            found.append([column.tolist() for column in look(values, np.arange(3), {})])
    assert found[0] == found[1]
    for number, place in enumerate(found[0][2]):
        tag_text(values.bytes(number), place)


@given(st.binary(max_size=50), st.binary(max_size=9), st.sampled_from(WAYS))
def test_a_digest_is_of_the_bytes_alone(data: bytes, before: bytes, way: Way) -> None:
    with run(way):
        own = digest(np.frombuffer(before + data + before, np.uint8), len(before), len(before) + len(data))
    assert own == digest.interpreted(data, 0, len(data))
    assert 0 <= own < 2**63


@given(
    st.lists(st.sampled_from([0, 1, -1, 2**40, -(2**62), 5]) | st.integers(-(2**63), 2**63 - 1)), st.sampled_from(WAYS)
)
def test_equal_numbers_have_one_number(keys: list[int], way: Way) -> None:
    with run(way):
        codes, firsts = numbered(np.array(keys, np.int64))
    distinct = list(dict.fromkeys(keys))
    assert codes.tolist() == [distinct.index(key) for key in keys]
    assert firsts.tolist() == [keys.index(key) for key in distinct]
