"""Messages: pairing, kinds, replies, and who handled them."""

from __future__ import annotations

from tests.correlate.drawn import Drawn


def test_a_call_and_its_reply() -> None:
    drawn = Drawn("""
        client                        seats
        call BoxOffice.free?("A1")    |
        |--call {:free?, "A1"} as q-->|
        |                             callback Seats.handle_call({:free?, "A1"}, {client, #q})
        |                             return {:reply, true, %{}}
        |<--reply {:ok, true} to q----|
        return true                   |
    """)
    assert drawn.letters() == ["client → seats call {:free?, _}", "seats → client reply {:ok, _}"]
    request, reply = drawn.rows("messages")
    assert request["reply"] == reply["message"]
    assert reply["request"] == request["message"]
    assert drawn.frame(request["sender_call"]) == "free?/1"
    assert drawn.frame(request["handle_call"]) == "handle_call/3"
    assert (drawn.at(request["send_event"]), drawn.at(request["receive_event"])) == (1, 1)
    assert request["handled_at"] == drawn.rows("calls")[1]["start"]
    assert request["certain"]
    assert reply["certain"]
    handler = drawn.rows("calls")[1]
    assert handler["message"] == request["message"]
    assert drawn.frame(handler["remote_parent"]) == "free?/1"


def test_kinds_are_told_from_the_message() -> None:
    drawn = Drawn("""
        a                       b
        |--cast {:sold, 1}----->|
        |--:ping--------------->|
        |--{:order, 7, "x"}---->|
        |--{#task, {:ok, 1}}--->|
        |--"text"-------------->|
        |--%Order{id: 1}------->|
        |--{:io_request, a, #i, {:put_chars, "x"}}-->|
        |--{:system, {a, #s}, :get_state}----------->|
        |                       receives {:DOWN, #m, :process, a, :noproc}
        |                       receives {:EXIT, a, :normal}
        |                       receives {:timeout, #t, :retry}
        |                       receives [1, 2]
    """)
    assert [letter.split("→ ")[1] for letter in drawn.letters()] == [
        "b cast {:sold, _}",
        "b info :ping",
        "b info {:order, _, _}",
        "b reply {:ok, _}",
        'b info "…"',
        "b info %Order{}",
        "b io :io_request",
        "b system :get_state",
        "b down :DOWN",
        "b exit :EXIT",
        "b timer :retry",
        "b info […]",
    ]
    assert drawn.letters()[8].startswith("None")  # the VM itself


def test_equal_messages_are_paired_in_order() -> None:
    drawn = Drawn("""
        a                       b
   1    |--:tick arrives 9----->|
   2    |--:tick arrives 10---->|
   3    |--:other arrives 11--->|
   4    |--:tick--------------x |
    """)
    assert [(drawn.at(row["send_event"]), drawn.at(row["receive_event"])) for row in drawn.rows("messages")] == [
        (0, 8),
        (1, 9),
        (2, 10),
        (3, None),
    ]
    assert all(row["certain"] for row in drawn.rows("messages"))


def test_after_a_loss_only_what_carries_a_reference_is_certain() -> None:
    drawn = Drawn("""
        a                       b
        |--:tick--------------->|
        |--{:once, 1}---------->|
        |--call :get as q------>|
        loses 1                 |
    """)
    assert [row["certain"] for row in drawn.rows("messages")] == [False, False, True]
    assert "lost" in drawn.rows("messages")[0]["reason"]


def test_a_receive_before_any_send_starts_the_count_again() -> None:
    drawn = Drawn("""
        a                       b
   1    |                       receives :tick from a
   2    |--:tick arrives 5----->|
    """)
    received, sent = drawn.rows("messages")
    assert received["send_event"] is None
    assert (drawn.at(sent["send_event"]), drawn.at(sent["receive_event"])) == (1, 4)
    assert not sent["certain"]


def test_a_receive_without_a_sender_is_paired_by_content_and_says_so() -> None:
    drawn = Drawn("""
        a                       b
        |--{:job, 1}----------x |
        |                       receives {:job, 1}
    """)
    (message,) = drawn.rows("messages")
    assert message["receive_event"] is not None
    assert not message["certain"]
    assert "who sent" in message["reason"]


def test_a_send_to_a_name_that_nobody_has() -> None:
    drawn = Drawn("""
        a
        sends {:hello, 1} to :nobody
    """)
    (message,) = drawn.rows("messages")
    assert (message["to_name"], message["to_process"], message["tag"]) == (":nobody", None, "{:hello, _}")


def test_a_late_second_reply_does_not_replace_the_first() -> None:
    drawn = Drawn("""
        client                        seats
        |--call :get as q------------>|
        |<--reply 1 to q--------------|
        |<--reply 2 to q--------------|
    """)
    request, first, second = drawn.rows("messages")
    assert request["reply"] == first["message"]
    assert second["request"] == request["message"]


def test_casts_and_infos_are_handled_by_the_callback_with_their_content() -> None:
    drawn = Drawn("""
        client                        seats
        |--cast {:put, 1}------------>|
        |--cast {:put, 2}------------>|
        |--:refresh------------------>|
        |                             callback Seats.handle_info(:refresh)
        |                             return {:noreply, 0}
        |                             callback Seats.handle_cast({:put, 1})
        |                             return {:noreply, 1}
        |                             callback Seats.handle_cast({:put, 2})
        |                             return {:noreply, 2}
    """)
    handled = [(row["tag"], drawn.at(row["handle_call"])) for row in drawn.rows("messages")]
    assert handled == [("{:put, _}", 5), ("{:put, _}", 7), (":refresh", 3)]


def test_a_server_that_is_slow_to_start_handles_all_that_waited() -> None:
    told = "".join(f"{n} client -> seats cast {{:put, {n}}}\n" for n in range(1, 501))
    for n in range(1, 501):
        told += f"{500 + 2 * n} seats callback Seats.handle_cast({{:put, {n}}})\n"
        told += f"{501 + 2 * n} seats return {{:noreply, {n}}}\n"
    drawn = Drawn("processes: client, seats\n" + told)
    assert [drawn.at(row["handle_call"]) for row in drawn.rows("messages")] == list(range(501, 1501, 2))


def test_equal_casts_are_handled_in_order_of_arrival() -> None:
    drawn = Drawn("""
        client                        seats
        |--cast :add----------------->|
        |--cast :add----------------->|
        |                             callback Seats.handle_cast(:add)
        |                             return 1
        |                             callback Seats.handle_cast(:add)
        |                             return 2
    """)
    assert [drawn.at(row["handle_call"]) for row in drawn.rows("messages")] == [2, 4]


def test_a_message_is_not_handled_before_it_arrives_nor_by_other_content() -> None:
    drawn = Drawn("""
        client                        seats
        |                             callback Seats.handle_cast({:put, 1})
        |                             return 1
        |--cast {:put, 1}------------>|
        |                             callback Seats.handle_cast({:put, 9})
        |                             return 2
    """)
    assert drawn.rows("messages")[0]["handle_call"] is None


def test_content_that_was_cut_is_matched_by_order() -> None:
    drawn = Drawn("""
        client                        seats
        |--cast {:put, "long text"}-->|
        |                             callback Seats.handle_cast({:put, "lo"}) truncated
        |                             return 1
    """)
    assert drawn.frame(drawn.rows("messages")[0]["handle_call"]) == "handle_cast/2"


def test_two_clients_with_the_same_request_are_told_apart_by_reference() -> None:
    drawn = Drawn("""
        seats                    ann                      bob
        |<--call :get as a-------|                        |
        |<--call :get as b--------------------------------|
        callback Seats.handle_call(:get, {bob, #b})       |
        return {:reply, 1, 0}    |                        |
        callback Seats.handle_call(:get, {ann, #a})
        return {:reply, 2, 0}
    """)
    by_ann, by_bob = drawn.rows("messages")
    assert by_bob["handled_at"] < by_ann["handled_at"]


def test_callbacks_within_a_callback_run_on_account_of_the_same_message() -> None:
    drawn = Drawn("""
        client                        stage
        |--{:ask, 10}---------------->|
        |                             call GenStage.handle_info({:ask, 10}, %{})
        |                             tail GenStage.demand/2
        |                             call GenStage.demand(10, %{})
        |                             callback Counter.handle_demand(10)
        |                             state 10
        |                             return {:noreply, [], 10}
    """)
    (message,) = drawn.rows("messages")
    assert drawn.frame(message["handle_call"]) == "handle_info/2"
    assert [row["message"] for row in drawn.rows("calls")] == [message["message"], None, message["message"]]
    assert drawn.rows("states")[0]["message"] == message["message"]


def test_what_is_only_named_like_a_callback_must_show_the_content() -> None:
    drawn = Drawn("""
        client                        worker
        |--cast :go------------------>|
        |                             call Shop.handle_cast(:stop, 1)
        |                             return 1
    """)
    assert drawn.rows("messages")[0]["handle_call"] is None


def test_a_call_of_a_state_machine_is_found_by_its_reference() -> None:
    drawn = Drawn("""
        client                        door
        |--call :open as one--------->|
        |--call :open as two--------->|
        |                             callback Door.handle_event({:call, {client, #two}}, :open, :closed)
        |                             return :keep_state
    """)
    one, two = drawn.rows("messages")
    assert one["handle_call"] is None
    assert drawn.frame(two["handle_call"]) == "handle_event/4"


def test_an_answer_from_nobody_is_the_vms_own() -> None:
    drawn = Drawn("""
        a
        receives {#r, true}
    """)
    assert [row["kind"] for row in drawn.rows("messages")] == ["system"]
