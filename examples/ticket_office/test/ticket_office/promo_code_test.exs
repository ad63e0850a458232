defmodule TicketOffice.PromoCodeTest do
  use ExUnit.Case, async: true

  alias TicketOffice.PromoCode

  doctest PromoCode

  test "a code without a percentage is worth nothing" do
    assert %PromoCode{campaign: "WINTER", percent: 0} = PromoCode.parse("WINTER")
  end
end
