defmodule TicketOffice.ShowsTest do
  use ExUnit.Case, async: true

  alias TicketOffice.{Seats, Shows}

  test "a show on sale has its own seating plan" do
    {:ok, _pid} = TicketOffice.open_show("Carmen", ["A1", "A2"])
    {:ok, _pid} = TicketOffice.open_show("Tosca", ["B1"])

    assert Seats.available("Carmen") == ["A1", "A2"]
    assert Seats.available("Tosca") == ["B1"]
    assert Enum.all?(["Carmen", "Tosca"], &(&1 in Shows.on_sale()))
  end

  test "a show can be opened only once" do
    {:ok, pid} = TicketOffice.open_show("Aida", ["A1"])
    assert {:error, {:already_started, ^pid}} = TicketOffice.open_show("Aida", ["A1", "A2"])
  end
end
