"""Staff acts for somebody in a real browser: the bar is there on every page, and leads back."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Problems, as_staff, at_home, staffed, toast_of
from tests.browser.eyes import (
    DESK,
    PHONE,
    assert_axe_finds_nothing,
    assert_nothing_overflows,
    assert_targets_are_large_enough,
)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One with staff."""
    with staffed(tmp_path_factory.mktemp("acting")) as url:
        yield url


@pytest.fixture
def staff(open_page: OpenPage) -> Page:
    return as_staff(open_page(DESK, reduced_motion="reduce"))


def begin(staff: Page, who: str) -> None:
    """From the audit log, which knows everybody who ever did anything."""
    staff.goto(f"/admin/audit?who={who.split(maxsplit=1)[0]}&action=auth:register")
    staff.locator("main .acts summary").first.click()
    href = staff.locator("main .acts .facts a[href*='?who=']").first.get_attribute("href")
    assert href
    staff.goto(f"/admin/users/{href.partition('who=')[2]}/act")
    staff.get_by_label("Why").fill("They asked for help")
    staff.get_by_role("button", name="Begin").click()
    expect(toast_of(staff)).to_contain_text(f"You are acting for {who} now.")


def end(staff: Page) -> None:
    """With the page's scripts there: they know that it is oneself who ends the session, and the socket does not."""
    expect(staff.locator("body[data-live]")).to_be_attached()
    staff.get_by_role("button", name="Be yourself again").click()
    expect(staff.get_by_role("heading", name="Overview")).to_be_visible()


def test_the_bar_says_who_for_whom_and_leads_back(staff: Page, open_page: OpenPage, problems: Problems) -> None:
    problems.expect("status of 404", "answered 404")
    at_home(open_page(), "Ulla User")
    begin(staff, "Ulla User")
    bar = staff.get_by_role("complementary", name="Acting for somebody")

    for path in ("/", "/stock", "/household/audit", "/settings"):
        staff.goto(path)
        expect(bar).to_contain_text("Sam, you are acting for Ulla User. 30 minutes left")
    staff.goto("/")
    end(staff)

    expect(toast_of(staff)).to_contain_text("You are yourself again.")
    expect(bar).to_have_count(0)


def test_the_user_sees_who_it_was(staff: Page, open_page: OpenPage) -> None:
    user = at_home(open_page(), "Vera View")
    begin(staff, "Vera View")
    staff.request.post("/stock/add", form={"name": "Oats", "quantity": "1", "expires": "x"})

    user.goto("/history")
    expect(user.locator("main")).to_contain_text("Sam for Vera View")
    user.goto("/household/audit")
    expect(user.locator("main")).to_contain_text("Staff began to act for a member: Vera View")
    expect(user.locator("main")).to_contain_text("They asked for help")


@pytest.mark.parametrize("path", ["/", "/household/audit", "/admin/audit", "act"])
def test_it_is_for_every_eye(path: str, staff: Page, open_page: OpenPage) -> None:
    at_home(open_page(), "Wim Wide")
    begin(staff, "Wim Wide")
    if path.startswith("/admin") or path == "act":
        end(staff)
        staff.goto("/admin/audit")
        staff.locator("main .acts summary").first.click()
        if path == "act":
            href = staff.locator("main .acts .facts a[href*='?for=']").first.get_attribute("href") or ""
            staff.goto(f"/admin/users/{href.partition('for=')[2]}/act")
    else:
        staff.goto(path)

    assert_axe_finds_nothing(staff, DESK, PHONE)
    assert_nothing_overflows(staff, DESK, PHONE)
    assert_targets_are_large_enough(staff)
