"""Which module a name means: aliases as a module declares them."""

from __future__ import annotations

from tree_sitter import Node

from elixirscope.brain import syntax


class Scope:
    """The aliases in force in a module. Aliases declared inside functions count for the whole module."""

    def __init__(self, outer: Scope | None) -> None:
        self.module: str = outer.module if outer else ""
        self.aliases: dict[str, str] = dict(outer.aliases) if outer else {}

    def resolve(self, node: Node | None) -> str | None:
        """The full name of the module `node` stands for: `Elixir`-less, `:ets` for Erlang's; None if unknown."""
        if node is None:
            return None
        written = syntax.text(node)
        if node.type == "identifier" and written == "__MODULE__":
            return self.module or None
        if node.type == "atom":
            return written
        if node.type == "dot":
            left = self.resolve(node.child_by_field_name("left"))
            right = syntax.text(node.child_by_field_name("right"))
            return f"{left}.{right}" if left and right[:1].isupper() else None
        if node.type != "alias":
            return None
        first, dot, rest = written.partition(".")
        return self.aliases.get(first, first) + dot + rest

    def add(self, node: Node) -> None:
        """Take in an `alias`, or an `… as:` of `require`, `import` and `use`."""
        written = syntax.arguments(node)
        if not written:
            return
        name = written[0]
        renamed = syntax.keyword(written[-1], "as") if len(written) > 1 else None
        if name.type == "dot" and syntax.callee(node)[1] == "alias":
            base = self.resolve(name.child_by_field_name("left"))
            right = name.child_by_field_name("right")
            if base and right is not None and right.type == "tuple":
                for part in right.named_children:
                    short = syntax.text(part)
                    self.aliases[short.split(".")[-1]] = f"{base}.{short}"
                return
        full = self.resolve(name)
        if full and renamed is not None:
            self.aliases[syntax.text(renamed)] = full
        elif full and syntax.callee(node)[1] == "alias":
            self.aliases[full.split(".")[-1]] = full
