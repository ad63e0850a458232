defmodule TicketOffice.Checkouts do
  @moduledoc "Supervises the checkouts that are under way."
  use DynamicSupervisor

  def start_link(opts) do
    DynamicSupervisor.start_link(__MODULE__, opts, name: __MODULE__)
  end

  @doc "Starts a checkout for a customer."
  def open(customer) do
    DynamicSupervisor.start_child(__MODULE__, {TicketOffice.Checkout, customer})
  end

  @impl true
  def init(_opts), do: DynamicSupervisor.init(strategy: :one_for_one, max_restarts: 10)
end
