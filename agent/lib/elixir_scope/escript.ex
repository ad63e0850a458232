defmodule ElixirScope.Escript do
  @moduledoc """
  Starts recording in an escript. Its archive, with Elixir in it, is opened only when the VM runs it, after us: so the
  module that it begins with is stood in for by one that starts the agent, and then runs it.

  Nothing but Erlang's own modules can be called here.
  """

  @doc "Called before there is any Elixir. Does nothing where no escript is run."
  @spec wait_for() :: :ok
  def wait_for do
    with {:ok, [[~c"main", name]]} <- :init.get_argument(:escript),
         main = :erlang.list_to_atom(name),
         # A script whose module is a file has nothing to wait for.
         :non_existing <- :code.which(main),
         {:ok, ^main, binary} <- :compile.noenv_forms(forms(main), [:no_spawn_compiler_process]) do
      {:module, ^main} = :code.load_binary(main, ~c"elixirscope", binary)
    end

    :ok
  end

  # main(Arguments) -> ElixirScope.Escript.opened(Main), Main:main(Arguments).
  defp forms(main) do
    atom = &{:atom, 1, &1}
    call = fn module, name, args -> {:call, 1, {:remote, 1, atom.(module), atom.(name)}, args} end
    arguments = {:var, 1, :Arguments}
    body = [call.(__MODULE__, :opened, [atom.(main)]), call.(main, :main, [arguments])]

    [
      {:attribute, 1, :module, main},
      {:attribute, 1, :export, [main: 1]},
      {:function, 1, :main, 1, [{:clause, 1, [arguments], [], body}]}
    ]
  end

  @doc false
  def opened(main) do
    # What follows is called anew, and by now the archive has it; it ends as it would have, should it not.
    with {:error, _} <- :code.load_file(main), do: :code.delete(main)
    ElixirScope.Boot.run()
  end
end
