defmodule TicketOffice.CheckoutTest do
  use ExUnit.Case, async: true

  alias TicketOffice.{Checkout, Ledger, Promotions}

  setup context do
    show = "Checkout: #{context.test}"
    customer = "customer of #{context.test}"
    {:ok, _pid} = TicketOffice.open_show(show, ["C1", "C2"])
    {:ok, _pid} = TicketOffice.checkout(customer)

    for seat <- ["C1", "C2"] do
      {:ok, ticket} = TicketOffice.buy(show, seat, customer)
      :ok = Checkout.add(customer, ticket)
    end

    %{customer: customer}
  end

  test "all tickets of the basket are paid at once", %{customer: customer} do
    assert {:ok, receipt} = Checkout.pay(customer)
    assert receipt =~ "2 tickets, €50.00"
    assert Ledger.balance(customer) == 5_000
  end

  test "a promotion code lowers the price", %{customer: customer} do
    :ok = Promotions.announce("SUMMER-25")
    assert :ok = Checkout.apply_code(customer, "SUMMER-25")

    assert {:ok, receipt} = Checkout.pay(customer)
    assert receipt =~ "€37.50"
  end

  test "a code that was not announced is refused", %{customer: customer} do
    assert {:error, :unknown_code} = Checkout.apply_code(customer, "FREE-100")
    assert {:ok, _receipt} = Checkout.pay(customer)
  end

  test "a checkout takes the code of the spring campaign", %{customer: customer} do
    :ok = Promotions.announce("SPRING-10%")
    assert :ok = Checkout.apply_code(customer, "SPRING-10%")

    assert {:ok, receipt} = Checkout.pay(customer)
    assert receipt =~ "€45.00"
  end
end
