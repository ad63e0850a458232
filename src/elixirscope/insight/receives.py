"""The `receive` blocks of a function, as its recorded source has them, and whether a message could match one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from tree_sitter import Node

from elixirscope.brain import syntax
from elixirscope.errors import UsageError
from elixirscope.insight.values import incomplete
from elixirscope.query import patterns
from elixirscope.query.patterns import Pattern
from elixirscope.recording.terms import Atom, Term, inspect

_PIN = re.compile(r"\^\s*\w+")
_UNKNOWN = re.compile(r"@|\^\(|__\w+__|<<|~")  # what only the compiler knows


@dataclass(frozen=True)
class Clause:
    """One clause: its pattern as written, the line, whether it asks for the value of a variable (`^ref`), and the
    pattern to match (None where only Elixir can judge it)."""

    text: str
    line: int
    tag: str
    parts: int | None  # of a tuple
    pinned: bool
    pattern: Pattern | None

    def may_take(self, term: Term) -> bool:
        """Whether the clause could take a message; also true where that cannot be told. Guards are not judged."""
        return self.pattern is None or incomplete(term) or self.pattern.match(term) is not None


@dataclass(frozen=True)
class Receive:
    """A `receive` of the source: the line, the clauses, and whether it ends by itself (`after`)."""

    line: int
    clauses: tuple[Clause, ...]
    ends: bool

    def may_take(self, term: Term) -> bool:
        """Whether any clause could take a message."""
        return any(clause.may_take(term) for clause in self.clauses)

    def nearest(self, term: Term) -> Clause:
        """The clause that is most like a message, by what it begins with."""
        wanted = _tag(term)
        return max(self.clauses, key=lambda clause: SequenceMatcher(None, clause.tag, wanted).ratio())


def receives(source: Sequence[str], first: int, last: int) -> list[Receive]:
    """The `receive` blocks with a clause that begin on the lines from `first` to `last` of a file."""
    found = []
    for node in syntax.walk(syntax.parse("\n".join(source).encode())):
        if not first <= syntax.line(node) <= last:
            continue
        block = syntax.do_block(node) if syntax.is_call(node, "receive") else None
        if block is None:
            continue
        clauses = tuple(_clause(each) for each in block.named_children if each.type == "stab_clause")
        ends = any(each.type == "after_block" for each in block.named_children)
        if clauses:
            found.append(Receive(syntax.line(node), clauses, ends))
    return found


def _clause(node: Node) -> Clause:
    left = node.child_by_field_name("left")
    while left is not None and (left.type == "arguments" or syntax.operator(left) == "when"):
        inner = left.named_children[0] if left.type == "arguments" else left.child_by_field_name("left")
        if inner is None:
            break
        left = inner
    text = syntax.text(left)
    return Clause(
        text=" ".join(text.split()),
        line=syntax.line(node),
        tag=syntax.tag(left),
        parts=len(left.named_children) if left is not None and left.type == "tuple" else None,
        pinned=_PIN.search(text) is not None,
        pattern=_pattern(text),
    )


def _pattern(text: str) -> Pattern | None:
    """A pattern in which what is pinned stands for anything."""
    loose = _PIN.sub("_", text)
    if _UNKNOWN.search(loose):
        return None
    try:
        return patterns.parse(loose)
    except UsageError:
        return None


def _tag(term: Term) -> str:
    head = term[0] if isinstance(term, tuple) and term else term
    return inspect(head, limit=40) if isinstance(head, Atom) else "*"
