"""The Cinema's HTTP application: the built page, and the API it asks."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from elixirscope.web.api import routes
from elixirscope.web.showing import Showing

STATIC = Path(__file__).parent / "static"


def application(showing: Showing) -> ASGIApp:
    """The application for what is shown. Guarding it is `security.Guard`'s duty."""
    page: list[BaseRoute] = [Route("/", _page)]
    if STATIC.is_dir():
        page.append(Mount("/", StaticFiles(directory=STATIC)))
    return Starlette(routes=[Mount("/api", routes=routes(showing)), *page])


async def _page(_request: Request) -> Response:
    index = STATIC / "index.html"
    if not index.exists():
        return PlainTextResponse("ElixirScope: the page is not built in this checkout; run `make ui`.\n", 503)
    return FileResponse(index)
