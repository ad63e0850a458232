defmodule TicketOffice.Till do
  @moduledoc "Takes the money for one checkout and has the receipt printed."
  use GenServer

  alias TicketOffice.{Ledger, ReceiptPrinter}

  def start_link(customer, printer) do
    GenServer.start_link(__MODULE__, {customer, printer})
  end

  @doc "Charges the prices, less the promotion. The receipt goes to `customer_waiting`."
  def charge(till, prices, promotion, customer_waiting) do
    GenServer.cast(till, {:charge, prices, promotion, customer_waiting})
  end

  @impl true
  def init({customer, printer}) do
    {:ok, %{customer: customer, printer: printer, taken: 0}}
  end

  @impl true
  def handle_cast({:charge, prices, promotion, customer_waiting}, state) do
    amount = total(prices, promotion)
    Ledger.paid(state.customer, amount)
    ReceiptPrinter.print(state.printer, length(prices), amount, customer_waiting)
    {:noreply, %{state | taken: state.taken + amount}}
  end

  defp total(prices, nil), do: Enum.sum(prices)

  defp total(prices, promotion) do
    sum = Enum.sum(prices)
    sum - discount(sum, promotion.percent)
  end

  defp discount(sum, percent), do: div(sum * percent, 100)
end
