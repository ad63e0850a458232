defmodule ElixirScope.MixProject do
  use Mix.Project

  def project do
    [
      app: :elixir_scope,
      version: "0.1.0",
      elixir: "~> 1.14",
      elixirc_paths: if(Mix.env() == :test, do: ["lib", "test/support"], else: ["lib"]),
      start_permanent: false,
      deps: []
    ]
  end

  def application do
    [mod: {ElixirScope.Application, []}, extra_applications: []]
  end
end
