"""Take the pictures in the README anew: a server on a temporary database, with the demo household."""

import base64
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.driving import environment_in, launch, manage, seed_demo, serving

FOLDER = Path(__file__).parent / "screenshots"
PHONE = (390, 800)
DESK = (1280, 800)
QUALITY = 82
LARGEST = 150_000


def home(page: Page) -> None:
    page.goto("/")


def add(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Add", exact=True).click()
    page.get_by_role("combobox", name="What is it?").fill("Eggs")
    page.keyboard.press("Enter")
    page.get_by_label("How much").fill("10")
    page.get_by_label("Good until").fill("+3w")
    expect(page.locator("#date-said")).not_to_be_empty()


def stock(page: Page) -> None:
    page.goto("/stock")


def lot(page: Page) -> None:
    page.goto("/stock")
    page.locator(".lot .what").first.click()
    if page.viewport_size and page.viewport_size["width"] == DESK[0]:
        expect(page.locator("#pane article")).to_be_visible()


def talk(page: Page) -> None:
    page.goto("/chats")
    page.locator("main .list a, main ul a").first.click()
    expect(page.locator("#log")).to_be_visible()


SCENES: dict[str, tuple[Callable[[Page], None], tuple[int, int]]] = {
    "home": (home, PHONE),
    "add": (add, PHONE),
    "stock": (stock, PHONE),
    "lot": (lot, PHONE),
    "talk": (talk, PHONE),
    "desk": (home, DESK),
}


def take(browser: Browser, url: str, sign_in: dict[str, str]) -> None:
    for name, (open_scene, (width, height)) in SCENES.items():
        for scheme in ("light", "dark"):
            context = browser.new_context(
                base_url=url,
                viewport={"width": width, "height": height},
                device_scale_factor=2 if width < 700 else 1.5,
                color_scheme="light" if scheme == "light" else "dark",
                reduced_motion="reduce",
                locale="en-GB",
            )
            context.request.post("/login", form={**sign_in})
            page = context.new_page()
            open_scene(page)
            page.wait_for_load_state("networkidle")
            write(page, FOLDER / f"{name}-{scheme}.webp")
            context.close()


def write(page: Page, path: Path) -> None:
    # Playwright itself writes no WebP.
    options = {"format": "webp", "quality": QUALITY}
    shot = page.context.new_cdp_session(page).send("Page.captureScreenshot", options)
    picture = base64.b64decode(shot["data"])
    if len(picture) > LARGEST:
        sys.exit(f"{path.name} has {len(picture)} bytes, more than {LARGEST}")
    path.write_bytes(picture)
    print(f"{path.name}: {len(picture) / 1000:.0f} kB")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as name:
        folder = Path(name)
        environment = environment_in(folder)
        for command in ("migrate", "seed"):
            manage(environment, command)
        sign_in = seed_demo(environment)
        with serving(environment, folder / "server.log") as url, sync_playwright() as playwright:
            browser = launch(playwright)
            if browser is None:
                sys.exit("There is no Chromium: install one, or name it in LARDER_TEST_CHROMIUM.")
            take(browser, url, sign_in)
            browser.close()


if __name__ == "__main__":
    main()
