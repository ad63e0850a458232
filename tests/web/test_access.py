"""The Cinema without a mouse and without sight: what each view says of itself, and where the keyboard stands."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.web.pages import go, settled

pytestmark = [pytest.mark.beam, pytest.mark.browser]

_VIEWS = (
    *("messages", "calls", "constellation", "causes", "flow", "query", "find"),
    *("state", "values", "stack", "why", "notebook"),
)
_FORMS = ("messages-sequence", "calls-flame", "calls-critical", "sky-3d", "causes-spacetime", "state-list")
"""What views show in another form, by their buttons."""

_NAMED = frozenset(
    {
        "button",
        "link",
        "textbox",
        "searchbox",
        "combobox",
        "checkbox",
        "slider",
        "tab",
        "menuitem",
        "option",
        "treeitem",
    }
    | {"spinbutton", "radio", "switch", "tablist", "tree", "dialog", "image", "graphics-symbol", "separator", "toolbar"}
)
"""Roles that say nothing without a name."""

_UNSEEN = """() => {
  const stops = [...document.querySelectorAll('a[href], button, input, select, textarea, [tabindex]')]
    .filter(one => one.tabIndex >= 0 && !one.disabled && one.getClientRects().length > 0)
  const look = one => [one, ...one.querySelectorAll('*')].slice(0, 12).map(part => {
    const { outline, boxShadow, stroke, strokeWidth, borderColor, backgroundColor } = getComputedStyle(part)
    return [outline, boxShadow, stroke, strokeWidth, borderColor, backgroundColor].join()
  }).join('|')
  const unseen = []
  for (const one of stops) {
    document.activeElement.blur()
    const before = look(one)
    one.focus({ preventScroll: true })
    if (document.activeElement === one && look(one) === before) unseen.push(one.outerHTML.slice(0, 160))
  }
  return unseen
}"""
"""The stops of Tab that look with the keyboard's focus as they do without."""

_DANGLING = """() => {
  const found = []
  for (const name of ['aria-controls', 'aria-labelledby', 'aria-describedby', 'aria-activedescendant', 'for'])
    for (const one of document.querySelectorAll(`[${name}]:not([aria-expanded=false])`))
      for (const id of one.getAttribute(name).split(' '))
        if (id && !document.getElementById(id)) found.push(`${name}=${id}`)
  const ids = [...document.querySelectorAll('[id]')].map(one => one.id)
  return [...found, ...ids.filter((id, at) => ids.indexOf(id) !== at)]
}"""
"""References to elements that are not there, and ids that are there twice."""


def _unnamed(cdp: CDPSession) -> list[str]:
    """Parts of the page, as the browser tells them to a screen reader, that have a role and no name."""
    nodes: list[dict[str, Any]] = cdp.send("Accessibility.getFullAXTree")["nodes"]
    assert len(nodes) > 100
    told = [node for node in nodes if not node.get("ignored") and node.get("role", {}).get("value") in _NAMED]
    nameless = [node for node in told if not str(node.get("name", {}).get("value", "")).strip()]
    found = [cdp.send("DOM.describeNode", {"backendNodeId": node["backendDOMNodeId"]})["node"] for node in nameless]
    return [f"{node['nodeName']} {node.get('attributes')}" for node in found]


def test_every_view_tells_its_parts_and_shows_the_keyboards_focus(page: Page, sale: int) -> None:
    go(page, sale)
    expect(page.get_by_role("heading", level=1)).to_have_text("ElixirScope")
    borders = page.get_by_role("separator")
    expect(borders.first).to_be_visible()
    expect(borders.and_(page.locator(":not([aria-valuenow])"))).to_have_count(0)
    cdp = page.context.new_cdp_session(page)
    for view in _VIEWS:
        page.get_by_test_id(f"tab-{view}").click()
        expect(page.get_by_test_id(f"tab-{view}")).to_have_attribute("aria-selected", "true")
        settled(page)
        assert _unnamed(cdp) == [], view
        page.keyboard.press("Tab")  # from now on the focus is the keyboard's
        assert page.evaluate(_UNSEEN) == [], view
        assert page.evaluate(_DANGLING) == [], view
        assert page.locator("button button, button [tabindex='0'], a button").count() == 0, view
    for form in _FORMS:
        view = {"sky": "constellation"}.get(form.split("-")[0], form.split("-")[0])
        page.get_by_test_id(f"tab-{view}").click()
        if form != "state-list":
            page.get_by_test_id(form).click()
        settled(page)
        assert _unnamed(cdp) == [], form
    for key, shown in (("?", "Shortcuts"), ("Control+k", None)):
        page.locator("body").press(key)
        expect(page.get_by_role("dialog", name=shown) if shown else page.get_by_test_id("palette")).to_be_visible()
        assert _unnamed(cdp) == [], key
        page.keyboard.press("Escape")


def test_one_key_goes_from_panel_to_panel(page: Page, sale: int) -> None:
    go(page, sale)
    page.get_by_test_id("coverage").focus()
    panes = [
        page.get_by_test_id("levels"),
        page.get_by_test_id("findings"),
        page.get_by_role("region", name="Processes"),
        page.get_by_role("region", name="Tests"),
        page.get_by_test_id("timeline"),
        page.get_by_test_id("transport").or_(page.get_by_test_id("caption")),
        page.locator("[data-dock=bottom]"),
        page.locator("[data-dock=upper]"),
        page.locator("[data-dock=lower]"),
    ]
    for pane in panes:
        page.keyboard.press("F6")
        expect(pane.locator(":focus")).to_have_count(1)
    expect(page.get_by_test_id("tab-state")).to_be_focused()
    page.keyboard.press("F6")
    expect(page.get_by_test_id("coverage")).to_be_focused()
    page.keyboard.press("Shift+F6")
    expect(page.get_by_test_id("tab-state")).to_be_focused()
    page.get_by_label("Filter processes").focus()
    page.keyboard.press("F6")  # also from a field
    expect(page.get_by_role("region", name="Tests").locator(":focus")).to_have_count(1)
    page.locator("body").press("?")
    expect(page.get_by_role("dialog", name="Shortcuts")).to_contain_text(re.compile("F6.*To the next panel"))
