defmodule TicketOffice.Application do
  @moduledoc false
  use Application

  @impl true
  def start(_type, _args) do
    children = [
      {Registry, keys: :unique, name: TicketOffice.Registry},
      TicketOffice.Pricing,
      TicketOffice.Promotions,
      TicketOffice.Ledger,
      TicketOffice.Shows,
      TicketOffice.Checkouts
    ]

    Supervisor.start_link(children, strategy: :one_for_one, name: TicketOffice.Supervisor)
  end
end
