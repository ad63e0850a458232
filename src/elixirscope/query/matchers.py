"""What a pattern's syntax means: for each node a matcher, and the bytes that whatever it matches must contain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from tree_sitter import Node

from elixirscope.brain import syntax
from elixirscope.errors import UsageError
from elixirscope.query import literals
from elixirscope.query.equality import same
from elixirscope.query.expressions import Evaluated, Expression, compile_node
from elixirscope.query.functions import boolean
from elixirscope.recording import etf
from elixirscope.recording.terms import Atom, ElixirMap, ImproperList, Pid, Term, Truncated, inspect

Bindings: TypeAlias = "dict[str, Term]"
Matcher: TypeAlias = Callable[[Term, Bindings], bool]
Needles: TypeAlias = "tuple[frozenset[bytes], ...]"  # one of these sets must be in the bytes, all of it

_WHAT: Final = "a pattern"
_HINT: Final = 'patterns are written as %{status: :error}, {:ok, _}, %User{}, [_ | _], "text" <> _, a | b'
_MOST_ALTERNATIVES: Final = 16
_SHORTEST_NEEDLE: Final = 2
_STRUCT: Final = Atom("__struct__")
ANYTHING: Needles = (frozenset(),)


def _both(*found: Needles) -> Needles:
    """What must be there when all must: each way of one with each way of the others."""
    ways = ANYTHING
    for needles in found:
        if len(ways) * len(needles) > _MOST_ALTERNATIVES:
            continue  # fewer demands let more through, and never too little
        ways = tuple(one | other for one in ways for other in needles)
    return ways


def _needle(data: bytes) -> Needles:
    return (frozenset((data,)),) if len(data) >= _SHORTEST_NEEDLE else ANYTHING


def _charlist_needles(characters: list[int]) -> Needles:
    """A list of bytes is encoded as a string, as the VM does, or one small integer after the other."""
    return (frozenset((bytes(characters),)), frozenset((b"".join(b"a%c" % c for c in characters),)))


class Compiler:
    """Syntax nodes → matchers with the bytes they need."""

    def compile(self, node: Node) -> tuple[Matcher, Needles]:
        kind = node.type
        if kind in literals.SCALARS:
            return self._literal(literals.scalar(node, _WHAT))
        handler = getattr(self, f"_{kind}", None)
        if handler is None:
            raise literals.refusal(node, _WHAT, _HINT)
        made: tuple[Matcher, Needles] = handler(node)
        return made

    def _literal(self, term: Term) -> tuple[Matcher, Needles]:
        if isinstance(term, Atom):
            # How an atom beyond ASCII is encoded depends on the VM
            needles = _needle(term.encode()) if term.isascii() else ANYTHING
            return (lambda value, _: isinstance(value, Atom) and value == term), needles
        needles = (frozenset((etf.encode(term)[1:],)),) if isinstance(term, bytes) else ANYTHING
        if isinstance(term, list):
            needles = (
                _charlist_needles(term) if all(c < 256 for c in term) and len(term) >= _SHORTEST_NEEDLE else ANYTHING
            )
        return (lambda value, _: same(value, term)), needles

    def _identifier(self, node: Node) -> tuple[Matcher, Needles]:
        name = syntax.text(node)
        if name.startswith("_"):
            return (lambda _value, _bindings: True), ANYTHING

        def bind(value: Term, bindings: Bindings) -> bool:
            if name in bindings:
                return same(bindings[name], value)
            bindings[name] = value
            return True

        return bind, ANYTHING

    def _tuple(self, node: Node) -> tuple[Matcher, Needles]:
        parts = [self.compile(child) for child in _plain(node)]
        matchers = [matcher for matcher, _ in parts]
        free = [child.type == "identifier" for child in _plain(node)]

        def match(value: Term, bindings: Bindings) -> bool:
            if isinstance(value, Truncated) and isinstance(value.shown, tuple):
                known = len(value.shown)
                if value.total != len(matchers) or not all(free[known:]):
                    return False
                value = value.shown
            elif not isinstance(value, tuple) or len(value) != len(matchers):
                return False
            return all(m(part, bindings) for m, part in zip(matchers, value, strict=False))

        return match, _both(*(needles for _, needles in parts))

    def _list(self, node: Node) -> tuple[Matcher, Needles]:
        children = list(node.named_children)
        tail: Matcher | None = None
        found: list[tuple[Matcher, Needles]] = []
        extra: list[Needles] = []
        for child in children:
            if child.type == "keywords":
                found += [self._keyword(pair) for pair in child.named_children]
            elif child.type == "binary_operator" and syntax.operator(child) == "|" and child == children[-1]:
                left, right = child.child_by_field_name("left"), child.child_by_field_name("right")
                assert left is not None
                assert right is not None
                found.append(self.compile(left))
                tail, needles = self.compile(right)
                extra.append(needles)
            else:
                found.append(self.compile(child))
        matchers = [matcher for matcher, _ in found]

        def match(value: Term, bindings: Bindings) -> bool:
            items, rest = (value.items, value.tail) if isinstance(value, ImproperList) else (value, [])
            if not isinstance(items, list) or len(items) < len(matchers):
                return False
            if not all(m(part, bindings) for m, part in zip(matchers, items, strict=False)):
                return False
            left = items[len(matchers) :]
            if tail is None:
                return not left and not isinstance(value, ImproperList)
            if isinstance(value, ImproperList):
                return tail(ImproperList(left, rest) if left else rest, bindings)
            return tail(left, bindings)

        return match, _both(*(needles for _, needles in found), *extra)

    def _keyword(self, pair: Node) -> tuple[Matcher, Needles]:
        key, value = self._pair(pair)
        first, then = self._literal(key), self.compile(value)

        def match(term: Term, bindings: Bindings) -> bool:
            return (
                isinstance(term, tuple)
                and len(term) == 2
                and first[0](term[0], bindings)
                and then[0](term[1], bindings)
            )

        return match, _both(first[1], then[1])

    def _map(self, node: Node) -> tuple[Matcher, Needles]:
        wanted: list[tuple[Term, Matcher]] = []
        needles: list[Needles] = []
        struct: Callable[[Term], bool] | None = None
        for child in node.named_children:
            if child.type == "struct":
                struct = self._struct(child)
                if (name := _last_part(child)) is not None:
                    needles.append(_needle(name.encode()))
            elif child.type == "map_content":
                for key, value in self._pairs(child):
                    matcher, more = self.compile(value)
                    wanted.append((key, matcher))
                    needles += [self._literal(key)[1], more]
            else:
                raise literals.refusal(child, _WHAT, _HINT)

        def match(value: Term, bindings: Bindings) -> bool:
            if not isinstance(value, (dict, ElixirMap)):
                return False
            if struct is not None and not struct(_value_of(value, _STRUCT)):
                return False
            for key, matcher in wanted:
                part = _value_of(value, key)
                if part is None or not matcher(part, bindings):
                    return False
            return True

        return match, _both(*needles)

    def _struct(self, node: Node) -> Callable[[Term], bool]:
        name = syntax.text(node)
        if name.startswith("_"):
            return lambda value: isinstance(value, Atom)
        if not name[:1].isupper():
            raise literals.refusal(node, _WHAT, "name the struct, or write %_{}")
        whole, ending = f"Elixir.{name}", f".{name}"
        return lambda value: isinstance(value, Atom) and (value == whole or value.endswith(ending))

    def _pairs(self, content: Node) -> Iterator[tuple[Term, Node]]:
        for child in content.named_children:
            if child.type == "keywords":
                for pair in child.named_children:
                    yield self._pair(pair)
            elif child.type == "binary_operator" and syntax.operator(child) == "=>":
                left, right = child.child_by_field_name("left"), child.child_by_field_name("right")
                assert left is not None
                assert right is not None
                yield _constant(left), right
            else:
                raise literals.refusal(child, _WHAT, _HINT)

    def _pair(self, pair: Node) -> tuple[Atom, Node]:
        key, value = pair.child_by_field_name("key"), pair.child_by_field_name("value")
        if key is None or value is None:
            raise literals.refusal(pair, _WHAT, _HINT)
        return literals.key_atom(key, _WHAT), value

    def _binary_operator(self, node: Node) -> tuple[Matcher, Needles]:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None:
            raise literals.refusal(node, _WHAT, _HINT)
        match syntax.operator(node):
            case "|" | "or" | "||":
                return self._either(self.compile(left), self.compile(right))
            case "=":
                one, other = self.compile(left), self.compile(right)
                return (lambda v, b: one[0](v, b) and other[0](v, b)), _both(one[1], other[1])
            case "<>":
                return self._prefix(left, right)
            case "when":
                inner, guard = self.compile(left), compile_node(right)
                return (lambda v, b: inner[0](v, b) and _holds(guard, b)), inner[1]
        raise literals.refusal(node, _WHAT, _HINT)

    def _either(self, one: tuple[Matcher, Needles], other: tuple[Matcher, Needles]) -> tuple[Matcher, Needles]:
        def match(value: Term, bindings: Bindings) -> bool:
            attempt = dict(bindings)
            for matcher in (one[0], other[0]):
                if matcher(value, attempt):
                    bindings.update(attempt)
                    return True
                attempt = dict(bindings)
            return False

        ways = (*one[1], *other[1])
        return match, ways if len(ways) <= _MOST_ALTERNATIVES else ANYTHING

    def _prefix(self, left: Node, right: Node) -> tuple[Matcher, Needles]:
        if left.type != "string":
            raise literals.refusal(left, _WHAT, 'write "prefix" <> rest')
        prefix: bytes = literals.scalar(left, _WHAT)
        rest, more = self.compile(right)

        def match(value: Term, bindings: Bindings) -> bool:
            data = value.shown if isinstance(value, Truncated) and value.kind == "binary" else value
            if not isinstance(data, bytes) or not data.startswith(prefix):
                return False
            if isinstance(value, Truncated):
                return right.type == "identifier"
            return rest(data[len(prefix) :], bindings)

        return match, _both(_needle(prefix), more)

    def _unary_operator(self, node: Node) -> tuple[Matcher, Needles]:
        return self._literal(_constant(node))

    def _block(self, node: Node) -> tuple[Matcher, Needles]:
        inner = node.named_children
        if len(inner) != 1:
            raise literals.refusal(node, _WHAT, _HINT)
        return self.compile(inner[0])

    def _sigil(self, node: Node) -> tuple[Matcher, Needles]:
        characters = literals.charlist_sigil(node)
        if characters is not None:
            return self._literal(characters)
        written = syntax.text(node)
        return (lambda value, _: isinstance(value, dict) and inspect(value, limit=300) == written), ANYTHING

    def _call(self, node: Node) -> tuple[Matcher, Needles]:
        """`pid("0.123.0")`: a pid by its number, whatever its node."""
        written = syntax.arguments(node)
        if syntax.is_call(node, "pid") and len(written) == 1 and written[0].type == "string":
            wanted = literals.pid(literals.quoted(written[0], _WHAT))
            if wanted is not None:
                return (lambda v, _: isinstance(v, Pid) and (v.id, v.serial) == (wanted.id, wanted.serial)), ANYTHING
        raise literals.refusal(node, _WHAT, 'a pid is written as pid("0.123.0")')

    def _bitstring(self, node: Node) -> tuple[Matcher, Needles]:
        return self._literal(_bytes(node))


def _bytes(node: Node) -> bytes:
    children = list(node.named_children)
    if any(child.type not in ("integer", "string") for child in children):
        raise literals.refusal(node, _WHAT, 'bytes are written as <<1, 2, "text">>; a beginning as "text" <> _')
    values = [literals.scalar(child, _WHAT) for child in children]
    if any(isinstance(value, int) and not 0 <= value < 256 for value in values):
        raise literals.refusal(node, _WHAT, "bytes are from 0 to 255")
    return b"".join(bytes((value,)) if isinstance(value, int) else value for value in values)


def _plain(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type != "comment"]


def _holds(guard: Expression, bindings: Bindings) -> bool:
    """A guard that fails does not match, as in Elixir."""
    try:
        return boolean(guard(Evaluated(bindings)))
    except UsageError:
        return False


def _value_of(term: Any, key: Term) -> Term | None:
    """The value of a key; None when there is none (Elixir's nil is an atom here)."""
    if isinstance(term, dict) and isinstance(key, (Atom, bytes)):
        return term.get(key)
    return next((value for name, value in term.items() if same(name, key)), None)


def _constant(node: Node) -> Term:
    """The term of a literal with its parts, as a key is. Raises `UsageError`."""
    if node.type in literals.SCALARS:
        return literals.scalar(node, _WHAT)
    if node.type == "bitstring":
        return _bytes(node)
    if node.type == "tuple":
        return tuple(_constant(child) for child in _plain(node))
    if node.type == "list":
        return [_constant(child) for child in _plain(node)]
    if node.type == "unary_operator" and syntax.operator(node) == "-":
        operand = node.child_by_field_name("operand")
        if operand is not None and operand.type in ("integer", "float"):
            return -literals.scalar(operand, _WHAT)
    raise literals.refusal(node, _WHAT, "write a literal")


def _last_part(node: Node) -> str | None:
    name = syntax.text(node)
    return name.rsplit(".", 1)[-1] if name[:1].isupper() else None
