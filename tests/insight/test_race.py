"""Check-then-act races on a server: those that are, and what must not be taken for one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elixirscope.insight import Finding, investigate
from elixirscope.moment import Moment
from tests.insight.conftest import Investigate, dags_of
from tests.insight.scenes import OPENING, free, put, sell, turn

RACE = "".join(
    [
        OPENING,
        sell("ada", "A1"),
        sell("joe", "A1"),
        free("ada", "A1"),
        free("joe", "A1"),
        put("joe", "A1", A1="joe"),
        put("ada", "A1", A1="ada"),
    ]
)


def request_name(request: str, client: str) -> str:
    return f"{client}_{''.join(filter(str.isalnum, request))}"


def races(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.kind == "race"]


def test_a_seat_sold_twice_is_a_race(found: Investigate) -> None:
    (race,) = races(found(RACE))
    assert race.title == 'Race: seat "A1" sold twice — two processes checked before either acted'
    assert race.confidence >= 0.9
    assert race.location is not None
    assert (race.location.module, race.location.function, race.location.arity) == ("Office.BoxOffice", "sell", 2)
    assert (race.location.file, race.location.line) == ("lib/box_office.ex", 7)
    assert ":put" in race.suggestion


def test_the_evidence_of_a_race_shows_both_acts_at_their_moments(found: Investigate) -> None:
    (race,) = races(found(RACE))
    times = [step.moment.at for step in race.evidence]
    assert times == sorted(times)
    assert all(isinstance(step.moment, Moment) and step.moment.event is not None for step in race.evidence)
    texts = [step.text for step in race.evidence]
    assert any('{:put, "A1", "joe"}' in text for text in texts)
    assert any('{:put, "A1", "ada"}' in text and "not knowing" in text for text in texts)
    assert any('"joe" became "ada"' in text for text in texts)


def test_one_process_after_the_other_is_no_race(found: Investigate) -> None:
    picture = [OPENING, sell("ada", "A1"), free("ada", "A1"), put("ada", "A1", A1="ada")]
    picture += [sell("joe", "A2"), free("joe", "A2"), put("joe", "A2", A1="ada", A2="joe")]
    assert races(found("".join(picture))) == []


def test_different_seats_do_not_race(found: Investigate) -> None:
    picture = [OPENING, sell("ada", "A1"), sell("joe", "A2"), free("ada", "A1"), free("joe", "A2")]
    picture += [put("joe", "A2", A2="joe"), put("ada", "A1", A1="ada", A2="joe")]
    assert races(found("".join(picture))) == []


def test_a_server_that_checks_when_it_acts_does_not_race(found: Investigate) -> None:
    refused = f"""
ada call Office.Seats.put("A1", "ada")
{turn("ada", '{:put, "A1", "ada"}', "{:error, :taken}")}
ada return {{:error, :taken}}
"""
    picture = [OPENING, sell("ada", "A1"), sell("joe", "A1"), free("ada", "A1"), free("joe", "A1")]
    picture += [put("joe", "A1", A1="joe"), refused]
    assert races(found("".join(picture))) == []


def test_a_look_that_nothing_follows_is_no_race(found: Investigate) -> None:
    picture = [OPENING, sell("ada", "A1"), free("ada", "A1"), sell("joe", "A1"), put("joe", "A1", A1="joe")]
    assert races(found("".join(picture))) == []


def test_who_waited_for_the_other_knows_what_it_did(found: Investigate) -> None:
    picture = [OPENING, sell("ada", "A1"), free("ada", "A1"), sell("joe", "A1"), put("joe", "A1", A1="joe")]
    picture += ["joe -> ada {:have_it, :seat}\n", put("ada", "A1", A1="ada")]
    assert races(found("".join(picture))) == []


def test_check_and_act_of_two_operations_do_not_belong_together(found: Investigate) -> None:
    picture = [OPENING, sell("ada", "A1"), free("ada", "A1"), "ada return :later\n"]
    picture += [sell("joe", "A1"), put("joe", "A1", A1="joe"), sell("ada", "A1"), put("ada", "A1", A1="ada")]
    assert races(found("".join(picture))) == []


COUNTER = """
processes: main, counter, ada, joe
main starts counter running Counter.init/1
counter callback Counter.init([])
counter state %{count: 5}
counter return {:ok, %{}}
main spawns ada running Client.run/0
main spawns joe running Client.run/0
ada call Client.increment()
joe call Client.increment()
"""


def step(client: str, request: str, answer: str, state: str = "unchanged") -> str:
    return f"""
{client} -> counter call {request} as {request_name(request, client)}
counter callback Counter.handle_call({request}, {client})
counter state {state}
counter return {{:reply, {answer}}}
counter -> {client} reply {answer} to {request_name(request, client)}
"""


def test_a_lost_update_is_a_race(found: Investigate) -> None:
    lost = step("ada", ":get", "5") + step("joe", ":get", "5")
    lost += step("joe", "{:set, 6}", ":ok", "%{count: 6}") + step("ada", "{:set, 7}", ":ok", "%{count: 7}")
    (race,) = races(found(COUNTER + lost))
    assert race.location is not None
    assert race.location.function == "increment"
    assert 0.5 < race.confidence < 0.95


def test_who_asks_again_before_acting_acts_on_what_is(found: Investigate) -> None:
    asked = step("ada", ":get", "5") + step("joe", "{:set, 6}", ":ok", "%{count: 6}")
    asked += step("ada", "{:get, :again}", "6") + step("ada", "{:set, 7}", ":ok", "%{count: 7}")
    assert races(found(COUNTER + asked)) == []


def test_an_answer_that_was_given_late_tells_what_was_then(found: Investigate) -> None:
    late = """
ada -> counter call :get_in_turn as waiting
counter callback Counter.handle_call(:get_in_turn, ada)
counter state unchanged
counter return {:noreply, :state}
"""
    late += step("joe", "{:set, 6}", ":ok", "%{count: 6}") + "counter -> ada reply 6 to waiting\n"
    late += step("ada", "{:set, 7}", ":ok", "%{count: 7}")
    assert races(found(COUNTER + late)) == []


def test_the_same_request_again_decides_anew(found: Investigate) -> None:
    locks = step("ada", '{:lock, "A1", 1}', ":refused")
    locks += step("joe", '{:unlock, "A1"}', ":ok", '%{locks: %{"A1" => :free}}')
    locks += step("ada", '{:lock, "A1", 2}', ":locked", '%{locks: %{"A1" => :ada}}')
    assert races(found(COUNTER.replace("%{count: 5}", '%{locks: %{"A1" => :joe}}') + locks)) == []


def test_who_changed_the_place_itself_builds_on_that(found: Investigate) -> None:
    own = step("ada", '{:look, "A1"}', ":joe") + step("joe", '{:unlock, "A1"}', ":ok", '%{locks: %{"A1" => :free}}')
    own += step("ada", '{:lock, "A1"}', ":ok", '%{locks: %{"A1" => :ada}}')
    own += step("ada", '{:keep, "A1"}', ":ok", '%{locks: %{"A1" => :kept}}')
    found_races = races(found(COUNTER.replace("%{count: 5}", '%{locks: %{"A1" => :joe}}') + own))
    assert [":keep" in race.explanation for race in found_races] == [False]


def test_increments_within_the_server_do_not_race(found: Investigate) -> None:
    picture = """
processes: main, counter, ada, joe
main starts counter running Counter.init/1
counter callback Counter.init([])
counter state %{count: 5}
counter return {:ok, %{}}
main spawns ada running Client.run/0
main spawns joe running Client.run/0
ada call Client.show_and_increment()
"""
    for client, request, answer, state in [
        ("ada", ":get", "5", "unchanged"),
        ("joe", ":increment", ":ok", "%{count: 6}"),
        ("ada", ":increment", ":ok", "%{count: 7}"),
    ]:
        picture += f"""
{client} -> counter call {request} as {request_name(request, client)}
counter callback Counter.handle_call({request}, {client})
counter state {state}
counter return {{:reply, {answer}}}
counter -> {client} reply {answer} to {request_name(request, client)}
"""
    assert races(found(picture)) == []


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(["ada", "joe"]), st.sampled_from(["A1", "A2"])), max_size=8))
def test_no_race_in_any_serial_history(sales: list[tuple[str, str]]) -> None:
    picture, holders = OPENING, dict[str, str]()
    for client, seat in sales:
        picture += sell(client, seat) + free(client, seat, "false" if seat in holders else "true")
        if seat in holders:
            picture += f"{client} return :taken\n"
        else:
            holders[seat] = client
            picture += put(client, seat, **holders)
    with tempfile.TemporaryDirectory() as folder:
        assert races(investigate(dags_of(picture, Path(folder) / "serial.scope"))) == []


BANK = """
processes: main, store, ada, joe
main starts store running Bank.Store.init/1 as Bank.Store
store callback Bank.Store.init([]) @ lib/store.ex:2
store state %{"kim" => 0}
store return {:ok, %{}}
main spawns ada running Bank.Client.run/0
main spawns joe running Bank.Client.run/0
ada call Bank.deposit("kim", 5) @ lib/bank.ex:3
joe call Bank.deposit("kim", 5) @ lib/bank.ex:3
"""


def asked(client: str, request: str, answer: str, state: str, function: str) -> str:
    name = f"{client}_{function}"
    return f"""
{client} -> store call {request} as {name}
store callback Bank.Store.handle_call({request}, {client}) @ lib/store.ex:7
store state {state}
store return {{:reply, {answer}}}
store -> {client} reply {answer} to {name}
"""


def read(client: str, answer: str) -> str:
    return f"""
{client} call Bank.Store.balance("kim") @ lib/store.ex:4
{asked(client, '{:get, "kim"}', answer, "unchanged", "get")}
{client} return {answer}
"""


def tail_put(client: str, value: str, state: str) -> str:
    """The write in tail position: the function that read is gone when it is made."""
    return f"""
{client} tail Bank.Store.put/2
{client} call Bank.Store.put("kim", {value}) @ lib/store.ex:5
{asked(client, f'{{:put, "kim", {value}}}', ":ok", state, "put")}
{client} return :ok
"""


def test_two_that_add_to_the_same_number_lose_one_of_their_changes(found: Investigate) -> None:
    picture = BANK + read("ada", "0") + read("joe", "0")
    picture += tail_put("ada", "5", '%{"kim" => 5}') + tail_put("joe", "5", "unchanged")
    (race,) = races(found(picture))
    assert race.title == 'Race: key "kim" changed twice — two processes checked before either acted'
    assert race.location is not None
    assert (race.location.function, race.location.file) == ("deposit", "lib/bank.ex")
    assert "one of the two changes is lost" in race.explanation
    assert "compute the new value" in race.suggestion
    assert any("it was 5 already, so one of the two is lost" in step.text for step in race.evidence)


def test_two_that_store_the_same_text_may_mean_the_same(found: Investigate) -> None:
    picture = BANK + read("ada", "nil") + read("joe", "nil")
    picture += tail_put("ada", '"open"', '%{"kim" => "open"}') + tail_put("joe", '"open"', "unchanged")
    assert not races(found(picture))


def test_one_after_the_other_loses_nothing(found: Investigate) -> None:
    picture = BANK + read("ada", "0") + tail_put("ada", "5", '%{"kim" => 5}')
    picture += read("joe", "5") + tail_put("joe", "5", "unchanged")
    assert not races(found(picture))


def test_the_turns_of_a_loop_are_not_one_check_and_act(found: Investigate) -> None:
    again = """
ada tail Bank.deposit/2
ada call Bank.deposit("kim", 5) @ lib/bank.ex:3
"""
    picture = BANK + read("ada", "0") + again + tail_put("joe", "5", '%{"kim" => 5}')
    picture += tail_put("ada", "7", '%{"kim" => 7}')
    assert not races(found(picture))
