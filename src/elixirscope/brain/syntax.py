"""Small questions about Elixir syntax trees, on top of tree-sitter."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import tree_sitter_elixir
from tree_sitter import Language, Node, Parser


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_elixir.language()))


def parse(source: bytes) -> Node:
    """The tree of a file; a tree with ERROR nodes where the text is not Elixir."""
    return _parser().parse(source).root_node


def text(node: Node | None) -> str:
    """The node's source text, `""` for no node."""
    return node.text.decode(errors="replace") if node is not None and node.text is not None else ""


def line(node: Node) -> int:
    """The 1-based line the node starts on."""
    return node.start_point[0] + 1


def end_line(node: Node) -> int:
    """The 1-based line the node ends on."""
    return node.end_point[0] + 1


def walk(node: Node, *, tokens: bool = False) -> Iterator[Node]:
    """The node and all below it, in source order, `tokens` like `do` and `,` only if asked; safe for any depth."""
    stack = [node]
    while stack:
        here = stack.pop()
        yield here
        stack.extend(reversed(here.children if tokens else here.named_children))


def callee(call: Node) -> tuple[Node | None, str]:
    """Of a `call` node: the module's node (None when local) and the function's name (`""` for `f.()`)."""
    target = call.child_by_field_name("target")
    if target is None:
        return None, ""
    if target.type == "dot":
        return target.child_by_field_name("left"), text(target.child_by_field_name("right"))
    return None, text(target) if target.type == "identifier" else ""


def is_call(node: Node, *names: str) -> bool:
    """Is the node a local call (or macro call) of one of `names`?"""
    return node.type == "call" and callee(node)[0] is None and callee(node)[1] in names


def arguments(call: Node) -> list[Node]:
    """The arguments of a call as written, without a do block; keywords count as one."""
    for child in call.named_children:
        if child.type == "arguments":
            return [argument for argument in child.named_children if argument.type != "comment"]
    return []


def do_block(call: Node) -> Node | None:
    """The `do … end` of a call."""
    return next((child for child in call.named_children if child.type == "do_block"), None)


def keyword(node: Node | None, key: str) -> Node | None:
    """The value of `key:` in a keywords node, a keyword list or a map."""
    if node is None:
        return None
    for pair in node.named_children:
        if pair.type in ("keywords", "map_content"):
            return keyword(pair, key)
        if pair.type == "pair" and text(pair.child_by_field_name("key")).rstrip(": \n\t") == key:
            return pair.child_by_field_name("value")
    return None


def operator(node: Node) -> str:
    """The operator of a unary or binary operator node, else `""`."""
    return text(node.child_by_field_name("operator")) if node.type.endswith("_operator") else ""


def attribute(node: Node) -> tuple[str, list[Node]]:
    """Of `@name value`: the name and its arguments; `("", [])` for anything else."""
    if node.type == "unary_operator" and operator(node) == "@":
        operand = node.child_by_field_name("operand")
        if operand is not None and operand.type == "call":
            return callee(operand)[1], arguments(operand)
    return "", []


def tag(pattern: Node | None) -> str:
    """What tells a message from others: `:free?` of `{:free?, seat}` or `:free?`; `*` when it varies."""
    if pattern is None:
        return "*"
    if pattern.type == "binary_operator" and operator(pattern) == "=":
        left = tag(pattern.child_by_field_name("left"))
        return left if left != "*" else tag(pattern.child_by_field_name("right"))
    if pattern.type == "tuple" and pattern.named_children:
        return tag(pattern.named_children[0])
    return text(pattern) if pattern.type in ("atom", "quoted_atom") else "*"


def one_line(node: Node, limit: int = 100) -> str:
    """The node's text on one line, shortened to `limit` characters."""
    flat = " ".join(text(node).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
