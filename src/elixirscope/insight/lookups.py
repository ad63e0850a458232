"""What a function looked up and did not find: `Map.get(params, :id)` of a map that has only `"id"`.

A `nil`, or a default, that a lookup gave is told by the source and by what the map held then: it is no longer code that
nobody saw. A key that is like the one that was sought, of another kind or by another spelling, is the usual mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from tree_sitter import Node

from elixirscope.brain import syntax
from elixirscope.errors import UsageError
from elixirscope.insight.changes import Changed, last_set
from elixirscope.insight.history import History
from elixirscope.insight.values import Key, Path, at, duration, incomplete, parts, same, short
from elixirscope.query import literals
from elixirscope.query.row import Row
from elixirscope.recording.terms import NIL, Atom, ElixirMap, Truncated

AFTER = 50
"""States after a lookup in which the key is sought."""

_LOOKS = re.compile(r"\.get\(|\w\[")
_MODULES = ("Map", "Keyword", "Access")
_UNKNOWN = Truncated("unrecorded", None, None)


@dataclass(frozen=True)
class Lookup:
    """A lookup as written, of a `container` that has not the `key`, and the `default` that it gave instead; `path`: the
    container's place in the state of the process, when it is of that."""

    text: str
    line: int
    container: Any
    key: Any
    default: Any
    path: Path | None

    def told(self) -> str:
        """That it is missing, and what is there instead."""
        text = f"{short(self.container)} has no {short(self.key)}"
        other = self.alike()
        if other is None:
            return text
        kinds = (kind_of(self.key), kind_of(other))
        return (
            f"{text}, {kinds[0]}, but {short(other)}, {kinds[1]}"
            if kinds[0] != kinds[1]
            else f"{text}, but {short(other)}"
        )

    def alike(self) -> Any | None:
        """The key that is there and most likely was meant; None where none is like it."""
        keys = [key for key, _ in _entries(self.container)]
        by_name = {name_of(key): key for key in keys}
        if (same_name := by_name.get(name_of(self.key))) is not None:
            return same_name
        alike = {name: key for name, key in by_name.items() if kind_of(key) == kind_of(self.key)}
        close = get_close_matches(name_of(self.key), alike, 1, 0.7) if len(name_of(self.key)) > 2 else []
        return alike[close[0]] if close else None


@dataclass(frozen=True)
class Missing:
    """A lookup without the key, in the frame `reader`; `change` took it out of the state, asked for by `remover`, or it
    came into the state only with the version `later`."""

    lookup: Lookup
    reader: Row
    change: Changed | None
    remover: Row | None
    later: Row | None

    def explained(self, history: History, value: Any) -> str:
        """How the value came of it, in a sentence or two."""
        text = f"{history.name(self.reader)} got {short(value)} by {self.lookup.text}: {self.lookup.told()}."
        text = text[0].upper() + text[1:]
        label = history.label(self.reader["process"])
        if self.later is not None:
            after = duration(int(self.later["at"] - self.reader["start"]))
            return f"{text} It came into the state of {label} only {after} later: this was asked too early."
        if self.remover is None:
            return text
        return f"{text} {history.name(self.remover)} had taken {short(self.lookup.key)} out of the state of {label}."

    def advice(self, history: History) -> str:
        """What to do about it."""
        reader, key, other = history.name(self.reader), short(self.lookup.key), self.lookup.alike()
        if other is not None:
            return f"Let {reader} look up {short(other)}, or let whoever makes the map use {key}."
        strict = f"Map.fetch!/2 in place of {self.lookup.text} fails where the key is missing, not later."
        if self.later is not None:
            label = history.label(self.reader["process"])
            return (
                f"Let {label} have it before it answers: load it in init/1 or handle_continue/2, which are done before"
                f" any request, or answer later (GenServer.reply/2). {strict}"
            )
        if self.remover is not None:
            return f"Let {history.name(self.remover)} keep {key} in the state, or {reader} do without it. {strict}"
        held = f"the state of {history.label(self.reader['process'])}" if self.lookup.path is not None else None
        return f"See to it that {held or f'what {reader} is given'} has {key} by then, or let it do without. {strict}"

    def briefly(self, history: History) -> str:
        """For a title: what was missing where."""
        by = f", which {history.name(self.remover)} took out" if self.remover is not None else ""
        return f"for want of {short(self.lookup.key)} in {history.name(self.reader)}{by}"


def missing(history: History, frame: Row, value: Any, line: int | None = None) -> Missing | None:
    """The lookup of a frame that gave `value` for want of a key, and who had last taken that out of the state."""
    lookup = _missed(history, frame, value, line)
    if lookup is None:
        return None
    change = None
    if lookup.path is not None and lookup.alike() is None:
        change = last_set(history, frame["process"], int(frame["call"]), (*lookup.path, Key(lookup.key)))
        change = change if change is not None and change.before is not None else None
    asked = history.message(change.state["message"]) if change is not None else None
    sender = history.call(asked["sender_call"]) if asked is not None else None
    later = _later(history, frame, lookup) if change is None and lookup.alike() is None else None
    return Missing(lookup, frame, change, sender or (change.frame if change is not None else None), later)


def _later(history: History, frame: Row, lookup: Lookup) -> Row | None:
    """The state that first had the key, after it was sought in vain."""
    if lookup.path is None:
        return None
    states = "select * from raw.states where process = ? and state > ? order by state limit ?"
    for state in history.query.rows(states, [frame["process"], frame["call"], AFTER]):
        try:
            at(history.term(state["value"]), (*lookup.path, Key(lookup.key)))
        except KeyError:
            continue
        return state
    return None


def overlooked(history: History, frame: Row) -> Lookup | None:
    """The only lookup of a frame for a key that is there by another kind: `:id` where the map has `"id"`."""
    found = [
        lookup
        for lookup in _all_missed(history, frame)
        if (other := lookup.alike()) is not None and kind_of(other) != kind_of(lookup.key)
    ]
    return found[0] if len(found) == 1 else None


def _missed(history: History, frame: Row, value: Any, line: int | None = None) -> Lookup | None:
    """The only lookup in the clause that a frame ran (on a line, if one is given) which gave `value` for want of a key;
    None where there is none, or several."""
    found = [lookup for lookup in _all_missed(history, frame, line) if same(lookup.default, value)]
    return found[0] if len(found) == 1 else None


def _all_missed(history: History, frame: Row, line: int | None = None) -> list[Lookup]:
    """The lookups in the clause that a frame ran (on a line, if one is given) that did not find their key."""
    site = history.site(frame["site"])
    source = history.recording.source(site["file"]) if site and site["file"] and site["line"] else None
    if site is None or source is None:
        return []
    first, last = line or site["line"], line or site["end_line"] or site["line"]
    if not any(_LOOKS.search(text) for text in source[first - 1 : last]):
        return []  # most functions look nothing up: their files need not be parsed
    first = line or history.clause(frame).line or first
    return [
        lookup
        for node in syntax.walk(syntax.parse("\n".join(source).encode()))
        if first <= syntax.line(node) <= last and (lookup := _lookup(history, frame, node)) is not None
    ]


def _lookup(history: History, frame: Row, node: Node) -> Lookup | None:
    taken = _taken_apart(node)
    if taken is None:
        return None
    container_node, key_node, default_node = taken
    names = _Names(history, frame, node)
    key = _literal(key_node)
    key = names.value(key_node)[0] if isinstance(key, Truncated) else key
    container, path = names.value(container_node)
    known = isinstance(container, dict | ElixirMap | list) and not incomplete(container)
    if isinstance(key, Truncated) or not known or any(same(other, key) for other, _ in _entries(container)):
        return None
    if isinstance(container, list) and len(_entries(container)) != len(container):
        return None
    default = _literal(default_node) if default_node is not None else NIL
    return Lookup(syntax.one_line(node, 60), syntax.line(node), container, key, default, path)


def _taken_apart(node: Node) -> tuple[Node, Node, Node | None] | None:
    """Container, key and default of `Map.get(map, key, default)`, `map |> Map.get(key)`, `map[key]`."""
    if node.type == "access_call":
        target, key = node.child_by_field_name("target"), node.child_by_field_name("key")
        return (target, key, None) if target is not None and key is not None else None
    module, function = syntax.callee(node) if node.type == "call" else (None, "")
    if module is None or syntax.text(module) not in _MODULES or function != "get":
        return None
    given = syntax.arguments(node)
    pipe = node.parent
    if pipe is not None and syntax.operator(pipe) == "|>" and pipe.child_by_field_name("right") == node:
        left = pipe.child_by_field_name("left")
        given = [left, *given] if left is not None else given
    if len(given) not in (2, 3):
        return None
    return given[0], given[1], given[2] if len(given) == 3 else None


class _Names:
    """What the names in an expression stood for when a frame ran it."""

    def __init__(self, history: History, frame: Row, node: Node) -> None:
        self._history = history
        self._frame = frame
        self._parameters = list(_parameters(node))

    def value(self, node: Node) -> tuple[Any, Path | None]:
        """The term of a variable, of a field of it (`state.rates`), or of `&1`; and its place in the state."""
        if node.type == "unary_operator" and syntax.operator(node) == "&":
            return self._argument(int(syntax.text(node)[1:]) - 1 if syntax.text(node)[1:].isdigit() else None)
        if node.type == "identifier":
            return self._named(syntax.text(node))
        field = syntax.callee(node) if node.type == "call" and not syntax.arguments(node) else (None, "")
        if field[0] is None:
            return _UNKNOWN, None
        inner, path = self.value(field[0])
        step = Key(Atom(field[1]))
        try:
            return at(inner, (step,)), None if path is None else (*path, step)
        except KeyError:
            return _UNKNOWN, None

    def _named(self, name: str) -> tuple[Any, Path | None]:
        for row in self._history.query.find_all("bindings", "call", self._frame["call"]):
            values = self._history.term(row["value"])
            if row["name"] == name and isinstance(values, tuple) and row["position"] < len(values):
                return values[row["position"]], None
        return self._argument(self._parameters.index(name) if name in self._parameters else None)

    def _argument(self, position: int | None) -> tuple[Any, Path | None]:
        """An argument; the last of a callback, its state, is recorded with the process."""
        given = self._history.term(self._frame["args"])
        state = next(self._history.states_before(self._frame["process"], self._frame["call"]), None)
        held = self._history.term(state["value"]) if state is not None else _UNKNOWN
        if position is None or not isinstance(given, tuple):
            return _UNKNOWN, None
        if position < len(given):
            return given[position], () if same(given[position], held) else None
        callback = (self._history.site(self._frame["site"]) or {}).get("callback")
        return (held, ()) if callback and position == len(given) else (_UNKNOWN, None)


def _parameters(node: Node) -> Iterator[str]:
    """The names of the parameters of the function, or the anonymous one, that an expression is written in."""
    here: Node | None = node
    while here is not None and not syntax.is_call(here, "def", "defp"):
        if here.type == "stab_clause" and here.parent is not None and here.parent.type == "anonymous_function":
            left = here.child_by_field_name("left")
            yield from (_parameter(each) for each in (left.named_children if left is not None else ()))
            return
        here = here.parent
    head = syntax.arguments(here)[0] if here is not None and syntax.arguments(here) else None
    if head is not None and syntax.operator(head) == "when":
        head = head.child_by_field_name("left")
    yield from (_parameter(each) for each in (syntax.arguments(head) if head is not None else ()))


def _parameter(node: Node) -> str:
    """The name that a parameter has as a whole: of `%{} = params` it is `params`; "" for a pattern."""
    if syntax.operator(node) == "=":
        sides = (node.child_by_field_name("left"), node.child_by_field_name("right"))
        return next((syntax.text(side) for side in sides if side is not None and side.type == "identifier"), "")
    if syntax.operator(node) == "\\\\":
        return syntax.text(node.child_by_field_name("left"))
    return syntax.text(node) if node.type == "identifier" else ""


def literal(text: str) -> Any | None:
    """The term of a literal without parts; None where the text is none."""
    try:
        return literals.scalar(literals.parse_one(text, "value"), "value")
    except UsageError:
        return None


def _literal(node: Node) -> Any:
    try:
        return literals.scalar(node, "lookup")
    except UsageError:
        return _UNKNOWN


def _entries(container: Any) -> list[tuple[Any, Any]]:
    if isinstance(container, list):
        return [(each[0], each[1]) for each in container if isinstance(each, tuple) and len(each) == 2]
    return [(step.key, value) for step, value in parts(container) if isinstance(step, Key)]


def name_of(key: Any) -> str:
    """What a key is called, of whatever kind it is."""
    if isinstance(key, bytes):
        return key.decode(errors="replace")
    return str(int(key)) if isinstance(key, float) and key.is_integer() else str(key)


def kind_of(key: Any) -> str:
    """`an atom`, `a text`, …"""
    if isinstance(key, Atom):
        return "an atom"
    kinds = {bytes: "a text", int: "an integer", float: "a float"}
    return kinds.get(type(key), "a term")
