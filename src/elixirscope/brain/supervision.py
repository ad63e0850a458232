"""Finds which processes a function starts under, or linked to, its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from tree_sitter import Node

from elixirscope.brain import syntax
from elixirscope.brain.facts import Child
from elixirscope.brain.functions import Clause
from elixirscope.brain.scope import Scope

_LISTED = {("Supervisor", "start_link"), ("Supervisor", "init"), (":supervisor", "start_link")}
_DYNAMIC = {
    ("DynamicSupervisor", "start_child"),
    ("Supervisor", "start_child"),
    ("PartitionSupervisor", "start_child"),
}


def read_children(clause: Clause, body: Node, scope: Scope, module: str, file: str) -> list[Child]:
    """The children that `body`, the body of `clause` in `module`, starts."""
    found: list[Child] = []

    def add(supervisor: str, spec: Node, how: Literal["listed", "dynamic", "linked"], strategy: str = "") -> None:
        child = _child(spec, scope)
        if child is not None and child != supervisor:
            found.append(Child(supervisor, child, how, file, syntax.line(spec), strategy))

    for node in syntax.walk(body):
        if node.type != "call":
            continue
        module_node, name = syntax.callee(node)
        owner = scope.resolve(module_node)
        written = syntax.arguments(node)
        if (owner, name) in _LISTED and written:
            strategy = syntax.text(syntax.keyword(written[-1], "strategy"))
            for spec in _specs(written[0], body, frozenset()):
                add(module, spec, "listed", strategy)
        elif (owner, name) in _DYNAMIC and len(written) > 1:
            add(scope.resolve(written[0]) or module, written[1], "dynamic")
        elif name == "start_link" and module_node is not None and clause.name == "init":
            add(module, module_node, "linked")
    return found


def _specs(children: Node, body: Node, seen: frozenset[str]) -> Iterator[Node]:
    """The child specifications in a list, or in the lists a variable of this body was made of."""
    if children.type == "list":
        yield from children.named_children
    elif children.type == "binary_operator" and syntax.operator(children) == "++":
        for side in children.named_children:
            yield from _specs(side, body, seen)
    elif children.type == "identifier":
        name = syntax.text(children)
        if name in seen:  # `children = children ++ […]`
            return
        for node in syntax.walk(body):
            if syntax.operator(node) == "=" and syntax.text(node.child_by_field_name("left")) == name:
                right = node.child_by_field_name("right")
                if right is not None and right.type != "identifier":
                    yield from _specs(right, body, seen | {name})


def _child(spec: Node, scope: Scope) -> str | None:
    if spec.type in ("alias", "identifier"):
        return scope.resolve(spec)
    if spec.type == "tuple" and spec.named_children:
        return _child(spec.named_children[0], scope)
    if spec.type == "map":
        start = syntax.keyword(spec, "start")
        return _child(start, scope) if start is not None else None
    if spec.type == "call" and syntax.callee(spec)[1] in ("child_spec", "worker", "supervisor"):
        written = syntax.arguments(spec)
        return _child(written[0], scope) if written else None
    return None
