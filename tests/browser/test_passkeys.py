"""Passkeys in a real browser, with the authenticator that Chromium makes up."""

from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.browser.conftest import OpenPage, Problems, at_home, follow, sign_out, toast_of
from tests.browser.eyes import DESK, PHONE

pytestmark = pytest.mark.browser

SECURITY = "/settings/security"


def plug_in(page: Page, **options: Any) -> tuple[CDPSession, str]:
    """A device that unlocks by finger, and keeps passkeys."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
        **options,
    }
    plugged = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return devtools, str(plugged["authenticatorId"])


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_a_passkey_is_made_signs_in_and_is_removed(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = at_home(open_page(size))
    devtools, device = plug_in(page)

    page.goto(SECURITY)
    page.get_by_label("A name for a new one").fill("My phone")
    follow(page.get_by_role("button", name="Add a passkey"))
    expect(page.locator("#passkeys .list")).to_contain_text("My phone")
    expect(page.locator("#passkeys .list")).to_contain_text("not used yet")
    assert len(devtools.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]) == 1

    sign_out(page)
    page.goto("/login?next=/stock")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/stock")
    expect(page.get_by_role("heading", name="The shelves are empty")).to_be_visible()

    page.goto(SECURITY)
    expect(page.locator("#passkeys .list")).to_contain_text("last used")
    page.locator("#passkeys summary").click()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove My phone").click()
    expect(toast_of(page)).to_contain_text("Removed.")
    expect(page.locator("#passkeys .list")).to_have_count(0)


def test_a_passkey_that_is_not_known_here_does_not_sign_in(open_page: OpenPage, problems: Problems) -> None:
    problems.expect("status of 401", "answered 401")
    page = at_home(open_page())
    plug_in(page)
    page.goto(SECURITY)
    follow(page.get_by_role("button", name="Add a passkey"))
    expect(page.locator("#passkeys .list")).to_contain_text("This device")
    page.locator("#passkeys summary").click()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove This device").click()
    expect(toast_of(page)).to_contain_text("Removed.")
    sign_out(page)

    page.goto("/login")
    page.get_by_role("button", name="Sign in with a passkey").click()

    expect(page.get_by_role("alert")).to_contain_text("does not let you in")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_enabled()


def test_a_device_that_cannot_tell_its_owner_makes_no_passkey(open_page: OpenPage) -> None:
    page = at_home(open_page())
    plug_in(page, hasUserVerification=False, isUserVerified=False)
    page.goto(SECURITY)

    page.get_by_role("button", name="Add a passkey").click()

    expect(page.locator("#passkeys [role=alert]")).to_contain_text("No passkey was made")


def test_a_passkey_confirms_that_it_is_you(open_page: OpenPage) -> None:
    page = at_home(open_page())
    plug_in(page)
    page.goto(SECURITY)
    follow(page.get_by_role("button", name="Add a passkey"))
    expect(page.locator("#passkeys .list")).to_contain_text("This device")

    page.goto(f"/confirm?next={SECURITY}")
    page.get_by_role("button", name="Show a passkey").click()

    page.wait_for_url(f"**{SECURITY}")


def test_without_javascript_only_what_works_is_offered(open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    page.goto("/login")

    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    expect(page.get_by_text("or", exact=True)).to_be_hidden()
