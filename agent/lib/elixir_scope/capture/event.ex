defmodule ElixirScope.Capture.Event do
  @moduledoc """
  An event on its way out of a process: a plain tuple, because it is made and copied millions of times.

  `{:"$es", kind, flags, aux, ts, frame, site, pid, peer, ref, value}`; `ts` and `frame` in native time units,
  `peer` nil for none, `value` the atom `:"$elixirscope_none"` for none. The first element lets the VM's own
  tracer be told not to trace the sending of events.
  """

  @doc false
  defmacro __using__(_) do
    quote do
      @none :"$elixirscope_none"
      @call 1
      @return 2
      @tail 3
      @bind 4
      @caught 5
      @raise 6
      @state 10
      @spawn 20
      @spawned 21
      @exit 22
      @link 23
      @unlink 24
      @getting_linked 25
      @getting_unlinked 26
      @register 27
      @unregister 28
      @send 29
      @receive 30
      @scheduled_in 36
      @scheduled_out 37
      @test_start 40
      @test_end 41
      @truncated 1
      @redacted 2
      @unchanged 8
      @no_receiver 16
    end
  end
end
