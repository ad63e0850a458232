"""The vocabulary of plans: intents, levels, and what each intent records before any code is read."""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

Level = Literal["off", "state", "calls", "values", "full"]
Intent = Literal["debug", "performance", "state", "full", "minimal"]

INTENTS: Final[tuple[Intent, ...]] = get_args(Intent)
# From least to most. `state` stands beside `calls`: only OTP callbacks, but with their states.
LEVELS: Final[tuple[Level, ...]] = get_args(Level)

# How much slower a program gets, as a fraction: gen_stage's test suite, 2 s long and made of little but messages,
# rounded. Rough, and only good to compare levels.
LEVEL_COST: Final[dict[Level, float]] = {"off": 0.02, "state": 0.15, "calls": 0.8, "values": 1.0, "full": 1.3}
# The next level down, for functions that cost more than they tell.
STEPS: Final[dict[Level, Level]] = {
    "full": "values",
    "values": "calls",
    "calls": "state",
    "state": "off",
    "off": "off",
}


class Budgets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes of External Term Format kept of one value, roughly."""

    argument: int = 512
    binding: int = 512
    state: int = 8192
    message: int = 1024
    reason: int = 4096


class Preset(msgspec.Struct, frozen=True):
    """What an intent records where no rule says otherwise."""

    about: str
    default: Level
    dependencies: Level = "off"
    messages: bool = True
    lifecycle: bool = True
    scheduling: bool = False
    memory: bool = False
    watch: tuple[str, ...] = ()
    budgets: Budgets = Budgets()
    calls_per_second: int = 5_000  # of one function
    calls_percent: int = 8  # of one processor's time, for all


_ENVIRONMENT = tuple(f"Application.{name}" for name in ("put_env", "delete_env", "get_env", "fetch_env", "fetch_env!"))
_WATCHED = (":ets", "Registry", *_ENVIRONMENT, "Process.send_after", ":erlang.send_after")

PRESETS: Final[dict[Intent, Preset]] = {
    "debug": Preset(
        "values, states and variables of the project's modules, to find the cause of a failure",
        default="full",
        memory=True,
        watch=_WATCHED,
    ),
    "performance": Preset(
        "calls and scheduling without values, to find where time goes",
        default="calls",
        scheduling=True,
        budgets=Budgets(argument=64, binding=64, state=64, message=64, reason=1024),
    ),
    "state": Preset(
        "OTP callbacks with their messages and states, to see how states evolve",
        default="state",
        budgets=Budgets(state=16384, message=2048),
    ),
    "full": Preset(
        "everything, with generous budgets; dependencies as calls",
        default="full",
        dependencies="calls",
        scheduling=True,
        memory=True,
        watch=(*_WATCHED, ":persistent_term"),
        budgets=Budgets(argument=4096, binding=4096, state=65536, message=8192, reason=16384),
        calls_per_second=20_000,
        calls_percent=30,
    ),
    "minimal": Preset(
        "only the lives of processes, their exits and the tests: costs least",
        default="off",
        messages=False,
        budgets=Budgets(argument=64, binding=64, state=64, message=64, reason=1024),
    ),
}
