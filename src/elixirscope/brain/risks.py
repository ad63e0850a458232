"""Check-then-act candidates: a function that asks a process or a table, and later changes what it asked about.

Between the two another process may do the same. What the source shows is a candidate: whether two
processes really meet there, a recording tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from elixirscope.brain.facts import Call, Function, Module, Risk
from elixirscope.brain.flows import Servers, operation

_DEPTH = 3
_ETS_READS = {"lookup", "lookup_element", "member", "match", "match_object", "select", "info", "tab2list"}
_ETS_WRITES = {"insert", "delete", "delete_object", "select_delete", "update_element"}  # insert_new is atomic


class _Touch(NamedTuple):
    """A read or a write of a subject (a server or a table), and the call in the function that made it."""

    subject: str
    writes: bool
    call: Call


def find_risks(modules: Iterable[Module], servers: Servers) -> tuple[Risk, ...]:
    """At most one candidate for each function and subject, in source order."""
    found: list[Risk] = []
    for module in modules:
        for function in module.functions:
            if module.kind == "test":
                continue  # tests check on purpose
            touches = list(_touches(module, function, servers, _DEPTH, ()))
            if function.callback_of is not None:  # its process does one thing at a time with what is its own
                touches = [t for t in touches if t.subject != module.name and not t.subject.startswith("table")]
            found += _pairs(module, function, touches)
    return tuple(found)


def _pairs(module: Module, function: Function, touches: list[_Touch]) -> Iterator[Risk]:
    reported = set()
    for index, check in enumerate(touches):
        for act in touches[index + 1 :]:
            if act.call is check.call:
                continue  # both happen inside the callee, which is looked at by itself
            same = act.subject == check.subject and act.writes and not check.writes
            # They must be about the same thing: some variable occurs in both calls.
            if same and act.subject not in reported and set(check.call.names) & set(act.call.names):
                reported.add(act.subject)
                yield Risk(
                    kind="check_then_act",
                    function=f"{module.name}.{function.key}",
                    subject=act.subject,
                    file=module.file,
                    check_line=check.call.line,
                    check=check.call.text,
                    act_line=act.call.line,
                    act=act.call.text,
                )


def _touches(
    module: Module, function: Function, servers: Servers, depth: int, path: tuple[str, ...]
) -> Iterator[_Touch]:
    """What the function reads and writes, directly, through helpers of its own, or through client functions."""
    name = f"{module.name}.{function.key}"
    if depth == 0 or name in path:
        return
    for call in function.calls:
        direct = _direct(call, module, servers)
        if direct is not None:
            yield direct
            continue
        owner = module if call.module is None else servers.modules.get(call.module)
        called = owner.function(call.name, call.arity) if owner else None
        if owner is None or called is None or not (called.private or owner.handlers or _is_agent(owner)):
            continue
        if called.callback_of is None:
            for touch in _touches(owner, called, servers, depth - 1, (*path, name)):
                yield touch._replace(call=call)


def _is_agent(module: Module) -> bool:
    return "Agent" in module.behaviours


def _direct(call: Call, module: Module, servers: Servers) -> _Touch | None:
    if call.module == ":ets" and call.name in _ETS_READS | _ETS_WRITES:
        if call.target.startswith("<@"):
            table = f"{module.name} {call.target.strip('<>')}"
        elif call.target.startswith("<") or not call.target:
            return None  # a table in a variable is most often the function's own
        else:
            table = call.target
        return _Touch(f"table {table}", call.name in _ETS_WRITES, call)
    kind = operation(call)
    if kind in ("get", "update"):
        target = servers.target(call, kind, module)
        return _Touch(target, kind == "update", call) if target else None
    if kind not in ("call", "cast"):
        return None
    target = servers.target(call, kind, module)
    handler = servers.handler(target, kind, call.tag)
    if target is None or handler is None:
        return None
    return _Touch(target, not handler.reads_only, call)
