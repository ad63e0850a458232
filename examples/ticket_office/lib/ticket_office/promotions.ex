defmodule TicketOffice.Promotions do
  @moduledoc "The promotions that marketing has announced."
  use GenServer

  alias TicketOffice.PromoCode

  def start_link(opts), do: GenServer.start_link(__MODULE__, opts, name: __MODULE__)

  @doc "Announces a promotion code."
  def announce(code), do: GenServer.call(__MODULE__, {:announce, code})

  @doc "Finds an announced promotion."
  def find(code), do: GenServer.call(__MODULE__, {:find, code})

  @impl true
  def init(_opts), do: {:ok, %{}}

  @impl true
  def handle_call({:announce, code}, _from, promotions) do
    {:reply, :ok, Map.put(promotions, code, PromoCode.parse(code))}
  end

  def handle_call({:find, code}, _from, promotions) do
    {:reply, Map.fetch(promotions, code), promotions}
  end
end
