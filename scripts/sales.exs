# Sales that go on until they are killed: what the pictures of a recording that is being made, and of one that lacks
# something, are of.
#
#     mix run sales.exs            on and on
#     mix run sales.exs SIGN       with more at once than a narrow plan records; makes the file SIGN in the end
alias TicketOffice.{BoxOffice, PromoCode}

show = "Don Giovanni, evening 1"
seats = for row <- ~w(A B C D E F), number <- 1..60, do: "#{row}#{number}"
{:ok, _} = TicketOffice.open_show(show, seats)

buy = fn name, times ->
  Task.async(fn ->
    for seat <- Stream.take(Stream.cycle(Enum.shuffle(seats)), times) do
      BoxOffice.sell(show, seat, name)
      Process.sleep(8 + :rand.uniform(8))
    end
  end)
end

party = fn times -> Task.await_many(for(name <- ["Ada", "Joe", "Kim"], do: buy.(name, times)), :infinity) end

case System.argv() do
  [] ->
    party.(1_000_000)

  [sign] ->
    party.(20)
    for _ <- 1..40_000, do: PromoCode.parse("SPRING-20")
    party.(40)
    File.touch!(sign)
    Process.sleep(:infinity)
end
