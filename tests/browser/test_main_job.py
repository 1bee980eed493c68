"""The main job: put food in, see what is due, use it, take it back; with one thumb."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import (
    PASSWORD,
    OpenPage,
    Problems,
    add,
    follow,
    heading_of,
    holding,
    new_email,
    proposals_of,
    row_of,
    sheet_of,
    stock_up,
    toast_of,
)

pytestmark = pytest.mark.browser


def register(page: Page) -> None:
    page.goto("/")
    follow(page.get_by_role("link", name="Make an account"))
    page.get_by_label("Your name").fill("Ann Example")
    page.get_by_label("E-mail").fill(new_email())
    page.get_by_label("Password").fill(PASSWORD)
    follow(page.get_by_role("button", name="Make an account"))
    expect(page.get_by_role("heading", name="Ann")).to_be_visible()


def test_a_new_user_adds_food_uses_it_and_takes_that_back(open_page: OpenPage) -> None:
    page = open_page()
    register(page)
    expect(page.get_by_text("Nothing in the house yet")).to_be_visible()

    page.get_by_role("link", name="Add the first thing").tap()
    page.get_by_role("combobox", name="What is it?").fill("Chicken breast")
    page.get_by_label("Good until").fill("+0d")
    sheet_of(page).get_by_role("button", name="Add", exact=True).tap()
    expect(page.get_by_text("1 added")).to_be_visible()
    page.get_by_role("link", name="Done").tap()

    expect(sheet_of(page)).to_be_hidden()
    row = heading_of(page, "Use now").locator(".lot")
    expect(row).to_contain_text("Chicken breast")
    expect(row).to_contain_text("Use by today")

    row.get_by_role("button", name="Used").tap()
    expect(page.get_by_text("Nothing in the house yet")).to_be_visible()
    toast_of(page).get_by_role("button", name="Undo").tap()

    expect(heading_of(page, "Use now").locator(".lot")).to_contain_text("Chicken breast")


def test_the_main_job_needs_no_javascript(open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    register(page)

    page.get_by_role("link", name="Add the first thing").tap()
    page.get_by_role("combobox", name="What is it?").fill("Milk")
    page.get_by_label("Good until").fill("+1d")
    page.get_by_role("button", name="Add", exact=True).tap()
    expect(page.get_by_text("1 piece of Milk added.")).to_be_visible()
    page.get_by_role("link", name="Home").tap()

    heading_of(page, "This week").get_by_role("button", name="Used").tap()
    expect(page.get_by_text("Nothing in the house yet")).to_be_visible()
    toast_of(page).get_by_role("button", name="Undo").tap()
    expect(heading_of(page, "This week").locator(".lot")).to_contain_text("Milk")

    page.get_by_role("link", name="More for Milk").tap()
    page.get_by_role("button", name="Frozen").first.tap()
    expect(toast_of(page)).to_contain_text("Froze 1 piece of Milk.")


def test_several_things_go_in_without_leaving_the_sheet(phone: Page) -> None:
    phone.get_by_role("link", name="Add", exact=True).tap()

    add(phone, "Milk", "2", "+1d")
    add(phone, "Rice", "3", "x")
    add(phone, "Ham", "1", "+0d")

    added = phone.locator("#added li")
    expect(added).to_contain_text(["Ham", "Rice", "Milk"])
    added.filter(has_text="Rice").get_by_role("button", name="Undo").tap()
    expect(added.filter(has_text="Rice")).to_contain_text("taken back")

    phone.keyboard.press("Escape")
    expect(heading_of(phone, "Use now").locator(".lot")).to_contain_text("Ham")
    expect(heading_of(phone, "This week").locator(".lot")).to_contain_text("2 pieces")
    expect(row_of(phone, "Rice")).to_have_count(0)


def test_names_are_proposed_and_bring_their_place_and_date(phone: Page) -> None:
    phone.get_by_role("link", name="Add", exact=True).tap()
    name = phone.get_by_role("combobox", name="What is it?")

    name.press_sequentially("frozen pe")
    options = proposals_of(phone)
    expect(options.first).to_contain_text("Frozen pe")
    options.first.tap()

    expect(name).to_have_value("Frozen peas")
    expect(phone.get_by_label("Place").locator("option:checked")).to_have_text("Freezer")
    expect(phone.get_by_label("Good until")).to_have_attribute("placeholder", re.compile("usually"))


def test_what_is_typed_while_a_proposal_is_on_its_way_stays(desk: Page) -> None:
    desk.keyboard.press("a")
    with holding(desk, "**/stock/add/fields*") as held:
        desk.get_by_role("combobox", name="What is it?").fill("Eggs")
        desk.keyboard.press("Enter")
    desk.keyboard.type("10")
    desk.keyboard.press("Enter")

    held[0].continue_()

    expect(desk.get_by_label("Good until")).not_to_have_attribute("placeholder", "")
    expect(desk.get_by_label("How much")).to_have_value("10")


@pytest.mark.parametrize(
    ("chip", "entry"),
    [("+3d", "+3d"), ("+1w", "+1w"), ("+1m", "+1m"), ("end of month", "e"), ("none", "x")],
)
def test_each_date_chip_fills_the_date(phone: Page, chip: str, entry: str) -> None:
    phone.get_by_role("link", name="Add", exact=True).tap()

    phone.get_by_role("button", name=chip, exact=True).tap()

    expect(phone.get_by_label("Good until")).to_have_value(entry)
    expect(phone.locator("#date-said")).to_have_text("No date" if entry == "x" else re.compile(r"20\d\d"))


def test_the_calendar_fills_the_date(phone: Page) -> None:
    phone.get_by_role("link", name="Add", exact=True).tap()

    phone.get_by_label("From a calendar").fill("2027-05-12")

    expect(phone.get_by_label("Good until")).to_have_value("2027-05-12")
    expect(phone.locator("#date-said")).to_have_text("12 May 2027")


def test_the_sheet_of_a_lot_opens_freezes_and_bins(phone: Page) -> None:
    stock_up(phone, ("Milk", "1", "+0d"))

    for button, said in (("Opened", "Opened 1 piece of Milk."), ("Frozen", "Froze 1 piece of Milk.")):
        phone.get_by_role("link", name="More for Milk").tap()
        sheet_of(phone).get_by_role("button", name=button).first.tap()
        expect(toast_of(phone)).to_contain_text(said)
        expect(sheet_of(phone)).to_be_hidden()

    phone.get_by_role("link", name="More for Milk").tap()
    phone.get_by_text("Throw it away, and say why").tap()
    sheet_of(phone).get_by_role("button", name="Went bad early").tap()
    expect(toast_of(phone)).to_contain_text("Binned 1 piece of Milk.")
    phone.get_by_role("link", name="History").tap()
    expect(phone.locator(".journal li").first).to_contain_text("Went bad early")


def test_only_some_of_it_is_used(phone: Page) -> None:
    stock_up(phone, ("Eggs", "10", "+3d"))

    phone.get_by_role("link", name="More for Eggs").tap()
    phone.get_by_text("Only some of it").tap()
    sheet_of(phone).get_by_label("How much").fill("4")
    sheet_of(phone).locator("details[open]").get_by_role("button", name="Used").tap()

    expect(row_of(phone, "Eggs")).to_contain_text("6 pieces")


def test_a_mistake_is_undone_and_redone_in_the_history(phone: Page) -> None:
    stock_up(phone, ("Milk", "1", "+1d"))
    row_of(phone, "Milk").get_by_role("button", name="Used").tap()
    expect(row_of(phone, "Milk")).to_have_count(0)
    phone.get_by_role("link", name="History").tap()
    entries = phone.locator(".journal li")

    entries.filter(has_text="Milk used").get_by_role("button", name="Undo").tap()
    expect(entries.filter(has_text="Milk used")).to_contain_text("taken back")
    expect(toast_of(phone)).to_contain_text("Taken back: Milk.")

    entries.first.get_by_role("button", name="Redo").tap()
    expect(toast_of(phone)).to_contain_text("Done again")
    phone.get_by_role("link", name="Home").tap()
    expect(phone.get_by_text("Nothing in the house yet")).to_be_visible()


def test_a_double_tap_books_once_and_spares_the_next_row(phone: Page) -> None:
    stock_up(phone, ("Ham", "3", "+0d"), ("Milk", "3", "+0d"))
    first = phone.locator(".lot").first
    button = first.get_by_role("button", name="Used").bounding_box()
    assert button
    middle = (button["x"] + button["width"] / 2, button["y"] + button["height"] / 2)

    phone.touchscreen.tap(*middle)
    expect(toast_of(phone)).to_be_visible()
    phone.touchscreen.tap(*middle)

    expect(row_of(phone, "Ham")).to_contain_text("2 pieces")
    expect(row_of(phone, "Milk")).to_contain_text("3 pieces")
    phone.goto("/history?kind=consume")
    expect(phone.locator(".journal li")).to_have_count(1)


def test_a_double_click_while_the_server_thinks_books_once(desk: Page) -> None:
    stock_up(desk, ("Ham", "3", "+0d"))

    with holding(desk, "**/consume") as held:
        row_of(desk, "Ham").get_by_role("button", name="Used").dblclick()
    held[0].continue_()

    expect(row_of(desk, "Ham")).to_contain_text("2 pieces")
    desk.goto("/history?kind=consume")
    expect(desk.locator(".journal li")).to_have_count(1)


def test_nothing_moves_under_the_finger(phone: Page) -> None:
    stock_up(phone, ("Ham", "3", "+0d"), ("Milk", "3", "+0d"), ("Eggs", "6", "+0d"))
    next_row = phone.locator(".lot").nth(1)
    before = next_row.bounding_box()

    phone.locator(".lot").first.get_by_role("button", name="Used").tap()
    expect(toast_of(phone)).to_be_visible()

    assert next_row.bounding_box() == before


def test_a_server_that_is_gone_says_so_and_books_nothing(phone: Page, problems: Problems) -> None:
    problems.expect("ERR_INTERNET_DISCONNECTED", "console: htmx:")
    stock_up(phone, ("Ham", "3", "+0d"))
    phone.route("**/consume", lambda route: route.abort("internetdisconnected"))

    row_of(phone, "Ham").get_by_role("button", name="Used").tap()

    expect(toast_of(phone)).to_contain_text("No connection. Nothing was changed.")
    expect(row_of(phone, "Ham")).not_to_contain_class("is-leaving")
    phone.unroute("**/consume")
    row_of(phone, "Ham").get_by_role("button", name="Used").tap()
    expect(row_of(phone, "Ham")).to_contain_text("2 pieces")
