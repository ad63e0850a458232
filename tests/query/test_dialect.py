"""`at` and `end` are columns, and still the words they are elsewhere."""

import pytest

from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.dialect import quote_words


@pytest.mark.parametrize(
    ("written", "run"),
    [
        ("select at, end from calls order by at desc", 'select "at", "end" from calls order by "at" desc'),
        ("select e.at from events e", 'select e."at" from events e'),
        ("select case when at > 1 then 1 end, end", 'select case when "at" > 1 then 1 end, "end"'),
        ("select case when end > 1 then end else end end", 'select case when "end" > 1 then "end" else "end" end'),
        ("select 'at end', \"at\", /* end */ 1 -- at", "select 'at end', \"at\", /* end */ 1 -- at"),
        ("select now() at time zone 'utc'", "select now() at time zone 'utc'"),
        ("select format, ending from t", "select format, ending from t"),
        ("select 'it''s at'", "select 'it''s at'"),
    ],
)
def test_quoting(written: str, run: str) -> None:
    assert quote_words(written) == run


def test_they_work_in_queries(query: QueryCoordinator) -> None:
    rows = query.sql(
        "select start, end, case when end > start then 1 end from calls where end is not null limit 1"
    ).rows
    assert rows[0][2] == 1
