"""The API the page asks (docs/api.md): each address is a question to the layers below, as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from elixirscope.errors import ElixirScopeError, NotFoundError, QueryError, UsageError
from elixirscope.film import Film
from elixirscope.web import questions
from elixirscope.web.parameters import Parameters

_STATUS: dict[type[ElixirScopeError], int] = {UsageError: 400, QueryError: 400, NotFoundError: 404}

_QUESTIONS: dict[str, Callable[[Film, Parameters], Any]] = {
    "/info": questions.info,
    "/processes": questions.processes,
    "/findings": questions.findings,
    "/tests": questions.tests,
    "/timeline": questions.timeline,
    "/overview": questions.overview,
    "/frame": questions.frame,
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
    "/source": questions.source,
    "/search": questions.search,
    "/schema": questions.schema,
    "/find": questions.find,
    "/retro": questions.retro,
    "/whynot": questions.whynot,
    "/spacetime": questions.spacetime,
    "/relation": questions.relation,
}


def routes(film: Film) -> list[BaseRoute]:
    """All addresses below `/api` for one recording."""
    # One question at a time: the layers below share caches, and a page that scrubs drops stale answers anyway.
    turn = anyio.CapacityLimiter(1)

    def get(question: Callable[[Film, Parameters], Any]) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            return await _answer(lambda: question(film, Parameters(request.query_params)), turn)

        return handle

    async def query(request: Request) -> Response:
        body = await request.body()
        return await _answer(lambda: questions.query(film, body), turn)

    found: list[BaseRoute] = [Route(path, get(question)) for path, question in _QUESTIONS.items()]
    return [*found, Route("/query", query, methods=["POST"])]


async def _answer(ask: Callable[[], Any], turn: anyio.CapacityLimiter) -> Response:
    try:
        result = await anyio.to_thread.run_sync(ask, limiter=turn)
        return Response(msgspec.json.encode(result, enc_hook=str), media_type="application/json")
    except ElixirScopeError as error:
        status = _STATUS.get(type(error), 500)
        body = {"error": {"slug": error.slug, "message": error.message, "hint": error.hint}}
        return Response(msgspec.json.encode(body), status, media_type="application/json")
