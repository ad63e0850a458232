defmodule TicketOffice do
  @moduledoc """
  Sells numbered seats for shows.

  Every show has its own `TicketOffice.Seats` process. Customers go through
  `TicketOffice.BoxOffice` for a single ticket, or fill a basket with
  `TicketOffice.Checkout` and pay for all of it at once.
  """

  alias TicketOffice.{BoxOffice, Checkouts, Shows}

  @type show :: String.t()
  @type seat :: String.t()
  @type customer :: String.t()

  @doc "Opens the sale of a show with the given seats."
  @spec open_show(show, [seat]) :: DynamicSupervisor.on_start_child()
  defdelegate open_show(show, seats), to: Shows, as: :open

  @doc "Sells one seat to a customer."
  @spec buy(show, seat, customer) :: {:ok, TicketOffice.Ticket.t()} | {:error, :taken}
  defdelegate buy(show, seat, customer), to: BoxOffice, as: :sell

  @doc "Starts a checkout, a basket that is paid for at once."
  @spec checkout(customer) :: DynamicSupervisor.on_start_child()
  defdelegate checkout(customer), to: Checkouts, as: :open
end
