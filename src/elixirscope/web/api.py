"""The API the page asks (docs/api.md): each address is a question to the layers below, as JSON."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from elixirscope.errors import ElixirScopeError, NotFoundError, QueryError, RecordingError, UsageError
from elixirscope.film import Film
from elixirscope.query.cancellation import Cancellation
from elixirscope.web import questions
from elixirscope.web.parameters import Parameters
from elixirscope.web.showing import Gone, Showing

_STATUS: dict[type[ElixirScopeError], int] = {UsageError: 400, QueryError: 400, NotFoundError: 404, Gone: 410}

# Those that may read the whole recording: they wait for each other, nothing else waits for them, and they stop when the
# page no longer wants them.
_LONG = frozenset({"/findings", "/search", "/find", "/retro", "/whynot", "/flame", "/critical", "/spacetime"})

_DISCONNECT_S = 0.1
_TOGETHER = 8  # questions in one

_QUESTIONS: dict[str, Callable[[Film, Parameters], Any]] = {
    "/info": questions.info,
    "/findings": questions.findings,
    "/tests": questions.tests,
    "/timeline": questions.timeline,
    "/overview": questions.overview,
    "/omissions": questions.omissions,
    "/frame": questions.frame,
    "/graph": questions.graph,
    "/event": questions.event,
    "/step": questions.step,
    "/messages": questions.messages,
    "/states": questions.states,
    "/diff": questions.diff,
    "/changed": questions.changed,
    "/calls": questions.calls,
    "/causes": questions.causes,
    "/flow": questions.flow,
    "/value": questions.value,
    "/value/children": questions.value_children,
    "/flame": questions.flame,
    "/critical": questions.critical,
    "/hits": questions.hits,
    "/source": questions.source,
    "/search": questions.search,
    "/schema": questions.schema,
    "/find": questions.find,
    "/retro": questions.retro,
    "/whynot": questions.whynot,
    "/spacetime": questions.spacetime,
    "/relation": questions.relation,
}


def routes(showing: Showing) -> list[BaseRoute]:
    """All addresses below `/api` for what is shown."""
    # One short question at a time: a page that scrubs drops stale answers anyway, and threads gain nothing here.
    short, long = anyio.CapacityLimiter(1), anyio.CapacityLimiter(1)

    def get(path: str, question: Callable[[Film, Parameters], Any]) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            film, asked = showing.film, Parameters(request.query_params)
            if path in _LONG or (path == "/messages" and asked.looks):
                return await _while_wanted(request, showing, lambda: question(film, asked), long)
            return await _answer(showing, lambda: question(film, asked), short)

        return handle

    async def together(request: Request) -> Response:
        """Several short questions, answered in one go: a body each, in their order."""
        film, asked = showing.film, request.query_params.getlist("ask")

        def bodies() -> list[msgspec.Raw]:
            if len(asked) > _TOGETHER:
                raise UsageError(f"{len(asked)} questions in one", f"ask at most {_TOGETHER} together")
            return [msgspec.Raw(_told(showing, partial(_short, film, text))[1]) for text in asked]

        return await _answer(showing, bodies, short)

    async def query(request: Request) -> Response:
        """SQL."""
        body, film = await request.body(), showing.film
        return await _while_wanted(request, showing, lambda: questions.query(film, body), long)

    async def head(request: Request) -> Response:
        beyond = request.query_params.get("beyond", "")
        return await _answer(showing, lambda: showing.head(beyond), anyio.CapacityLimiter(1))

    async def processes(request: Request) -> Response:
        film, asked = showing.film, Parameters(request.query_params)
        known = request.query_params.get("known")

        def answer() -> dict[str, Any]:
            found = questions.processes(film, asked)
            told = {"processes": found.rows} if known is None else showing.census.news(found.rows, known)
            return {**told, "total": found.total, "more": found.more}

        return await _answer(showing, answer, short)

    found: list[BaseRoute] = [Route(path, get(path, question)) for path, question in _QUESTIONS.items()]
    found += [Route("/processes", processes)]
    return [*found, Route("/query", query, methods=["POST"]), Route("/together", together), Route("/head", head)]


def _short(film: Film, text: str) -> Any:
    """The answer to a question that is given as text, "frame?at=5". Raises `UsageError` for one that may take long."""
    path, _, parameters = text.partition("?")
    question, asked = _QUESTIONS.get(f"/{path}"), Parameters(QueryParams(parameters))
    if question is None or f"/{path}" in _LONG or (path == "messages" and asked.looks):
        raise UsageError(f"{path!r} is not answered together with others", "ask it by itself")
    return question(film, asked)


async def _while_wanted(
    request: Request, showing: Showing, ask: Callable[[], Any], turn: anyio.CapacityLimiter
) -> Response:
    """As `_answer`, of a question that is cancelled when its page goes away."""
    stop = Cancellation()

    def asked() -> Any:
        with stop.asking():  # not at all when the page went while it waited for its turn
            return ask()

    async def watch() -> None:
        while True:
            if await request.is_disconnected():
                stop.cancel()  # again and again: a query that is about to begin is not interrupted by it
            await anyio.sleep(_DISCONNECT_S)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        answer = await _answer(showing, asked, turn)
        tasks.cancel_scope.cancel()
    return answer


async def _answer(showing: Showing, ask: Callable[[], Any], turn: anyio.CapacityLimiter) -> Response:
    showing.questioned()
    status, body = await anyio.to_thread.run_sync(lambda: _told(showing, ask), limiter=turn)
    showing.questioned()
    return Response(body, status, media_type="application/json")


def _told(showing: Showing, ask: Callable[[], Any]) -> tuple[int, bytes]:
    """The status and the body of an answer, or of a refusal."""
    try:
        return 200, msgspec.json.encode(ask(), enc_hook=str)
    except ElixirScopeError as error:
        if isinstance(error, RecordingError):
            showing.damaged()
        refused = _cause(showing, error)
    except Exception as error:  # noqa: BLE001 - a bug of ours: the page says so, and goes on with its other views
        message, hint = (
            f"internal error: {type(error).__name__}: {error}",
            "this is a bug of ElixirScope: please report it",
        )
        refused = _cause(showing, ElixirScopeError(message, hint))
    body = {"error": {"slug": refused.slug, "message": refused.message, "hint": refused.hint}}
    return _STATUS.get(type(refused), 500), msgspec.json.encode(body)


def _cause(showing: Showing, error: ElixirScopeError) -> ElixirScopeError:
    """The error, or what explains it: files that are there no more."""
    try:
        showing.check()
    except Gone as gone:
        return gone
    return error
