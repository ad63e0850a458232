"""What is shown can be taken along: as an Elixir term, as JSON, as a link, as Mermaid."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Locator, Page, expect

from elixirscope.film import Film
from tests.web.pages import go, settled

pytestmark = [pytest.mark.beam, pytest.mark.browser]


def test_every_view_gives_what_it_shows(page: Page, film: Film, sale: int) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    go(page, sale)
    settled(page)

    def copied(choice: str, said: str) -> str:
        page.evaluate("() => navigator.clipboard.writeText('')")
        page.get_by_test_id("menu-item").filter(has_text=choice).first.click()
        page.wait_for_function("() => navigator.clipboard.readText().then(text => text !== '')")
        expect(page.get_by_test_id("said")).to_have_text(f"Copied {said}")
        return str(page.evaluate("() => navigator.clipboard.readText()"))

    def menu_of(thing: Locator) -> None:
        thing.click(button="right")
        expect(page.get_by_test_id("menu")).to_be_visible()

    # A value: in Values, in a message, in State.
    page.get_by_test_id("tab-values").click()
    seat = page.get_by_test_id("binding").filter(has_text="seat").first.locator(".grow .value").first
    menu_of(seat)
    term = copied("Copy as Elixir term", "the Elixir term")
    assert term.startswith('"')
    menu_of(seat)
    assert json.loads(copied("Copy as JSON", "JSON")) == json.loads(term)

    # A moment: from the transport, and by its key.
    page.get_by_test_id("copy-moment").click()
    assert f"#/e{sale}" in copied("Copy link to the moment", "the link")
    page.get_by_test_id("copy-moment").click()
    assert json.loads(copied("as JSON", "JSON"))["event"] == sale
    page.get_by_test_id("copy-moment").click()
    assert f"event: {sale}" in copied("as Elixir term", "the Elixir term")

    # A call, in the stack.
    page.get_by_test_id("tab-stack").click()
    menu_of(page.get_by_test_id("stack-frame").first)
    assert "#/e" in copied("Copy link to the moment", "the link")

    # A process: in the list, in its lane, in the constellation.
    process = film.query.process("Ledger")
    for place in (f"process-{process}", f"lane-{process}"):
        thing = page.get_by_test_id(place)
        menu_of(thing.get_by_role("button", name="Ledger", exact=True) if place.startswith("lane") else thing)
        assert json.loads(copied("the process as JSON", "JSON"))["process"] == process
        if place.startswith("process"):
            thing.click()  # its lane comes into sight
    page.get_by_test_id("tab-constellation").click()
    menu_of(page.get_by_test_id(f"node-{process}"))
    assert f"ns@{process}" in copied("Copy link to its first moment", "the link")

    # Diagrams: the constellation, and the messages in view.
    page.get_by_test_id("graph-mermaid").click()
    expect(page.get_by_test_id("said")).to_have_text("Copied Mermaid")
    assert str(page.evaluate("() => navigator.clipboard.readText()")).startswith("flowchart TD\n")
    page.get_by_test_id("tab-messages").click()
    page.get_by_test_id("messages-list").click()
    page.get_by_test_id("message").first.get_by_role("button", name="More about this message").click()
    assert copied("shown as Mermaid", "Mermaid").startswith("sequenceDiagram\n")
