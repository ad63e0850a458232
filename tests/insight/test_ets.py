"""Check-then-act races on ETS tables."""

from __future__ import annotations

from elixirscope.insight import Finding
from tests.insight.conftest import Investigate

OPENING = """
processes: main, ada, joe
main spawns ada running Client.run/0
main spawns joe running Client.run/0
ada call Cache.take("A1", :ada) @ lib/cache.ex:4
joe call Cache.take("A1", :joe) @ lib/cache.ex:4
"""


def look(client: str, key: str = "A1", found: str = "[]") -> str:
    return (
        f'{client} external :ets.lookup(:seats, "{key}") @ lib/cache.ex:5\n{client} return {found} @ lib/cache.ex:5\n'
    )


def insert(client: str, key: str = "A1", function: str = "insert") -> str:
    return (
        f'{client} external :ets.{function}(:seats, {{"{key}", :{client}}}) @ lib/cache.ex:8\n'
        f"{client} return true @ lib/cache.ex:8\n"
    )


def races(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.kind == "race"]


def test_looking_up_and_writing_over_what_another_wrote_is_a_race(found: Investigate) -> None:
    (race,) = races(found(OPENING + look("ada") + look("joe") + insert("joe") + insert("ada")))
    assert race.title.startswith('Race: key "A1" taken twice')
    assert race.location is not None
    assert (race.location.function, race.location.file, race.location.line) == ("take", "lib/cache.ex", 5)


def test_one_after_the_other_is_none(found: Investigate) -> None:
    assert races(found(OPENING + look("ada") + insert("ada") + look("joe") + insert("joe"))) == []


def test_other_keys_are_none(found: Investigate) -> None:
    assert races(found(OPENING + look("ada") + look("joe", "A2") + insert("joe", "A2") + insert("ada"))) == []


def test_insert_new_decides_by_itself(found: Investigate) -> None:
    picture = OPENING + look("ada") + look("joe") + insert("joe") + insert("ada", function="insert_new")
    assert races(found(picture)) == []


def test_a_table_is_not_advised_to_check_by_itself(found: Investigate) -> None:
    (race,) = races(found(OPENING + look("ada") + look("joe") + insert("joe") + insert("ada")))
    assert ":ets.insert_new/2" in race.suggestion
