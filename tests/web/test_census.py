"""Each edition tells a page what is new of processes: put together it has what a page has that is told all."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elixirscope.film import Film
from elixirscope.web.census import Census
from elixirscope.web.server import serving
from elixirscope.web.showing import Showing

Row = dict[str, Any]

EDITIONS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), unique_by=lambda row: row[0], max_size=6),
        st.booleans(),
    ),
    max_size=12,
)


def merged(page: dict[int, Row], told: dict[str, Any]) -> dict[int, Row]:
    """What the page does with an answer: `counted` in ui/src/lib/census.ts."""
    fresh = {row["process"]: row for row in told["processes"]}
    return {process: (page | fresh)[process] for process in told.get("order", fresh)}


@given(EDITIONS)
def test_put_together_it_is_all_there_is(editions: list[tuple[list[tuple[int, int]], bool]]) -> None:
    """Also of a page that asks seldom, and comes with a version that is kept no more."""
    census = Census()
    often, seldom = dict[int, Row](), dict[int, Row]()
    versions = {"often": "", "seldom": ""}
    for rows, asks in editions:
        shown = [{"process": process, "events": events} for process, events in rows]
        told = census.news([dict(row) for row in shown], versions["often"])
        before, often, versions["often"] = often, merged(often, told), told["version"]
        assert list(often.values()) == shown
        if "order" in told:
            assert all(before.get(row["process"]) != row for row in told["processes"]), "told what it had"
        if asks:
            told = census.news([dict(row) for row in shown], versions["seldom"])
            seldom, versions["seldom"] = merged(seldom, told), told["version"]
            assert list(seldom.values()) == shown


@pytest.mark.beam
def test_of_a_recording_that_is_made_only_news_are_sent(film: Film) -> None:
    showing = Showing(film, "recording")
    with serving(showing) as server:
        headers = {"authorization": f"Bearer {server.token}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}/api", headers=headers, timeout=30) as client:
            first = client.get("/processes", params={"known": ""}).json()
            again = client.get("/processes", params={"known": first["version"]}).json()
            other = client.get("/processes", params={"known": "another server's"}).json()
            showing.show(film, "sealed")
            sealed = client.get("/processes", params={"known": first["version"]}).json()
            script = client.get("/processes").json()
    assert again == {**first, "processes": [], "order": [row["process"] for row in first["processes"]]}
    assert other == first
    assert sealed == again
    assert script == {name: first[name] for name in ("processes", "total", "more")}
