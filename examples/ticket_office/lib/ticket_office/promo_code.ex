defmodule TicketOffice.PromoCode do
  @moduledoc "Promotion codes as marketing writes them: a campaign and a percentage, like `SUMMER-25`."

  defstruct [:campaign, :percent]

  @doc """
  Reads a code.

      iex> TicketOffice.PromoCode.parse("SUMMER-25")
      %TicketOffice.PromoCode{campaign: "SUMMER", percent: 25}
  """
  def parse(code) do
    [campaign | rest] = String.split(code, "-", parts: 2)
    %__MODULE__{campaign: campaign, percent: percent(rest)}
  end

  defp percent([]), do: 0

  defp percent([digits]) do
    case Integer.parse(digits) do
      {number, ""} -> number
      _other -> nil
    end
  end
end
