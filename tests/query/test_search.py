"""Search for values: by pattern and by text, paged, and the same whether a recording is sealed or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from elixirscope.errors import QueryError, UsageError
from elixirscope.film import Film
from elixirscope.query import pages
from elixirscope.query import search as search_module
from elixirscope.query.cancellation import Cancellation
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.pages import messages_page
from elixirscope.query.patterns import parse
from elixirscope.query.search import KINDS, Scan, find, is_pattern, scan
from elixirscope.recording.values import Values
from tests.dags.conftest import Draw
from tests.dags.drawn import SALE, Drawn


def told(sale: Drawn, text: str, *kinds: str) -> list[tuple[str, str, str]]:
    return [(hit.kind, hit.label, hit.where) for hit in find(sale.query, text, kinds).hits]


def test_every_place_of_a_value(sale: Drawn) -> None:
    assert told(sale, "{:sold, _, 1}") == [
        ("result", "result of TicketOffice.Ledger.enter/2", ""),
        ("binding", "receipt in TicketOffice.Seats.handle_call/3", "{0}"),
        ("result", "result of TicketOffice.Seats.handle_call/3", "{1}"),
        ("message", "sends reply {:sold, _, _} to Client.buy/2", "{1}"),
        ("binding", "receipt in TicketOffice.Client.buy/2", "{0}"),
        ("result", "result of TicketOffice.Client.buy/2", ""),
    ]
    assert [kind for kind, *_ in told(sale, "{:sold, _, 1}", "message", "result")] == [
        "result",
        "result",
        "message",
        "result",
    ]
    assert told(sale, '%{sold: %{"A1" => who}}', "state") == [("state", "state 1", "")]
    assert told(sale, '"A1"', "argument")[0] == ("argument", "argument 1 of TicketOffice.Client.buy/2", "{0}")


def test_pages_count_all(sale: Drawn) -> None:
    whole = find(sale.query, '"A1"')
    pages = [find(sale.query, '"A1"', limit=2, offset=at) for at in range(0, whole.total + 2, 2)]
    assert [hit for page in pages for hit in page.hits] == whole.hits
    assert {page.total for page in pages} == {len(whole.hits)}
    assert whole.complete
    assert whole.searched == whole.values == len(sale.query.recording.values)


def test_texts_are_found_in_strings_and_atoms(sale: Drawn) -> None:
    assert find(sale.query, "RESERVE", plain=True).total == find(sale.query, ":reserve").total > 0


def test_a_search_stops_after_its_time_and_goes_on(sale: Drawn) -> None:
    search = Scan(sale.query, parse("{:sold, _, _}"))
    whole = Scan(sale.query, parse("{:sold, _, _}")).matches()
    assert search.matches(0).tolist() == whole[: len(search.matches(0))].tolist()
    while not search.complete:
        search.matches(0)
    assert search.matches().tolist() == whole.tolist()


class Plain:
    """Values that are only known one by one."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def bytes(self, value: int) -> bytes:
        return self._values.bytes(value)


def test_an_unsealed_recording_is_searched_alike(sale: Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Scan(sale.query, parse('"A1"')).matches().tolist()
    search = Scan(sale.query, parse('"A1"'))
    monkeypatch.setattr(search, "_values", Plain(sale.query.recording.values))
    assert search.matches().tolist() == expected


def test_a_search_of_messages_says_how_far_it_is(drawn: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    query = drawn(SALE).query
    monkeypatch.setattr(pages, "SECONDS", -1.0)
    monkeypatch.setattr(search_module, "_AT_ONCE", 1)
    monkeypatch.setattr(scan(query, ":ann", plain=True), "_values", Plain(query.recording.values))
    shown = [messages_page(query, search=":ann") for _ in range(len(query.recording.values))]
    assert [page.searched for page in shown] == list(range(1, len(shown) + 1))
    assert [page.complete for page in shown] == [*[False] * (len(shown) - 1), True]
    assert messages_page(query).complete


def test_a_cancelled_search_stops_and_can_go_on(sale: Drawn) -> None:
    stop, search = Cancellation(), Scan(sale.query, parse("{:sold, _, _}"))
    with stop.asking():
        stop.cancel()
        with pytest.raises(QueryError, match="cancelled"):
            search.matches()
    assert search.searched == 0
    assert search.matches().tolist() == Scan(sale.query, parse("{:sold, _, _}")).matches().tolist()


def test_messages_by_pattern(sale: Drawn) -> None:
    page = messages_page(sale.query, pattern="{:reserve, _, who} when who == :ann")
    assert [row.tag for row in page.messages] == ["{:reserve, _, _}"]
    assert page.total == 1
    assert messages_page(sale.query, pattern=":nothing").total == 0


@pytest.mark.parametrize(
    "text", ["%{a: 1}", "{:ok, _}", "[1]", ":ok", '"x"', "<<1>>", "12", "-1.5", 'pid("0.1.2")', "a | b"]
)
def test_shapes_are_told_from_names(text: str) -> None:
    assert is_pattern(text)


@pytest.mark.parametrize(
    "text", ["Seats", "spring sale", "Till.total/2", "free?", "TicketOffice.Seats", "test a seat", "e12"]
)
def test_names_are_told_from_shapes(text: str) -> None:
    assert not is_pattern(text)


def test_wrong_questions(query: QueryCoordinator) -> None:
    with pytest.raises(UsageError, match="no kind"):
        find(query, "{:ok, _}", ["colour"])
    with pytest.raises(UsageError, match="not Elixir"):
        find(query, "{:ok, ")


@pytest.mark.beam
def test_a_real_recording_against_looking_at_every_value(example_recording: Path) -> None:
    query = Film.open(example_recording).query
    pattern = parse("{:put, seat, _} when is_binary(seat)")
    values = query.recording.values
    plain = [n for n in range(len(values)) if next(pattern.find(values.term(n)), None) is not None]
    assert Scan(query, pattern).matches().tolist() == plain
    assert plain
    for kind in KINDS:
        page = find(query, "%TicketOffice.PromoCode{percent: nil}", [kind], limit=1_000)
        assert page.total == len(page.hits)
        assert all("percent: nil" in hit.value.text for hit in page.hits)
    assert find(query, "%TicketOffice.PromoCode{percent: nil}", ["argument"]).total > 0
