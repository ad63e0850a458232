"""Elixir literals as a person types them: syntax nodes → terms, shared by patterns and expressions."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from elixirscope.brain import syntax
from elixirscope.errors import UsageError
from elixirscope.recording.terms import FALSE, NIL, TRUE, Atom, Pid, Term

LONGEST: Final = 4_000
DEEPEST: Final = 60

_ESCAPES: Final = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "0": "\0",
    "e": "\x1b",
    "a": "\a",
    "b": "\b",
    "s": " ",
    "v": "\v",
    "f": "\f",
    "d": "\x7f",
}
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_PID = re.compile(r"(?:#PID)?<?(\d+)\.(\d+)\.(\d+)>?")
_WORDS: Final = {"nil": NIL, "true": TRUE, "false": FALSE}
SCALARS: Final = frozenset(
    ("atom", "quoted_atom", "alias", "integer", "float", "char", "string", "charlist", "nil", "boolean")
)


def parse_one(text: str, what: str) -> Node:
    """The one expression that `text` is. Raises `UsageError` naming the place where it stops being Elixir."""
    if len(text) > LONGEST:
        raise UsageError(f"this {what} is too long", f"at most {LONGEST:,} characters")
    root = syntax.parse(text.encode())
    if root.has_error:
        wrong = next((n for n in syntax.walk(root, tokens=True) if n.is_error or n.is_missing), root)
        column = len(text.encode()[: wrong.start_byte].decode(errors="ignore")) + 1
        raise UsageError(f"this {what} is not Elixir at column {column}: {text[:100]}", "write it as in Elixir source")
    found = [node for node in root.named_children if node.type != "comment"]
    if len(found) != 1:
        raise UsageError(f"give one {what}, not {len(found)}: {text[:100]}", "write it as in Elixir source")
    depth, level = 0, [found[0]]
    while level:
        depth, level = depth + 1, [child for node in level for child in node.named_children]
        if depth > DEEPEST:
            raise UsageError(f"this {what} is nested too deep", f"at most {DEEPEST} levels")
    return found[0]


def refusal(node: Node, what: str, hint: str) -> UsageError:
    """The error that `node` is not understood in a `what`."""
    return UsageError(f"{syntax.one_line(node, 60)!r} is not understood in {what}", hint)


def scalar(node: Node, what: str) -> Term:
    """The term of a literal without parts. Raises `UsageError`."""
    text = syntax.text(node)
    match node.type:
        case "nil" | "boolean":
            return _WORDS[text]
        case "atom":
            return Atom(text[1:])
        case "quoted_atom":
            return Atom(quoted(node, what))
        case "alias":
            return Atom(f"Elixir.{''.join(text.split())}")
        case "integer":
            return int(text.replace("_", ""), 0) if text[:2] in ("0x", "0b", "0o") else int(text.replace("_", ""))
        case "float":
            return float(text.replace("_", ""))
        case "char":
            return ord(_ESCAPE.sub(_unescaped, text[1:]))
        case "string":
            return quoted(node, what).encode()
        case "charlist":
            return [ord(character) for character in quoted(node, what)]
    raise refusal(node, what, "write a literal")


def key_atom(node: Node, what: str) -> Atom:
    """The atom of a `key:` or `"key":`."""
    if node.type == "quoted_keyword":
        return Atom(quoted(node, what))
    return Atom(syntax.text(node).rstrip().removesuffix(":"))


def quoted(node: Node, what: str) -> str:
    """The text between the quotes of a string, charlist or atom, its escapes undone. Raises `UsageError`."""
    if any(child.type == "interpolation" for child in node.named_children):
        raise refusal(node, what, "texts may not be interpolated here")
    return "".join(map(quoted_part, node.named_children))


def quoted_part(node: Node) -> str:
    """A piece between quotes, its escape undone."""
    text = syntax.text(node)
    return _ESCAPE.sub(_unescaped, text) if node.type == "escape_sequence" else text


def charlist_sigil(node: Node) -> list[int] | None:
    """The characters of `~c"…"`, escapes undone; None for another sigil."""
    name = next((syntax.text(c) for c in node.named_children if c.type == "sigil_name"), "")
    parts = (c for c in node.named_children if c.type in ("quoted_content", "escape_sequence"))
    return [ord(c) for c in "".join(map(quoted_part, parts))] if name == "c" else None


def pid(text: str) -> Pid | None:
    """The pid that `0.123.0` or `#PID<0.123.0>` names, of whatever node."""
    found = _PID.fullmatch(text)
    return Pid("", int(found[2]), int(found[3])) if found else None


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    return chr(int(code, 16)) if code else _ESCAPES.get(found[4], found[4])
