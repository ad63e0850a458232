defmodule ElixirScope.MixModules do
  @moduledoc """
  What Mix loads in any case before it runs any of the program's code, to be loaded at once with the agent.

  Mix has each module loaded when it is first called: looked for along the path, read, compiled to machine code and put
  into a new table of all functions there are, while the program waits. At once, there is one table, and all processors
  compile. That takes less time than the agent costs, so most programs start as quickly as without it.

  Only what is loaded whatever the project: nothing is there that would not be when the program's own code comes to run.
  Called before there is any of Elixir's code: nothing but Erlang's own modules can be called here.
  """

  @modules [
    stdlib: ~w(
      digraph digraph_utils erl_bits erl_internal eval_bits filelib io io_lib ordsets re sets sofs string unicode_util
    )a,
    compiler: ~w(
      beam_a beam_asm beam_block beam_call_types beam_clean beam_dict beam_flatten beam_jump beam_kernel_to_ssa
      beam_opcodes beam_ssa beam_ssa_bc_size beam_ssa_bool beam_ssa_bsm beam_ssa_codegen beam_ssa_dead beam_ssa_opt
      beam_ssa_pre_codegen beam_ssa_recv beam_ssa_share beam_ssa_throw beam_ssa_type beam_trim beam_types beam_utils
      beam_validator beam_z cerl cerl_clauses cerl_trees compile core_lib core_lint erl_bifs sys_core_alias
      sys_core_bsm sys_core_fold v3_core v3_kernel
    )a,
    elixir: ~w(
      Elixir.Access Elixir.Agent Elixir.Agent.Server Elixir.Application Elixir.Code Elixir.Code.Formatter
      Elixir.Code.Normalizer Elixir.Enum Elixir.File Elixir.File.Error Elixir.GenServer Elixir.IO Elixir.Kernel
      Elixir.Kernel.CLI Elixir.Kernel.LexicalTracker Elixir.Kernel.Typespec Elixir.Kernel.Utils Elixir.Keyword
      Elixir.List Elixir.Macro Elixir.Macro.Env Elixir.Map Elixir.Module Elixir.Module.LocalsTracker
      Elixir.Module.ParallelChecker Elixir.Module.Types Elixir.Module.Types.Expr Elixir.Module.Types.Helpers
      Elixir.Module.Types.Pattern Elixir.Module.Types.Unify Elixir.OptionParser Elixir.Path Elixir.Path.Wildcard
      Elixir.Process Elixir.Regex Elixir.Stream Elixir.String Elixir.String.Tokenizer Elixir.Supervisor
      Elixir.Supervisor.Default Elixir.Task Elixir.Task.Supervised Elixir.Version Elixir.Version.Parser elixir_aliases
      elixir_clauses elixir_code_server elixir_compiler elixir_config elixir_def elixir_dispatch elixir_env elixir_erl
      elixir_erl_clauses elixir_erl_compiler elixir_erl_pass elixir_erl_var elixir_expand elixir_interpolation
      elixir_lexical elixir_locals elixir_module elixir_overridable elixir_parser elixir_quote elixir_rewrite
      elixir_sup elixir_tokenizer elixir_utils
    )a,
    logger: ~w(
      Elixir.Logger Elixir.Logger.App Elixir.Logger.BackendSupervisor Elixir.Logger.Backends.Console
      Elixir.Logger.Config Elixir.Logger.Filter Elixir.Logger.Formatter Elixir.Logger.Handler Elixir.Logger.Watcher
    )a,
    mix: ~w(
      Elixir.Mix Elixir.Mix.CLI Elixir.Mix.Compilers.ApplicationTracer Elixir.Mix.Compilers.Elixir
      Elixir.Mix.Compilers.Erlang Elixir.Mix.Dep Elixir.Mix.Dep.Converger Elixir.Mix.Dep.ElixirSCM
      Elixir.Mix.Dep.Loader Elixir.Mix.Dep.Lock Elixir.Mix.Dep.Umbrella Elixir.Mix.Hex Elixir.Mix.Local
      Elixir.Mix.Project Elixir.Mix.ProjectStack Elixir.Mix.RemoteConverger Elixir.Mix.State Elixir.Mix.Task
      Elixir.Mix.Task.Compiler Elixir.Mix.Tasks.App.Start Elixir.Mix.Tasks.Archive.Check Elixir.Mix.Tasks.Compile
      Elixir.Mix.Tasks.Compile.All Elixir.Mix.Tasks.Compile.App Elixir.Mix.Tasks.Compile.Elixir
      Elixir.Mix.Tasks.Compile.Erlang Elixir.Mix.Tasks.Compile.Leex Elixir.Mix.Tasks.Compile.Yecc
      Elixir.Mix.Tasks.Deps.Loadpaths Elixir.Mix.Tasks.Loadconfig Elixir.Mix.Tasks.Loadpaths Elixir.Mix.TasksServer
      Elixir.Mix.Utils
    )a
  ]

  @doc "Those that are not loaded and would come from Elixir's and Erlang's own folders: module, file, content."
  @spec read() :: [{module, charlist, binary}]
  def read do
    case :code.which(:elixir) do
      file when is_list(file) -> read(:filename.dirname(:filename.dirname(:filename.dirname(file))))
      _ -> []
    end
  end

  defp read(elixir) do
    shadowed = shadowed(elixir)

    :lists.flatmap(
      fn {app, modules} ->
        case folder(app, elixir) do
          nil -> []
          folder -> :lists.flatmap(&read(&1, folder, shadowed), modules)
        end
      end,
      @modules
    )
  end

  # Another version may lack some.
  defp read(module, folder, shadowed) do
    name = :erlang.atom_to_list(module) ++ ~c".beam"
    path = :filename.join(folder, name)

    with false <- :erlang.module_loaded(module),
         false <- :lists.member(name, shadowed),
         {:ok, binary} <- :prim_file.read_file(path) do
      [{module, path, binary}]
    else
      _ -> []
    end
  end

  # As the code server would write it. Elixir puts Mix on the path when it begins; of what else is not there, the
  # program is to see nothing.
  defp folder(app, elixir) when app in [:elixir, :logger, :mix] do
    folder = :filename.join([elixir, app, ~c"ebin"])
    if app == :mix or :lists.member(folder, :code.get_path()), do: folder
  end

  defp folder(app, _elixir) do
    case :code.lib_dir(app) do
      folder when is_list(folder) -> :filename.join(folder, ~c"ebin")
      _ -> nil
    end
  end

  # What is in other folders on the path may be meant in place of these.
  defp shadowed(elixir) do
    own = [elixir, :code.lib_dir(), :filename.dirname(:code.which(__MODULE__))]

    :lists.flatmap(
      fn folder ->
        with false <- :lists.any(&:lists.prefix(&1, folder), own),
             {:ok, names} <- :prim_file.list_dir(folder) do
          names
        else
          _ -> []
        end
      end,
      :code.get_path()
    )
  end
end
