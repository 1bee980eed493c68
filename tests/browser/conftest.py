"""The real server on a port of its own, and people with phones and desks in front of it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from settings import ROOT
from tests.servers import SECRET

IS_CI = bool(os.environ.get("CI"))

if find_spec("playwright") is None and not IS_CI:
    # The modules import it at their top.
    collect_ignore_glob = ["test_*.py"]

    def pytest_report_header() -> str:
        return "tests/browser is left out: playwright is not installed"

else:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect, sync_playwright

    expect.set_options(timeout=10_000)

PASSWORD = "kitchen42x"
PHONE = (360, 740)
DESK = (1280, 860)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
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
    folder = tmp_path_factory.mktemp("browser")
    environment = {
        **os.environ,
        "LARDER_ENVIRONMENT": "test",
        "LARDER_DATABASE_URL": f"sqlite:///{folder / 'larder.db'}",
        "LARDER_SECRET_KEY": SECRET,
        "LARDER_LOG_LEVEL": "WARNING",
    }
    for command in ("migrate", "seed"):
        subprocess.run([sys.executable, "oppman.py", command], cwd=ROOT, env=environment, check=True)

    port = _free_port()
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "oppman.py", "runserver", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://localhost:{port}"
            _wait_for(f"{url}/readyz", process, log)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"the server did not start:\n{log.read_text()}")


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
    path = _find_chromium(playwright)
    if path is None:
        _go_without("there is no Chromium: install one, or name it in LARDER_TEST_CHROMIUM")
    browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
    yield browser
    browser.close()


def _find_chromium(playwright: "Playwright") -> str | None:
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    for path in (os.environ.get("LARDER_TEST_CHROMIUM"), *found, playwright.chromium.executable_path):
        if path and Path(path).exists():
            return path
    return None


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

    def open_page(size: tuple[int, int] = PHONE, **options: Any) -> Page:
        width, height = size
        context = browser.new_context(
            base_url=server,
            viewport={"width": width, "height": height},
            has_touch=width < 700,
            locale="en-GB",
            timezone_id="Europe/Berlin",
            **options,
        )
        contexts.append(context)
        context.set_default_timeout(10_000)
        context.add_init_script(TELL_VIOLATIONS)
        problems.watch(context, server)
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


def at_home(page: "Page", name: str = "Ann Example") -> "Page":
    """Make an account without the form, and go home."""
    form: dict[str, str | float | bool] = {
        "name": name,
        "email": new_email(),
        "password": PASSWORD,
        "time_zone": "Europe/Berlin",
        "locale": "en-GB",
    }
    answer = page.request.post("/register", form=form)
    assert answer.ok
    page.goto("/")
    return page


def new_email() -> str:
    return f"{uuid4().hex[:12]}@example.com"


def stock_up(page: "Page", *things: tuple[str, str, str]) -> "Page":
    """Put things into stock without the form: name, amount, date in shorthand."""
    for name, quantity, expires in things:
        answer = page.request.post("/stock/add", form={"name": name, "quantity": quantity, "expires": expires})
        assert answer.ok, answer.text()
    page.goto("/")
    return page


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
