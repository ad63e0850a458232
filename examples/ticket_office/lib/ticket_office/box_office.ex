defmodule TicketOffice.BoxOffice do
  @moduledoc "The counter: sells single tickets on behalf of a customer."

  alias TicketOffice.{Ledger, Pricing, Seats, Ticket}

  @doc "Sells the seat, unless somebody has it already."
  def sell(show, seat, customer) do
    if Seats.free?(show, seat) do
      price = Pricing.quote_seat(show, seat)
      :ok = Seats.put(show, seat, customer)
      ticket = %Ticket{show: show, seat: seat, customer: customer, price: price}
      :ok = Ledger.sold(ticket)
      {:ok, ticket}
    else
      {:error, :taken}
    end
  end

  @doc "Sells the first seat of the wish list that can still be had."
  def sell_any(show, wishes, customer) do
    Enum.find_value(wishes, {:error, :sold_out}, fn seat ->
      case sell(show, seat, customer) do
        {:ok, ticket} -> {:ok, ticket}
        {:error, :taken} -> nil
      end
    end)
  end
end
