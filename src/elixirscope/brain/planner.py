"""From an analysis and an intent to a plan: presets, then rules that the code calls for, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from elixirscope.brain.facts import Analysis
from elixirscope.brain.levels import LEVEL_COST, STEPS, Intent, Level
from elixirscope.brain.plan import Plan, Rule

# Protocols whose implementations run whenever something is printed or serialised.
_PRINTING: Final = ("Inspect", "String.Chars", "Jason.Encoder", "Poison.Encoder", "JSON.Encoder")
# Modules of frameworks in whose processes the program's own modules live, and what their state is.
_HOSTS: Final = {
    "Phoenix.LiveView.Channel": "the process of each LiveView: its state holds the assigns",
    "Phoenix.Channel.Server": "the process of each channel: its state is the socket",
}
_CALLBACKS: Final = (".handle_call", ".handle_cast", ".handle_info", ".handle_continue", ".handle_event")
# A function with more hits than this in one recording says little that its first hits did not.
MANY_HITS: Final = 20_000


def make_plan(analysis: Analysis, intent: Intent, budget: float | None = None) -> Plan:
    """The plan for a project. `budget` bounds the slowdown, as a fraction (0.1 is 10 %), by a rough estimate.

    What may fail is recorded as closely as the intent allows; what would only be noise is recorded less.
    """
    plan = Plan.of_intent(intent)
    default, reason = _within(plan.default, budget)
    functions = [*_risky(analysis, default, plan.default), *_hot(analysis, intent, default)]
    return msgspec.structs.replace(
        plan,
        default=default,
        reason=reason,
        functions=tuple(functions),
        modules=(*_noise(analysis, default), *_hosts(analysis, intent, default)),
    )


def replan(plan: Plan, hits: Mapping[str, int], ceiling: int = MANY_HITS) -> Plan:
    """The plan stepped down where an earlier recording shows `ceiling` calls or more.

    `hits` counts the calls of each `Module.function/arity`. A function that exceeds the ceiling is recorded
    without values, one that exceeds it ten times not at all; OTP callbacks keep their states. Rules that the
    plan has already stand, for they come first.
    """
    named = {rule.match for rule in plan.functions}
    added = []
    for function, count in sorted(hits.items(), key=lambda item: (-item[1], item[0])):
        level = _stepped_down(function, plan.default, much=count >= ceiling * 10)
        if count >= ceiling and function not in named and level != plan.default:
            added.append(Rule(function, level, f"called {count:,} times in an earlier recording"))
    return msgspec.structs.replace(plan, functions=(*plan.functions, *added))


def _stepped_down(function: str, level: Level, *, much: bool) -> Level:
    if LEVEL_COST[level] <= LEVEL_COST["state"]:
        return level
    if function.rpartition("/")[0].endswith(_CALLBACKS):
        return "state"
    return "off" if much or level == "calls" else "calls"


def _within(default: Level, budget: float | None) -> tuple[Level, str]:
    level = default
    while budget is not None and LEVEL_COST[level] > budget and level != "off":
        level = STEPS[level]
    if level == default:
        return default, ""
    return level, f"{default} may cost about {LEVEL_COST[default]:.0%}, more than the budget of {budget:.0%}"


def _risky(analysis: Analysis, default: Level, closest: Level) -> Iterator[Rule]:
    # Only needed where a budget has lowered the default.
    if LEVEL_COST[default] >= LEVEL_COST[closest]:
        return
    for risk in analysis.risks:
        yield Rule(risk.function, closest, f"checks {risk.subject} and acts on it later (line {risk.act_line})")


def _hot(analysis: Analysis, intent: Intent, default: Level) -> Iterator[Rule]:
    for hot in analysis.hot:
        if hot.reason == "parses" and LEVEL_COST[default] >= LEVEL_COST["calls"]:
            level: Level = "calls" if intent == "full" else "off"
            yield Rule(hot.function, level, "parses a binary: every call carries the rest of it")
        elif hot.reason == "automaton" and LEVEL_COST[default] >= LEVEL_COST["calls"]:
            yield Rule(hot.function, "off", "states of a generated automaton: its actions and results say what it read")
        elif hot.reason == "recursive" and LEVEL_COST[default] > LEVEL_COST["calls"] and intent != "full":
            yield Rule(hot.function, "calls", "recursive: values of each step would cost more than they tell")
        elif hot.reason == "recursive" and intent == "performance":
            yield Rule(hot.function, "off", "recursive: each step would mostly measure the recorder")


def _noise(analysis: Analysis, default: Level) -> Iterator[Rule]:
    if default == "off":
        return
    for module in analysis.modules:
        protocol = next((p for p in _PRINTING if module.name.startswith(p + ".")), None)
        if module.kind == "implementation" and protocol:
            yield Rule(module.name, "off", f"runs whenever {protocol} prints or encodes a value")
        elif "NimbleParsec" in module.behaviours and default != "calls":
            yield Rule(module.name, "calls", "generated parser: many small steps over one binary")


def _hosts(analysis: Analysis, intent: Intent, default: Level) -> Iterator[Rule]:
    if default in ("off", "calls"):
        return
    own = {module.name for module in analysis.modules}
    level: Level = "values" if intent == "full" else "state"
    yield from (Rule(name, level, reason) for name, reason in _HOSTS.items() if name not in own)
