"""Process lives: kinds, names, labels, supervisors, restarts and ends."""

from __future__ import annotations

import pytest

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.pictures import draw
from elixirscope.recording.terms import Atom, Pid
from tests.correlate.drawn import Drawn

TREE = """
        app             sup                     seats            ledger
        starts sup supervising TicketOffice.Supervisor as TicketOffice.Supervisor
        |               starts seats running TicketOffice.Seats
        |               starts ledger running TicketOffice.Ledger as TicketOffice.Ledger
        |               |                       callback TicketOffice.Seats.init(1)
"""


def test_a_supervision_tree() -> None:
    drawn = Drawn(TREE)
    sup, seats, ledger = drawn.process("sup"), drawn.process("seats"), drawn.process("ledger")
    assert (sup["kind"], sup["module"], sup["label"]) == ("supervisor", "TicketOffice.Supervisor", "Supervisor")
    assert (seats["kind"], seats["module"], seats["name"]) == ("gen_server", "TicketOffice.Seats", None)
    assert seats["initial"] == "TicketOffice.Seats.init/1"
    assert ledger["name"] == "TicketOffice.Ledger"
    assert drawn.who(seats["parent"]) == "sup"
    assert drawn.who(seats["supervisor"]) == "sup"
    assert drawn.who(sup["parent"]) == "app"
    assert sup["supervisor"] is None
    assert drawn.at(seats["spawn_event"]) == 1
    assert seats["pid"] == "#PID<0.102.0>"


def test_a_live_view_is_known_by_its_module() -> None:
    drawn = Drawn("""
        app             view                                              room
        starts view running Phoenix.LiveView.Channel
        |               starts room running Phoenix.Channel.Server
        |               call Phoenix.LiveView.Lifecycle.mount(1, 2, 3)    |
        |               call Shop.CartLive.mount(1, 2, 3)                 |
        |               call Shop.RowLive.mount(1, 2, 3)                  |
        |               |                                                 call Shop.RoomChannel.join(1, 2, 3)
        |               |                                                 call Shop.CartLive.mount(1, 2, 3)
        call Shop.CartLive.mount(1, 2, 3)
    """)
    assert [drawn.process(name)["module"] for name in ("view", "room")] == ["Shop.CartLive", "Shop.RoomChannel"]
    assert [drawn.process(name)["label"] for name in ("view", "room")] == ["CartLive", "RoomChannel"]
    assert drawn.process("app")["module"] is None  # where a page is made that is sent once


def test_a_nested_child_has_the_nearest_supervisor() -> None:
    drawn = Drawn("""
        sup                 checkout                        till
        registers App.Sup
        starts checkout running App.Checkout                |
        |                   starts till running App.Till    |
    """)
    assert drawn.process("till")["supervisor"] is None  # the root was not seen to be a supervisor

    drawn = Drawn("""
        root           sup                         checkout                        till
        starts sup supervising App.Sup as App.Sup
        |              starts checkout running App.Checkout                |
        |              |                           starts till running App.Till    |
    """)
    assert drawn.who(drawn.process("till")["supervisor"]) == "sup"


@pytest.mark.parametrize(
    ("running", "kind"),
    [
        ("DynamicSupervisor", "supervisor"),
        ("Agent.Server", "agent"),
        ("Task.Supervised.reply/4", "task"),
        ("App.Seats", "gen_server"),
        ("App.Worker.loop/2", "process"),
    ],
)
def test_kinds(running: str, kind: str) -> None:
    drawn = Drawn(f"""
        a          b
        starts b running {running}
    """)
    assert drawn.process("b")["kind"] == kind


def test_a_test_process_is_named_after_its_test() -> None:
    drawn = Drawn("""
        runner              p
        test "sells once" of AppTest starts @ test/app_test.exs:3
        spawns p            |
        |                   runs test "sells once" of AppTest
        |                   return :ok
        test "sells once" of AppTest failed "seat sold twice"
    """)
    assert (drawn.process("p")["kind"], drawn.process("p")["label"]) == ("test", "test sells once")
    (test,) = drawn.rows("tests")
    assert (test["module"], test["name"], test["result"]) == ("AppTest", "test sells once", "failed")
    assert (test["file"], test["line"], test["text"]) == ("test/app_test.exs", 3, "seat sold twice")
    assert drawn.who(test["process"]) == "p"
    assert drawn.frame(test["call"]) == "test sells once/1"
    assert test["start"] < test["end"]


def test_a_test_that_never_ended() -> None:
    drawn = Drawn("""
        runner
        test "hangs" of AppTest starts
    """)
    (test,) = drawn.rows("tests")
    assert (test["end"], test["result"], test["process"]) == (None, None, None)


def test_labels_are_numbered_and_lose_the_shared_namespace() -> None:
    drawn = Drawn("""
        a               b               c               d
        starts b running TicketOffice.Checkout
        starts c running TicketOffice.Checkout
        starts d running Other.Thing
        |               callback TicketOffice.Checkout.init(1)
        call TicketOffice.BoxOffice.open(1)
        |               |               |               callback Other.Thing.init(1)
    """)
    assert [drawn.process(name)["label"] for name in "bcd"] == ["Checkout 1", "Checkout 2", "Other.Thing"]


RESTART = """
        app             sup                     one              two
        starts sup supervising App.Sup as App.Sup
        |               starts one running App.Ledger as App.Ledger
        |               |                       callback App.Ledger.init(0)
        |               |                       state %{sum: 0}
        |               |                       return {:ok, 0}
        |               |                       exits {:badarith, []}
        |               receives {:EXIT, one, {:badarith, []}}
        |               starts two running App.Ledger as App.Ledger
        |               |                       |                callback App.Ledger.init(0)
        |               |                       |                state %{sum: 1}
"""


def test_a_restarted_child_follows_the_one_that_died() -> None:
    drawn = Drawn(RESTART)
    two = drawn.process("two")
    assert drawn.who(two["predecessor"]) == "one"
    assert (two["incarnation"], two["label"]) == (1, "Ledger (2)")
    assert drawn.process("one")["label"] == "Ledger"
    assert drawn.process("one")["exit_kind"] == "crash"
    first, second = drawn.rows("states")
    assert (second["previous"], second["restart"], second["version"]) == (first["state"], True, 0)


def test_a_child_that_somebody_asked_for_replaces_nobody() -> None:
    drawn = Drawn("""
        app                              sup             one              two
        starts sup supervising App.Sup as App.Sup
        |                                starts one running App.Checkout
        |                                |               exits :normal
        |                                receives {:EXIT, one, :normal}
        |--call {:start_child, 1} as q-->|
        |                                starts two running App.Checkout
    """)
    assert drawn.process("two")["predecessor"] is None
    assert drawn.process("two")["incarnation"] == 0


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (":normal", "normal"),
        (":shutdown", "shutdown"),
        ("{:shutdown, :done}", "shutdown"),
        (":killed", "killed"),
        (":noproc", "crash"),
        ("{:badarith, []}", "crash"),
    ],
)
def test_ends(reason: str, kind: str) -> None:
    drawn = Drawn(f"""
        a
        mark "here"
        exits {reason}
    """)
    row = drawn.process("a")
    assert (row["exit_kind"], row["end"]) == (kind, 1000)
    assert drawn.text(row["exit_value"]) == reason


def test_a_process_from_before_the_recording() -> None:
    row = Drawn("""
        a
        mark "here"
    """).process("a")
    assert (row["spawn_event"], row["parent"], row["end"], row["exit_kind"], row["start"]) == (None,) * 4 + (0,)


def test_what_a_restarted_process_starts_is_restarted_too() -> None:
    drawn = Drawn("""
        app             sup                     one              till            two            drawer
        starts sup supervising App.Sup as App.Sup
        |               starts one running App.Checkout
        |               |                       starts till running App.Till
        |               |                       |                exits :boom
        |               |                       exits :boom
        |               receives {:EXIT, one, :boom}
        |               starts two running App.Checkout
        |               |                       |                |               starts drawer running App.Till
    """)
    assert drawn.who(drawn.process("two")["predecessor"]) == "one"
    assert drawn.who(drawn.process("drawer")["predecessor"]) == "till"
    assert drawn.process("drawer")["label"] == "Till (2)"


def test_a_helper_that_exits_with_its_result_has_not_crashed() -> None:
    drawn = Drawn("""
        a
        mark "here"
        exits {:ok, {:compiled, 1}}
    """)
    assert drawn.process("a")["exit_kind"] == "normal"
    assert drawn.rows("exceptions") == []


def test_closures_are_named_as_elixir_names_them() -> None:
    drawn = Drawn("""
        a               b
        spawns b running ExUnit.Runner."-spawn_modules/3-fun-0-"/0
    """)
    row = drawn.process("b")
    assert row["initial"] == "anonymous fn/0 in ExUnit.Runner.spawn_modules/3"
    assert row["label"] == "fn/0 in ExUnit.Runner.spawn_modules/3"


def test_who_asked_for_a_child_of_a_supervisor() -> None:
    drawn = Drawn("""
        app             sup                          client             one
        starts sup supervising App.Sup as App.Sup
        |               |                            call App.open(1)   |
        |               |<--call {:start, 1} as q----|                  |
        |               starts one running App.Checkout                 |
        |               |                            |                  callback App.Checkout.init(1)
    """)
    asked, init = drawn.rows("calls")
    assert init["remote_parent"] == asked["call"]


def test_who_asked_for_a_task_of_a_stream() -> None:
    drawn = Drawn("""
        client              monitor             task
        call App.all(1)     |                   |
        spawns monitor      |                   |
        |                   spawns task running Task.Supervised.reply/4
        |                   |                   fn App.all(1)
    """)
    assert drawn.frame(drawn.rows("calls")[1]["remote_parent"]) == "all/1"


def test_without_messages_a_crash_or_a_name_tells_a_restart() -> None:
    drawn = Drawn("""
        app             sup                     one              two            three         four
        starts sup supervising App.Sup as App.Sup
        |               starts one running App.Ledger
        |               |                       exits :boom
        |               starts two running App.Ledger            |
        |               |                                        exits :normal
        |               starts three running App.Ledger
    """)
    assert drawn.who(drawn.process("two")["predecessor"]) == "one"
    assert drawn.process("three")["predecessor"] is None


def test_no_two_processes_have_the_same_label() -> None:
    drawn = Drawn("""
        a               b               c               d
        starts b running App.Seats
        |               registers :"Seats 2"
        starts c running App.Seats
        starts d running App.Seats
        |               |               exits :normal
        registers App.Seats
    """)
    labels = [row["label"] for row in drawn.rows("processes")]
    assert len(set(labels)) == len(labels) == 4


def test_who_was_there_before_has_the_name_it_had_and_the_main_process_is_called_so() -> None:
    log = draw("""
        runner          server
        |--{:hello}---->|
    """)
    server, runner = (Pid(Atom("nonode@nohost"), 100 + n, 0, 0) for n in (1, 0))
    log.metas.append({"what": "names", "vm": 0, "names": [(server, Atom("code_server"))], "main": runner})
    rows = EventCorrelator().correlate(log)["processes"].to_pylist()
    by_pid = {row["pid"]: (row["label"], row["name"]) for row in rows}
    assert by_pid == {"#PID<0.100.0>": ("main", None), "#PID<0.101.0>": (":code_server", ":code_server")}
