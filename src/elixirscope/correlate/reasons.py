"""Exit reasons and exceptions: what kind they are, what they are called, and what they say."""

from __future__ import annotations

from typing import NamedTuple

from elixirscope.recording.terms import Atom, ImproperList, Term, inspect, module_name

_SHOWN = 300  # characters of a value within a message

# Erlang's own error reasons as Elixir names and words them.
_ERLANG = {
    "badarith": ("ArithmeticError", "bad argument in arithmetic expression"),
    "badarg": ("ArgumentError", "argument error"),
    "undef": ("UndefinedFunctionError", "undefined function"),
    "function_clause": ("FunctionClauseError", "no function clause matching"),
    "if_clause": ("CondClauseError", "no clause matched"),
    "cond_clause": ("CondClauseError", "no cond clause evaluated to a truthy value"),
    "system_limit": ("SystemLimitError", "a system limit has been reached"),
}
_ERLANG_WITH = {
    "badmatch": ("MatchError", "no match of right hand side value: {}"),
    "case_clause": ("CaseClauseError", "no case clause matching: {}"),
    "with_clause": ("WithClauseError", "no with clause matching: {}"),
    "try_clause": ("TryClauseError", "no try clause matching: {}"),
    "badkey": ("KeyError", "key {} not found"),
    "badmap": ("BadMapError", "expected a map, got: {}"),
    "badbool": ("BadBooleanError", "expected a boolean, got: {}"),
    "badfun": ("BadFunctionError", "expected a function, got: {}"),
    "badarity": ("BadArityError", "a function was called with the wrong number of arguments: {}"),
    "nocatch": ("throw", "{}"),
}


class Entry(NamedTuple):
    """One line of a stack trace."""

    module: str  # as Elixir prints it
    function: str
    arity: int
    file: str | None
    line: int | None


def exit_kind(reason: Term) -> str:
    """normal | shutdown | killed | crash. `:ok` and `{:ok, result}` are how helpers hand over a result: normal."""
    head = reason[0] if isinstance(reason, tuple) and reason else reason
    if not isinstance(head, Atom):
        return "crash"
    if isinstance(reason, Atom) and reason in ("normal", "killed", "kill"):
        return "normal" if reason == "normal" else "killed"
    return {"shutdown": "shutdown", "ok": "normal"}.get(head, "crash")


def stack_of(reason: Term) -> tuple[Term, list[Entry]] | None:
    """`{what, stack}` taken apart; None when the reason carries no stack trace."""
    if not isinstance(reason, tuple) or len(reason) != 2 or not isinstance(reason[1], list) or not reason[1]:
        return None
    entries = entries_of(reason[1])
    return (reason[0], entries) if entries else None


def entries_of(stack: Term) -> list[Entry]:
    """The readable entries of a stack trace."""
    items = stack.items if isinstance(stack, ImproperList) else stack
    if not isinstance(items, list):
        return []
    return [entry for item in items if (entry := _entry(item)) is not None]


def _entry(item: Term) -> Entry | None:
    if not isinstance(item, tuple) or len(item) != 4 or not isinstance(item[0], Atom):
        return None
    module, function, arity, where = item
    if not isinstance(function, Atom):
        return None
    if isinstance(arity, list):  # the arguments in place of their number
        arity = len(arity)
    found: dict[str, Term] = {}
    if isinstance(where, list):
        found = {pair[0]: pair[1] for pair in where if isinstance(pair, tuple) and len(pair) == 2}
    file, line = found.get("file"), found.get("line")
    return Entry(
        module_name(module),
        str(function),
        arity if isinstance(arity, int) else 0,
        _characters(file),
        line if isinstance(line, int) and line > 0 else None,
    )


def _characters(text: Term) -> str | None:
    if isinstance(text, bytes):
        return text.decode("utf-8", "replace")
    if isinstance(text, list) and all(isinstance(c, int) and 0 < c < 0x110000 for c in text):
        return "".join(map(chr, text))
    return None


def is_error(what: Term) -> bool:
    """Is it a reason of class error: an exception struct or one of Erlang's own?"""
    if isinstance(what, dict):
        return what.get(Atom("__exception__")) == "true"
    if isinstance(what, Atom):
        return what in _ERLANG
    return isinstance(what, tuple) and bool(what) and isinstance(what[0], Atom) and what[0] in _ERLANG_WITH


def describe(class_: str, reason: Term) -> tuple[str, str]:
    """The type ("KeyError", ":timeout") and the message in one line."""
    if isinstance(reason, dict) and isinstance(reason.get(Atom("__struct__")), Atom):
        module = reason[Atom("__struct__")]
        if reason.get(Atom("__exception__")) == "true" or class_ == "error":
            return module_name(module), one_line(_exception_text(reason))
    if class_ == "exit" and (carried := stack_of(reason)) is not None and is_error(carried[0]):
        return describe("error", carried[0])
    if class_ == "exit" and (called := _called(reason)) is not None:
        return inspect(reason[0]) if isinstance(reason[0], Atom) else "exit", one_line(called)
    if class_ == "throw":
        return "throw", one_line(inspect(reason, limit=_SHOWN))
    if isinstance(reason, Atom):
        if class_ == "error" and reason in _ERLANG:
            return _ERLANG[reason]
        return inspect(reason), inspect(reason)
    if isinstance(reason, tuple) and reason and isinstance(reason[0], Atom):
        if class_ == "error" and len(reason) > 1 and reason[0] in _ERLANG_WITH:
            name, text = _ERLANG_WITH[reason[0]]
            return name, one_line(text.format(inspect(reason[1], limit=_SHOWN)))
        return inspect(reason[0]), one_line(inspect(reason, limit=_SHOWN))
    text = one_line(inspect(reason, limit=_SHOWN))
    return ("ErlangError" if class_ == "error" else class_), text


def _called(reason: Term) -> str | None:
    """How `{why, {module, function, arguments}}` reads, the exit by GenServer.call and its kind."""
    match reason:
        case (why, (Atom() as module, Atom() as function, list() as arguments)):
            given = ", ".join(inspect(argument, limit=80) for argument in arguments)
            carried = stack_of(why)
            said = inspect(why, limit=_SHOWN) if carried is None else ": ".join(describe("error", carried[0]))
            return f"{said} in {module_name(module)}.{function}({given})"
    return None


def _exception_text(fields: dict[Term, Term]) -> str:
    """What `Exception.message/1` would say, as far as the fields tell without running code."""

    def shown(key: str) -> str:
        return inspect(fields.get(Atom(key)), limit=_SHOWN)

    message = fields.get(Atom("message"))
    name = str(fields[Atom("__struct__")]).removeprefix("Elixir.")
    if isinstance(message, bytes):
        return message.decode("utf-8", "replace")
    if name == "KeyError":
        return f"key {shown('key')} not found in: {shown('term')}"
    if name in ("MatchError", "CaseClauseError", "WithClauseError", "TryClauseError"):
        said = {"MatchError": "no match of right hand side value"}
        return f"{said.get(name, f'no {name[:-11].lower()} clause matching')}: {shown('term')}"
    if name in ("FunctionClauseError", "UndefinedFunctionError"):
        module, function = fields.get(Atom("module")), fields.get(Atom("function"))
        if isinstance(module, Atom) and isinstance(function, Atom) and module != "nil":
            what = f"{module_name(module)}.{function}/{shown('arity')}"
            undefined = name == "UndefinedFunctionError"
            return f"function {what} is undefined" if undefined else f"no function clause matching in {what}"
        return "no function clause matches" if name == "FunctionClauseError" else "undefined function"
    if name == "ArithmeticError":
        return "bad argument in arithmetic expression"
    hidden = ("__struct__", "__exception__", "message")
    rest = [f"{key}: {inspect(value, limit=80)}" for key, value in fields.items() if key not in hidden]
    return ", ".join(rest) or name


def one_line(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())
