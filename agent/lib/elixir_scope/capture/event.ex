defmodule ElixirScope.Capture.Event do
  @moduledoc """
  An event on its way out of a process: a plain tuple, because it is made and copied millions of times, and small,
  because each word of it costs.

  `{:"$es", head, ts, frame, pid, value}`, `head` being `head/4` of kind, flags, aux and site; `ts` and `frame` in native
  time units, `value` the atom `:"$elixirscope_none"` for none. The first element lets the VM's own tracer be told not to
  trace the sending of events.

  What the VM's tracer tells has more to it, and is made where it is written:
  `{:"$es", kind, flags, aux, ts, frame, site, pid, peer, ref, value}`, `peer` nil for none.
  """

  @doc "The four as they lie in the file, read as one number: small as long as aux is."
  defmacro head(kind, flags, aux, site) do
    quote do: unquote(site) ||| (unquote(kind) ||| unquote(flags) <<< 8 ||| unquote(aux) <<< 16) <<< 32
  end

  @doc false
  defmacro __using__(_) do
    quote do
      import Bitwise
      import ElixirScope.Capture.Event, only: [head: 4]
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
