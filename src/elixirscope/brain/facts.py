"""What is known about a code base: of one file by reading it, and of a project by joining its files."""

from __future__ import annotations

from typing import Literal

import msgspec

FACTS_VERSION = 1

OpKind = Literal["call", "cast", "send", "publish", "get", "update", "lookup", "insert"]


class Call(msgspec.Struct, frozen=True):
    """A call as written: `module` is None for a local one; `names` are the variables in its arguments."""

    module: str | None
    name: str
    arity: int
    line: int
    text: str
    names: tuple[str, ...] = ()
    # The first two arguments, when they say whom a message goes to and what it is.
    target: str = ""
    tag: str = ""


class Function(msgspec.Struct, frozen=True):
    """A function: all its clauses. `complexity` is 1 plus its decisions; `calls` are in source order."""

    name: str
    arity: int
    line: int
    end_line: int
    private: bool
    clauses: int
    complexity: int
    recursive: bool = False
    receives: bool = False
    eats_binary: bool = False  # a parser: recursive over `<<…, rest::binary>>`
    callback_of: str | None = None
    calls: tuple[Call, ...] = ()

    @property
    def key(self) -> str:
        """`name/arity`."""
        return f"{self.name}/{self.arity}"


class Handler(msgspec.Struct, frozen=True):
    """A clause of an OTP callback: what `tag` it handles, and whether it gives back the state as it was."""

    callback: str
    tag: str
    line: int
    reads_only: bool


class Child(msgspec.Struct, frozen=True):
    """A child a supervisor starts: listed in its children, started on demand, or linked by hand."""

    supervisor: str
    child: str
    how: Literal["listed", "dynamic", "linked"]
    file: str
    line: int
    strategy: str = ""


class Table(msgspec.Struct, frozen=True):
    """An ETS table: where it is made and with which options."""

    name: str
    module: str
    file: str
    line: int
    options: tuple[str, ...]


class Module(msgspec.Struct, frozen=True):
    """A module as written. `kind`: module, protocol, implementation, test or script."""

    name: str
    file: str
    line: int
    end_line: int
    kind: Literal["module", "protocol", "implementation", "test"]
    behaviours: tuple[str, ...]
    functions: tuple[Function, ...]
    handlers: tuple[Handler, ...]
    children: tuple[Child, ...]
    tables: tuple[Table, ...]
    app: str = ""

    def function(self, name: str, arity: int) -> Function | None:
        """The function `name/arity`, a default argument counted as given or not."""
        named = sorted((f for f in self.functions if f.name == name), key=lambda f: f.arity)
        return next((f for f in named if f.arity >= arity), None)


class Problem(msgspec.Struct, frozen=True):
    """A place that could not be understood; the rest of its file was."""

    file: str
    line: int
    text: str


class FileFacts(msgspec.Struct, frozen=True):
    """All modules of a file, read without running it."""

    modules: tuple[Module, ...]
    problems: tuple[Problem, ...]


class Flow(msgspec.Struct, frozen=True):
    """A message on its way: who sends it (`Module.fun/arity`), to which module, and where it is handled."""

    kind: OpKind
    source: str
    target: str | None
    tag: str
    file: str
    line: int
    handler_line: int | None = None


class Risk(msgspec.Struct, frozen=True):
    """A check whose answer may be outdated when the act that relies on it arrives."""

    kind: Literal["check_then_act"]
    function: str
    subject: str
    file: str
    check_line: int
    check: str
    act_line: int
    act: str


class Hot(msgspec.Struct, frozen=True):
    """A function that may run very often, and why."""

    function: str
    file: str
    line: int
    reason: Literal["parses", "recursive", "automaton"]


class App(msgspec.Struct, frozen=True):
    """A Mix application of the project: its name and folder (relative to the project's)."""

    name: str
    path: str


class Analysis(msgspec.Struct, frozen=True):
    """A project as its source tells it. Paths are relative to `root`, lines start at 1."""

    root: str
    apps: tuple[App, ...]
    files: int
    digest: str
    modules: tuple[Module, ...]
    supervision: tuple[Child, ...]
    flows: tuple[Flow, ...]
    tables: tuple[Table, ...]
    risks: tuple[Risk, ...]
    hot: tuple[Hot, ...]
    problems: tuple[Problem, ...]
