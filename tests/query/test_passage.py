"""What passes through hidden processes, and the strip of the whole recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from elixirscope.film import Film
from elixirscope.pictures import record
from elixirscope.query.density import coded, whole
from elixirscope.query.timeline import timeline

_RELAY = """
processes: client, router, cache, seats
 1  client call BoxOffice.sell("A1")
 2  client -> router  {:ask, 1}
 3  router -> cache  {:look, 1}
 4  cache -> seats  {:put, 1}
 5  seats -> client  :done
 6  client -> router  {:ask, 2}
 7  router -> client  :no
 8  client return :sold
 9  seats exits {:badkey, :a1}
"""


@pytest.fixture
def film(tmp_path: Path) -> Film:
    """A client whose question reaches the seats by way of two others."""
    return Film.open(record(_RELAY, tmp_path / "relay.scope"))


NAMES = ("client", "router", "cache", "seats")


def number(*names: str) -> list[int]:
    """The numbers of processes by their names in the picture."""
    return [NAMES.index(name) for name in names]


def passed(
    film: Film, shown: tuple[str, ...], through: tuple[str, ...]
) -> list[tuple[int | None, int | None, list[int]]]:
    """Who reached whom, and by way of whom."""
    drawn = timeline(film.query, 0, film.info.duration_ns, 1000, number(*shown), number(*through))
    return [(a.sender, a.to, a.via) for a in drawn.messages if a.kind == "passage"]


def test_causality_goes_through_hidden_processes(film: Film) -> None:
    client, router, cache, seats = number("client", "router", "cache", "seats")
    assert passed(film, ("client", "seats"), ("router", "cache")) == [(client, seats, [router, cache])]
    assert passed(film, ("client", "seats", "cache"), ("router",)) == [(client, cache, [router])]


def test_what_comes_back_to_its_sender_passed_nowhere(film: Film) -> None:
    assert passed(film, ("client",), ("router",)) == []


def test_a_process_that_is_simply_not_asked_for_passes_nothing(film: Film) -> None:
    assert passed(film, ("client", "seats"), ("router",)) == []
    assert passed(film, ("client", "seats"), ()) == []


def test_a_passage_is_never_certain(film: Film) -> None:
    shown, through = number("client", "seats"), number("router", "cache")
    drawn = timeline(film.query, 0, film.info.duration_ns, 1000, shown, through)
    assert [a.certain for a in drawn.messages if a.via] == [False]
    assert all(a.via == [] for a in drawn.messages if a.kind != "passage")


def test_the_strip_counts_every_event_once(film: Film) -> None:
    for buckets in (1, 3, 100):
        _, events, errors = whole(film.query, buckets)
        assert events.sum() == film.info.events
        assert errors.sum() == 1  # the crash
        assert len(events) <= buckets
    assert np.array_equal(coded(film.query), number("client"))
