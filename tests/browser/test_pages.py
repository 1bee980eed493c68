"""Each page, and what opens over it: for every eye, on a phone and at a desk, in the light and in the dark."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

import routes.pages
from routes.table import list_routes
from tests.browser.conftest import (
    PASSWORD,
    OpenPage,
    Problems,
    at_home,
    invite,
    new_email,
    proposals_of,
    row_of,
    sheet_of,
    sign_out,
    stock_up,
    toast_of,
)
from tests.browser.eyes import (
    DESK,
    PHONE,
    ZOOMED,
    assert_axe_finds_nothing,
    assert_nothing_overflows,
    assert_targets_are_large_enough,
)

pytestmark = pytest.mark.browser

OF_THE_HEADLESS = (
    "/login/openid/go",
    "/login/openid/callback",
    "/stock/suggest",
    "/stock/add/fields",
    "/stock/add/date",
    "/notifications/bell",
    "/chats/unread",
)


@dataclass(frozen=True)
class Kitchen:
    """A household of two with something of everything, as its owner sees it, and where some of its pages are."""

    state: StorageState
    paths: dict[str, str]


@pytest.fixture(scope="module")
def kitchen(browser: Browser, server: str) -> Kitchen:
    context = browser.new_context(base_url=server)
    page = at_home(context.new_page())
    stock_up(
        page,
        ("Chicken", "1", "+0d"),
        ("Milk", "2", "+1d"),
        ("Eggs", "10", "+3d"),
        ("Jam", "1", "+1m"),
        ("Salt", "1", "x"),
    )
    for act in ("Opened: Milk", "Frozen: Eggs", "Binned: Jam"):
        page.get_by_role("button", name=act).first.click()
        expect(toast_of(page).first).to_be_visible()
        page.reload()
    lot = page.locator(".lot a.what").first.get_attribute("href")
    page.goto("/products")
    product = page.locator(".list a.grow").first.get_attribute("href")
    chat, message = talk(page)
    guest = browser.new_context(base_url=server)
    at_home(guest.new_page(), "Ben Guest", invitation=invite(page))
    assert lot
    assert product
    paths = {
        "lot": lot,
        "product": product,
        "invitation": f"/invitations/{invite(page)}",
        "chat": chat,
        "message": message,
    }
    kitchen = Kitchen(context.storage_state(), paths)
    for closing in (context, guest):
        closing.close()
    return kitchen


def talk(page: Page) -> tuple[str, str]:
    """The paths of a chat and of a message in it."""
    (home,) = page.request.get("/api/v1/households").json()["items"]
    at = f"/api/v1/households/{home['id']}/chats"
    (chat,) = page.request.get(at).json()["items"]
    assert page.request.post(at, data={"title": "Weekend"}).ok
    said = page.request.post(f"{at}/{chat['id']}/messages", data={"content": "Bring milk, see https://example.com"})
    path = f"/chats/{chat['id']}"
    return path, f"{path}/messages/{said.json()['id']}"


@dataclass(frozen=True)
class View:
    path: str
    # What is opened over it.
    then: Callable[[Page], object] = lambda page: None
    is_public: bool = False


def open_add_sheet(page: Page) -> None:
    page.get_by_role("link", name="Add", exact=True).click()
    page.get_by_role("combobox", name="What is it?").fill("mil")
    expect(proposals_of(page).first).to_be_visible()


def open_lot_sheet(page: Page) -> None:
    page.get_by_role("link", name="More for").first.click()
    expect(sheet_of(page).locator("summary").last).to_be_visible()
    for fold in sheet_of(page).locator("summary").all():
        fold.click()


def open_message_sheet(page: Page) -> None:
    page.get_by_role("link", name="More for the message").click()
    expect(sheet_of(page).get_by_role("button", name="React with it")).to_be_visible()


def open_menu(page: Page) -> None:
    page.locator(".top summary").click()
    expect(page.locator(".top").get_by_text("Sign out")).to_be_visible()


def open_first_fold(page: Page) -> None:
    page.locator("main summary").first.click()


def set_up_an_app(page: Page) -> str:
    """The secret that the app would know."""
    if not page.locator(".qr").count():
        page.get_by_role("button", name="Set up an app").click()
    page.locator("#app summary").click()
    return page.locator(".secret").inner_text()


def turn_the_app_on(page: Page) -> None:
    code = pyotp.TOTP(set_up_an_app(page)).now()
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()


def sign_in_up_to_the_code(page: Page) -> None:
    email = new_email()
    page.request.post("/register", form={"name": "Ann", "email": email, "password": PASSWORD, "time_zone": "UTC"})
    page.goto("/settings/security")
    turn_the_app_on(page)
    sign_out(page)
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("This code is wrong")).to_be_visible()


def sign_in_wrongly(page: Page) -> None:
    page.get_by_label("E-mail").fill("nobody@example.com")
    page.get_by_label("Password").fill("wrong1234")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()


VIEWS = {
    "home": View("/"),
    "home with the menu": View("/", open_menu),
    "adding in a sheet": View("/", open_add_sheet),
    "acting in a sheet": View("/", open_lot_sheet),
    "adding": View("/stock/add"),
    "stock": View("/stock"),
    "stock, nothing found": View("/stock?q=zzz"),
    "lot": View("{lot}"),
    "lot, acting": View("{lot}/actions"),
    "lot, editing": View("{lot}/edit"),
    "products": View("/products"),
    "product": View("{product}"),
    "product, editing": View("{product}/edit"),
    "product, new": View("/products/new"),
    "history": View("/history?kind=discard"),
    "household": View("/household", open_first_fold),
    "households": View("/households"),
    "household, new": View("/households/new"),
    "places": View("/household/places", open_first_fold),
    "what happened": View("/household/audit"),
    "words": View("/household/words"),
    "today": View("/today"),
    "notifications": View("/notifications"),
    "what to hear about": View("/settings/notifications", open_first_fold),
    "link in a message, void": View("/do/nothing", is_public=True),
    "talk": View("/chats"),
    "talk, archived": View("/chats?archived=true"),
    "talk about something": View("/chats/about"),
    "talk, searching": View("/chats/search?q=milk"),
    "chat": View("{chat}"),
    "chat, new": View("/chats/new", lambda page: page.get_by_label("Only those I choose").check()),
    "chat, about it": View("{chat}/settings"),
    "message": View("{message}"),
    "message, acting": View("{message}/actions"),
    "message, acting in a sheet": View("{chat}", open_message_sheet),
    "message, editing": View("{message}/edit"),
    "settings": View("/settings"),
    "password": View("/settings/password"),
    "e-mail address": View("/settings/email"),
    "deleting the account": View("/settings/delete"),
    "devices": View("/settings/devices"),
    "API keys": View("/settings/api-keys"),
    "confirming": View("/confirm?next=/settings/api-keys"),
    "confirming the address": View("/verify-email"),
    "forgot the password": View("/forgot", is_public=True),
    "link to reset, void": View("/reset/nothing", is_public=True),
    "link to confirm, void": View("/verify/nothing", is_public=True),
    "more": View("/more"),
    "not found": View("/nothing"),
    "invitation": View("{invitation}", is_public=True),
    "signing in": View("/login", is_public=True),
    "ways to sign in": View("/settings/security"),
    "ways to sign in, setting up an app": View("/settings/security", set_up_an_app),
    "signing in, the code": View("/login/code", sign_in_up_to_the_code, is_public=True),
    "signing in wrongly": View("/login", sign_in_wrongly, is_public=True),
    "registering": View("/register", is_public=True),
}
each_view = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)


@pytest.fixture
def show(open_page: OpenPage, kitchen: Kitchen, problems: Problems) -> Callable[..., Page]:
    problems.expect("status of 401", "answered 401", "status of 404", "answered 404")

    def show(view: View, size: tuple[int, int] = PHONE, **options: Any) -> Page:
        state = {} if view.is_public else {"storage_state": kitchen.state}
        page = open_page(size, reduced_motion="reduce", **state, **options)
        page.goto(view.path.format(**kitchen.paths))
        view.then(page)
        page.wait_for_load_state()
        return page

    return show


def test_no_page_is_left_out(kitchen: Kitchen) -> None:
    shown = [view.path.format(**kitchen.paths).partition("?")[0].split("/") for view in VIEWS.values()]
    pages = [
        entry.path
        for router in routes.pages.ROUTERS
        for entry in list_routes(router)
        if "GET" in entry.methods and entry.path not in OF_THE_HEADLESS
    ]

    def is_shown(path: str) -> bool:
        parts = path.split("/")
        return any(
            len(parts) == len(other) and all(a == b or a.startswith("{") for a, b in zip(parts, other, strict=True))
            for other in shown
        )

    assert [path for path in pages if not is_shown(path)] == []


@each_view
def test_axe_finds_nothing(show: Callable[..., Page], view: View) -> None:
    assert_axe_finds_nothing(show(view), PHONE, DESK)


@each_view
def test_nothing_overflows_and_every_target_is_large_enough(show: Callable[..., Page], view: View) -> None:
    page = show(view)
    assert_targets_are_large_enough(page)
    assert_nothing_overflows(page, PHONE, ZOOMED, DESK)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/stock",
        "/stock/add",
        "/products",
        "/products/new",
        "/history",
        "/household",
        "/settings",
        "/settings/notifications",
    ],
)
def test_nothing_overflows_from_right_to_left(reader: Page, path: str) -> None:
    reader.goto(path)
    expect(reader.locator("html")).to_have_attribute("dir", "rtl")
    assert_nothing_overflows(reader, PHONE, ZOOMED, DESK)


@pytest.fixture
def reader(open_page: OpenPage) -> Page:
    """Somebody who reads from right to left."""
    page = at_home(open_page(), "ليلى", locale="ar")
    page.request.post("/settings", form={"name": "ليلى", "locale": "ar", "theme": "system"})
    return stock_up(page, ("حليب كامل الدسم من المزرعة", "2", "+1d"), ("Rice", "3", "x"), ("Ham", "1", "+0d"))


def test_empty_pages_teach(phone: Page) -> None:
    for path, heading in (
        ("/", "Nothing in the house yet"),
        ("/stock", "The shelves are empty"),
        ("/products", "No products yet"),
        ("/history", "Nothing happened yet"),
    ):
        phone.goto(path)
        expect(phone.get_by_role("heading", name=heading)).to_be_visible()
        assert_nothing_overflows(phone, PHONE)


def test_long_words_break_and_strange_ones_stay(phone: Page) -> None:
    endless = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtenbrot"
    stock_up(phone, (endless, "1", "+0d"), ("חלב 3%", "1", "+3d"), ("<b>Käse</b> & Öl", "1", "x"))

    for path in ("/", "/stock", "/products", "/history"):
        phone.goto(path)
        assert_nothing_overflows(phone, PHONE)
    phone.goto("/")
    expect(row_of(phone, endless)).to_be_visible()


def test_a_chosen_theme_wins_over_the_device(open_page: OpenPage) -> None:
    page = open_page(color_scheme="light", reduced_motion="reduce")
    at_home(page)
    light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")

    page.goto("/settings")
    page.get_by_label("Colours").select_option("Dark")
    page.get_by_role("button", name="Save").click()

    expect(toast_of(page)).to_contain_text("Saved.")
    expect(page.locator("html")).not_to_have_css("background-color", light)


def test_who_wants_no_motion_gets_none(open_page: OpenPage) -> None:
    page = open_page(reduced_motion="reduce")
    at_home(page)

    page.get_by_role("link", name="Add", exact=True).tap()
    expect(sheet_of(page)).to_be_visible()

    moving = "document.getAnimations().map((animation) => animation.animationName ?? animation.transitionProperty)"
    assert page.evaluate(moving) == []
    assert page.locator("#sheet").evaluate("(sheet) => getComputedStyle(sheet).animationName") == "none"


def test_a_request_to_another_server_would_be_refused_and_noticed(open_page: OpenPage, problems: Problems) -> None:
    problems.expect("https://example.com/")
    page = open_page()
    page.goto("/login")

    with page.expect_console_message(lambda said: said.text.startswith("forbidden by connect-src")):
        assert page.evaluate("fetch('https://example.com/').then(() => 'fetched', () => 'refused')") == "refused"

    assert problems.found
