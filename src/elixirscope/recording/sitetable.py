"""Sites as the agent describes them (docs/format.md) → `log.Site`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from elixirscope.recording.log import Callee, Site
from elixirscope.recording.terms import Atom, Term, module_name

Modules = list[tuple[str, dict[str, Term], list[Term]]]


def vm_sites(files: Iterable[Modules]) -> dict[int, Callable[[int], Site]]:
    """The sites of one VM by captured id: functions from a site's dense number to the site.

    A description that is not as the format has it gives an `unknown` site: its events are kept.
    """
    return {
        captured: partial(_site, module, info, described)
        for modules in files
        for module, info, sites in modules
        for described in sites
        if isinstance(described, tuple) and described and isinstance(captured := described[0], int)
    }


def unknown_site(number: int, module: str = "?") -> Site:
    """A site whose description was lost."""
    return Site(number, "unknown", module, "?", 0)


def _site(module: str, info: dict[str, Term], described: tuple[Term, ...], number: int) -> Site:
    try:
        _, kind, function, arity, line, names, detail = described
        about = {str(key): value for key, value in detail.items()} if detail else {}
        return Site(
            id=number,
            kind=str(kind),
            module=module_name(module),
            function=str(function),
            arity=int(arity),
            file=_text(about.get("file", info.get("file"))),
            line=_line(line),
            end_line=_line(about.get("end_line")),
            vars=tuple(_text(name) or "" for name in names),
            callee=_callee(about.get("callee")),
            behaviour=_name(about.get("behaviour")),
            callback=_callback(about.get("callback"), str(function), int(arity)),
            state_arg=_line(about.get("state_arg")),
            generated=about.get("generated") == "true",
            test=about.get("test") == "true",
        )
    except (ValueError, TypeError, AttributeError):
        return unknown_site(number, module_name(module))


def _text(value: Term) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value) if isinstance(value, Atom) and value != "nil" else None


def _line(value: Term) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _name(value: Term) -> str | None:
    if isinstance(value, Atom):
        return None if value == "nil" else module_name(value)
    return _text(value)


def _callee(value: Term) -> Callee | None:
    match value:
        case (str(module), str(function), int(arity)):
            return Callee(module_name(module), str(function), arity)
    return None


def _callback(value: Term, function: str, arity: int) -> str | None:
    """`handle_call/3`, however the agent says it: the name, `{name, arity}`, or `true` for the function."""
    match value:
        case None | "nil" | "false":
            return None
        case "true":
            return f"{function}/{arity}"
        case (str(name), int(size)):
            return f"{name}/{size}"
        case str(name):
            return f"{name}/{arity}"
    return _text(value)
