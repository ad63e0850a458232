"""Reads function clauses: heads, decisions, calls, and what callbacks do with the state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from tree_sitter import Node

from elixirscope.brain import syntax
from elixirscope.brain.facts import Call, Function, Handler
from elixirscope.brain.scope import Scope

_CALLBACKS = {
    "GenServer": {
        "init/1",
        "handle_call/3",
        "handle_cast/2",
        "handle_info/2",
        "handle_continue/2",
        "terminate/2",
        "code_change/3",
        "format_status/1",
        "format_status/2",
    },
    "Supervisor": {"init/1"},
    "DynamicSupervisor": {"init/1"},
    "Application": {"start/2", "stop/1", "prep_stop/1", "config_change/3"},
    ":gen_statem": {"init/1", "callback_mode/0", "handle_event/4", "terminate/3", "code_change/4"},
    "Plug": {"init/1", "call/2"},
    "Phoenix.LiveView": {"mount/3", "handle_params/3", "handle_event/3", "handle_info/2", "render/1"},
    "Phoenix.Channel": {"join/3", "handle_in/3", "handle_info/2", "terminate/2"},
    "GenStage": {
        "init/1",
        "handle_call/3",
        "handle_cast/2",
        "handle_info/2",
        "handle_demand/2",
        "handle_events/3",
        "handle_subscribe/4",
        "handle_cancel/3",
        "terminate/2",
    },
}
_HANDLERS = {"handle_call/3": 2, "handle_cast/2": 1, "handle_info/2": 1}
_BRANCHES = ("if", "unless", "&&", "||", "and", "or")
_DECIDE = ("case", "cond", "with", "receive", "try", "fn")
# Words that look like local calls but are not.
_FORMS = frozenset(
    {"if", "unless", "case", "cond", "with", "for", "receive", "try", "quote", "unquote", "fn", "alias"}
    | {"import", "require", "use", "raise", "throw", "super", "def", "defp", "__MODULE__"}
)


@dataclass
class Clause:
    """One clause while its module is being read."""

    name: str
    arity: int
    line: int
    end_line: int
    private: bool = False
    decisions: int = 0
    receives: bool = False
    eats_binary: bool = False
    calls: list[Call] = field(default_factory=list)
    tables: list[Call] = field(default_factory=list)
    parameters: list[Node] = field(default_factory=list)
    body: Node | None = None


def read_clause(node: Node, head: Node | None, body: Node | None, scope: Scope) -> Clause:
    """Read a definition: `head` is its first argument (None for a test), `body` its do block or `do:` value."""
    while head is not None and head.type == "binary_operator" and syntax.operator(head) == "when":
        head = head.child_by_field_name("left")
    parameters = syntax.arguments(head) if head is not None and head.type == "call" else []
    name = syntax.callee(head)[1] if head is not None and head.type == "call" else syntax.text(head)
    clause = Clause(name, len(parameters), syntax.line(node), syntax.end_line(node), parameters=parameters)
    clause.body = body
    clause.eats_binary = any(_eats_binary(parameter) for parameter in parameters)
    if body is not None:
        for inner in syntax.walk(body):
            _read_expression(inner, clause, scope)
    return clause


def _eats_binary(parameter: Node) -> bool:
    return any(
        inner.type == "bitstring" and ("::binary" in syntax.text(inner) or "::bits" in syntax.text(inner))
        for inner in syntax.walk(parameter)
    ) or any(syntax.operator(inner) == "<>" for inner in syntax.walk(parameter))


def _read_expression(node: Node, clause: Clause, scope: Scope) -> None:
    if node.type == "stab_clause":
        clause.decisions += 1
    elif node.type == "anonymous_function" or (node.type == "call" and syntax.is_call(node, *_DECIDE)):
        clause.decisions -= node.type == "anonymous_function" or syntax.callee(node)[1] != "with"
        clause.receives |= syntax.is_call(node, "receive")
    elif node.type == "binary_operator":
        clause.decisions += syntax.operator(node) in _BRANCHES or syntax.operator(node) == "<-"
    if node.type == "call":
        clause.decisions += syntax.is_call(node, "if", "unless")
        call = _read_call(node, scope)
        if call is not None:
            clause.calls.append(call)
        if call is not None and (call.module, call.name) == (":ets", "new"):
            options = syntax.arguments(node)[1:]
            named = [syntax.text(a) for o in options for a in syntax.walk(o) if a.type == "atom"]
            clause.tables.append(Call(":ets", "new", 2, call.line, call.text, tuple(named), call.target))


def _read_call(node: Node, scope: Scope) -> Call | None:
    module_node, name = syntax.callee(node)
    if not name or (module_node is None and name in _FORMS):
        return None
    module = scope.resolve(module_node) if module_node is not None else None
    if module_node is not None and module is None:
        return None  # a field, or a module known only at run time
    if module_node is None and not any(child.type == "arguments" for child in node.named_children):
        return None
    written = syntax.arguments(node)
    piped = _piped_into(node)
    if piped is not None:
        written = [piped, *written]
    message = 2 if name.startswith(("broadcast", "local_broadcast")) else 1  # after the topic
    names = dict.fromkeys(
        syntax.text(inner) for each in written for inner in syntax.walk(each) if inner.type == "identifier"
    )
    return Call(
        module=module,
        name=name,
        arity=len(written),
        line=syntax.line(node),
        text=syntax.one_line(node),
        names=tuple(names),
        target=_target(written[0], scope) if written else "",
        tag=syntax.tag(written[message]) if len(written) > message else "*",
    )


def _piped_into(node: Node) -> Node | None:
    parent = node.parent
    if parent is None or syntax.operator(parent) != "|>":
        return None
    left = parent.child_by_field_name("left")
    if left is None or parent.child_by_field_name("right") != node:
        return None
    return left


def _target(node: Node, scope: Scope) -> str:
    """Whom a message goes to: a module's name, or the text of the expression in angle brackets."""
    if node.type == "tuple" and node.named_children:  # {Name, node} and {:via, Registry, …}
        first = scope.resolve(node.named_children[0])
        if first and first != ":via" and len(node.named_children) == 2:
            return first
    return scope.resolve(node) or f"<{syntax.one_line(node, 40)}>"


def join_clauses(clauses: Iterable[Clause], behaviours: Sequence[str]) -> tuple[Function, ...]:
    """The functions that the clauses make, in source order."""
    functions = []
    ordered = sorted(clauses, key=lambda c: (c.name, c.arity))
    for (name, arity), group in groupby(ordered, key=lambda c: (c.name, c.arity)):
        parts = list(group)
        calls = tuple(call for part in parts for call in part.calls)
        key = f"{name}/{arity}"
        recursive = any(c.module is None and c.name == name and c.arity == arity for c in calls)
        functions.append(
            Function(
                name=name,
                arity=arity,
                line=min(part.line for part in parts),
                end_line=max(part.end_line for part in parts),
                private=any(part.private for part in parts),
                clauses=len(parts),
                complexity=len(parts) + sum(max(part.decisions, 0) for part in parts),
                recursive=recursive,
                receives=any(part.receives for part in parts),
                eats_binary=recursive and any(part.eats_binary for part in parts),
                callback_of=next((b for b in behaviours if key in _CALLBACKS.get(b, ())), None),
                calls=calls,
            )
        )
    return tuple(sorted(functions, key=lambda f: f.line))


def handlers(clauses: Iterable[Clause]) -> tuple[Handler, ...]:
    """What each clause of handle_call, handle_cast and handle_info handles, and whether it only reads."""
    found = []
    for clause in clauses:
        state_at = _HANDLERS.get(f"{clause.name}/{clause.arity}")
        if state_at is not None:
            tag = syntax.tag(clause.parameters[0])
            reads = _reads_only(clause, clause.parameters[state_at])
            found.append(Handler(clause.name, tag, clause.line, reads))
    return tuple(found)


def _reads_only(clause: Clause, parameter: Node) -> bool:
    """Is the state given back by every result of the clause the very variable that came in?"""
    names = [n for n in syntax.walk(parameter) if n.type == "identifier"]
    if parameter.type == "identifier":
        state = syntax.text(parameter)
    elif syntax.operator(parameter) == "=" and names:  # `%{seats: seats} = state`
        state = syntax.text(names[-1])
    else:
        return False
    results = 0
    for node in syntax.walk(clause.body) if clause.body is not None else ():
        if syntax.operator(node) == "=" and syntax.text(node.child_by_field_name("left")) == state:
            return False
        if node.type != "tuple" or not node.named_children:
            continue
        shape, size = syntax.text(node.named_children[0]), len(node.named_children)
        place = {":reply": 2, ":noreply": 1, ":stop": size - 1}.get(shape)
        if place is not None and size > place:
            results += 1
            if syntax.text(node.named_children[place]) != state:
                return False
    return results > 0
