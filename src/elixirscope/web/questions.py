"""What each address of the API asks of the layers below. Shapes are theirs; here is only the wiring."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from elixirscope.dags import Picture
from elixirscope.dags.causality import Relation
from elixirscope.dags.critical import CriticalPath
from elixirscope.dags.dataflow import Flow
from elixirscope.dags.diff import shown
from elixirscope.dags.processgraph import Graph
from elixirscope.dags.retro import Retro
from elixirscope.dags.retro import retro as retro_of
from elixirscope.dags.spacetime import SpaceTime, space_time
from elixirscope.dags.state import Version
from elixirscope.errors import NotFoundError, UsageError
from elixirscope.film import Film
from elixirscope.insight.whynot import WhyNot, why_not_call, why_not_function, why_not_message, why_not_sent
from elixirscope.query import pages, searching, sources, stepping
from elixirscope.query import views as sql_views
from elixirscope.query.cast import Cast, called, cast
from elixirscope.query.cast import only as cast_alone
from elixirscope.query.children import Children, children, part_at
from elixirscope.query.flame import VIEWS, Flame
from elixirscope.query.flame import flame as flame_of
from elixirscope.query.labels import EventRow
from elixirscope.query.omissions import omissions as omissions_of
from elixirscope.query.plain import plain
from elixirscope.query.search import HitPage, is_pattern
from elixirscope.query.search import find as find_values
from elixirscope.query.stacks import functions_of
from elixirscope.query.timeline import Overview, Timeline
from elixirscope.query.timeline import overview as overview_of
from elixirscope.query.timeline import timeline as timeline_of
from elixirscope.query.values import UNREADABLE
from elixirscope.recording.terms import inspect
from elixirscope.web import detectives
from elixirscope.web.parameters import Parameters

_MOST = 1_000
SHOWN: Final = 2_000  # processes that a page asks for
_STEPS_S = 0.5  # that differences of one page of a history may take
_WHOLE_VALUE = 200_000  # characters of one value that the page shows at once
Answer = dict[str, Any]


class Shown(Picture, frozen=True):
    """A picture, and what the page shows of its state (of `state`, else of `beside`): the first parts of the value, and
    the versions before and after, without their values."""

    inside: Children | None = None
    near: list[Version] = msgspec.field(default_factory=list)


class _Question(msgspec.Struct):
    sql: str
    limit: int = 1_000


def info(film: Film, _ask: Parameters) -> Answer:
    """What the recording holds."""
    shown = msgspec.to_builtins(film.info, enc_hook=str)
    return {**shown, "name": film.recording.path.name}


def processes(film: Film, ask: Parameters) -> Cast:
    """Processes in the order of their supervision tree: all, or of very many `most` of them and those asked for by
    `with`; else `only` some; else those that are called so (`search`)."""
    most, only = ask.maybe("most"), ask.numbers("only")
    if only is not None:
        return cast_alone(film.query, only[:_MOST])
    if text := ask.text("search", ""):
        return called(film.query, text, min(ask.number("most", 200), _MOST))
    return cast(film.query, most, (ask.numbers("with") or ())[:_MOST])


def findings(film: Film, _ask: Parameters) -> Answer:
    """Root causes, ranked."""
    return {"findings": detectives.findings(film)}


def tests(film: Film, _ask: Parameters) -> Answer:
    """The tests that ran, in order."""
    rows = film.query.recording.table("tests").to_pylist()
    return {"tests": sorted(rows, key=lambda row: row["start"])}


def timeline(film: Film, ask: Parameters) -> Timeline:
    """Lanes and messages of a window."""
    duration = max(film.info.duration_ns, 1)
    start, end = ask.number("from", 0), ask.number("to", duration)
    return timeline_of(
        film.query,
        start,
        end,
        ask.number("width", 1_000),
        ask.numbers("processes"),
        ask.numbers("through") or (),
    )


def omissions(film: Film, ask: Parameters) -> Answer:
    """Where in a window less was recorded than the plan says: the longest spans, in order of time."""
    start, end = ask.number("from", 0), ask.number("to", max(film.info.duration_ns, 1))
    limit = min(ask.number("limit", 500), 10 * _MOST)
    found, total = omissions_of(film.query, start, end, limit)
    return {"omissions": found, "total": total}


def overview(film: Film, ask: Parameters) -> Overview:
    """The whole recording as a strip."""
    return overview_of(film.query, ask.number("width", 400))


def frame(film: Film, ask: Parameters) -> Shown:
    """The synchronised picture at a moment; with `parts` and `versions` of the state in it, when they are asked for."""
    picture = film.dags.frame_at(ask.moment(), graph=False)
    held = picture.state or picture.beside
    inside, near = None, list[Version]()
    if held is not None and (parts := min(ask.number("parts", 0), _MOST)) > 0 and held.value is not None:
        inside = _inside(film, held.value.id or 0, parts)
    if held is not None and (room := min(ask.number("versions", 0), _MOST)) > 0:
        first = max(0, min(held.version - room // 2, held.versions - room))
        near = film.dags.state.history(held.process, offset=first, limit=room, values=False)
    return Shown(**msgspec.structs.asdict(picture), inside=inside, near=near)


def _inside(film: Film, value: int, parts: int) -> Children:
    """The first parts of a value, of one that cannot be read what stands for it."""
    values = film.query.values
    term = values.peek(value)
    return children(term, limit=parts, whole=term is not UNREADABLE and values.whole(value))


def graph(film: Film, ask: Parameters) -> Graph:
    """The processes at a time, and what passed between them."""
    most, nodes = (min(ask.number(name, default), 10 * _MOST) for name, default in (("limit", _MOST), ("nodes", SHOWN)))
    at, process = ask.number("at"), ask.maybe("process")
    return film.dags.interaction.graph(at, within=ask.within(), process=process, most=most, nodes=nodes)


def event(film: Film, ask: Parameters) -> EventRow:
    """One event: what happened, where in the code, and with what value."""
    return film.dags.state.labels.row(ask.number("event"))


def step(film: Film, ask: Parameters) -> Answer:
    """The moment one step on or back."""
    moment = stepping.step(
        film.query,
        ask.number("event"),
        direction=ask.choice("direction", ("next", "previous")),
        scope=ask.choice("scope", ("process", "any")),
        kind=ask.text("kind", "any"),
    )
    return {"moment": moment}


def messages(film: Film, ask: Parameters) -> pages.MessagePage:
    """A page of messages."""
    held = ask.numbers("held")
    if held is not None and len(held) != 2:
        raise UsageError(f"held={ask.text('held')!r} is no page", "give its first message and how many are on it")
    return pages.messages_page(
        film.query,
        ask.maybe("from"),
        ask.maybe("to"),
        ask.numbers("processes"),
        ask.text("search", "") or None,
        limit=min(ask.number("limit", 200), _MOST),
        offset=ask.number("offset", 0),
        pattern=ask.text("pattern", "") or None,
        around=ask.maybe("around"),
        held=None if held is None else (held[0], held[1]),
    )


def states(film: Film, ask: Parameters) -> Answer:
    """A page of the history of one process's state."""
    process, offset = ask.number("process"), max(0, ask.number("offset", 0))
    limit = max(0, min(ask.number("limit", 200), _MOST))
    versions = film.dags.state.history(process, offset=offset, limit=limit)
    total = film.query.count("states", "process", process)
    answer = {"process": process, "versions": versions, "offset": offset, "total": total}
    if (most := ask.number("changes", 0)) > 0:
        answer["changes"] = _steps(film, process, versions, min(most, _MOST))
    return answer


def _steps(film: Film, process: int, versions: list[Version], most: int) -> list[Answer | None]:
    """What each version changed, its first `most` places; None where there is none before it, and where states are so
    large that the time has run out."""
    if not versions:
        return []
    number, until = versions[0].version, time.monotonic() + _STEPS_S
    before = film.dags.state.history(process, offset=number - 1, limit=1, values=False) if number > 0 else []
    found = list[Answer | None]()
    for earlier, later in zip([before[0] if before else None, *versions], versions, strict=False):
        if earlier is None or time.monotonic() > until:
            found.append(None)
            continue
        changes = film.dags.state.diff(earlier.state, later.state)
        found.append({"total": len(changes), "first": changes[:most]})
    return found


def diff(film: Film, ask: Parameters) -> Answer:
    """What differs between two states, given by their events; a page of it."""
    changes, offset = film.dags.state.diff(ask.number("a"), ask.number("b")), max(0, ask.number("offset", 0))
    limit = max(0, min(ask.number("limit", 500), _MOST))
    return {"changes": shown(changes[offset:], limit), "offset": offset, "total": len(changes)}


def changed(film: Film, ask: Parameters) -> Answer:
    """Who last changed a field of a state: the version, what it changed there, and the message it handled."""
    found = film.dags.state.changed(ask.number("process"), ask.text("path", ""), ask.number("at"))
    row = film.query.find("messages", "message", found.message)
    message = pages.message_row(film.query, row) if row is not None else None
    changes = shown(found.changes, _MOST)
    return {"version": found.version, "changes": changes, "message": message, "certain": found.certain}


def calls(film: Film, ask: Parameters) -> pages.CallPage:
    """The frames that a frame called, or the outermost frames of a process."""
    return pages.calls_page(
        film.query,
        ask.maybe("call"),
        ask.maybe("process"),
        ask.maybe("from"),
        ask.maybe("to"),
        limit=min(ask.number("limit", 200), _MOST),
        offset=ask.number("offset", 0),
    )


def causes(film: Film, ask: Parameters) -> Answer:
    """Why an event happened, or what it led to."""
    event, limit = ask.number("event"), min(ask.number("limit", 30), _MOST)
    if ask.choice("direction", ("backward", "forward")) == "backward":
        steps = film.dags.causality.why(event, limit=limit)
    else:
        steps = film.dags.causality.forward(event, limit=limit)
    answer = {"steps": steps, "total": len(steps)}
    if ask.number("lines", 0):
        events = [event, *(step.event for step in steps)]
        answer |= {"lines": sources.lines_of(film.query, events), "functions": functions_of(film.query, events)}
    return answer


def spacetime(film: Film, ask: Parameters) -> SpaceTime:
    """Space-time coordinates of what crosses between processes."""
    limit, offset = min(ask.number("limit", 500), 10 * _MOST), ask.number("offset", 0)
    causality, event = film.dags.causality, ask.maybe("beside")
    if event is not None:
        film.query.event(event)
    return space_time(
        film.query,
        ask.maybe("from"),
        ask.maybe("to"),
        ask.numbers("processes"),
        limit=limit,
        offset=offset,
        beside=None if event is None else lambda others: causality.beside(event, others),
    )


def relation(film: Film, ask: Parameters) -> Relation:
    """Which of two events could have influenced the other, and the latest and the first that both follow from."""
    return film.dags.causality.relation(ask.number("a"), ask.number("b"))


def flow(film: Film, ask: Parameters) -> Flow:
    """Where a value came from, or where it went."""
    forward = ask.choice("direction", ("backward", "forward")) == "forward"
    limit = min(ask.number("limit", 200), _MOST)
    value = ask.maybe("value")
    if value is not None:
        flows = film.dags.dataflow
        return flows.forwards_of_value(value, limit) if forward else flows.flow_of_value(value, limit)
    event, name = ask.number("event"), ask.text("name", "") or None
    if forward:
        return film.dags.dataflow.forwards(event, name, limit)
    return film.dags.dataflow.flow(event, name)


def value(film: Film, ask: Parameters) -> Answer:
    """A whole value, or the part of it at `path`, printed over as many lines as it needs."""
    term = part_at(film.query.values.term(ask.number("id")), ask.text("path", ""))
    if ask.choice("as", ("term", "json")) == "json":
        return {"text": msgspec.json.format(msgspec.json.encode(plain(term), enc_hook=str), indent=2).decode()}
    return {"text": inspect(term, limit=_WHOLE_VALUE, width=80)}


def value_children(film: Film, ask: Parameters) -> Children:
    """A page of the parts of a value, or of the part of it at `path`."""
    value, limit = ask.number("id"), min(ask.number("limit", 100), _MOST)
    term, whole = film.query.values.term(value), film.query.values.whole(value)
    return children(term, ask.text("path", ""), ask.number("offset", 0), limit, whole=whole)


def flame(film: Film, ask: Parameters) -> Flame:
    """Where the time of a window went, as a tree of functions."""
    return flame_of(
        film.query,
        ask.maybe("from"),
        ask.maybe("to"),
        ask.numbers("processes"),
        view=ask.choice("view", VIEWS),
        function=ask.text("function", "") or None,
        width=ask.number("width", 1_200),
    )


def critical(film: Film, ask: Parameters) -> CriticalPath:
    """What made a frame, or the test that a TEST_START event began, last as long."""
    call, test = ask.maybe("call"), ask.maybe("test")
    if test is not None:
        found = film.query.find("tests", "event", test)
        call = found["call"] if found is not None else None
        if call is None:
            raise NotFoundError(f"e{test} is no test whose frame was recorded", "/api/tests lists the tests")
    if call is None:
        raise UsageError("the parameter 'call' or 'test' is missing", "see docs/api.md for what each address takes")
    limit = min(ask.number("limit", 500), 10 * _MOST)
    return film.dags.performance.path(call, limit=limit, offset=ask.number("offset", 0), within=ask.within())


def source(film: Film, ask: Parameters) -> sources.SourceFile:
    """A source file as recorded, with the hits of its lines."""
    return sources.source_file(film.query, ask.text("file"))


def hits(film: Film, ask: Parameters) -> Answer:
    """How often the lines of a source file ran in a stretch of time."""
    within = ask.number("from"), ask.number("to")
    return {"executed": sources.hits_within(film.query, ask.text("file"), within)}


def search(film: Film, ask: Parameters) -> Answer | searching.NamePage:
    """Processes, functions, exceptions, tests and messages whose text contains `q`; of one kind, a page of all.
    Where `q` is a pattern, the first places of such values.
    """
    text = ask.text("q")
    if kind := ask.text("kind", ""):
        limit = min(ask.number("limit", 100), _MOST)
        return searching.named(film.query, text, kind, limit, ask.number("offset", 0))
    if is_pattern(text):
        return {"results": searching.values(film.query, text)}
    return {"results": searching.search(film.query, text)}


def find(film: Film, ask: Parameters) -> HitPage:
    """Where values of a shape, or with a text in them, were recorded."""
    text = ask.text("q")
    meant = ask.choice("as", ("auto", "pattern", "text"))
    by_pattern = is_pattern(text) if meant == "auto" else meant == "pattern"
    kinds = [kind for kind in ask.text("kinds", "").split(",") if kind]
    limit, offset = min(ask.number("limit", 100), _MOST), ask.number("offset", 0)
    within = ask.within()
    return find_values(film.query, text, kinds, plain=not by_pattern, limit=limit, offset=offset, within=within)


def retro(film: Film, ask: Parameters) -> Retro:
    """An expression at each passing of a line."""
    return retro_of(
        film.query,
        ask.text("file"),
        ask.number("line"),
        ask.text("expression"),
        only=ask.text("only", "") or None,
        limit=min(ask.number("limit", 100), _MOST),
        offset=ask.number("offset", 0),
        within=ask.within(),
    )


def whynot(film: Film, ask: Parameters) -> WhyNot:
    """Why a message was not handled or answered, a call did not end, a function or a message never came."""
    if (message := ask.maybe("message")) is not None:
        return why_not_message(film.dags, message)
    if (call := ask.maybe("call")) is not None:
        return why_not_call(film.dags, call)
    if function := ask.text("function", ""):
        return why_not_function(film.dags, function)
    if pattern := ask.text("pattern", ""):
        return why_not_sent(film.dags, pattern, ask.maybe("process"))
    raise UsageError("what did not happen?", "give message, call, function or pattern")


def schema(_film: Film, _ask: Parameters) -> Answer:
    """The views that SQL may read, with their columns: what the Cinema completes."""
    return {
        "views": [
            {
                "name": name,
                "meaning": view.meaning,
                "columns": [{"name": column.name, "meaning": column.meaning} for column in view.columns],
            }
            for name, view in sql_views.VIEWS.items()
        ]
    }


def query(film: Film, body: bytes) -> Answer:
    """Anyone's SQL, sandboxed."""
    try:
        asked = msgspec.json.decode(body, type=_Question)
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise UsageError(f"the question is not understood: {error}", 'send {"sql": "select …"}') from error
    result = film.query.sql(asked.sql, limit=max(1, min(asked.limit, 10_000)))
    return {
        "columns": result.columns,
        "types": result.types,
        "rows": result.rows,
        "total": len(result.rows),
        "truncated": result.truncated,
        "elapsed_ms": result.elapsed_ms,
    }
