"""Reads one Elixir file: its modules, their behaviours, functions, callbacks, children and calls."""

from __future__ import annotations

from dataclasses import dataclass, field

from tree_sitter import Node

from elixirscope.brain import syntax
from elixirscope.brain.facts import Child, FileFacts, Function, Handler, Module, Problem, Table
from elixirscope.brain.functions import Clause, handlers, join_clauses, read_clause
from elixirscope.brain.scope import Scope
from elixirscope.brain.supervision import read_children

_DEFINES = {"def": False, "defp": True, "defmacro": False, "defmacrop": True, "defdelegate": False}
_MODULES = ("defmodule", "defprotocol", "defimpl")
_MAX_PROBLEMS = 20


def read_file(source: bytes, file: str) -> FileFacts:
    """The facts of a file named `file` in reports. What is not Elixir is a problem; the rest is still read."""
    root = syntax.parse(source)
    reader = _Reader(file)
    reader.block(root, None)
    problems = _problems(root, file) if root.has_error else ()
    return FileFacts(tuple(module.finish() for module in reader.modules), problems)


def _problems(root: Node, file: str) -> tuple[Problem, ...]:
    found: dict[int, Problem] = {}
    for node in syntax.walk(root, tokens=True):
        if node.is_error or node.is_missing:
            what = f"`{node.type}` is missing" if node.is_missing else "this is not Elixir"
            excerpt = syntax.one_line(node, 40)
            found.setdefault(
                syntax.line(node),
                Problem(file, syntax.line(node), f"{what}: {excerpt}" if excerpt else what),
            )
    return tuple(found.values())[:_MAX_PROBLEMS]


@dataclass
class _ModuleReader:
    name: str
    file: str
    node: Node
    kind: str
    scope: Scope
    behaviours: list[str] = field(default_factory=list)
    clauses: list[Clause] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    def finish(self) -> Module:
        functions: tuple[Function, ...] = join_clauses(self.clauses, self.behaviours)
        found: tuple[Handler, ...] = handlers(self.clauses)
        return Module(
            name=self.name,
            file=self.file,
            line=syntax.line(self.node),
            end_line=syntax.end_line(self.node),
            kind=self.kind,  # type: ignore[arg-type]
            behaviours=tuple(dict.fromkeys(self.behaviours)),
            functions=functions,
            handlers=found,
            children=tuple(self.children),
            tables=tuple(self.tables),
        )


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.modules: list[_ModuleReader] = []

    def block(self, block: Node, module: _ModuleReader | None) -> None:
        for node in block.named_children:
            if node.is_error:  # what stands inside a broken region is often whole
                self.block(node, module)
            elif syntax.is_call(node, *_MODULES):
                self._module(node, module)
            elif module is not None:
                self._statement(node, module)

    def _module(self, node: Node, outer: _ModuleReader | None) -> None:
        written = syntax.arguments(node)
        body = syntax.do_block(node)
        after = node.next_named_sibling
        if body is None and after is not None and after.is_error:
            body = after  # a broken definition inside tore the body off its module
        if not written or body is None:
            return
        keyword = syntax.callee(node)[1]
        scope = Scope(outer.scope if outer else None)
        # A module's own name is taken as written: aliases do not apply to it.
        plain = written[0].type == "alias" and keyword != "defimpl"
        name = syntax.text(written[0]) if plain else scope.resolve(written[0]) or syntax.text(written[0])
        kind = {"defprotocol": "protocol", "defimpl": "implementation"}.get(keyword, "module")
        if kind == "implementation":
            target = syntax.keyword(written[-1], "for")
            owner = (scope.resolve(target) if target else None) or (outer.name if outer else "Any")
            name = f"{name}.{owner}"
        elif outer is not None and plain and not name.startswith("Elixir."):
            # A nested module is known to its surroundings by its short name.
            short, name = name, f"{outer.name}.{name}"
            outer.scope.aliases[short.split(".")[0]] = f"{outer.name}.{short.split('.')[0]}"
        scope.module = name
        reader = _ModuleReader(name, self.file, node, kind, scope)
        self.modules.append(reader)
        self.block(body, reader)

    def _statement(self, node: Node, module: _ModuleReader) -> None:
        name, written = syntax.attribute(node)
        if name == "behaviour" and written:
            behaviour = module.scope.resolve(written[0])
            module.behaviours += [behaviour] if behaviour else []
        elif name == "impl" or node.type != "call":
            return
        elif syntax.is_call(node, *_DEFINES):
            self._define(node, module)
        elif syntax.is_call(node, "alias", "require", "import"):
            module.scope.add(node)
        elif syntax.is_call(node, "use"):
            self._use(node, module)
        elif syntax.is_call(node, "test", "describe", "setup", "setup_all", "property"):
            self._test(node, module)
        else:
            body = syntax.do_block(node)
            if body is not None:  # `if Code.ensure_loaded?(X) do def … end` and the like
                self.block(body, module)

    def _use(self, node: Node, module: _ModuleReader) -> None:
        module.scope.add(node)
        written = syntax.arguments(node)
        used = module.scope.resolve(written[0]) if written else None
        if used:
            module.behaviours.append(used)
            if used.endswith(("ExUnit.Case", "DataCase", "ConnCase", "ChannelCase")):
                module.kind = "test"

    def _test(self, node: Node, module: _ModuleReader) -> None:
        body = syntax.do_block(node)
        if body is None:
            return
        if syntax.is_call(node, "describe"):
            self.block(body, module)
            return
        title = next((syntax.text(a).strip('"') for a in syntax.arguments(node)[:1]), "")
        clause = read_clause(node, None, body, module.scope)
        clause.name = f"{syntax.callee(node)[1]} {title}".strip()
        clause.arity = 1
        module.clauses.append(clause)

    def _define(self, node: Node, module: _ModuleReader) -> None:
        written = syntax.arguments(node)
        if not written:
            return
        body = syntax.do_block(node) or (syntax.keyword(written[-1], "do") if written[-1].type == "keywords" else None)
        clause = read_clause(node, written[0], body, module.scope)
        clause.private = _DEFINES[syntax.callee(node)[1]]
        module.clauses.append(clause)
        if body is not None:
            children = read_children(clause, body, module.scope, module.name, self.file)
            module.children += children
            module.tables += [
                Table(call.target, module.name, self.file, call.line, tuple(call.names)) for call in clause.tables
            ]
            for inner in body.named_children:
                if syntax.is_call(inner, *_DEFINES):  # an `end` is missing: this stands beside it
                    self._define(inner, module)
