"""What a person calls a process: `Seats`, `Checkout 2`, `Task 3`, `Ledger (2)` for its second life."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from elixirscope.correlate.columns import NONE
from elixirscope.correlate.processes import Life, initial_text
from elixirscope.recording.log import Log


def give_labels(log: Log, lives: list[Life]) -> None:
    """Sets `label` of every life; no two are equal.

    Registered names come first, then the test's name, the callback module, the initial call, the pid. The
    namespace that most modules share is left away. Processes of equal label are numbered in order of
    birth; a restarted one keeps its predecessor's and counts its lives in parentheses.
    """
    recorded = {site.module for site in log.sites.values()}
    shared = namespace(recorded) or namespace(recorded.union(_modules(lives)))
    by_base: defaultdict[str, list[Life]] = defaultdict(list)
    for life in lives:
        if life.predecessor == NONE:
            by_base[_base(log, life, shared)].append(life)
    taken: set[str] = set()

    def give(life: Life, label: str) -> None:
        life.label = label if label not in taken else f"{label} {log.processes[life.process].pid_text} #{life.process}"
        taken.add(life.label)

    for base, same in by_base.items():
        for number, life in enumerate(sorted(same, key=lambda life: life.spawn), 1):
            give(life, base if len(same) == 1 else f"{base} {number}")
    for life in sorted((life for life in lives if life.predecessor != NONE), key=lambda life: life.incarnation):
        first = life
        while first.predecessor != NONE:
            first = lives[first.predecessor]
        give(life, f"{first.label} ({life.incarnation + 1})")


def _modules(lives: list[Life]) -> Iterator[str]:
    """What runs: modules, and registered names, which often are modules' too."""
    for life in lives:
        yield life.module or ""
        yield life.name or ""


def namespace(modules: Iterable[str]) -> str:
    """The first segment that more than half of the Elixir modules share, with its dot; else ""."""
    distinct = {module for module in modules if module and not module.startswith(":")}
    heads = Counter(module.split(".")[0] for module in distinct)
    if not heads:
        return ""
    head, count = heads.most_common(1)[0]
    return f"{head}." if count * 2 > len(distinct) and count > 1 else ""


def _base(log: Log, life: Life, shared: str) -> str:
    def short(module: str) -> str:
        return module.removeprefix(shared)

    if life.main:
        return "main"
    if life.name is not None:
        return short(life.name)
    if life.test is not None:
        return life.test
    if life.kind == "task":
        return "Task"
    if life.kind == "agent":
        return "Agent"
    if life.module is not None:
        return "Supervisor" if life.module == "Supervisor.Default" else short(life.module)
    if life.initial is not None and life.initial[:2] != (":erlang", "apply"):
        return initial_text(short(life.initial[0]), *life.initial[1:]).removeprefix("anonymous ")
    if life.first_frame is not None:
        frame = life.first_frame
        return f"{short(frame.module)}.{frame.function}/{frame.arity}"
    return log.processes[life.process].pid_text
