"""The real server on a port of its own, and people with phones and desks in front of it."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from settings import ROOT
from tests.browser.driving import instance, launch
from tests.browser.eyes import DESK, PHONE, Size

IS_CI = bool(os.environ.get("CI"))

if find_spec("playwright") is None and not IS_CI:
    # The modules import it at their top.
    collect_ignore_glob = ["test_*.py"]

    def pytest_report_header() -> str:
        return "tests/browser is left out: playwright is not installed"

else:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, Route, expect, sync_playwright

    expect.set_options(timeout=10_000)

PASSWORD = "kitchen42x"
STAFF = "staff@example.com"
# Whatever a page does that its policy forbids is said aloud.
TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`forbidden by ${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile}`));
"""


# The server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of our own, with a new database that has the words in it."""
    if not (ROOT / "static" / "dist" / "manifest.json").exists():
        _go_without("static/dist is not built: run `python oppman.py collectstatic`")
    with instance(tmp_path_factory.mktemp("browser")) as url:
        yield url


def _go_without(reason: str) -> NoReturn:
    if IS_CI:
        pytest.fail(reason)
    pytest.skip(reason)


# The browser


@pytest.fixture(scope="package")
def playwright() -> "Iterator[Playwright]":
    """For this package only: while it runs, no other event loop can."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def browser(playwright: "Playwright") -> "Iterator[Browser]":
    browser = launch(playwright)
    if browser is None:
        _go_without("there is no Chromium: install one, or name it in LARDER_TEST_CHROMIUM")
    yield browser
    browser.close()


@dataclass
class Problems:
    """What the browser complained about; a test says which complaints it provokes."""

    found: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, *parts: str) -> None:
        self.expected.extend(parts)

    @property
    def unexpected(self) -> list[str]:
        return [problem for problem in self.found if not any(part in problem for part in self.expected)]

    def watch(self, context: "BrowserContext", server: str) -> None:
        host = urlsplit(server).netloc
        context.on(
            "console",
            lambda said: self.found.append(f"console: {said.text}") if said.type in {"error", "warning"} else None,
        )
        context.on("weberror", lambda error: self.found.append(f"script: {error.error}"))
        context.on(
            "request",
            lambda request: (
                self.found.append(f"left the house: {request.url}")
                if urlsplit(request.url).scheme not in {"data", "blob"} and urlsplit(request.url).netloc != host
                else None
            ),
        )
        context.on(
            "requestfailed",
            # A page that is left, and a search that is typed over, give up their requests.
            lambda request: (
                self.found.append(f"failed: {request.url} {request.failure}")
                if request.failure != "net::ERR_ABORTED"
                else None
            ),
        )
        context.on(
            "response",
            lambda answer: (
                self.found.append(f"answered {answer.status}: {answer.url}") if answer.status >= 400 else None
            ),
        )


@pytest.fixture
def problems() -> Iterator[Problems]:
    problems = Problems()
    yield problems
    assert problems.unexpected == []


OpenPage = Callable[..., "Page"]


@pytest.fixture
def open_page(browser: "Browser", server: str, problems: Problems) -> Iterator[OpenPage]:
    """A page in a context of its own: another person, another device."""
    contexts: list[BrowserContext] = []

    def open_page(size: Size = PHONE, *, at: str = server, **options: Any) -> Page:
        width, height = size
        context = browser.new_context(
            base_url=at,
            viewport={"width": width, "height": height},
            has_touch=width < 700,
            locale="en-GB",
            timezone_id="Europe/Berlin",
            **options,
        )
        contexts.append(context)
        context.set_default_timeout(10_000)
        context.add_init_script(TELL_VIOLATIONS)
        problems.watch(context, at)
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()


# People


@pytest.fixture
def phone(open_page: OpenPage) -> "Page":
    """A new user with a phone, at home with nothing in the house."""
    return at_home(open_page())


@pytest.fixture
def desk(open_page: OpenPage) -> "Page":
    """The same at a desk."""
    return at_home(open_page(DESK))


def at_home(page: "Page", name: str = "Ann Example", locale: str = "en-GB", **more: str) -> "Page":
    """Make an account without the form, maybe with an `invitation`, and go home."""
    form: dict[str, str | float | bool] = {
        "name": name,
        "email": new_email(),
        "password": PASSWORD,
        "time_zone": "Europe/Berlin",
        "locale": locale,
        **more,
    }
    answer = page.request.post("/register", form=form)
    assert answer.ok
    page.goto("/")
    return page


def invite(page: "Page") -> str:
    """An invitation to somebody's household."""
    (home,) = page.request.get("/api/v1/households").json()["items"]
    made = page.request.post(f"/api/v1/households/{home['id']}/invitations", data={"role": "member"})
    return str(made.json()["token"])


@contextmanager
def staffed(folder: Path, *commands: Sequence[str]) -> Iterator[str]:
    """A server with somebody of the staff."""
    create = ["createsuperuser", "--email", STAFF, "--name", "Sam", "--noinput"]
    with instance(folder, *commands, create, LARDER_SUPERUSER_PASSWORD=PASSWORD) as url:
        yield url


def as_staff(page: "Page") -> "Page":
    """Sign in there."""
    page.goto("/login?next=/admin/")
    page.get_by_label("E-mail").fill(STAFF)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    follow(page.get_by_role("button", name="Sign in", exact=True))
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    return page


def sign_out(page: "Page") -> None:
    page.goto("/settings")
    page.get_by_role("button", name="Sign out here").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def new_email() -> str:
    return f"{uuid4().hex[:12]}@example.com"


def stock_up(page: "Page", *things: tuple[str, str, str]) -> "Page":
    """Put things into stock without the form: name, amount, date in shorthand."""
    for name, quantity, expires in things:
        answer = page.request.post("/stock/add", form={"name": name, "quantity": quantity, "expires": expires})
        assert answer.ok, answer.text()
    page.goto("/")
    return page


# What one does, and waits for


def follow(link: "Locator") -> None:
    """To where it leads, and no step before its page and its scripts are there: what is looked at next is that page."""
    with link.page.expect_navigation():
        link.click()


@contextmanager
def holding(page: "Page", address: str) -> "Iterator[list[Route]]":
    """The first request to an address, for which the block is; it goes on when a test says so."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(address, hold, times=1)
    with page.expect_request(address):
        yield held
    # The route is told right after its request: by the end of this, it is held.
    page.evaluate("null")


# What one sees


def heading_of(page: "Page", text: str) -> "Locator":
    """The part of the home page under a heading."""
    return page.locator("section.group", has=page.get_by_role("heading", name=text))


def row_of(page: "Page", name: str) -> "Locator":
    return page.locator(".lot", has=page.locator(".name", has_text=name))


def toast_of(page: "Page") -> "Locator":
    return page.locator(".toast")


def sheet_of(page: "Page") -> "Locator":
    return page.get_by_role("dialog")


def proposals_of(page: "Page") -> "Locator":
    return page.get_by_role("listbox", name="Suggestions").get_by_role("option")


def expect_drawn(picture: "Locator") -> None:
    expect(picture).to_be_visible()
    expect(picture).to_have_js_property("complete", value=True)
    expect(picture).not_to_have_js_property("naturalWidth", value=0)


def add(page: "Page", name: str, quantity: str, expires: str) -> None:
    """Type one thing into the open sheet, with Enter from field to field."""
    count = page.locator("#added li").count()
    page.get_by_role("combobox", name="What is it?").fill(name)
    page.keyboard.press("Enter")
    page.get_by_label("How much").fill(quantity)
    page.keyboard.press("Enter")
    page.get_by_label("Good until").fill(expires)
    page.keyboard.press("Enter")
    expect(page.locator("#added li")).to_have_count(count + 1)
    # The form is new.
    expect(page.get_by_role("combobox", name="What is it?")).to_be_focused()
