defmodule TicketOffice.OpeningNightTest do
  use ExUnit.Case, async: true

  alias TicketOffice.{BoxOffice, Ledger}

  @counters 4
  @customers for n <- 1..24, do: "customer #{n}"
  @seats for row <- ["A", "B", "C", "D"], number <- 1..8, do: "#{row}#{number}"

  test "no seat is sold twice when many customers come at once" do
    {:ok, _pid} = TicketOffice.open_show("Don Giovanni", @seats)

    @customers
    |> Task.async_stream(&BoxOffice.sell_any("Don Giovanni", Enum.shuffle(@seats), &1),
      max_concurrency: @counters
    )
    |> Stream.run()

    sold = Enum.frequencies_by(Ledger.tickets("Don Giovanni"), & &1.seat)
    assert for({seat, times} <- sold, times > 1, do: seat) == []
  end
end
