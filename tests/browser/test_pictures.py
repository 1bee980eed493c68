"""Sending pictures in a real browser: chosen, dropped, pasted, called off, tried again, and without any script."""

import base64
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import CDPSession, FilePayload, Locator, Page, expect

from tests import samples
from tests.browser.conftest import (
    OpenPage,
    Problems,
    at_home,
    expect_drawn,
    follow,
    holding,
    row_of,
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

EACH_SIZE = pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
OFFLINE = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}

GIVE_FILE = """(element, [kind, base64, name]) => {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
  const options = { bubbles: true, cancelable: true };
  for (const each of kind === "paste" ? ["paste"] : ["dragenter", "dragover", "drop"]) {
    element.dispatchEvent(kind === "paste"
      ? new ClipboardEvent(each, { ...options, clipboardData: transfer })
      : new DragEvent(each, { ...options, dataTransfer: transfer }));
  }
}"""


def file(content: bytes, name: str = "me.jpg") -> FilePayload:
    return {"name": name, "mimeType": "image/jpeg", "buffer": content}


def noise(side: int = 500) -> bytes:
    """A picture that cannot be packed: of some hundred kilobytes."""
    pixels = random.Random(1).randbytes(side * side * 3)
    return samples.encoded(Image.frombytes("RGB", (side, side), pixels), "JPEG", quality=95)


def give(element: Locator, kind: str, content: bytes, name: str = "me.jpg") -> None:
    """Drop a file on an element, or paste it there."""
    element.evaluate(GIVE_FILE, [kind, base64.b64encode(content).decode(), name])


def field_of(page: Page) -> Locator:
    return page.locator("[data-upload] input[name=file]")


def own_picture(page: Page) -> Locator:
    return page.locator("img.avatar.large")


def error_of(page: Page) -> Locator:
    return page.locator("[data-upload] .error")


def throttle(page: Page, bytes_a_second: int) -> CDPSession:
    network = page.context.new_cdp_session(page)
    network.send("Network.emulateNetworkConditions", {**OFFLINE, "uploadThroughput": bytes_a_second})
    return network


@pytest.fixture
def settings(open_page: OpenPage) -> Callable[..., Page]:
    def settings(size: tuple[int, int] = PHONE, **options: Any) -> Page:
        page = at_home(open_page(size, reduced_motion="reduce", **options))
        page.goto("/settings")
        return page

    return settings


@EACH_SIZE
def test_a_chosen_picture_is_shown_at_once_wherever_one_is_shown(
    settings: Callable[..., Page], size: tuple[int, int]
) -> None:
    page = settings(size)
    expect(page.locator("#me")).to_have_text("AE")
    page.get_by_label("Name").fill("Not saved yet")

    page.get_by_label("Choose a picture").set_input_files(file(samples.photo()))

    expect(toast_of(page)).to_contain_text("This is you now.")
    expect_drawn(own_picture(page))
    expect_drawn(page.locator("#me img"))
    expect(page.get_by_label("Choose another")).to_be_focused()
    expect(page.get_by_label("Name")).to_have_value("Not saved yet")
    page.goto("/household")
    expect_drawn(page.locator("main img.avatar"))


def test_a_phone_has_a_camera_and_a_desk_a_mouse(settings: Callable[..., Page]) -> None:
    phone, desk = settings(PHONE, is_mobile=True), settings(DESK)

    camera = phone.get_by_label("Take a photo")
    expect(camera).to_have_attribute("capture", "environment")
    camera.set_input_files(file(samples.photo()))
    expect_drawn(own_picture(phone))
    expect(phone.get_by_text("Or drop one here")).to_be_hidden()
    expect(desk.get_by_label("Take a photo")).to_be_hidden()
    expect(desk.get_by_text("Or drop one here, or paste it.")).to_be_visible()


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_is_dropped_and_pasted(settings: Callable[..., Page], kind: str) -> None:
    page = settings(DESK)

    give(page.locator("#picture" if kind == "drop" else "body"), kind, samples.picture())

    expect_drawn(own_picture(page))


def test_a_file_that_falls_beside_it_does_not_take_the_place_of_the_page(settings: Callable[..., Page]) -> None:
    page = settings(DESK)

    give(page.locator("h1"), "drop", samples.picture())
    give(page.get_by_label("Name"), "paste", samples.picture())

    expect(page.locator("[data-work]")).to_be_hidden()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()


@EACH_SIZE
def test_how_far_it_is_is_seen_and_it_can_be_called_off(settings: Callable[..., Page], size: tuple[int, int]) -> None:
    page = settings(size)
    throttle(page, 10_000)

    # So much that it is on its way for as long as all of this takes.
    page.get_by_label("Choose a picture").set_input_files(file(noise(1000)))

    bar = page.get_by_role("progressbar", name="How much has been sent")
    expect(bar).to_be_visible()
    expect_drawn(page.get_by_alt_text("What is being sent"))
    page.wait_for_function("(bar) => bar.value > 0 && bar.value < 100", arg=bar.element_handle())
    expect(page.locator(".upload-bar span")).to_have_text(re.compile(r"^\d+ %$"))
    expect(page.locator("[data-status]")).to_have_text("Sending the picture…")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    assert_for_everybody(page)
    page.keyboard.press("Enter")

    expect(bar).to_be_hidden()
    expect(page.locator("[data-status]")).to_have_text("Not sent.")
    expect(page.get_by_label("Choose a picture")).to_be_focused()
    page.reload()
    expect(page.locator("#me")).to_have_text("AE")


def test_a_slow_picture_arrives(settings: Callable[..., Page]) -> None:
    page = settings()
    network = throttle(page, 20_000)
    page.get_by_label("Choose a picture").set_input_files(file(noise()))
    page.wait_for_function("() => document.querySelector('[data-progress]').value > 0")

    network.send("Network.emulateNetworkConditions", OFFLINE)

    expect_drawn(own_picture(page))


def test_another_one_takes_the_place_of_one_on_its_way(settings: Callable[..., Page]) -> None:
    page = settings(DESK)
    with holding(page, "**/settings/avatar"):
        give(page.locator("#picture"), "drop", samples.picture())
    expect(page.locator("[data-work]")).to_be_visible()

    give(page.locator("#picture"), "drop", samples.picture())

    expect_drawn(own_picture(page))


@EACH_SIZE
@pytest.mark.parametrize(
    ("content", "status", "said"),
    [(b"a shopping list", 415, "Send a picture"), (samples.picture()[:300], 422, "cannot be read")],
    ids=["text", "half"],
)
def test_what_is_no_picture_is_told_at_the_field(
    settings: Callable[..., Page], problems: Problems, size: tuple[int, int], content: bytes, status: int, said: str
) -> None:
    problems.expect(f"status of {status}", f"answered {status}")
    page = settings(size)

    page.get_by_label("Choose a picture").set_input_files(file(content, "list.jpg"))

    expect(error_of(page)).to_contain_text(said)
    expect(field_of(page)).to_have_attribute("aria-invalid", "true")
    expect(field_of(page)).to_be_focused()
    expect(page.locator("[data-work]")).to_be_hidden()
    assert_for_everybody(page)
    page.get_by_label("Choose a picture").set_input_files(file(samples.picture()))
    expect_drawn(own_picture(page))
    expect(error_of(page)).to_be_empty()


def test_what_is_too_large_is_not_even_sent(settings: Callable[..., Page]) -> None:
    page = settings()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.locator("[data-upload]").evaluate("(form) => { form.dataset.max = 100; }")

    page.get_by_label("Choose a picture").set_input_files(file(samples.picture()))

    expect(error_of(page)).to_have_text("This file is too large: 32 MB at most.")
    assert "POST" not in sent


def test_without_a_connection_it_can_be_tried_again(settings: Callable[..., Page], problems: Problems) -> None:
    problems.expect("/settings/avatar", "net::ERR_INTERNET_DISCONNECTED")
    page = settings()
    page.context.set_offline(True)
    page.get_by_label("Choose a picture").set_input_files(file(samples.picture()))

    expect(error_of(page)).to_have_text("No connection. The picture was not sent.")
    retry = page.get_by_role("button", name="Try again")
    expect(retry).to_be_focused()
    assert_for_everybody(page)
    page.context.set_offline(False)
    retry.click()

    expect_drawn(own_picture(page))


def test_somebody_who_was_signed_out_signs_in_first(settings: Callable[..., Page]) -> None:
    page = settings()
    page.context.clear_cookies()

    page.get_by_label("Choose a picture").set_input_files(file(samples.picture()))

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@EACH_SIZE
def test_taken_away_the_initials_are_back(settings: Callable[..., Page], size: tuple[int, int]) -> None:
    page = settings(size)
    page.get_by_label("Choose a picture").set_input_files(file(samples.picture()))
    expect_drawn(own_picture(page))

    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Remove").click()
    expect_drawn(own_picture(page))
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove").click()

    expect(page.locator("#me")).to_have_text("AE")
    expect(own_picture(page)).to_have_count(0)
    expect(page.get_by_label("Choose a picture")).to_be_focused()


def test_it_goes_by_keyboard(settings: Callable[..., Page]) -> None:
    page = settings(DESK)
    # Long before: a browser that is told late whom to ask opens a dialog of its own.
    page.on("filechooser", lambda chooser: chooser.set_files(file(samples.picture())))
    page.locator("main").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Choose a picture")).to_be_focused()

    page.keyboard.press("Enter")

    expect_drawn(own_picture(page))


@EACH_SIZE
def test_without_any_script_it_is_a_form(open_page: OpenPage, problems: Problems, size: tuple[int, int]) -> None:
    problems.expect("status of 415", "answered 415")
    page = at_home(open_page(size, java_script_enabled=False))
    page.goto("/settings")
    expect(page.get_by_label("Take a photo")).to_be_hidden()

    page.get_by_label("Choose a picture").set_input_files(file(b"a list", "list.jpg"))
    page.get_by_role("button", name="Send it").click()
    expect(error_of(page)).to_contain_text("Send a picture")
    page.get_by_label("Choose a picture").set_input_files(file(samples.picture()))
    page.get_by_role("button", name="Send it").click()
    expect(toast_of(page)).to_contain_text("This is you now.")
    expect(own_picture(page)).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#me")).to_have_text("AE")


@EACH_SIZE
def test_a_product_is_seen_where_it_is_listed(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = stock_up(at_home(open_page(size)), ("Milk", "2", "+1d"))
    page.goto("/products")
    follow(page.get_by_role("link", name="Milk"))

    page.get_by_label("Choose a picture").set_input_files(file(samples.picture()))

    expect(toast_of(page)).to_contain_text("That is how it looks.")
    expect_drawn(page.locator("header img.tile"))
    expect_drawn(page.locator("img.picture"))
    page.goto("/")
    expect_drawn(row_of(page, "Milk").locator("img.tile"))


@EACH_SIZE
def test_photos_of_a_lot_are_added_and_removed(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = stock_up(at_home(open_page(size)), ("Milk", "2", "+1d"), ("Eggs", "2", "+2d"))
    page.goto("/stock")
    # On a desk it opens beside the list.
    row_of(page, "Milk").locator("a.what").click()
    photos = page.locator(".photos img")

    for count in (1, 2):
        page.get_by_label("Choose photos").set_input_files(file(samples.picture(60 + count)))
        expect(photos).to_have_count(count)
    expect_drawn(photos.first)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove photo 1").click()

    expect(photos).to_have_count(1)
    expect(page.get_by_role("link", name="Photo 1 of Milk, large")).to_be_visible()


@pytest.fixture
def lot_page(open_page: OpenPage) -> Callable[..., Page]:
    def lot_page(size: tuple[int, int] = PHONE, **options: Any) -> Page:
        page = stock_up(at_home(open_page(size, reduced_motion="reduce", **options)), ("Milk", "2", "+1d"))
        page.goto(row_of(page, "Milk").locator("a.what").get_attribute("href") or "")
        return page

    return lot_page


def line_of(page: Page, name: str) -> Locator:
    return page.locator(".queue > li", has_text=name)


@EACH_SIZE
def test_several_photos_go_one_after_the_other(lot_page: Callable[..., Page], size: tuple[int, int]) -> None:
    page = lot_page(size)
    names = ["front.jpg", "back.jpg", "label with quite a long name indeed.jpg"]

    with holding(page, "**/photos") as held:
        page.get_by_label("Choose photos").set_input_files(
            [file(samples.picture(60 + n), name) for n, name in enumerate(names)]
        )

    expect(page.locator(".queue > li")).to_have_count(3)
    expect(page.locator("[data-status]")).to_have_text("Sending the picture… front.jpg")
    expect(page.get_by_role("progressbar", name="How much has been sent")).to_have_count(3)
    expect_drawn(line_of(page, "back.jpg").locator("img"))
    assert_for_everybody(page)
    line_of(page, "back.jpg").get_by_role("button", name="Leave it out").click()
    expect(line_of(page, "label").get_by_role("button", name="Leave it out")).to_be_focused()
    held[0].continue_()

    expect(page.locator(".photos img")).to_have_count(2)
    expect(page.locator(".queue > li")).to_have_count(0)
    expect(toast_of(page)).to_have_count(1)
    expect(page.get_by_label("Choose photos")).to_be_focused()
    expect(page.locator("[data-upload]")).to_have_attribute("data-room", "8")


def test_what_is_wrong_with_one_of_several_is_said_at_it(lot_page: Callable[..., Page], problems: Problems) -> None:
    problems.expect("status of 415", "answered 415")
    page = lot_page()

    page.get_by_label("Choose photos").set_input_files(
        [file(b"a list", "list.jpg"), file(samples.picture(), "milk.jpg"), file(samples.picture(80), "label.jpg")]
    )

    expect(page.locator(".photos img")).to_have_count(2)
    expect(page.locator(".queue > li")).to_have_count(1)
    expect(line_of(page, "list.jpg").locator(".error")).to_contain_text("Send a picture")
    expect(line_of(page, "list.jpg").get_by_role("button", name="Try again")).to_be_hidden()
    assert_for_everybody(page)
    line_of(page, "list.jpg").get_by_role("button", name="Leave it out").click()
    expect(page.locator(".queue > li")).to_have_count(0)


def test_one_of_several_is_called_off_and_one_is_tried_again(lot_page: Callable[..., Page], problems: Problems) -> None:
    problems.expect("ERR_FAILED", "/photos")
    page = lot_page(DESK)
    page.route("**/photos", lambda route: route.abort("failed"), times=1)
    page.get_by_label("Choose photos").set_input_files([file(samples.picture(), "milk.jpg")])
    expect(line_of(page, "milk.jpg").locator(".error")).to_have_text("No connection. The picture was not sent.")

    with holding(page, "**/photos"):
        give(page.locator("#photos"), "drop", samples.picture(80), "wrong.jpg")
    expect(page.locator("[data-status]")).to_have_text("Sending the picture… wrong.jpg")
    line_of(page, "milk.jpg").get_by_role("button", name="Try again").click()
    expect(line_of(page, "milk.jpg").get_by_role("button", name="Leave it out")).to_be_focused()
    line_of(page, "wrong.jpg").get_by_role("button", name="Leave it out").click()

    expect(page.locator(".photos img")).to_have_count(1)
    expect(page.locator(".queue > li")).to_have_count(0)


def test_of_more_than_fit_the_first_go(lot_page: Callable[..., Page]) -> None:
    page = lot_page()
    page.locator("[data-upload]").evaluate("(form) => { form.dataset.room = 2; }")

    page.get_by_label("Choose photos").set_input_files([file(samples.picture(60 + n), f"{n}.jpg") for n in range(3)])

    expect(page.locator("[data-error]")).to_contain_text("They are too many")
    expect(page.locator(".photos img")).to_have_count(2)


def test_a_photo_is_removed_while_others_are_on_their_way(lot_page: Callable[..., Page]) -> None:
    page = lot_page()
    page.get_by_label("Choose photos").set_input_files([file(samples.picture())])
    expect(page.locator(".photos img")).to_have_count(1)
    with holding(page, "**/photos") as held:
        page.get_by_label("Choose photos").set_input_files(
            [file(samples.picture(60 + n), f"{n}.jpg") for n in range(2)]
        )
    expect(page.locator(".queue > li")).to_have_count(2)

    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove photo 1").click()
    expect(page.locator(".photos img")).to_have_count(0)
    expect(page.get_by_label("Choose photos")).to_be_focused()
    held[0].continue_()

    expect(page.locator(".photos img")).to_have_count(2)
    expect(page.locator(".queue > li")).to_have_count(0)


@EACH_SIZE
def test_several_photos_go_without_any_script(
    lot_page: Callable[..., Page], problems: Problems, size: tuple[int, int]
) -> None:
    problems.expect("status of 415", "answered 415")
    page = lot_page(size, java_script_enabled=False)
    good, other, bad = file(samples.picture()), file(samples.picture(80)), file(b"a list", "list.jpg")

    page.get_by_label("Choose photos").set_input_files([good, bad, other])
    page.get_by_role("button", name="Send them").click()
    expect(page.locator("[data-error]")).to_contain_text("list.jpg: Send a picture")
    expect(page.locator(".photos img")).to_have_count(2)
    # One that is there already is not there twice.
    page.get_by_label("Choose photos").set_input_files([other, file(samples.picture(100))])
    page.get_by_role("button", name="Send them").click()

    expect(page.locator(".photos img")).to_have_count(3)


# Together with a new product


@pytest.fixture
def new_product(open_page: OpenPage) -> Callable[..., Page]:
    def new_product(size: tuple[int, int] = PHONE, **options: Any) -> Page:
        page = at_home(open_page(size, reduced_motion="reduce", **options))
        page.goto("/products/new")
        page.get_by_label("Name").fill("Milk")
        return page

    return new_product


@EACH_SIZE
def test_a_new_product_is_made_with_a_picture_one_has_seen(
    new_product: Callable[..., Page], size: tuple[int, int]
) -> None:
    page = new_product(size)
    page.get_by_label("Choose a picture").set_input_files(file(samples.photo(), "wrong.jpg"))
    expect_drawn(page.get_by_alt_text("What you chose"))
    expect(page.get_by_text("wrong.jpg")).to_be_visible()
    assert_for_everybody(page)
    page.get_by_role("button", name="Leave it out").click()
    expect(page.get_by_alt_text("What you chose")).to_be_hidden()
    expect(page.get_by_label("Choose a picture")).to_be_focused()

    page.get_by_label("Choose a picture").set_input_files(file(samples.picture(), "milk.jpg"))
    expect_drawn(page.get_by_alt_text("What you chose"))
    page.get_by_role("button", name="Save").click()

    expect(toast_of(page)).to_contain_text("Milk is made.")
    expect_drawn(page.locator("img.picture"))


def test_a_new_product_is_photographed(new_product: Callable[..., Page]) -> None:
    page = new_product(PHONE, is_mobile=True)
    page.get_by_label("Take a photo").set_input_files(file(samples.photo(), "camera.jpg"))
    expect_drawn(page.get_by_alt_text("What you chose"))
    page.get_by_role("button", name="Save").click()

    expect_drawn(page.locator("img.picture"))


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_the_picture_of_a_new_product_is_dropped_and_pasted(new_product: Callable[..., Page], kind: str) -> None:
    page = new_product(DESK)
    give(page.locator("[data-pictures]" if kind == "drop" else "body"), kind, samples.picture())
    expect_drawn(page.get_by_alt_text("What you chose"))
    page.get_by_role("button", name="Save").click()

    expect_drawn(page.locator("img.picture"))


def test_a_picture_too_large_for_a_new_product_is_told_before_it_is_sent(new_product: Callable[..., Page]) -> None:
    page = new_product()
    page.locator("[data-choose]").evaluate("(place) => { place.dataset.max = 100; }")
    page.get_by_label("Choose a picture").set_input_files(file(samples.picture()))

    expect(page.locator("#file-error")).to_have_text("This file is too large: 32 MB at most.")
    expect(page.get_by_label("Choose a picture")).to_have_value("")
    page.get_by_role("button", name="Save").click()
    expect(toast_of(page)).to_contain_text("Milk is made.")


@EACH_SIZE
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no script"])
def test_with_a_bad_picture_a_new_product_keeps_what_was_typed(
    new_product: Callable[..., Page], problems: Problems, size: tuple[int, int], scripts: bool
) -> None:
    problems.expect("status of 415", "answered 415")
    page = new_product(size, java_script_enabled=scripts)
    page.get_by_label("Choose a picture").set_input_files(file(b"a list", "list.jpg"))
    page.get_by_role("button", name="Save").click()

    expect(page.locator("#file-error")).to_contain_text("Send a picture")
    expect(page.get_by_label("Name")).to_have_value("Milk")
    if scripts:
        expect(page.get_by_label("Choose a picture")).to_be_focused()
        assert_for_everybody(page)
    page.get_by_label("Choose a picture").set_input_files(file(samples.picture(), "milk.jpg"))
    page.get_by_role("button", name="Save").click()
    expect(toast_of(page)).to_contain_text("Milk is made.")
    expect(page.locator("img.picture")).to_be_visible()


def test_what_others_do_does_not_draw_the_page_anew_under_a_file(open_page: OpenPage) -> None:
    page = stock_up(at_home(open_page(DESK)), ("Milk", "2", "+1d"))
    page.goto("/products")
    follow(page.get_by_role("link", name="Milk"))
    with holding(page, "**/picture") as held:
        page.get_by_label("Choose a picture").set_input_files(file(samples.picture()))
    expect(page.locator("[data-work]")).to_be_visible()

    with page.expect_response(re.compile(r"/products/[\w-]+$")):
        page.get_by_role("button", name="Used: Milk").or_(page.locator(".lot .tinted")).first.click()
    expect(toast_of(page)).to_contain_text("Used")

    expect(page.locator("[data-work]")).to_be_visible()
    held[0].continue_()
    expect_drawn(page.locator("img.picture"))


def assert_for_everybody(page: Page) -> None:
    """As it is now, it fits, is large enough for a thumb, and axe finds nothing."""
    now = page.viewport_size
    assert now
    assert_targets_are_large_enough(page)
    assert_nothing_overflows(page, PHONE, ZOOMED, DESK)
    assert_axe_finds_nothing(page, (now["width"], now["height"]))
