"""For every eye and every hand: widths, names, contrast."""

from __future__ import annotations

from itertools import product

import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import NewPage
from tests.e2e.server import Server

PAGES = (
    "/",
    "/?gallery=street&text=a+red+coat&camera=north+gate&after=2026-05-01T08:00",
    "/?gallery=street&like=1",
    "/?gallery=street&text=a+red+coat,+no+hat&right=1&wrong=2&wrong=3&limit=4",
    "/?gallery=street&text=x&after=2030-01-01T00:00",
    "/map?gallery=street&text=a+red+coat",
    "/pictures/1",
    "/upload",
)
NAMED_ROLES = {
    "link",
    "button",
    "textbox",
    "combobox",
    "checkbox",
    "progressbar",
    "image",
    "DisclosureTriangle",
}


def test_pages_never_scroll_sideways(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    for path, width_px in product(PAGES, (768, 390, 360)):
        page.set_viewport_size({"width": width_px, "height": 800})
        page.goto(path)
        if page.locator("#filters-summary").is_visible():
            page.locator("#filters-summary").click()
        if page.locator("#own-summary").is_visible():
            page.locator("#own-summary").click()
        inner_px = page.evaluate("document.documentElement.scrollWidth")
        assert inner_px <= width_px, (path, width_px)


def test_every_control_and_picture_has_a_name(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    for path in PAGES:
        page.goto(path)
        if page.locator("#cameras-summary").count():
            page.locator("#cameras-summary").click()
        tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
        nodes = [node for node in tree["nodes"] if not node["ignored"]]
        found = [node for node in nodes if node["role"]["value"] in NAMED_ROLES]
        assert len(found) > 5, path
        nameless = [node for node in found if not node["name"]["value"].strip()]
        assert not nameless, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_contrast_is_at_least_aa(server: Server, open_page: NewPage, scheme: str) -> None:
    page = open_page(server, color_scheme=scheme)
    inks = ("ink", "quiet", "accent", "wrong", "good")
    grounds = ("ground", "surface", "accent-wash")
    pairs = [*product(inks, grounds), ("accent-ink", "accent"), ("surface", "wrong")]
    pairs += [("quiet", "sunken"), ("wrong", "wrong-wash"), ("ink", "wrong-wash"), ("ink", "heat")]
    for ink, ground in pairs:
        assert contrast(page, ink, ground) >= 4.5, (ink, ground)
    assert contrast(page, "edge", "surface") >= 3  # outlines of fields


def contrast(page: Page, one: str, other: str) -> float:
    """The WCAG 2 contrast ratio of two of the style sheet's colours."""
    lights = sorted(luminance(page, name) for name in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(page: Page, name: str) -> float:
    """Relative luminance, 0 to 1."""
    code = page.evaluate(
        "name => getComputedStyle(document.documentElement).getPropertyValue(name)", f"--{name}"
    ).strip()
    channels = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
