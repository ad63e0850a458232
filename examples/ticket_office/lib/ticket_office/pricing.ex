defmodule TicketOffice.Pricing do
  @moduledoc "What a seat costs, in cents. The first row costs more, and so do shows in demand."
  use GenServer

  @base 2_500
  @front_row 1_500
  @demand_step 5

  def start_link(opts), do: GenServer.start_link(__MODULE__, opts, name: __MODULE__)

  @doc "The price of a seat right now. Asking counts as demand for the show."
  def quote_seat(show, seat), do: GenServer.call(__MODULE__, {:quote, show, seat})

  @doc "How many times somebody asked for the price of a seat of this show."
  def demand(show), do: GenServer.call(__MODULE__, {:demand, show})

  @impl true
  def init(_opts), do: {:ok, %{demand: %{}}}

  @impl true
  def handle_call({:quote, show, seat}, _from, state) do
    asked = Map.get(state.demand, show, 0)
    price = @base + row_surcharge(seat) + @demand_step * div(asked, 10)
    {:reply, price, put_in(state.demand[show], asked + 1)}
  end

  def handle_call({:demand, show}, _from, state) do
    {:reply, Map.get(state.demand, show, 0), state}
  end

  defp row_surcharge("A" <> _), do: @front_row
  defp row_surcharge(_seat), do: 0
end
