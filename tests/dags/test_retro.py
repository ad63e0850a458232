"""Retroactive prints: an expression at every passing of a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from elixirscope.dags.retro import passings, retro
from elixirscope.errors import NotFoundError, UsageError
from elixirscope.film import Film
from tests.dags.conftest import Draw

SHOP = """
    processes: shop
     1 shop call Shop.price(1) @ lib/shop.ex:3
     2 shop bind base = 10 @ lib/shop.ex:4
     3 shop bind factor = 2 @ lib/shop.ex:4
     4 shop return 20 @ lib/shop.ex:5
     5 shop call Shop.price(2) @ lib/shop.ex:3
     6 shop bind base = nil @ lib/shop.ex:4
     7 shop bind factor = 3 @ lib/shop.ex:4
     8 shop raise :error, :badarith @ lib/shop.ex:5
"""


def test_each_passing_has_its_value_or_its_error(drawn: Draw) -> None:
    film = drawn(SHOP)
    answer = retro(film.query, "lib/shop.ex", 4, '"#{base} x #{factor}"')
    assert [(p.moment.event, p.value.text if p.value else None) for p in answer.prints] == [
        (2, '"10 x 2"'),
        (6, '" x 3"'),
    ]
    failing = retro(film.query, "lib/shop.ex", 4, "base * factor")
    assert [(p.value.text if p.value else None, p.error) for p in failing.prints] == [
        ("20", None),
        (None, "a number was expected, not nil"),
    ]
    assert (failing.total, failing.next, failing.skipped) == (2, None, 0)


def test_pages_and_conditions(drawn: Draw) -> None:
    film = drawn(SHOP)
    first = retro(film.query, "lib/shop.ex", 4, "factor", limit=1)
    assert (first.total, first.next) == (2, 1)
    second = retro(film.query, "lib/shop.ex", 4, "factor", limit=1, offset=1)
    assert [p.value.text for p in second.prints if p.value] == ["3"]
    only = retro(film.query, "lib/shop.ex", 4, "factor", only="base > 5 and base < :a")
    assert ([p.value.text for p in only.prints if p.value], only.skipped) == (["2"], 1)


def test_a_line_without_bindings_is_passed_by_whatever_was_recorded_there(drawn: Draw) -> None:
    film = drawn(SHOP)
    assert len(passings(film.query, "lib/shop.ex", 5)) == 2
    assert [p.value.text for p in retro(film.query, "lib/shop.ex", 5, "factor").prints if p.value] == ["2", "3"]


def test_wrong_questions_name_what_there_is(drawn: Draw) -> None:
    film = drawn(SHOP)
    with pytest.raises(NotFoundError, match=r"nothing was recorded at lib/shop.ex:9") as error:
        retro(film.query, "lib/shop.ex", 9, "1")
    assert "3, 4, 5" in error.value.hint
    with pytest.raises(NotFoundError) as error:
        retro(film.query, "lib/other.ex", 9, "1")
    assert "lib/shop.ex" in error.value.hint
    with pytest.raises(UsageError):
        retro(film.query, "lib/shop.ex", 4, "System.halt()")


@pytest.mark.beam
def test_a_real_line(example_recording: Path) -> None:
    query = Film.open(example_recording).query
    (site,) = query.rows(
        "select file, line from raw.sites where kind = 'bind' and vars = ['price'] and file like '%box_office.ex'"
    )
    answer = retro(query, site["file"], site["line"], "{seat, price}", limit=1_000)
    assert answer.prints
    assert answer.total == len(answer.prints)
    assert all(p.value is not None and p.value.text.startswith('{"') for p in answer.prints)


@pytest.mark.beam
def test_closures_that_a_line_makes_are_counted_apart(example_recording: Path) -> None:
    query = Film.open(example_recording).query
    seats = "from raw.sites where file like '%seats.ex'"
    (line,) = query.rows(  # put_in/2 makes two closures
        f"select file, line, max(hits) as hits {seats} and kind = 'return' and line in"
        f" (select line {seats} and kind = 'fn' group by line having count(*) = 2) group by file, line"
    )
    answer = retro(query, line["file"], line["line"], "customer", limit=1_000)
    assert answer.total - answer.closures == line["hits"]
    assert answer.closures == 2 * line["hits"]
    assert len([p for p in answer.prints if p.value]) == line["hits"]
