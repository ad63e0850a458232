defmodule ElixirScope.MixProject do
  use Mix.Project

  def project do
    [
      app: :elixir_scope,
      version: "0.1.0",
      elixir: "~> 1.14",
      elixirc_paths: if(Mix.env() == :test, do: ["lib", "test/support"], else: ["lib"]),
      start_permanent: false,
      # Since Elixir 1.19 Mix asks about every script that is no test.
      test_ignore_filters: [&String.ends_with?(&1, "support.exs")],
      deps: []
    ]
  end

  def application do
    [mod: {ElixirScope.Application, []}, extra_applications: []]
  end
end
