"""The life cycle of analyses and plans: kept between runs, made again when the code or what was recorded changes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from elixirscope.brain.analyzer import join, read_project
from elixirscope.brain.facts import FACTS_VERSION, Analysis, FileFacts
from elixirscope.brain.levels import Intent
from elixirscope.brain.plan import Plan
from elixirscope.brain.planner import make_plan, replan
from elixirscope.brain.project import find_project
from elixirscope.folders import user_folder

_Facts = dict[str, FileFacts]


def analysis_of(directory: Path) -> Analysis:
    """The analysis of the project in `directory`; files that have not changed since last time are not read again.

    Raises `UsageError` when the folder does not exist or holds no Elixir code.
    """
    project = find_project(directory)
    memory = _memory(project.root)
    known = _recall(memory)
    facts = read_project(project, known)
    if facts.keys() != known.keys():
        _remember(memory, facts)
    return join(project, facts)


def plan_for(
    directory: Path, intent: Intent, budget: float | None = None, hits: Mapping[str, int] | None = None
) -> Plan:
    """The plan for the Mix project in `directory`, or the intent's own where there is none.

    `hits` are the calls counted in an earlier recording, by `Module.function/arity`.
    """
    if (directory / "mix.exs").is_file():
        plan = make_plan(analysis_of(directory), intent, budget)
    else:
        plan = Plan.of_intent(intent)  # a script, a release: recorded all the same
    return replan(plan, hits) if hits else plan


def _memory(root: Path) -> Path:
    name = hashlib.sha256(str(root).encode()).hexdigest()[:24]
    return user_folder("XDG_CACHE_HOME") / "analysis" / f"{name}-{FACTS_VERSION}.msgpack"


def _recall(memory: Path) -> _Facts:
    try:
        return msgspec.msgpack.decode(memory.read_bytes(), type=_Facts)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError):
        return {}  # read again: the memory only saves time


def _remember(memory: Path, facts: _Facts) -> None:
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        partial = memory.with_suffix(f".{os.getpid()}")
        partial.write_bytes(msgspec.msgpack.encode(facts))
        partial.replace(memory)
    except OSError:
        return  # a cache that cannot be written costs time, nothing else
