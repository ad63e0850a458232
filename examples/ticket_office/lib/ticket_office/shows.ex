defmodule TicketOffice.Shows do
  @moduledoc "Supervises one `TicketOffice.Seats` process per show on sale."
  use DynamicSupervisor

  alias TicketOffice.Seats

  def start_link(opts) do
    DynamicSupervisor.start_link(__MODULE__, opts, name: __MODULE__)
  end

  @doc "Puts a show on sale."
  def open(show, seats) do
    DynamicSupervisor.start_child(__MODULE__, {Seats, show: show, seats: seats})
  end

  @doc "The names of the shows on sale, sorted."
  def on_sale do
    TicketOffice.Registry
    |> Registry.select([{{{:seats, :"$1"}, :_, :_}, [], [:"$1"]}])
    |> Enum.sort()
  end

  @impl true
  def init(_opts), do: DynamicSupervisor.init(strategy: :one_for_one)
end
