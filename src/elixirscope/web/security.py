"""Who may talk to the Cinema: this machine's browser, with the token, from the Cinema's own page.

A recording can hold anything the application held, so the server trusts neither other pages of the same
browser (Origin), nor names that resolve to loopback (Host, DNS rebinding), nor other users (token).
"""

from __future__ import annotations

import hmac
from http.cookies import SimpleCookie
from urllib.parse import parse_qs

import msgspec
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware that refuses whatever does not come from the Cinema's own page with its token."""

    def __init__(self, app: ASGIApp, *, port: int, token: str) -> None:
        self._app = app
        self._token = token
        self._hosts = {f"{host}:{port}" for host in ("127.0.0.1", "localhost", "[::1]")}
        # Cookies do not know ports: the name keeps two Cinemas on one machine apart.
        self._cookie = f"elixirscope-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, answer it with a refusal, or trade the URL's token for a cookie."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refuse(scope)
        if refusal is not None:
            await refusal(scope, receive, _with_headers(send))
            return
        await self._app(scope, receive, _with_headers(send))

    def _refuse(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if headers.get("host", "") not in self._hosts:
            return _refusal(421, "host", "This server answers only to its own address on this machine.")
        origin = headers.get("origin")
        if origin is not None and origin.removeprefix("http://") not in self._hosts:
            return _refusal(403, "origin", "Another site's page may not read a recording.")
        offered = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if offered and scope["path"] == "/" and self._matches(offered):
            welcome = RedirectResponse("/", status_code=303)
            welcome.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
            return welcome
        cookies: SimpleCookie = SimpleCookie(headers.get("cookie", ""))
        carried = cookies[self._cookie].value if self._cookie in cookies else ""
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if self._matches(carried) or self._matches(bearer):
            return None
        if scope["path"].startswith("/api/"):
            return _refusal(401, "token", "Open the address that `elixirscope open` printed, with its token.")
        return PlainTextResponse(
            "ElixirScope: this page needs the address that `elixirscope open` printed, with its token.\n", 401
        )

    def _matches(self, offered: str) -> bool:
        return hmac.compare_digest(offered.encode("utf-8", "replace"), self._token.encode())


def _refusal(status: int, slug: str, message: str) -> Response:
    body = msgspec.json.encode({"error": {"slug": slug, "message": message, "hint": ""}})
    return Response(body, status, media_type="application/json")


def _with_headers(send: Send) -> Send:
    extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *extra]
        await send(message)

    return add
