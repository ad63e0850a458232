"""Joins the facts of a project's files: who supervises whom, who sends what to whom, what is risky."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from elixirscope.brain.facts import Analysis, FileFacts, Hot, Module, Problem
from elixirscope.brain.flows import Servers, find_flows
from elixirscope.brain.project import Project
from elixirscope.brain.risks import find_risks

# A longer recursive function does real work in each step, and its values are worth having.
_SMALL_LINES = 16


def read_project(project: Project, known: Mapping[str, FileFacts]) -> dict[str, FileFacts]:
    """The facts of all files by `fact_key`, in the project's order, reading those not `known`."""
    facts = {}
    for file in project.files:
        try:
            source = (project.root / file).read_bytes()
        except OSError as error:
            problem = Problem(file, 1, f"cannot be read: {error.strerror or error}")
            facts[f"unread:{file}"] = FileFacts((), (problem,))
            continue
        key = fact_key(source, file)
        facts[key] = known.get(key) or _read(source, file)
    return facts


def _read(source: bytes, file: str) -> FileFacts:
    from elixirscope.brain.reader import read_file  # and with it the parser: of a project that is known nobody parses

    return read_file(source, file)


def fact_key(source: bytes, file: str) -> str:
    """What a file's facts depend on: its bytes and its path."""
    return hashlib.sha256(file.encode() + b"\0" + source).hexdigest()


def join(project: Project, facts: Mapping[str, FileFacts]) -> Analysis:
    """The analysis of a project whose files have been read."""
    modules = tuple(
        msgspec.structs.replace(module, app=project.app_of(module.file))
        for each in facts.values()
        for module in each.modules
        if not module.file.endswith("mix.exs")
    )
    servers = Servers(modules)
    return Analysis(
        root=str(project.root),
        apps=project.apps,
        files=len(project.files),
        digest=hashlib.sha256("".join(facts).encode()).hexdigest(),
        modules=modules,
        supervision=tuple(child for module in modules for child in module.children),
        flows=find_flows(modules, servers),
        tables=tuple(table for module in modules for table in module.tables),
        risks=find_risks(modules, servers),
        hot=(*_hot(modules), *_automata(project.grammars)),
        problems=tuple(problem for each in facts.values() for problem in each.problems),
    )


def _hot(modules: Iterable[Module]) -> Iterable[Hot]:
    for module in modules:
        for function in module.functions:
            small = function.end_line - function.line < _SMALL_LINES
            looping = function.recursive and not function.receives and function.callback_of is None
            if looping and (small or function.eats_binary):
                name = f"{module.name}.{function.key}"
                yield Hot(name, module.file, function.line, "parses" if function.eats_binary else "recursive")


def _automata(grammars: Iterable[str]) -> Iterable[Hot]:
    """The states of the automata that leex and yecc make of grammars, called for every character or token."""
    for file in grammars:
        name, suffix = Path(file).stem, Path(file).suffix
        if re.fullmatch(r"[a-z]\w*", name):  # the module; what needs quotes no rule can name
            states = "yystate/*" if suffix == ".xrl" else "yecc*/7"  # the actions of yecc have one argument
            yield Hot(f":{name}.{states}", file, 1, "automaton")
