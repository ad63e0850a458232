"""Elixir-like expressions over recorded values, evaluated in plain Python: for guards and retroactive prints.

A tree of syntax nodes becomes a tree of closures; nothing is ever handed to Python's own evaluator, there are no loops
and no user functions, and sizes of results are bounded, so an expression ends soon whatever is typed. What is not
understood is refused when it is compiled (`UsageError`); what fails on the values of one hit is an `EvaluationError`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from tree_sitter import Node

from elixirscope.brain import syntax
from elixirscope.query import literals
from elixirscope.query.equality import pairs, same
from elixirscope.query.functions import BINARY, FUNCTIONS, EvaluationError, boolean, known, shown, truthy
from elixirscope.recording.terms import FALSE, NIL, TRUE, Atom, Term, make_map

_WHAT: Final = "an expression"
_HINT: Final = (
    "known are variables, a.b, m[k], comparisons, + - * /, and or not in <> ++, functions such as length, elem"
)


class Evaluated:
    """The variables that an expression is evaluated with."""

    __slots__ = ("variables",)

    def __init__(self, variables: dict[str, Term]) -> None:
        self.variables = variables


Expression: TypeAlias = Callable[[Evaluated], Term]


def compile_expression(text: str) -> Expression:
    """The expression that `text` is. Raises `UsageError`, saying what is not understood."""
    return compile_node(literals.parse_one(text.strip(), "expression"))


def compile_node(node: Node) -> Expression:
    """The expression of a syntax node. Raises `UsageError`."""
    if node.type in literals.SCALARS and node.type not in ("string", "charlist"):
        constant = literals.scalar(node, _WHAT)
        return lambda _: constant
    compiled = _COMPILERS.get(node.type)
    if compiled is None:
        raise literals.refusal(node, _WHAT, _HINT)
    return compiled(node)


def _identifier(node: Node) -> Expression:
    name = syntax.text(node)

    def look_up(given: Evaluated) -> Term:
        if name not in given.variables:
            raise EvaluationError(f"no variable {name!r} is known here")
        return known(given.variables[name])

    return look_up


def _string(node: Node) -> Expression:
    parts: list[Expression | bytes] = []
    for child in node.named_children:
        if child.type == "interpolation":
            (inner,) = child.named_children[:1] or (None,)
            if inner is None:
                raise literals.refusal(child, _WHAT, _HINT)
            parts.append(compile_node(inner))
        else:
            parts.append(literals.quoted_part(child).encode())

    def join(given: Evaluated) -> bytes:
        return b"".join(part if isinstance(part, bytes) else shown(part(given)) for part in parts)

    return join


def _charlist(node: Node) -> Expression:
    characters = literals.scalar(node, _WHAT)
    return lambda _: characters


def _sigil(node: Node) -> Expression:
    characters = literals.charlist_sigil(node)
    if characters is None:
        raise literals.refusal(node, _WHAT, "of sigils, ~c is known")
    return lambda _: characters


def _tuple(node: Node) -> Expression:
    parts = [compile_node(child) for child in node.named_children]
    return lambda given: tuple(part(given) for part in parts)


def _list(node: Node) -> Expression:
    parts: list[Expression] = []
    for child in node.named_children:
        if child.type == "keywords":
            parts += [_keyword_pair(pair) for pair in child.named_children]
        else:
            parts.append(compile_node(child))
    return lambda given: [part(given) for part in parts]


def _keyword_pair(pair: Node) -> Expression:
    key, value = pair.child_by_field_name("key"), pair.child_by_field_name("value")
    if key is None or value is None:
        raise literals.refusal(pair, _WHAT, _HINT)
    name, made = literals.key_atom(key, _WHAT), compile_node(value)
    return lambda given: (name, made(given))


def _map(node: Node) -> Expression:
    made: list[tuple[Expression, Expression]] = []
    for child in node.named_children:
        if child.type != "map_content":
            raise literals.refusal(child, _WHAT, "of maps, %{key: value} is known")
        for part in child.named_children:
            if part.type == "keywords":
                for pair in map(_keyword_pair, part.named_children):
                    made.append((_first(pair), _second(pair)))
            elif part.type == "binary_operator" and syntax.operator(part) == "=>":
                made.append((_operand(part, "left"), _operand(part, "right")))
            else:
                raise literals.refusal(part, _WHAT, _HINT)
    return lambda given: make_map([(key(given), value(given)) for key, value in made])


def _first(pair: Expression) -> Expression:
    return lambda given: pair(given)[0]


def _second(pair: Expression) -> Expression:
    return lambda given: pair(given)[1]


def _operand(node: Node, field: str) -> Expression:
    found = node.child_by_field_name(field)
    if found is None:
        raise literals.refusal(node, _WHAT, _HINT)
    return compile_node(found)


def _block(node: Node) -> Expression:
    if len(node.named_children) != 1:
        raise literals.refusal(node, _WHAT, "give one expression")
    return compile_node(node.named_children[0])


def _unary(node: Node) -> Expression:
    operand, operator = _operand(node, "operand"), syntax.operator(node)
    if operator == "not":
        return lambda given: FALSE if boolean(operand(given)) else TRUE
    if operator == "!":
        return lambda given: FALSE if truthy(operand(given)) else TRUE
    if operator in ("-", "+"):
        sign = -1 if operator == "-" else 1
        return lambda given: BINARY["*"](sign, operand(given))
    raise literals.refusal(node, _WHAT, _HINT)


def _binary(node: Node) -> Expression:
    left, operator = _operand(node, "left"), syntax.operator(node)
    if operator in ("and", "&&", "or", "||"):
        return _lazy(operator, left, _operand(node, "right"))
    if operator not in ("in", "not in") and operator not in BINARY:
        raise literals.refusal(node, _WHAT, _HINT)
    right = _operand(node, "right")
    if operator in ("in", "not in"):
        wanted = operator == "in"
        return lambda given: TRUE if _within(left(given), right(given)) is wanted else FALSE
    apply = BINARY[operator]
    return lambda given: apply(left(given), right(given))


def _lazy(operator: str, left: Expression, right: Expression) -> Expression:
    strict, stops = operator in ("and", "or"), operator in ("or", "||")

    def evaluate(given: Evaluated) -> Term:
        first = left(given)
        holds = boolean(first) if strict else truthy(first)
        return first if holds is stops else right(given)

    return evaluate


def _within(item: Term, items: Term) -> bool:
    if not isinstance(items, list):
        raise EvaluationError("the right side of `in` is no list")
    return any(same(item, one) for one in items)


def _access(node: Node) -> Expression:
    whole, key = _operand(node, "target"), _operand(node, "key")

    def get(given: Evaluated) -> Term:
        container, wanted = whole(given), key(given)
        if isinstance(container, Atom) and container == NIL:
            return NIL
        found = pairs(container)
        if found is None and isinstance(container, list):
            found = [pair for pair in container if isinstance(pair, tuple) and len(pair) == 2]
        if found is None:
            raise EvaluationError("what stands before [ ] is neither a map nor a keyword list")
        return next((known(value) for name, value in found if same(name, wanted)), NIL)

    return get


def _call(node: Node) -> Expression:
    target = node.child_by_field_name("target")
    arguments = syntax.arguments(node)
    if target is not None and target.type == "dot":
        left, right = target.child_by_field_name("left"), target.child_by_field_name("right")
        if left is not None and right is not None and left.type != "alias" and not arguments:
            return _field(compile_node(left), Atom(syntax.text(right)))
        name = f"{syntax.text(left)}.{syntax.text(right)}"
    else:
        name = syntax.text(target)
    if name == "match?" and len(arguments) == 2:
        return _matches(arguments[0], compile_node(arguments[1]))
    function = FUNCTIONS.get((name, len(arguments)))
    if function is None or syntax.do_block(node) is not None:
        raise literals.refusal(
            node, _WHAT, f"known functions: {', '.join(sorted(f'{n}/{a}' for n, a in FUNCTIONS))}, match?/2"
        )
    given_as = [compile_node(argument) for argument in arguments]
    return lambda given: function(*(argument(given) for argument in given_as))


def _field(whole: Expression, name: Atom) -> Expression:
    def get(given: Evaluated) -> Term:
        found = pairs(whole(given))
        if found is None:
            raise EvaluationError(f"what stands before .{name} is no map")
        for key, value in found:
            if isinstance(key, Atom) and key == name:
                return known(value)
        raise EvaluationError(f"there is no field {name}")

    return get


def _matches(pattern: Node, value: Expression) -> Expression:
    from elixirscope.query.patterns import compile_pattern  # patterns have guards, guards are expressions

    compiled = compile_pattern(pattern)
    return lambda given: TRUE if compiled.match(value(given)) is not None else FALSE


_COMPILERS: Final[dict[str, Callable[[Node], Expression]]] = {
    "identifier": _identifier,
    "string": _string,
    "charlist": _charlist,
    "sigil": _sigil,
    "tuple": _tuple,
    "list": _list,
    "map": _map,
    "block": _block,
    "unary_operator": _unary,
    "binary_operator": _binary,
    "access_call": _access,
    "call": _call,
}
