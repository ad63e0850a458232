"""What led to what, in a real Chromium: values forwards, the space-time diagram, two moments compared."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from elixirscope.film import Film
from tests.web.pages import go, settled

pytestmark = [pytest.mark.beam, pytest.mark.browser]


@pytest.fixture
def delivered(film: Film) -> tuple[int, int]:
    """A message's sending and its receiving, beside which something happened that has nothing to do with it."""
    rows = film.query.rows(
        "select send_event, receive_event from raw.messages where send_event is not null and receive_event is not null"
        " and kind = 'call' order by message"
    )
    row = next(row for row in rows if len(film.dags.causality.concurrent_with(int(row["receive_event"]))))
    return int(row["send_event"]), int(row["receive_event"])


def test_where_a_value_went(page: Page, film: Film) -> None:
    row = film.query.rows(
        "select b.event, b.name from raw.bindings b join raw.calls c on c.call = b.call"
        " where c.function = 'handle_call' and b.name = 'customer' order by b.event limit 1"
    )[0]
    go(page, int(row["event"]))
    page.get_by_test_id("tab-values").click()
    page.get_by_test_id("binding").filter(has_text="customer").get_by_test_id("binding-forward").click()
    expect(page.get_by_test_id("flow-forward")).to_have_attribute("aria-pressed", "true")
    expected = film.dags.dataflow.forwards(int(row["event"]), "customer")
    expect(page.get_by_test_id("hop")).to_have_count(len(expected.hops))
    expect(page.get_by_test_id("flow")).to_contain_text(expected.terminator)
    page.locator("body").press("i")
    expect(page.get_by_test_id("flow-backward")).to_have_attribute("aria-pressed", "true")
    page.locator("body").press("o")
    expect(page.get_by_test_id("flow-forward")).to_have_attribute("aria-pressed", "true")


def test_the_space_time_diagram_from_the_keyboard(page: Page, delivered: tuple[int, int]) -> None:
    go(page, delivered[1])
    page.locator("body").press("f")
    page.locator("body").press("y")
    expect(page.get_by_test_id("spacetime")).to_be_visible()
    settled(page)
    mine = page.locator(f"[data-testid=dot][data-event='{delivered[1]}']")
    expect(mine).to_have_class(re.compile(r"\bsame\b"))
    sent = page.locator(f"[data-testid=dot][data-event='{delivered[0]}']")
    expect(sent).to_have_class(re.compile(r"\bbefore\b"))
    mine.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("moment")).not_to_contain_text(f"e{delivered[1]}")
    page.locator("body").press("y")
    expect(page.get_by_test_id("spacetime")).to_have_count(0)


def test_two_moments_are_compared(page: Page, film: Film, delivered: tuple[int, int]) -> None:
    sent, received = delivered
    go(page, received)
    page.locator("body").press("b")
    expect(page.get_by_test_id("pin-event")).to_have_attribute("aria-pressed", "true")
    go(page, sent)
    expect(page.get_by_test_id("relation-word")).to_contain_text("before")
    page.get_by_test_id("relation").locator("summary").click()
    expect(page.get_by_test_id("relation-step")).to_have_count(len(film.dags.causality.chain(sent, received)))
    other = int(film.dags.causality.concurrent_with(received)[-1])
    go(page, other)
    expect(page.get_by_test_id("relation-word")).to_contain_text("concurrent")
    page.get_by_test_id("relation").get_by_role("button", name="Go to the pinned one").click()
    expect(page.get_by_test_id("moment")).to_contain_text(f"e{received}")
    page.locator("body").press("b")
    expect(page.get_by_test_id("relation")).to_have_count(0)


def test_what_two_concurrent_moments_both_follow_from(page: Page, film: Film, delivered: tuple[int, int]) -> None:
    received, causality = delivered[1], film.dags.causality
    told = [(int(one), causality.relation(int(one), received)) for one in causality.concurrent_with(received)[-40:]]
    other, relation = max(
        told, key=lambda one: (one[1].earliest_common_cause != one[1].common_cause, one[1].common_cause is not None)
    )
    go(page, received)
    page.locator("body").press("b")
    expect(page.get_by_test_id("pin-event")).to_have_attribute("aria-pressed", "true")
    go(page, other)
    sentence = page.get_by_test_id("relation")
    if relation.common_cause is None:
        expect(sentence).to_contain_text("Nothing that was recorded led to both.")
        return
    expect(sentence).to_contain_text("The latest that both follow from is")
    expect(page.get_by_test_id("common-cause")).to_have_text(relation.label or "")
    earliest = page.get_by_test_id("earliest-cause")
    if relation.earliest_common_cause == relation.common_cause:
        expect(earliest).to_have_count(0)
    else:
        expect(sentence).to_contain_text(", the earliest is")
        expect(earliest).to_have_text(relation.earliest_label or "")
        earliest.click()
        expect(page.get_by_test_id("moment")).to_contain_text(f"e{relation.earliest_common_cause}")
        expect(page.get_by_test_id("relation-word")).to_contain_text("before")


def test_a_chain_is_copied_as_mermaid(page: Page, sale: int) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    go(page, sale)
    page.get_by_test_id("tab-causes").click()
    expect(page.get_by_test_id("cause-backward").first).to_be_visible()
    for side, arrow in (("causes", "s1 -"), ("effects", "s0 -")):
        page.get_by_test_id(f"copy-{side}").click()
        expect(page.get_by_test_id("said")).to_have_text("Copied Mermaid")
        page.wait_for_function("arrow => navigator.clipboard.readText().then(text => text.includes(arrow))", arg=arrow)
        assert str(page.evaluate("() => navigator.clipboard.readText()")).startswith("flowchart TD\n")
