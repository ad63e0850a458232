"""Messages that a hand-written `receive` never takes, or takes for another, in a program that a real VM runs."""

from __future__ import annotations

from functools import partial

import pytest

from elixirscope.insight import Finding
from elixirscope.insight.receives import receives
from elixirscope.recording.terms import Atom, Ref
from tests.conftest import Run
from tests.insight.planting import findings_of, line_in, place, the

SCRIPT = """\
defmodule Printer do
  def loop(done) do
    receive do
      {:print, text, from} when is_pid(from) ->
        send(from, {:printed, text})
        loop([text | done])
      :stop -> done
    end
  end

  def print(printer, text) do
    send(printer, {:print, text})
    receive do
      {:printed, ^text} -> :ok
    after
      100 -> :gave_up
    end
  end
end

defmodule Prices do
  def loop(gate) do
    receive do
      {:price, from, item} ->
        if item == "tea", do: (receive do :open -> :ok end)
        send(from, {:price, if(item == "tea", do: 3, else: 5)})
        loop(gate)
    end
  end
end

defmodule Till do
  def price(server, item) do
    send(server, {:price, self(), item})
    receive do
      {:price, price} -> {:ok, price}
    after
      200 -> :gave_up
    end
  end
end

defmodule Meter do
  def loop(sum) do
    receive do
      {:add, n} -> loop(sum + n)
      {:sum, from} -> (send(from, {:sum, sum}); loop(sum))
    end
  end

  def run(meter) do
    for n <- 1..120, do: (send(meter, {:add, n}); send(meter, {:log, n}))
    send(meter, {:sum, self()})
    receive do {:sum, sum} -> sum end
  end
end

printer = spawn(Printer, :loop, [[]])
for page <- ["one", "two"], do: :gave_up = Printer.print(printer, page)

prices = spawn(Prices, :loop, [nil])
:gave_up = Till.price(prices, "tea")
send(prices, :open)
wait = fn wait -> if elem(Process.info(self(), :message_queue_len), 1) == 0, do: (Process.sleep(1); wait.(wait)) end
wait.(wait)
{:ok, 3} = Till.price(prices, "cake")

7260 = Meter.run(spawn(Meter, :loop, [0]))
"""


line_of = partial(line_in, SCRIPT)


@pytest.fixture(scope="module")
def findings(elixirscope: Run, tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    return findings_of(SCRIPT, elixirscope, tmp_path_factory.mktemp("receives"))


@pytest.mark.beam
def test_a_message_that_no_clause_takes(findings: list[Finding]) -> None:
    unread = the(findings, "Printer.loop/1 never takes")
    assert place(unread) == ("loop", line_of("{:print, text, from} when"))
    assert "Printer.loop/1 waits for {:print, text, from} or :stop" in unread.explanation
    assert "has 3 parts, not 2" in unread.explanation
    assert "Printer.print/2" in unread.suggestion
    assert any("gave up waiting" in step.text for step in unread.evidence)
    assert unread.confidence == 0.85


@pytest.mark.beam
def test_an_answer_that_came_late_and_was_taken_for_the_next(findings: list[Finding]) -> None:
    late = the(findings, "took its late answer for the next one")
    assert place(late) == ("price", line_of("{:price, price} ->"))
    assert [part in late.explanation for part in ('"tea"', "{:price, 3}", '"cake"')] == [True] * 3


@pytest.mark.beam
def test_messages_that_pile_up_beside_those_that_are_taken(findings: list[Finding]) -> None:
    pile = the(findings, "Meter.loop/1 never takes {:log, ")
    assert "120 such messages wait" in pile.title
    assert "has to look at all of them first" in pile.explanation


@pytest.mark.beam
def test_nobody_else_is_accused(findings: list[Finding]) -> None:
    assert len(findings) == 3


def test_what_a_receive_may_take_as_far_as_the_source_tells() -> None:
    source = """def wait(ref) do
  receive do
    {:ok, ^ref, value} when value > 3 -> value
    %Done{} -> :done
    @odd -> :odd
  after
    0 -> nil
  end
end""".splitlines()
    (block,) = receives(source, 1, len(source))
    ok, done, odd = block.clauses
    assert (block.line, block.ends, ok.line, ok.text) == (2, True, 3, "{:ok, ^ref, value}")
    assert (ok.parts, ok.pinned, done.pinned) == (3, True, False)
    answer = (Atom("ok"), Ref("n", (1, 2, 3)), 1)
    assert ok.may_take(answer)  # neither the guard nor what is pinned is judged
    assert not ok.may_take((Atom("ok"), 1))
    assert not done.may_take(answer)
    assert odd.may_take(answer)  # only the compiler knows
    assert receives(source, 3, len(source)) == []
