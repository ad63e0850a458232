defmodule TicketOffice.Checkout do
  @moduledoc """
  One customer's basket. It runs its own till and its own receipt printer and lives and
  dies with them: a checkout without a till is of no use to anybody.
  """
  use GenServer, restart: :transient

  alias TicketOffice.{Promotions, ReceiptPrinter, Till}

  def start_link(customer) do
    GenServer.start_link(__MODULE__, customer, name: via(customer))
  end

  @doc "Lays a ticket into the basket."
  def add(customer, ticket), do: GenServer.call(via(customer), {:add, ticket})

  @doc "Applies a promotion code to the whole basket."
  def apply_code(customer, code), do: GenServer.call(via(customer), {:apply_code, code})

  @doc "Pays for the basket. Answers with the receipt."
  def pay(customer), do: GenServer.call(via(customer), :pay)

  defp via(customer), do: {:via, Registry, {TicketOffice.Registry, {:checkout, customer}}}

  @impl true
  def init(customer) do
    {:ok, printer} = ReceiptPrinter.start_link(customer)
    {:ok, till} = Till.start_link(customer, printer)
    {:ok, %{customer: customer, till: till, tickets: [], promotion: nil}}
  end

  @impl true
  def handle_call({:add, ticket}, _from, state) do
    {:reply, :ok, %{state | tickets: [ticket | state.tickets]}}
  end

  def handle_call({:apply_code, code}, _from, state) do
    case Promotions.find(code) do
      {:ok, promotion} -> {:reply, :ok, %{state | promotion: promotion}}
      :error -> {:reply, {:error, :unknown_code}, state}
    end
  end

  def handle_call(:pay, from, state) do
    prices = Enum.map(state.tickets, & &1.price)
    Till.charge(state.till, prices, state.promotion, from)
    {:noreply, %{state | tickets: [], promotion: nil}}
  end
end
