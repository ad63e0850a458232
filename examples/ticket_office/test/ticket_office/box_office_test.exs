defmodule TicketOffice.BoxOfficeTest do
  use ExUnit.Case, async: true

  alias TicketOffice.{BoxOffice, Ledger, Pricing, Seats}

  test "a seat is sold to the customer who asks first" do
    {:ok, _pid} = TicketOffice.open_show("Rusalka", ["A1", "B1"])

    assert {:ok, ticket} = TicketOffice.buy("Rusalka", "A1", "Ada")
    assert ticket.price == 4_000
    assert {:error, :taken} = TicketOffice.buy("Rusalka", "A1", "Grace")
    assert Seats.holder("Rusalka", "A1") == "Ada"
  end

  test "a sale is entered in the books" do
    {:ok, _pid} = TicketOffice.open_show("Jenufa", ["C4"])
    {:ok, ticket} = TicketOffice.buy("Jenufa", "C4", "Joe")

    assert Ledger.tickets("Jenufa") == [ticket]
  end

  test "the price rises with demand" do
    {:ok, _pid} = TicketOffice.open_show("Fidelio", ["C1"])
    before = Pricing.quote_seat("Fidelio", "C1")
    for _ <- 1..20, do: Pricing.quote_seat("Fidelio", "C1")

    assert Pricing.quote_seat("Fidelio", "C1") > before
    assert Pricing.demand("Fidelio") == 22
  end

  test "a customer gets the next seat of the wish list" do
    {:ok, _pid} = TicketOffice.open_show("Salome", ["A1", "A2"])
    {:ok, _ticket} = TicketOffice.buy("Salome", "A1", "Ada")

    assert {:ok, %{seat: "A2"}} = BoxOffice.sell_any("Salome", ["A1", "A2"], "Joe")
    assert {:error, :sold_out} = BoxOffice.sell_any("Salome", ["A1", "A2"], "Mike")
  end
end
