"""What makes a program slow: mailboxes that grow, questions asked one by one, processes that pile up."""

from __future__ import annotations

import pytest

from elixirscope.insight import Finding
from tests.insight.conftest import Investigate

SHOP = """
processes: main, repo, metrics
main starts repo running Shop.Repo.init/1 as Shop.Repo
main starts metrics running Shop.Metrics.init/1 as Shop.Metrics
main -> metrics cast :begin
metrics callback Shop.Metrics.handle_cast(:begin) @ lib/metrics.ex:5
metrics return {:noreply, %{}}
"""
TEST = 'main test "renders" of Shop.PageTest starts @ test/page_test.exs:9\n'


def of(kind: str, findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.kind == kind]


def rendered(times: int, each_ms: int, users: int = 7) -> str:
    """A page that asks for the user of each of its rows."""
    picture = '1ms main call Shop.Page.render("Ada") @ lib/page.ex:3\n'
    for n in range(times):
        user = n % users
        picture += f"""
main call Shop.Page.row({n}) @ lib/page.ex:9
main -> repo call {{:get, :users, {user}}} as q{n}
repo callback Shop.Repo.handle_call({{:get, :users, {user}}}, main) @ lib/repo.ex:8
{1 + (n + 1) * each_ms}ms repo return {{:reply, :user}}
repo -> main reply :user to q{n}
main return :row
"""
    return picture + "main return :page\n"


def counted(messages: int, taken: int, every_ms: int) -> str:
    """Counts sent all at once, of which the server takes one at a time."""
    picture = "1ms main call Shop.Page.count_all() @ lib/page.ex:20\n"
    picture += "".join(f"main -> metrics cast {{:count, {n}}}\n" for n in range(messages))
    for n in range(taken):
        picture += f"metrics callback Shop.Metrics.handle_cast({{:count, {n}}}) @ lib/metrics.ex:6\n"
        picture += f"{2 + (n + 1) * every_ms}ms metrics return {{:noreply, %{{}}}}\n"
    return picture


def test_a_loop_that_asks_for_each_element_is_a_repetition(found: Investigate) -> None:
    (finding,) = of("repetition", found(SHOP + rendered(30, 4)))
    assert finding.title == (
        "Repetition: Shop.Page.render/1 asks Repo {:get, :users, 0} and the like 30 times, one after the other"
    )
    assert finding.location is not None
    assert (finding.location.file, finding.location.function) == ("lib/page.ex", "render")
    assert "Only 7 of the first 30 requests differ" in finding.explanation
    assert finding.suggestion.endswith("before the loop, and keep the answers.")
    assert [step.moment.event for step in finding.evidence] == sorted(
        step.moment.event or 0 for step in finding.evidence
    )


@pytest.mark.parametrize(("times", "each_ms"), [(19, 40), (40, 1)])
def test_few_questions_and_quick_ones_are_none(found: Investigate, times: int, each_ms: int) -> None:
    assert not of("repetition", found(SHOP + rendered(times, each_ms)))


def test_a_server_that_falls_behind_is_overloaded(found: Investigate) -> None:
    (finding,) = of("overload", found(SHOP + counted(260, 120, 1)))
    assert finding.title.startswith("Overload: Metrics fell behind, 260 messages waited at once")
    assert finding.location is not None
    assert (finding.location.file, finding.location.line) == ("lib/metrics.ex", 6)
    assert "was still waiting at the end" in finding.explanation


def test_a_burst_that_is_soon_handled_is_none(found: Investigate) -> None:
    assert not of("overload", found(SHOP + counted(90, 90, 2)))


def test_suites_that_pass_are_left_alone(found: Investigate) -> None:
    load = SHOP + TEST + counted(260, 120, 1)
    assert not of("overload", found(load + 'main test "renders" of Shop.PageTest passed\n'))


def test_what_failed_a_test_is_read_before_what_made_it_slow(found: Investigate) -> None:
    load = SHOP + TEST + counted(260, 120, 1) + 'main test "renders" of Shop.PageTest failed "too slow"\n'
    assert [finding.kind for finding in found(load)] == ["test", "overload"]


def test_processes_that_do_not_end_pile_up(found: Investigate) -> None:
    names = [f"s{n}" for n in range(120)]
    picture = f"processes: main, {', '.join(names)}\n"
    picture += "".join(f"{n}ms main spawns {name} running Shop.Session.init/1\n" for n, name in enumerate(names))
    (finding,) = of("leak", found(picture))
    assert finding.title == "Leak: 120 processes of Shop.Session were started, and they do not end"


def test_a_pool_that_is_filled_at_once_is_no_leak(found: Investigate) -> None:
    names = [f"s{n}" for n in range(120)]
    picture = f"processes: main, {', '.join(names)}\n"
    picture += "".join(f"main spawns {name} running Shop.Session.init/1\n" for name in names)
    assert not of("leak", found(picture + '900ms main mark "much later"\n'))
