"""The guard in front of the Cinema: token, Host, Origin, and the headers on every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from elixirscope.web.security import Guard

PORT, TOKEN = 4321, "a-token"
HOST = f"http://127.0.0.1:{PORT}"


async def _secret(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("recorded secrets")


def _ask(path: str, headers: Mapping[str, str] | Mapping[bytes, bytes] | None = None) -> httpx.Response:
    guarded = Guard(Starlette(routes=[Route("/{rest:path}", _secret)]), port=PORT, token=TOKEN)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=guarded), base_url=HOST) as client:
            return await client.get(path, headers=headers)

    # In a thread of its own: the browser's driver keeps an event loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, ask()).result()


def test_without_the_token_nothing_is_told() -> None:
    answer = _ask("/api/info")
    assert answer.status_code == 401
    assert "secrets" not in answer.text
    assert answer.json()["error"]["slug"] == "token"


def test_a_wrong_token_is_refused() -> None:
    assert _ask("/?token=a-tokem").status_code == 401
    assert _ask("/api/info", headers={b"authorization": "Bearer ünïcode".encode("latin-1")}).status_code == 401


def test_the_token_in_the_address_becomes_a_cookie_and_leaves_the_address() -> None:
    answer = _ask(f"/?token={TOKEN}")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert _ask("/api/info", headers={"cookie": f"elixirscope-{PORT}={TOKEN}"}).text == "recorded secrets"


def test_a_script_may_carry_the_token_in_a_header() -> None:
    assert _ask("/api/info", headers={"authorization": f"Bearer {TOKEN}"}).text == "recorded secrets"


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", ""])
def test_another_host_name_is_refused_even_with_the_token(host: str) -> None:
    answer = _ask("/api/info", headers={"host": host, "authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 421
    assert "secrets" not in answer.text


@pytest.mark.parametrize(
    "origin", ["http://evil.example", f"https://127.0.0.1:{PORT}", "null", f"http://127.0.0.1:{PORT + 1}"]
)
def test_another_origin_is_refused_even_with_the_token(origin: str) -> None:
    answer = _ask("/api/info", headers={"origin": origin, "authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 403


def test_every_answer_carries_the_policy() -> None:
    for answer in (_ask("/api/info"), _ask("/api/info", headers={"authorization": f"Bearer {TOKEN}"})):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
