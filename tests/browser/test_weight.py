"""Quick on an old phone: what home with a hundred lots weighs on the wire, and that nothing jumps while it loads."""

import gzip
import json

import pytest
from playwright.sync_api import Page, expect

from settings import ROOT
from tests.browser.conftest import OpenPage, at_home

pytestmark = pytest.mark.browser

KILOBYTE = 1024
TELL_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((entry) => entry.value)))
  .observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture
def full_house(open_page: OpenPage) -> Page:
    page = open_page()
    page.add_init_script(TELL_SHIFTS)
    at_home(page)
    for number in range(100):
        form: dict[str, str | float | bool] = {
            "name": f"Something No. {number}",
            "quantity": "1",
            "expires": f"+{number % 30}d",
        }
        assert page.request.post("/stock/add", form=form, max_redirects=0).status == 303
    return page


def test_home_with_a_hundred_lots_is_light(full_house: Page) -> None:
    answer = full_house.goto("/")
    expect(full_house.locator(".lot")).to_have_count(100)

    assert answer
    assert len(gzip.compress(answer.body())) < 40 * KILOBYTE


def test_styles_and_scripts_are_light() -> None:
    dist = ROOT / "static" / "dist"
    manifest = json.loads((dist / "manifest.json").read_text())

    assert (dist / manifest["app.css"]).stat().st_size < 30 * KILOBYTE
    assert len(gzip.compress((dist / manifest["app.js"]).read_bytes())) < 40 * KILOBYTE


def test_nothing_jumps_while_home_loads(full_house: Page) -> None:
    full_house.goto("/")
    full_house.wait_for_load_state("networkidle")

    assert sum(full_house.evaluate("window.shifts")) < 0.01
