"""`elixirscope analyze DIR`: what the source of a project tells about how it runs."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text
from rich.tree import Tree

from elixirscope.cli.output import console, json_option, plain, print_json, print_table

if TYPE_CHECKING:
    from elixirscope.brain.facts import Analysis


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default=".", metavar="[DIR]")
@json_option
def command(directory: Path, as_json: bool) -> None:
    """Read the project in DIR: behaviours, supervision, message flows, risks. Nothing of it is run."""
    from elixirscope.brain.orchestrator import analysis_of

    analysis = analysis_of(directory)
    if as_json:
        print_json(analysis)
        return
    _print(analysis)


def _print(analysis: Analysis) -> None:
    out = console()
    count = sum(len(module.functions) for module in analysis.modules)
    apps = ", ".join(app.name for app in analysis.apps) or "no Mix application"
    summary = f"{apps}: {analysis.files:,} files, {len(analysis.modules):,} modules, {count:,} functions"
    out.print(Text(plain(summary), style="bold"))
    if analysis.supervision:
        out.print(Text("\nSupervision", style="bold"))
        for tree in _trees(analysis):
            out.print(tree)
    if analysis.flows:
        out.print(Text("\nMessages", style="bold"))
        rows = [
            (flow.kind, flow.source, flow.target or "?", flow.tag, f"{flow.file}:{flow.line}")
            for flow in analysis.flows
        ]
        print_table(("kind", "from", "to", "message", "where"), rows)
    if analysis.tables:
        out.print(Text("\nETS tables", style="bold"))
        rows_of_tables = [
            (table.name, table.module, " ".join(table.options), f"{table.file}:{table.line}")
            for table in analysis.tables
        ]
        print_table(("table", "made by", "options", "where"), rows_of_tables)
    if analysis.risks:
        out.print(Text("\nCheck, then act: another process may come between", style="bold"))
        for risk in analysis.risks:
            out.print(Text(plain(f"  {risk.function} on {risk.subject}")))
            for line, code in ((risk.check_line, risk.check), (risk.act_line, risk.act)):
                out.print(Text(plain(f"    {risk.file}:{line}  {code}"), style="dim"))
    complex_ones = sorted(
        ((f.complexity, f"{m.name}.{f.key}", f"{m.file}:{f.line}") for m in analysis.modules for f in m.functions),
        key=lambda row: (-row[0], row[1]),
    )[:5]
    if complex_ones:
        out.print(Text("\nMost branches", style="bold"))
        print_table(("branches", "function", "where"), complex_ones, right=("branches",))
    if analysis.problems:
        out.print(Text("\nNot understood", style="bold"))
        for problem in analysis.problems:
            out.print(Text(plain(f"  {problem.file}:{problem.line}  {problem.text}")))


def _trees(analysis: Analysis) -> list[Tree]:
    children = defaultdict(list)
    for child in analysis.supervision:
        children[child.supervisor].append(child)
    below = {child.child for child in analysis.supervision}

    def grow(tree: Tree, name: str, path: tuple[str, ...]) -> Tree:
        for child in children.get(name, ()):
            note = {"listed": "", "dynamic": "  (on demand)", "linked": "  (linked)"}[child.how]
            branch = tree.add(Text(plain(child.child + note)))
            if child.child not in path:
                grow(branch, child.child, (*path, child.child))
        return tree

    roots = [name for name in children if name not in below] or list(children)
    return [grow(Tree(Text(plain(root))), root, (root,)) for root in roots]
