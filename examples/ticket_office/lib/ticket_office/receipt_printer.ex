defmodule TicketOffice.ReceiptPrinter do
  @moduledoc "Prints numbered receipts for one checkout and hands them to whoever waits."
  use GenServer

  def start_link(customer), do: GenServer.start_link(__MODULE__, customer)

  @doc "Prints a receipt and gives it to `waiting`, the caller of `Checkout.pay/1`."
  def print(printer, count, amount, waiting) do
    GenServer.cast(printer, {:print, count, amount, waiting})
  end

  @impl true
  def init(customer), do: {:ok, %{customer: customer, printed: 0}}

  @impl true
  def handle_cast({:print, count, amount, waiting}, state) do
    number = state.printed + 1

    GenServer.reply(
      waiting,
      {:ok, "#{state.customer} ##{number}: #{count} tickets, #{euros(amount)}"}
    )

    {:noreply, %{state | printed: number}}
  end

  defp euros(cents) do
    "€#{div(cents, 100)}.#{String.pad_leading(to_string(rem(cents, 100)), 2, "0")}"
  end
end
