"""The staff's panel in a real browser: like the household's pages, for every eye, and by keyboard."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from tests import samples
from tests.browser.conftest import OpenPage, as_staff, expect_drawn, follow, staffed, toast_of
from tests.browser.eyes import DESK, PHONE, assert_axe_finds_nothing, assert_nothing_overflows

pytestmark = pytest.mark.browser

# Like those of the household's pages, but for the side bar and the pages of a list, which are for a mouse.
FIND_SMALL_TARGETS = """() => [...document.querySelectorAll(
  "main :is(button, select, summary, a.button), .top :is(a, summary), main label:has(input[type=checkbox])")]
  .filter((e) => e.checkVisibility())
  .map((e) => [e, e.getBoundingClientRect()])
  .filter(([, box]) => box.width > 0 && (box.width < 43 || box.height < 43))
  .map(([e]) => e.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One with staff, a household, and all that a new instance has."""
    with staffed(tmp_path_factory.mktemp("panel"), ["init"], ["seed", "--demo"]) as url:
        yield url


@pytest.fixture(scope="module")
def signed_in(browser: Browser, server: str) -> StorageState:
    context = browser.new_context(base_url=server)
    as_staff(context.new_page())
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def show(open_page: OpenPage, signed_in: StorageState) -> Callable[..., Page]:
    def show(path: str, size: tuple[int, int] = DESK) -> Page:
        page = open_page(size, reduced_motion="reduce", storage_state=signed_in)
        page.goto(path)
        return page

    return show


def first_row(page: Page) -> None:
    follow(page.locator("main .table .name").first)


def edit_first_row(page: Page) -> None:
    first_row(page)
    follow(page.get_by_role("link", name="Edit"))


def ask_about_two(page: Page) -> None:
    for box in page.locator("input[name=pks]").all()[:2]:
        box.check()
    page.get_by_text("With the chosen").click()
    follow(page.get_by_role("button", name="Merge"))


def first_role(page: Page) -> None:
    follow(page.locator("main .list a.grow").first)


def open_menu(page: Page) -> None:
    if page.locator(".fold-menu summary").is_visible():
        page.locator(".fold-menu summary").click()


@dataclass(frozen=True)
class View:
    path: str
    then: Callable[[Page], None] = lambda page: None


VIEWS = {
    "overview": View("/admin/", open_menu),
    "users": View("/admin/user/list"),
    "users, none": View("/admin/user/list?search=zzzz"),
    "user": View("/admin/user/list", first_row),
    "user, editing": View("/admin/user/list", edit_first_row),
    "user, new": View("/admin/user/create"),
    "sessions": View("/admin/user-session/list"),
    "categories": View("/admin/category/list?page=2&sortBy=name&sort=desc"),
    "category, editing": View("/admin/category/list", edit_first_row),
    "units, merging": View("/admin/unit/list", ask_about_two),
    "lots": View("/admin/lot/list"),
    "lot": View("/admin/lot/list", first_row),
    "ledger": View("/admin/event/list"),
    "endpoints": View("/admin/endpoint/list"),
    "menu": View("/admin/menu-item/list"),
    "dictionary": View("/admin/dictionary-entry/list"),
    "catalogue, reading in a file": View("/admin/catalogue-item/import"),
    "staff roles": View("/admin/roles"),
    "staff role": View("/admin/roles", first_role),
    "staff role, new": View("/admin/roles/new"),
    "system": View("/admin/system"),
}
each_view = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)


@each_view
def test_axe_finds_nothing(show: Callable[..., Page], view: View) -> None:
    page = show(view.path, PHONE)
    view.then(page)
    assert_axe_finds_nothing(page, PHONE, DESK)


@each_view
def test_nothing_overflows_and_targets_are_large_enough(show: Callable[..., Page], view: View) -> None:
    page = show(view.path, PHONE)
    view.then(page)
    assert page.evaluate(FIND_SMALL_TARGETS) == []
    assert_nothing_overflows(page, PHONE, DESK)


def test_it_is_the_same_product(show: Callable[..., Page]) -> None:
    """Same paper, ink, type and accent as the household's pages, and nothing of what SQLAdmin brings."""
    page = show("/admin/user/list")
    read_look = """() => {
      const names = ["fontFamily", "color", "backgroundColor", "borderRadius"];
      const of = (e) => names.map((name) => getComputedStyle(e)[name]);
      return { page: of(document.documentElement), button: of(document.querySelector("main .button")) };
    }"""
    panel = page.evaluate(read_look)
    loaded = page.evaluate("performance.getEntriesByType('resource').map((e) => e.name).join(' ')")
    page.goto("/settings")
    household = page.evaluate(read_look)

    assert panel["page"] == household["page"]
    assert panel["button"][0] == household["button"][0]
    assert panel["button"][3] == household["button"][3]
    for theirs in ("tabler", "jquery", "fontawesome", "select2", "flatpickr"):
        assert theirs not in loaded


def test_the_menu_folds_on_a_phone_and_opens_by_keyboard(show: Callable[..., Page]) -> None:
    page = show("/admin/", PHONE)
    menu = page.locator(".fold-menu summary")
    units = page.locator(".fold-menu").get_by_role("link", name="Units")
    expect(units).to_be_hidden()

    for _tab in range(5):
        page.keyboard.press("Tab")
        if menu.evaluate("(e) => e === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(units).to_be_visible()
    page.keyboard.press("Escape")
    expect(units).to_be_hidden()
    page.keyboard.press("Enter")
    units.press("Enter")

    expect(page.get_by_role("heading", name="Units")).to_be_visible()
    page.locator(".fold-menu summary").click()
    expect(page.locator(".fold-menu [aria-current=page]")).to_have_text("Units")


def test_the_way_back_to_the_household_and_out(show: Callable[..., Page]) -> None:
    page = show("/admin/user/list")
    page.locator(".top .switcher summary").last.click()
    follow(page.locator(".top").get_by_role("link", name="Back to the household"))
    expect(page.get_by_role("navigation", name="Panel")).to_have_count(0)
    page.goto("/admin/user/list")
    expect(page.get_by_role("heading", name="Users")).to_be_visible()


def test_all_are_chosen_at_once_and_a_question_comes_first(show: Callable[..., Page]) -> None:
    page = show("/admin/dictionary-entry/list")
    boxes = page.locator("input[name=pks]")
    page.locator("[data-check-all]").check()
    assert boxes.count() > 3
    assert all(box.is_checked() for box in boxes.all())
    page.locator("[data-check-all]").uncheck()

    boxes.first.check()
    page.get_by_text("With the chosen").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("What is deleted is gone for good.")).to_be_visible()
    page.get_by_role("button", name="Yes, with this one").click()
    expect(toast_of(page)).to_have_text("Deleted.")


def test_a_permission_is_found_and_granted(show: Callable[..., Page]) -> None:
    page = show("/admin/roles")
    follow(page.get_by_role("link", name="Auditor"))
    page.get_by_role("searchbox", name="Find").fill("panel.lot:export")
    wanted = page.locator("input[value='panel.lot:export']")
    expect(page.locator("input[value='panel.user:edit']")).to_be_hidden()
    wanted.check()
    page.get_by_role("button", name="Save what it grants").click()

    expect(toast_of(page)).to_have_text("Saved.")
    expect(page.locator("input[value='panel.lot:export']")).to_be_checked()


def test_it_works_without_scripts(open_page: OpenPage, signed_in: StorageState) -> None:
    page = open_page(PHONE, storage_state=signed_in, java_script_enabled=False)
    page.goto("/admin/unit/create")
    for label, value in (("Code", "jug"), ("Name", "jug"), ("Plural", "jugs"), ("Factor", "1000")):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_label("Kind").select_option("volume")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="jug")).to_be_visible()

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Yes, with this one").click()
    expect(page.get_by_text("Deleted.")).to_be_visible()


def test_a_picture_of_the_catalogue_is_sent_and_seen_large(show: Callable[..., Page]) -> None:
    page = show("/admin/catalogue-item/create")
    page.get_by_label("GTIN").fill("4006381333931")
    page.get_by_label("Name", exact=True).fill("Oat milk")
    follow(page.get_by_role("button", name="Save", exact=True))
    page.goto("/admin/catalogue-item/list?search=Oat")
    first_row(page)

    page.get_by_label("Choose a picture").set_input_files(
        {"name": "oats.jpg", "mimeType": "image/jpeg", "buffer": samples.picture()}
    )
    page.get_by_role("link", name="The picture of Oat milk, large").click()

    viewer = page.get_by_role("dialog", name="Picture")
    expect_drawn(viewer.get_by_role("img"))
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
