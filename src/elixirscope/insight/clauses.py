"""Which clause of a function a frame ran, by the heads in the recorded source and the arguments that it was given."""

from __future__ import annotations

from collections.abc import Sequence

from tree_sitter import Node

from elixirscope.brain import syntax
from elixirscope.errors import UsageError
from elixirscope.query import patterns
from elixirscope.recording.terms import Term

_DEFINES = ("def", "defp")


def clause_line(source: Sequence[str], first: int, function: str, given: tuple[Term, ...]) -> int | None:
    """The line of the first clause that takes `given`, of the `function` whose first clause is on line `first`.

    None where that cannot be told: the head is not there, or has a pattern or guard that can be judged only by Elixir.
    A callback's `given` may lack its last argument.
    """
    for definition in _clauses(syntax.parse("\n".join(source).encode()), first, function, len(given)):
        head = syntax.arguments(definition)[0]
        guard = head.child_by_field_name("right") if _guarded(head) else None
        parameters = [_without_default(each) for each in syntax.arguments(_call(head))]
        if len(parameters) != len(given) and (guard is not None or parameters[-1].type != "identifier"):
            return None  # what is not known decides
        wanted = f"{{{', '.join(map(syntax.text, parameters[: len(given)]))}}}"
        try:
            pattern = patterns.parse(f"{wanted} when {syntax.text(guard)}" if guard is not None else wanted)
        except UsageError:
            return None
        if pattern.match(given) is not None:
            return syntax.line(definition)
    return None


def _clauses(root: Node, first: int, function: str, least: int) -> list[Node]:
    """The definitions of a function beside the one on line `first`, from that on."""
    found: list[Node] = []
    for node in syntax.walk(root):
        if not syntax.is_call(node, *_DEFINES) or syntax.line(node) < first or not syntax.arguments(node):
            continue
        call = _call(syntax.arguments(node)[0])
        arity = len(syntax.arguments(call))
        if syntax.callee(call)[1] != function or arity not in (least, least + 1):
            continue
        if not found and syntax.line(node) != first:
            return []
        if not found or (node.parent == found[0].parent and arity == len(_parameters(found[0]))):
            found.append(node)
    return found


def _parameters(definition: Node) -> list[Node]:
    return syntax.arguments(_call(syntax.arguments(definition)[0]))


def _guarded(head: Node) -> bool:
    return head.type == "binary_operator" and syntax.operator(head) == "when"


def _call(head: Node) -> Node:
    """The head of a definition without its guard."""
    left = head.child_by_field_name("left") if _guarded(head) else None
    return head if left is None else left


def _without_default(parameter: Node) -> Node:
    left = parameter.child_by_field_name("left") if syntax.operator(parameter) == "\\\\" else None
    return parameter if left is None else left
