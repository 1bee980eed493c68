"""What others do arrives by itself, says who did it, and disturbs nobody."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Problems, add, at_home, invite, row_of, stock_up, toast_of
from tests.browser.eyes import DESK

pytestmark = pytest.mark.browser


@pytest.fixture
def flatmate(phone: Page, open_page: OpenPage) -> Page:
    """Bea, who was invited by Ann and sits at a desk."""
    return at_home(open_page(DESK), "Bea Example", invitation=invite(phone))


def test_a_lot_used_on_one_phone_changes_the_other_without_a_reload(phone: Page, flatmate: Page) -> None:
    stock_up(phone, ("Milk", "2", "+0d"), ("Ham", "1", "+0d"))
    expect(row_of(flatmate, "Milk")).to_contain_text("2 pieces")
    flatmate.evaluate("window.stayed = true")

    row_of(phone, "Milk").get_by_role("button", name="Used").tap()

    expect(row_of(flatmate, "Milk")).to_contain_text("1 piece")
    expect(toast_of(flatmate)).to_contain_text("Ann")
    expect(toast_of(flatmate)).to_contain_text("1 piece of Milk used")
    assert flatmate.evaluate("window.stayed")
    expect(toast_of(phone)).not_to_contain_text("Ann")


def test_what_others_add_leaves_scroll_and_focus_where_they_are(phone: Page, flatmate: Page) -> None:
    stock_up(phone, *((f"Thing {number}", "1", "+2d") for number in range(30)))
    expect(flatmate.locator(".lot")).to_have_count(30)
    link = row_of(flatmate, "Thing 25").locator("a.what")
    link.evaluate("link => link.focus({ preventScroll: true })")
    flatmate.evaluate("window.scrollTo(0, 500)")
    before = flatmate.evaluate("window.scrollY")
    assert before > 0

    phone.get_by_role("link", name="Add", exact=True).tap()
    add(phone, "Zucchini", "1", "+3d")

    expect(row_of(flatmate, "Zucchini")).to_be_attached()
    expect(link).to_be_focused()
    assert flatmate.evaluate("window.scrollY") == before


def test_a_row_waits_while_a_finger_is_on_it(phone: Page, flatmate: Page) -> None:
    stock_up(phone, ("Ham", "1", "+0d"), ("Milk", "1", "+0d"))
    expect(flatmate.locator(".lot")).to_have_count(2)
    milk = row_of(flatmate, "Milk")
    at = milk.bounding_box()
    assert at
    flatmate.mouse.move(at["x"] + 5, at["y"] + 5)
    flatmate.mouse.down()

    row_of(phone, "Ham").get_by_role("button", name="Used").tap()
    expect(toast_of(flatmate)).to_contain_text("Ham used")
    assert milk.bounding_box() == at
    flatmate.mouse.up()

    expect(row_of(flatmate, "Ham")).to_have_count(0)


def test_what_was_missed_while_away_is_there_on_coming_back(phone: Page, flatmate: Page, problems: Problems) -> None:
    problems.expect("ERR_INTERNET_DISCONNECTED", "WebSocket", "htmx:")
    stock_up(phone, ("Milk", "3", "+0d"))
    expect(row_of(flatmate, "Milk")).to_contain_text("3 pieces")

    flatmate.context.set_offline(True)
    flatmate.evaluate("window.dispatchEvent(new Event('offline'))")
    row_of(phone, "Milk").get_by_role("button", name="Used").tap()
    expect(row_of(phone, "Milk")).to_contain_text("2 pieces")
    flatmate.context.set_offline(False)

    expect(row_of(flatmate, "Milk")).to_contain_text("2 pieces", timeout=30_000)


def test_whoever_is_signed_out_elsewhere_leaves_at_once(phone: Page, open_page: OpenPage) -> None:
    (here,) = phone.context.cookies()
    other = open_page(DESK, storage_state=phone.context.storage_state())
    assert other.context.cookies() == [here]

    other.goto("/settings/devices")
    other.get_by_role("button", name="Sign out everywhere", exact=True).click()

    expect(phone).to_have_url(re.compile("/login"))


def test_the_bell_counts_what_is_due_and_forgets_what_was_read(phone: Page) -> None:
    stock_up(phone, ("Milk", "1", "+0d"))
    bell = phone.get_by_role("link", name="Notifications")

    phone.goto("/notifications")
    expect(phone.get_by_text("Nothing to tell you yet")).to_be_visible()
    expect(bell).to_be_visible()


def test_what_to_hear_about_is_kept(phone: Page) -> None:
    phone.goto("/settings/notifications")

    phone.get_by_label("Due soon: E-mail").uncheck()
    phone.get_by_label("Once a day, at").fill("18:30")
    phone.get_by_label("Quiet from").fill("22:00")
    phone.get_by_label("until", exact=True).fill("07:00")
    phone.get_by_role("button", name="Save").tap()

    expect(toast_of(phone)).to_contain_text("Saved.")
    expect(phone.get_by_label("Due soon: E-mail")).not_to_be_checked()
    expect(phone.get_by_label("Past its date: E-mail")).to_be_checked()
    expect(phone.get_by_label("Once a day, at")).to_have_value("18:30")
    expect(phone.get_by_label("Quiet from")).to_have_value("22:00")


def test_half_of_the_quiet_hours_is_refused_at_its_field(phone: Page, problems: Problems) -> None:
    problems.expect("422")
    phone.goto("/settings/notifications")
    phone.get_by_label("Quiet from").fill("22:00")
    phone.evaluate("document.querySelector('form.card').noValidate = true")

    phone.get_by_role("button", name="Save").tap()

    expect(phone.get_by_text("Give both ends of the quiet hours, or none.")).to_be_visible()


def test_the_calendar_has_an_address_that_is_shown_once(phone: Page) -> None:
    stock_up(phone, ("Milk", "1", "+3d"))
    phone.goto("/settings/notifications")

    phone.get_by_role("button", name="Make a new address").tap()
    address = phone.get_by_label("The calendar’s address").input_value()

    feed = phone.request.get(address)
    assert feed.ok
    assert "Milk" in feed.text()
    phone.goto("/settings/notifications")
    expect(phone.get_by_label("The calendar’s address")).to_have_count(0)


def test_the_screen_on_the_fridge_door_follows_along(phone: Page, flatmate: Page) -> None:
    flatmate.goto("/today")
    expect(flatmate.get_by_text("Nothing is pressing today")).to_be_visible()

    stock_up(phone, ("Milk", "1", "+0d"))

    expect(row_of(flatmate, "Milk")).to_contain_text("Use")
    row_of(flatmate, "Milk").get_by_role("button", name="Used").click()
    expect(row_of(phone, "Milk")).to_have_count(0)
