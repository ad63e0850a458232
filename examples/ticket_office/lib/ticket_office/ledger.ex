defmodule TicketOffice.Ledger do
  @moduledoc "Keeps the books: every ticket sold and every payment taken."
  use GenServer

  def start_link(opts), do: GenServer.start_link(__MODULE__, opts, name: __MODULE__)

  @doc "Books a sold ticket."
  def sold(ticket), do: GenServer.cast(__MODULE__, {:sold, ticket})

  @doc "Books a payment, in cents."
  def paid(customer, amount), do: GenServer.cast(__MODULE__, {:paid, customer, amount})

  @doc "The tickets sold for a show, the oldest first."
  def tickets(show), do: GenServer.call(__MODULE__, {:tickets, show})

  @doc "What the customer has paid so far, in cents."
  def balance(customer), do: GenServer.call(__MODULE__, {:balance, customer})

  @impl true
  def init(_opts), do: {:ok, %{tickets: [], payments: %{}}}

  @impl true
  def handle_cast({:sold, ticket}, state) do
    {:noreply, %{state | tickets: [ticket | state.tickets]}}
  end

  def handle_cast({:paid, customer, amount}, state) do
    {:noreply, update_in(state.payments[customer], &((&1 || 0) + amount))}
  end

  @impl true
  def handle_call({:tickets, show}, _from, state) do
    {:reply, for(t <- Enum.reverse(state.tickets), t.show == show, do: t), state}
  end

  def handle_call({:balance, customer}, _from, state) do
    {:reply, Map.get(state.payments, customer, 0), state}
  end
end
