defmodule TicketOffice.Seats do
  @moduledoc "The seating plan of one show: which seat belongs to whom."
  use GenServer

  def start_link(opts) do
    GenServer.start_link(__MODULE__, opts, name: via(Keyword.fetch!(opts, :show)))
  end

  @doc "Is the seat still for sale?"
  def free?(show, seat), do: GenServer.call(via(show), {:free?, seat})

  @doc "Enters the customer for the seat."
  def put(show, seat, customer), do: GenServer.call(via(show), {:put, seat, customer})

  @doc "All seats that are still for sale, sorted."
  def available(show), do: GenServer.call(via(show), :available)

  @doc "Who has the seat? `nil` when nobody does."
  def holder(show, seat), do: GenServer.call(via(show), {:holder, seat})

  defp via(show), do: {:via, Registry, {TicketOffice.Registry, {:seats, show}}}

  @impl true
  def init(opts) do
    seats = Keyword.fetch!(opts, :seats)
    {:ok, %{show: Keyword.fetch!(opts, :show), seats: Map.new(seats, &{&1, nil})}}
  end

  @impl true
  def handle_call({:free?, seat}, _from, state) do
    {:reply, Map.fetch!(state.seats, seat) == nil, state}
  end

  def handle_call({:put, seat, customer}, _from, state) do
    {:reply, :ok, put_in(state.seats[seat], customer)}
  end

  def handle_call({:holder, seat}, _from, state) do
    {:reply, Map.get(state.seats, seat), state}
  end

  def handle_call(:available, _from, state) do
    free = for {seat, nil} <- state.seats, do: seat
    {:reply, Enum.sort(free), state}
  end
end
