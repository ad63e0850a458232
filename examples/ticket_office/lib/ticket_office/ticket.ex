defmodule TicketOffice.Ticket do
  @moduledoc "A sold seat: what the customer takes home."

  @enforce_keys [:show, :seat, :customer, :price]
  defstruct [:show, :seat, :customer, :price]

  @type t :: %__MODULE__{
          show: TicketOffice.show(),
          seat: TicketOffice.seat(),
          customer: TicketOffice.customer(),
          price: pos_integer
        }
end
