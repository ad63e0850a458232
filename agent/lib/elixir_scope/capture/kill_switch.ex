defmodule ElixirScope.Capture.KillSwitch do
  @moduledoc """
  When to record less because recording costs more than it may, and when to record more again. Pure: told the time and
  the pressure, it says which step to take.

  | step | what is recorded |
  |---|---|
  | `:values` | all that the plan says |
  | `:calls` | the events of instrumented code without their values |
  | `:messages` | no events of instrumented code; messages and lives |
  | `:lifecycle` | lives alone |

  Down by one when there was pressure all through `step_after_ms`; up by one after `step_back_ms` of calm, which is less
  than half of what is allowed. Where a step up is followed by pressure, calm has to last twice as long the next time.
  """

  @steps [:values, :calls, :messages, :lifecycle]
  @longest_ms 600_000

  @type step :: :values | :calls | :messages | :lifecycle
  @type pressure :: %{memory_bytes: non_neg_integer, overhead_percent: number}
  @type t :: %{limits: map, step: step, over: integer | nil, calm: integer | nil, back_ms: integer, rose: boolean}

  @doc "At the first step. `limits` are the plan's."
  @spec new(map) :: t
  def new(limits),
    do: %{limits: limits, step: :values, over: nil, calm: nil, back_ms: limits.step_back_ms, rose: false}

  @doc "What follows from the pressure at `now` (ms): the step to go to with its reason, or `:stay`."
  @spec look(t, integer, pressure) :: {t, :stay | {step, binary}}
  def look(%{limits: limits} = switch, now, pressure) do
    cond do
      reason = over(limits, pressure) -> pressed(%{switch | calm: nil, over: switch.over || now}, now, reason)
      calm?(limits, pressure) -> calm(%{switch | over: nil, calm: switch.calm || now}, now)
      true -> {%{switch | over: nil, calm: nil}, :stay}
    end
  end

  @doc "Goes to the last step at once, as `look/3` tells of steps: where there is no time for those between."
  @spec fall(t, integer, binary) :: {t, :stay | {step, binary}}
  def fall(%{step: :lifecycle} = switch, _now, _reason), do: {%{switch | over: nil, calm: nil}, :stay}

  def fall(switch, now, reason) do
    back_ms = if switch.rose, do: min(2 * switch.back_ms, @longest_ms), else: switch.back_ms
    {%{switch | step: :lifecycle, over: now, calm: nil, rose: false, back_ms: back_ms}, {:lifecycle, reason}}
  end

  @doc "The share of the processors' time, in percent, that `spent_ns` are of `passed_ms`."
  @spec overhead_percent(number, integer, pos_integer) :: float
  def overhead_percent(spent_ns, passed_ms, processors), do: spent_ns / (max(passed_ms, 1) * 10_000 * processors)

  defp pressed(%{step: :lifecycle} = switch, _now, _reason), do: {switch, :stay}

  defp pressed(switch, now, reason) do
    if now - switch.over >= switch.limits.step_after_ms do
      back_ms = if switch.rose, do: min(2 * switch.back_ms, @longest_ms), else: switch.back_ms
      step = Enum.at(@steps, place(switch) + 1)
      {%{switch | step: step, over: now, rose: false, back_ms: back_ms}, {step, reason}}
    else
      {switch, :stay}
    end
  end

  defp calm(%{step: :values} = switch, _now), do: {switch, :stay}

  defp calm(switch, now) do
    if now - switch.calm >= switch.back_ms do
      step = Enum.at(@steps, place(switch) - 1)
      {%{switch | step: step, calm: now, rose: true}, {step, "the load has gone down"}}
    else
      {switch, :stay}
    end
  end

  defp place(switch), do: Enum.find_index(@steps, &(&1 == switch.step))

  defp over(limits, %{memory_bytes: bytes, overhead_percent: percent}) do
    cond do
      bytes > limits.memory_bytes ->
        "the agent held #{div(bytes, 1024)} kB of #{div(limits.memory_bytes, 1024)} allowed"

      percent > limits.overhead_percent ->
        "recording took #{round(percent)}% of the processors' time"

      true ->
        nil
    end
  end

  defp calm?(limits, %{memory_bytes: bytes, overhead_percent: percent}),
    do: 2 * bytes <= limits.memory_bytes and 2 * percent <= limits.overhead_percent
end
