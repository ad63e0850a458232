defmodule TicketOffice.OpeningNightTest do
  use ExUnit.Case, async: true

  alias TicketOffice.{BoxOffice, Ledger}

  @counters 6
  @evenings for n <- 1..2, do: "Don Giovanni, evening #{n}"
  @customers for n <- 1..16, do: "customer #{n}"
  @seats for row <- ["A", "B", "C", "D"], number <- 1..8, do: "#{row}#{number}"

  test "no seat is sold twice when many customers come at once" do
    for evening <- @evenings do
      {:ok, _pid} = TicketOffice.open_show(evening, @seats)

      @customers
      |> Task.async_stream(&BoxOffice.sell_any(evening, Enum.shuffle(@seats), &1),
        max_concurrency: @counters
      )
      |> Stream.run()

      sold = Enum.frequencies_by(Ledger.tickets(evening), & &1.seat)
      assert for({seat, times} <- sold, times > 1, do: seat) == []
    end
  end
end
