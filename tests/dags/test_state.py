"""State evolution DAG: versions, differences, and who made them."""

import pytest

from elixirscope.dags.diff import Change
from elixirscope.errors import NotFoundError
from elixirscope.moment import UNKNOWN_TIME, Moment
from elixirscope.query.paths import at_path
from elixirscope.recording.format import Kind
from elixirscope.recording.terms import MORE_KEY, Atom, ImproperList, Truncated
from tests.dags.conftest import Draw
from tests.dags.drawn import Drawn


def test_the_state_at_a_time_and_who_changed_it(sale: Drawn) -> None:
    seats = sale.process("seats")
    before, after = sale.dags.state.at(seats, 24_999), sale.dags.state.at(seats, 25_000)
    assert (before.version, before.at, before.name) == (0, 3_000, "Seats")
    assert before.value == '%{free: ["A1", "A2"], sold: %{}}'
    assert (after.version, after.value) == (1, '%{free: ["A2"], sold: %{"A1" => :ann}}')
    assert after.changed_by == "handle_call/3 of call {:reserve, _, _} from Client.buy/2"


def test_a_process_without_states_is_told_with_those_that_have_some(sale: Drawn) -> None:
    with pytest.raises(NotFoundError, match="no state of Client") as error:
        sale.dags.state.at(sale.process("client"), 20_000)
    assert "Seats" in error.value.hint


def test_before_the_first_state_it_says_when_the_first_is(sale: Drawn) -> None:
    with pytest.raises(NotFoundError) as error:
        sale.dags.state.at(sale.process("seats"), 10)
    assert "3000ns" in error.value.hint


def test_differences_have_paths(sale: Drawn) -> None:
    first, second = (version.state for version in sale.dags.state.history(sale.process("seats")))
    assert sale.dags.state.diff(first, second) == [
        Change(".free[0]", "remove", '"A1"', None),
        Change('.sold["A1"]', "add", None, ":ann"),
    ]
    with pytest.raises(NotFoundError, match="not a state"):
        sale.dags.state.diff(0, second)


def test_nodes_and_edges(sale: Drawn) -> None:
    kinds = [node["kind"] for node in sale.dags.state.nodes().to_pylist()]
    (edge,) = sale.dags.state.edges().to_pylist()
    assert kinds == ["initial", "version"]
    assert (edge["kind"], edge["certain"], edge["reason"]) == ("transition", True, "handle_call/3 of {:reserve, _, _}")


def test_a_restart_joins_the_lives_and_their_states(drawn: Draw) -> None:
    film = drawn("""
        processes: top, sup, first, second
         0 top starts sup supervising Pool.Supervisor as Pool.Supervisor
         1 sup starts first running Pool.Worker.init/1
         2 first callback Pool.Worker.init([])
         3 first state %{jobs: 0}
         4 first return :ok
         5 first callback Pool.Worker.handle_cast(:job)
         6 first state before %{jobs: 0}
         7 first state %{jobs: 1}
         8 first exits :boom
         9 sup receives {:EXIT, first, :boom}
        10 sup starts second running Pool.Worker.init/1
        11 second callback Pool.Worker.init([])
        12 second state %{jobs: 0}
        13 second return :ok
    """)
    edges = film.dags.state.edges().to_pylist()
    assert [(e["kind"], e["certain"]) for e in edges] == [("transition", True), ("restart", False)]
    assert film.dags.state.diff(edges[1]["source"], edges[1]["target"]) == [Change(".jobs", "change", "1", "0")]
    made = film.dags.state.changed(film.process("second"), ".jobs", 100_000)  # anew, if to what it was in the beginning
    assert made.version is not None
    assert (made.version.version, made.version.restart) == (0, True)
    lives = [(e["source"], e["target"]) for e in film.dags.interaction.edges().to_pylist() if e["kind"] == "restart"]
    assert lives == [(film.process("first"), film.process("second"))]


def test_who_last_changed_a_path(drawn: Draw) -> None:
    film = drawn("""
        processes: box
         1 box callback Box.init([])
         2 box state %{a: 1, b: 1}
         3 box return :ok
         4 box callback Box.handle_cast(:a)
         5 box state before %{a: 1, b: 1}
         6 box state %{a: 2, b: 1}
         7 box return :ok
         8 box callback Box.handle_cast(:b)
         9 box state before %{a: 2, b: 1}
        10 box state %{a: 2, b: 2}
        11 box return :ok
    """)
    changed = [film.dags.state.who_changed(film.process("box"), path, 100_000) for path in (".a", ".b", ".c")]
    assert [row["version"] if row else None for row in changed] == [1, 2, None]


def test_what_moves_in_a_list_is_changed_there(drawn: Draw) -> None:
    film = drawn("""
        processes: box
         1 box callback Box.init([])
         2 box state %{queue: [:a, :b]}
         3 box return :ok
         4 box callback Box.handle_cast(:push)
         5 box state %{queue: [:c, :a, :b]}
         6 box return :ok
    """)
    box = film.process("box")
    blame = film.dags.state.changed(box, ".queue[1]", 100_000)
    assert (blame.version.version if blame.version else None, blame.changes) == (
        1,
        [Change(".queue[1]", "change", ":b", ":a")],
    )
    assert blame.certain


def test_beyond_five_hundred_changes_the_one_asked_for_is_found(drawn: Draw) -> None:
    before, after = (", ".join(f"k{n}: {n + by}" for n in range(700)) for by in (0, 1))
    film = drawn(f"""
        processes: box
         1 box state %{{{before}, last: 1}}
         2 box state %{{{after}, last: 2}}
         3 box state %{{{after}, last: 2, more: 1}}
    """)
    row = film.dags.state.who_changed(film.process("box"), ".last", 100_000)
    assert row is not None
    assert row["version"] == 1
    assert len(film.dags.state.diff(row["previous"], row["state"])) == 701
    view = film.dags.state.view(row["state"])
    assert view is not None
    assert len(view.changes) == 501


def test_who_changed_what_was_cut_is_not_certain() -> None:
    some, cut, mark = Atom("some"), Truncated("more", None, 7), {Atom("a"): 1, MORE_KEY: 3}
    assert at_path({some: [1, 2, cut]}, ".some[1]") == ([2], True)
    assert at_path({some: [1, 2, cut]}, ".some[2]") == ([], False)
    assert at_path({some: [1, 2, cut]}, ".other") == ([], True)
    assert at_path(mark, ".a") == ([1], True)
    assert at_path(mark, ".b") == ([], False)
    assert at_path({some: Truncated("map", None, 3)}, ".some.a") == ([], False)
    assert at_path({some: Truncated("tuple", (1, 2), 3)}, ".some{1}") == ([2], True)
    assert at_path({some: Truncated("tuple", (1, 2), 3)}, ".some{2}") == ([], False)
    assert at_path(ImproperList([1], 2), "[1]") == ([2], True)


def test_the_view_at_an_event_follows_the_film(sale: Drawn) -> None:
    view = sale.dags.state.view(sale.event("seats", Kind.RETURN, 2))
    assert view is not None
    assert (view.version, view.versions, len(view.changes)) == (1, 2, 2)
    earlier = sale.dags.state.view(sale.event("seats", Kind.BIND))
    assert earlier is not None
    assert (earlier.version, earlier.changes) == (0, [])
    assert sale.dags.state.view(sale.event("client", Kind.BIND)) is None


CART = """
    processes: top, view
      1 top starts view running Phoenix.LiveView.Channel
      2 view callback Phoenix.LiveView.Channel.handle_info(:join) @ deps/channel.ex:80
      3 view call Shop.CartLive.mount(:params, :session, :socket) @ lib/cart_live.ex:4
      4 view return {:ok, 0} @ :5
      5 view state 0
      6 view return {:noreply, 0} @ deps/channel.ex:90
     10 view callback Phoenix.LiveView.Channel.handle_info(:click) @ deps/channel.ex:80
     11 view call Shop.CartLive.handle_event("add", 1) @ lib/cart_live.ex:10
     12 view bind price = 7 @ :11
     13 view return {:noreply, 7} @ :12
     14 view call Shop.RowLive.update(7) @ lib/row_live.ex:3
     15 view return {:ok, 7} @ :3
     16 view call Shop.CartLive.render(7) @ lib/cart_live.ex:20
     17 view return :html @ :21
     18 view state 7
     19 view return {:noreply, 7} @ deps/channel.ex:90
     20 view callback Phoenix.LiveView.Channel.handle_call(:ping) @ deps/channel.ex:99
     21 view state 8
     22 view return {:reply, :pong, 8} @ deps/channel.ex:99
"""


def test_a_live_views_state_was_made_by_the_views_callback(drawn: Draw) -> None:
    film = drawn(CART)
    view, state = film.process("view"), film.event("view", Kind.STATE, 1)
    callbacks = [version.callback for version in film.dags.state.history(view)]
    assert callbacks == ["mount/3", "handle_event/2", "handle_call/2"]  # of the last the view knows nothing
    assert film.dags.state.labels.event(state) == "state 1 after handle_event/2"
    picture = film.dags.frame_at(Moment(at=UNKNOWN_TIME, event=state))
    assert [frame.function for frame in picture.stack] == ["handle_event", "handle_info"]
    assert picture.source is not None
    assert (picture.source.file, picture.source.line) == ("lib/cart_live.ex", 12)
    assert {binding.name: binding.value.text for binding in picture.bindings} == {"price": "7"}
    assert picture.state is not None
    assert (picture.state.module, picture.state.callback) == ("Shop.CartLive", "handle_event/2")
    assert [step.edge for step in picture.causes[:2]] == ["in", "called by"]
