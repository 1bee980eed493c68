"""Everything by keyboard: shortcuts, visible focus, sheets that keep the focus and give it back."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import add, proposals_of, row_of, sheet_of, stock_up, toast_of

pytestmark = pytest.mark.browser

IS_IN_SHEET = "document.activeElement === document.body || !!document.activeElement.closest('#sheet')"
FOCUS_RING = """() => {
  const focused = document.activeElement;
  const ring = focused.closest(".chip-choice")?.querySelector(".chip") ?? focused;
  const { outlineStyle, outlineWidth } = getComputedStyle(ring);
  return [focused.tagName, outlineStyle !== "none" && parseFloat(outlineWidth) >= 2];
}"""


def test_a_adds_and_escape_gives_the_page_back(desk: Page) -> None:
    desk.keyboard.press("a")
    expect(desk.get_by_role("combobox", name="What is it?")).to_be_focused()
    add(desk, "Milk", "2", "+1d")

    desk.keyboard.press("Escape")

    expect(sheet_of(desk)).to_be_hidden()
    expect(row_of(desk, "Milk")).to_contain_text("2 pieces")


def test_a_slash_searches_the_stock(desk: Page) -> None:
    stock_up(desk, ("Milk", "1", "+1d"), ("Rice", "1", "x"))

    desk.keyboard.press("/")
    expect(desk).to_have_url("/stock")
    desk.wait_for_load_state()
    desk.keyboard.press("/")
    search = desk.get_by_role("searchbox", name="Search the stock")
    expect(search).to_be_focused()
    desk.keyboard.type("ric")

    expect(row_of(desk, "Milk")).to_have_count(0)
    expect(row_of(desk, "Rice")).to_be_visible()
    # In a field, letters are letters.
    desk.keyboard.type("a/u")
    expect(search).to_have_value("rica/u")
    expect(sheet_of(desk)).to_be_hidden()


def test_u_takes_the_last_thing_back(desk: Page) -> None:
    stock_up(desk, ("Milk", "1", "+1d"))
    row_of(desk, "Milk").get_by_role("button", name="Used").press("Enter")
    expect(toast_of(desk)).to_contain_text("Used 1 piece of Milk.")
    expect(row_of(desk, "Milk")).to_have_count(0)

    desk.keyboard.press("u")

    expect(row_of(desk, "Milk")).to_be_visible()


def test_arrows_walk_through_the_rows(desk: Page) -> None:
    stock_up(desk, ("Ham", "1", "+0d"), ("Milk", "1", "+1d"), ("Bread", "1", "+2d"))
    links = desk.locator(".lot .what")
    links.first.focus()

    desk.keyboard.press("ArrowDown")
    expect(links.nth(1)).to_be_focused()
    desk.keyboard.press("ArrowDown")
    desk.keyboard.press("ArrowDown")
    expect(links.nth(2)).to_be_focused()
    desk.keyboard.press("ArrowUp")
    expect(links.nth(1)).to_be_focused()


def test_the_focus_stays_in_the_list_when_its_row_leaves(desk: Page) -> None:
    stock_up(desk, ("Ham", "1", "+0d"), ("Milk", "1", "+0d"))

    row_of(desk, "Ham").get_by_role("button", name="Used").press("Enter")

    expect(row_of(desk, "Ham")).to_have_count(0)
    expect(desk.locator(".lot :focus")).to_have_count(1)


@pytest.mark.parametrize("opener", ["Add", "More for Milk"])
def test_a_sheet_keeps_the_focus_and_gives_it_back(desk: Page, opener: str) -> None:
    stock_up(desk, ("Milk", "2", "+1d"))
    link = desk.get_by_role("link", name=opener, exact=True)
    link.press("Enter")
    expect(sheet_of(desk).locator(":focus")).to_have_count(1)

    for key in ["Tab"] * 20 + ["Shift+Tab"] * 25:
        desk.keyboard.press(key)
        assert desk.evaluate(IS_IN_SHEET)

    desk.keyboard.press("Escape")
    expect(sheet_of(desk)).to_be_hidden()
    expect(link).to_be_focused()


def test_a_lot_is_used_from_its_sheet_by_keyboard(desk: Page) -> None:
    stock_up(desk, ("Eggs", "10", "+3d"))
    desk.get_by_role("link", name="More for Eggs").press("Enter")
    sheet = sheet_of(desk)

    sheet.get_by_text("Only some of it").press("Enter")
    sheet.get_by_label("How much").press("ControlOrMeta+a")
    desk.keyboard.type("4")
    desk.keyboard.press("Enter")

    expect(row_of(desk, "Eggs")).to_contain_text("6 pieces")


def test_proposals_are_chosen_with_arrows(desk: Page) -> None:
    desk.keyboard.press("a")
    name = desk.get_by_role("combobox", name="What is it?")
    expect(name).to_be_focused()
    name.fill("frozen pe")  # at once: proposals for less of it would come first, and go
    expect(proposals_of(desk).first).to_contain_text("Frozen pe")

    desk.keyboard.press("ArrowDown")
    expect(proposals_of(desk).and_(desk.get_by_role("option", selected=True))).to_have_count(1)
    desk.keyboard.press("Enter")

    expect(name).to_have_value("Frozen peas")
    expect(proposals_of(desk)).to_have_count(0)


def test_escape_closes_the_proposals_before_the_sheet(desk: Page) -> None:
    desk.keyboard.press("a")
    desk.get_by_role("combobox", name="What is it?").fill("mil")
    expect(proposals_of(desk).first).to_be_visible()

    desk.keyboard.press("Escape")
    expect(proposals_of(desk)).to_have_count(0)
    expect(sheet_of(desk)).to_be_visible()
    desk.keyboard.press("Escape")
    expect(sheet_of(desk)).to_be_hidden()


def test_the_menu_opens_and_closes(desk: Page) -> None:
    summary = desk.locator(".top summary")

    summary.press("Enter")
    expect(desk.get_by_role("link", name="Settings")).to_be_visible()
    desk.keyboard.press("Escape")

    expect(desk.get_by_role("link", name="Settings")).to_be_hidden()
    expect(summary).to_be_focused()


def test_the_first_tab_skips_to_the_content(desk: Page) -> None:
    stock_up(desk, ("Milk", "1", "+0d"))
    desk.keyboard.press("Tab")
    expect(desk.get_by_role("link", name="Skip to the content")).to_be_focused()

    desk.keyboard.press("Enter")
    expect(desk).to_have_url(re.compile("#main$"))
    desk.keyboard.press("Tab")

    expect(desk.locator("main :focus")).to_have_count(1)


@pytest.mark.parametrize("path", ["/", "/stock", "/stock/add", "/household/places", "/settings"])
def test_one_always_sees_where_one_is(desk: Page, path: str) -> None:
    stock_up(desk, ("Milk", "1", "+0d"))
    desk.goto(path)
    seen = []
    for _ in range(30):
        desk.keyboard.press("Tab")
        seen.append(desk.evaluate(FOCUS_RING))

    assert [tag for tag, has_ring in seen if not has_ring and tag != "BODY"] == []
    assert len({tag for tag, _ in seen}) > 2
