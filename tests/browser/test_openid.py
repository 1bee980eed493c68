"""Signing in with an OpenID provider, in a real browser and at a real provider."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Problems, at_home, sign_out
from tests.browser.driving import instance
from tests.openid.provider import CLIENT_ID, CLIENT_SECRET, Provider, running_provider
from tests.processes import free_port

pytestmark = pytest.mark.browser

CONTINUE = "Continue with The Club"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def provider(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    log = tmp_path_factory.mktemp("openid") / "provider.log"
    with running_provider(f"http://localhost:{port}/login/openid/callback", log) as provider:
        yield provider


@pytest.fixture(scope="module")
def server(port: int, provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One that knows the provider."""
    with instance(
        tmp_path_factory.mktemp("openid-server"),
        port=port,
        LARDER_OPENID_ISSUER=provider.issuer,
        LARDER_OPENID_CLIENT_ID=CLIENT_ID,
        LARDER_OPENID_CLIENT_SECRET=CLIENT_SECRET,
        LARDER_OPENID_NAME="The Club",
    ) as url:
        yield url


@pytest.fixture
def page(open_page: OpenPage, problems: Problems, provider: Provider) -> Page:
    return knowing(provider, problems, open_page())


def knowing(provider: Provider, problems: Problems, page: Page) -> Page:
    """The provider's pages are its own affair. The letters they want from far away they do not get."""
    problems.expect(provider.issuer, "https://fonts.googleapis.com")
    page.route("https://fonts.googleapis.com/**", lambda route: route.fulfill(body=""))
    return page


def sign_in_there(page: Page, login: str) -> None:
    page.get_by_placeholder("Enter any login").fill(login)
    page.get_by_placeholder("and password").fill("anything")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def test_somebody_new_signs_in_and_comes_back(page: Page) -> None:
    page.goto("/login?next=/settings")
    page.get_by_role("button", name=CONTINUE).click()
    sign_in_there(page, "nora")

    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("nora")
    page.goto("/household")
    expect(page.locator("main")).to_contain_text("nora’s household")

    sign_out(page)
    page.goto("/login")
    page.get_by_role("button", name=CONTINUE).click()
    # The provider still knows who this is, and asks nothing.
    expect(page.get_by_role("heading", name="nora")).to_be_visible()


def test_an_account_is_linked_and_then_signed_in_to(page: Page) -> None:
    at_home(page, "Ann Example")
    page.goto("/settings/security")
    page.get_by_role("button", name="Link The Club").click()
    sign_in_there(page, "ann-at-the-club")
    expect(page.locator("#linked")).to_contain_text("ann-at-the-club@example.com")

    sign_out(page)
    page.goto("/login")
    page.get_by_role("button", name=CONTINUE).click()

    expect(page.get_by_role("heading", name="Ann")).to_be_visible()


def test_somebody_with_another_ones_address_does_not_get_in(page: Page, problems: Problems) -> None:
    problems.expect("status of 409", "answered 409")
    made = page.request.post(
        "/register",
        form={"name": "Olga", "email": "olga@example.com", "password": "kitchen42x", "time_zone": "Europe/Berlin"},
    )
    assert made.ok
    sign_out(page)
    page.goto("/login")
    page.get_by_role("button", name=CONTINUE).click()
    sign_in_there(page, "olga")

    expect(page.get_by_role("alert")).to_contain_text("There is an account with your e-mail address")
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


def test_it_works_without_javascript(open_page: OpenPage, problems: Problems, provider: Provider) -> None:
    page = knowing(provider, problems, open_page(java_script_enabled=False))
    page.goto("/login")
    page.get_by_role("button", name=CONTINUE).click()
    sign_in_there(page, "nell")

    expect(page.get_by_role("heading", name="nell")).to_be_visible()
