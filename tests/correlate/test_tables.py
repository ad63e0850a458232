"""Bindings, sites, and what all tables have in common."""

from __future__ import annotations

from elixirscope.recording.schema import TABLES
from tests.correlate.drawn import Drawn


def test_one_row_for_each_variable() -> None:
    drawn = Drawn("""
        p
        call Shop.buy("A1") as outer
        bind seat = "A1", price = 25     @ :9
        call Shop.pay(1)
        bind left = 0 in outer           @ :12
    """)
    rows = drawn.rows("bindings")
    assert [(row["name"], row["position"], row["line"], drawn.at(row["event"])) for row in rows] == [
        ("seat", 0, 9, 1),
        ("price", 1, 9, 1),
        ("left", 0, 12, 3),
    ]
    assert {drawn.frame(row["call"]) for row in rows} == {"buy/1"}
    assert drawn.text(rows[0]["value"]) == '{"A1", 25}'


def test_sites_count_their_hits() -> None:
    drawn = Drawn("""
        p
        call Shop.buy(1) @ lib/shop.ex:3
        tail Shop.pay/2
        call Shop.buy(2) @ lib/shop.ex:3
    """)
    buy, tail = drawn.rows("sites")
    assert (buy["kind"], buy["hits"], buy["line"], buy["file"], buy["callee"]) == (
        "function",
        2,
        3,
        "lib/shop.ex",
        None,
    )
    assert (tail["kind"], tail["hits"], tail["callee"]) == ("tail", 1, "Shop.pay/2")


def test_a_picture_of_nothing_has_every_table_and_no_rows() -> None:
    drawn = Drawn("a  b")
    assert list(drawn.tables) == list(TABLES)
    assert {name for name, table in drawn.tables.items() if table.num_rows} <= {"processes"}
