"""Talk, by two people at two workers on one database: on a phone and at a desk, with photos, with and without a net."""

import asyncio
import gzip
import io
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Locator, Page, expect

from settings import ROOT
from tests.browser.conftest import (
    OpenPage,
    Problems,
    at_home,
    expect_drawn,
    follow,
    holding,
    invite,
    sheet_of,
    stock_up,
)
from tests.browser.driving import environment_in, manage, serving
from tests.browser.eyes import (
    DESK,
    PHONE,
    ZOOMED,
    Size,
    assert_axe_finds_nothing,
    assert_nothing_overflows,
    assert_targets_are_large_enough,
)
from tests.servers import create_database, drop_database, settings_for

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def workers(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The addresses of two processes on one PostgreSQL and one folder of files."""
    folder = tmp_path_factory.mktemp("workers")
    # The browser's event loop runs in this thread.
    with ExitStack() as stack, ThreadPoolExecutor(1) as apart:
        url = apart.submit(lambda: asyncio.run(create_database(postgresql))).result()
        environment = {**environment_in(folder), "LARDER_DATABASE_URL": settings_for(url).database_url}
        for command in ("migrate", "seed"):
            manage(environment, command)
        yield [stack.enter_context(serving(environment, folder / f"{number}.log")) for number in range(2)]
        stack.close()
        apart.submit(lambda: asyncio.run(drop_database(postgresql, url))).result()


@pytest.fixture(scope="module")
def server(workers: list[str]) -> str:
    return workers[0]


@pytest.fixture
def ann(ann_and_bea: tuple[Page, Page]) -> Page:
    """At a phone, at the first worker."""
    return ann_and_bea[0]


@pytest.fixture
def bea(ann_and_bea: tuple[Page, Page]) -> Page:
    """At a desk, at the second one."""
    return ann_and_bea[1]


Meet = Callable[..., Page]


@pytest.fixture
def meet(open_page: OpenPage, workers: list[str]) -> Meet:
    """A page of somebody at one of the workers."""

    def meet(worker: int, size: Size = PHONE, **options: Any) -> Page:
        return open_page(size, at=workers[worker], is_mobile=size == PHONE, reduced_motion="reduce", **options)

    return meet


@pytest.fixture
def ann_and_bea(meet: Meet) -> tuple[Page, Page]:
    ann = at_home(meet(0), "Ann Example")
    bea = at_home(meet(1, DESK), "Bea Example", invitation=invite(ann))
    for page in (ann, bea):
        open_chat(page)
    return ann, bea


def open_chat(page: Page, title: str = "Everyone") -> None:
    page.goto("/chats")
    follow(page.get_by_role("main").get_by_role("link", name=title))
    expect(page.get_by_role("log")).to_be_visible()
    expect(page.locator("body[data-live]")).to_be_attached()


def write(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send", exact=True).click()


def message_of(page: Page, text: str) -> Locator:
    return page.locator("#messages > li[data-id]", has_text=text)


def chat_path(page: Page) -> str:
    return urlsplit(page.url).path


def api_of(page: Page) -> str:
    (home,) = page.request.get("/api/v1/households").json()["items"]
    return f"/api/v1/households/{home['id']}{chat_path(page)}/messages"


def picture(name: str, colour: str = "olive", size: tuple[int, int] = (900, 600)) -> FilePayload:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG")
    return {"name": name, "mimeType": "image/jpeg", "buffer": file.getvalue()}


def log_of(page: Page) -> Locator:
    return page.get_by_role("log")


# A conversation


def test_two_people_at_two_workers_hold_a_conversation_with_photos(ann: Page, bea: Page) -> None:
    bea.evaluate("window.stayed = true")
    write(ann, "Look what is in the fridge")
    expect(message_of(bea, "Look what is in the fridge")).to_be_visible()

    ann.locator("#files").set_input_files([picture("fridge.jpg"), picture("door.jpg", "teal", (600, 900))])
    expect(ann.locator("#tray img")).to_have_count(2)
    write(ann, "Both sides of it")
    shown = message_of(bea, "Both sides of it").locator(".pictures img")
    expect(shown).to_have_count(2)
    for number in range(2):
        expect_drawn(shown.nth(number))
        assert shown.nth(number).get_attribute("width")
    expect(message_of(ann, "Both sides of it").locator(".pictures img")).to_have_count(2)
    expect(ann.locator("#tray li")).to_have_count(0)

    write(bea, "See https://example.com/recipe, @Ann Example")
    expect(message_of(ann, "See").locator(".mention")).to_have_text("@Ann Example")
    expect(message_of(ann, "See")).to_have_class(re.compile("names-me"))

    expect(ann.locator("#messages > li[data-id]")).to_have_count(3)
    expect(bea.locator("#messages > li[data-id]")).to_have_count(3)
    assert bea.evaluate("window.stayed")
    bea.reload()
    expect(bea.locator("#messages > li[data-id]")).to_have_count(3)
    expect(bea.get_by_text("Seen by Ann Example")).to_be_visible()


def test_pictures_are_seen_large_without_leaving_the_talk(ann: Page, bea: Page) -> None:
    ann.locator("#files").set_input_files([picture("fridge.jpg"), picture("door.jpg", "teal", (600, 900))])
    write(ann, "Both sides of it")
    links = message_of(bea, "Both sides of it").locator(".pictures a")
    links.first.click()
    viewer = bea.get_by_role("dialog", name="Picture")
    expect(viewer.get_by_role("img", name="Picture: fridge.jpg")).to_have_js_property("naturalWidth", 900)
    expect(viewer.get_by_role("button", name="The one before")).to_be_hidden()

    bea.keyboard.press("ArrowRight")
    expect(viewer.get_by_role("img", name="Picture: door.jpg")).to_have_js_property("naturalWidth", 600)
    expect(viewer.get_by_role("button", name="The next one")).to_be_hidden()
    viewer.get_by_role("button", name="The one before").click()
    expect(viewer.get_by_role("img", name="Picture: fridge.jpg")).to_be_visible()

    bea.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    expect(links.first).to_be_focused()


@pytest.mark.parametrize("size", [(1200, 900), (900, 1200), (3000, 500)])
def test_there_is_room_for_a_picture_before_it_comes(ann: Page, bea: Page, size: tuple[int, int]) -> None:
    ann.locator("#files").set_input_files([picture("fridge.jpg", size=size)])
    write(ann, "The fridge")
    shown = message_of(ann, "The fridge").locator(".pictures img")
    expect(shown).to_have_js_property("complete", True)
    there = shown.bounding_box()
    assert there
    assert there["width"] > 200

    # It is asked for, and does not come.
    ann.route("**/files/**", lambda _route: None)
    ann.reload(wait_until="domcontentloaded")
    expect(shown).to_have_js_property("complete", False)
    assert shown.bounding_box() == there


def test_what_others_say_is_counted_until_it_was_read(ann: Page, bea: Page) -> None:
    ann.goto("/more")
    write(bea, "Bring milk")

    expect(ann.locator("main .chats-count")).to_contain_text("1 message that you have not read")
    expect(ann.locator(".nav .narrow .count")).to_have_text("1")
    ann.goto("/chats")
    expect(ann.get_by_role("main").get_by_text("1 message that you have not read")).to_be_attached()
    open_chat(ann)
    expect(ann.get_by_text("New", exact=True)).to_be_visible()
    expect(bea.get_by_text("Seen by Ann Example")).to_be_visible()
    ann.goto("/chats")
    expect(ann.locator(".chats")).to_contain_text("Bring milk")
    expect(ann.locator(".chats .count")).to_have_count(0)


def test_who_types_is_seen_typing(ann: Page, bea: Page) -> None:
    log = bea.locator("#log").bounding_box()
    # Slowly: it is said anew every few seconds, so who has only just come hears the next.
    ann.get_by_label("Message", exact=True).press_sequentially("Who ate it", delay=700)
    expect(bea.get_by_text("Ann Example is typing…")).to_be_visible()
    assert bea.locator("#log").bounding_box() == log

    write(ann, "Who ate the yoghurt?")
    expect(message_of(bea, "Who ate the yoghurt?")).to_be_visible()
    expect(bea.get_by_text("Ann Example is typing…")).to_be_hidden()


def test_reactions_replies_and_edits_are_seen_by_the_other(ann: Page, bea: Page) -> None:
    write(ann, "Cake on Sundey?")
    bea.evaluate("window.stayed = true")
    message_of(bea, "Cake").hover()
    message_of(bea, "Cake").get_by_role("link", name="More for the message").click()
    sheet_of(bea).get_by_role("button", name="🎉").click()
    expect(sheet_of(bea)).to_be_hidden()
    expect(message_of(ann, "Cake").get_by_role("button", name=re.compile("🎉 1 ?: Bea Example"))).to_be_visible()
    message_of(ann, "Cake").get_by_role("button", name="🎉").tap()
    expect(message_of(bea, "Cake").get_by_role("button", name=re.compile("🎉 2 ?: You, Ann Example"))).to_be_visible()

    message_of(bea, "Cake").get_by_role("link", name="More for the message").click()
    sheet_of(bea).get_by_role("link", name="Reply").click()
    expect(bea.get_by_label("Message", exact=True)).to_be_focused()
    write(bea, "Yes, please")
    expect(message_of(ann, "Yes, please").locator(".quote")).to_contain_text("Cake on Sundey?")

    message_of(ann, "Cake on Sundey?").first.get_by_role("link", name="More for the message").tap()
    sheet_of(ann).get_by_role("link", name="Edit").tap()
    sheet_of(ann).get_by_label("Message").fill("Cake on Sunday?")
    sheet_of(ann).get_by_role("button", name="Save").tap()
    expect(sheet_of(ann)).to_be_hidden()
    expect(bea.locator("#messages > li[data-id]").first).to_contain_text("Cake on Sunday?")
    expect(bea.locator("#messages > li[data-id]").first).to_contain_text("edited")
    assert bea.evaluate("window.stayed")


def test_what_one_deletes_goes_from_the_screen_of_the_other(ann: Page, bea: Page) -> None:
    write(ann, "The surprise is under the bed")
    expect(message_of(bea, "under the bed")).to_be_visible()

    ann.on("dialog", lambda dialog: dialog.accept())
    message_of(ann, "under the bed").get_by_role("link", name="More for the message").tap()
    sheet_of(ann).get_by_role("button", name="Delete").tap()

    expect(message_of(bea, "under the bed")).to_have_count(0)
    expect(message_of(bea, "This message was deleted.")).to_be_visible()
    expect(message_of(ann, "This message was deleted.")).to_be_visible()


def test_a_card_says_when_its_lot_is_used_up(ann: Page, bea: Page) -> None:
    stock_up(ann, ("Milk", "1", "+0d"))
    follow(ann.locator(".lot a.what").first)
    follow(ann.get_by_role("link", name="Talk about it"))
    expect(ann.locator("#about")).to_contain_text("Milk")
    write(ann, "Drink this")
    card = message_of(bea, "Drink this").locator(".about")
    expect(card).to_contain_text("1 piece")

    home = ann.context.new_page()
    home.goto("/")
    home.locator(".lot").get_by_role("button", name="Used").tap()

    expect(card).to_contain_text("Used up")


def test_a_chat_in_which_nothing_was_said_says_how_to_begin(ann: Page) -> None:
    expect(log_of(ann).get_by_text("Say the first word")).to_be_visible()
    write(ann, "Who ate the yoghurt?")
    expect(message_of(ann, "Who ate the yoghurt?")).to_be_visible()
    expect(log_of(ann).get_by_text("Say the first word")).to_have_count(0)


# When something is in the way


def test_without_a_net_it_waits_and_is_sent_once(ann: Page, bea: Page, problems: Problems) -> None:
    problems.expect("ERR_INTERNET_DISCONNECTED", "WebSocket connection", "htmx:")
    ann.context.set_offline(True)
    write(ann, "Are we out of bread?")
    waiting = ann.locator("#messages > .is-pending")
    expect(waiting).to_contain_text("Not sent.")
    expect(ann.get_by_label("Message", exact=True)).to_have_value("")

    waiting.get_by_role("button", name="Send again").tap()
    expect(waiting).to_contain_text("Not sent.")
    ann.context.set_offline(False)
    waiting.get_by_role("button", name="Send again").tap()

    expect(waiting).to_have_count(0)
    expect(message_of(ann, "Are we out of bread?")).to_have_count(1)
    expect(message_of(bea, "Are we out of bread?")).to_have_count(1)


def test_an_answer_that_gets_lost_does_not_say_it_twice(ann: Page, bea: Page, problems: Problems) -> None:
    problems.expect("ERR_CONNECTION_RESET")

    def lose_the_answer(route: Any) -> None:
        route.fetch()
        route.abort("connectionreset")

    ann.route("**/messages", lose_the_answer, times=1)
    write(ann, "Only once, please")
    waiting = ann.locator("#messages > .is-pending")
    expect(waiting).to_contain_text("Not sent.")
    # It survives a reload, with its key.
    ann.reload()
    expect(waiting).to_contain_text("Only once, please")
    waiting.get_by_role("button", name="Send again").tap()

    expect(waiting).to_have_count(0)
    expect(message_of(ann, "Only once, please")).to_have_count(1)
    expect(message_of(bea, "Only once, please")).to_have_count(1)
    answer = ann.request.get(api_of(ann))
    assert [each["content"] for each in answer.json()["items"]] == ["Only once, please"]


def test_what_was_missed_comes_when_one_is_back(ann: Page, bea: Page, problems: Problems) -> None:
    problems.expect("ERR_INTERNET_DISCONNECTED", "WebSocket connection", "htmx:")
    write(bea, "Before")
    expect(message_of(ann, "Before")).to_be_visible()
    ann.context.set_offline(True)
    for number in range(12):
        write(bea, f"Missed No. {number}.")
        expect(message_of(bea, f"Missed No. {number}.")).to_be_visible()

    ann.context.set_offline(False)

    expect(message_of(ann, "Missed No. 11.")).to_be_visible(timeout=60_000)
    expect(ann.locator("#messages > li[data-id]")).to_have_count(13)
    said = ann.locator("#messages > li[data-id] .words").all_inner_texts()
    assert said == ["Before", *(f"Missed No. {number}." for number in range(12))]


def test_a_draft_survives_a_reload_and_is_gone_once_sent(ann: Page) -> None:
    ann.get_by_label("Message", exact=True).fill("Half a thou")
    ann.reload()
    expect(ann.get_by_label("Message", exact=True)).to_have_value("Half a thou")

    write(ann, "A whole thought")
    expect(message_of(ann, "A whole thought")).to_be_visible()
    ann.reload()
    expect(ann.get_by_label("Message", exact=True)).to_have_value("")


# Scrolling


FIND_FIRST = """() => {
  const top = document.getElementById("log").getBoundingClientRect().top;
  const boxes = [...document.querySelectorAll("#messages > li")].map((each) => [each.id, each.getBoundingClientRect()]);
  const [id, box] = boxes.find(([, box]) => box.bottom > top);
  return [id, Math.round(box.top)];
}"""


def test_older_ones_come_and_nothing_moves_under_the_eyes(ann: Page, bea: Page) -> None:
    url = api_of(bea)
    for number in range(120):
        # By turns: one alone may not say so much in a minute.
        assert (ann, bea)[number % 2].request.post(url, data={"content": f"Word {number}."}).ok
    ann.reload()
    expect(message_of(ann, "Word 119.")).to_be_in_viewport()
    assert log_of(ann).evaluate("log => Math.abs(log.scrollTop) < 2 && log.scrollHeight > log.clientHeight")

    log_of(ann).evaluate("log => { log.scrollTop = log.clientHeight - log.scrollHeight + 400 }")
    expect(ann.locator("#day-now")).to_have_text("Today")
    before = ann.evaluate(FIND_FIRST)
    expect(message_of(ann, "Word 30.")).to_be_attached()
    assert ann.evaluate(FIND_FIRST) == before

    write(bea, "Something new")
    expect(ann.get_by_role("link", name="New messages")).to_be_visible()
    expect(message_of(ann, "Something new")).to_be_attached()
    assert ann.evaluate(FIND_FIRST) == before
    ann.get_by_role("link", name="New messages").tap()
    expect(message_of(ann, "Something new")).to_be_in_viewport()
    expect(ann.get_by_role("link", name="New messages")).to_be_hidden()

    write(bea, "And one more")
    expect(message_of(ann, "And one more")).to_be_in_viewport()
    log_of(ann).evaluate("log => { log.scrollTop = -log.scrollHeight }")
    expect(message_of(ann, "Word 0.")).to_be_attached()
    expect(ann.locator("#messages > li[data-id]")).to_have_count(122)
    log_of(ann).evaluate("log => { log.scrollTop = -log.scrollHeight }")
    # Its heading is in sight now.
    expect(ann.locator("#day-now")).to_be_hidden()


def test_at_midnight_what_was_said_today_is_drawn_anew(ann: Page) -> None:
    ann.clock.install()
    write(ann, "Good night")
    expect(message_of(ann, "Good night")).to_be_visible()
    ann.reload()
    message_of(ann, "Good night").locator(".day span").evaluate("day => { day.textContent = 'Long ago' }")

    with ann.expect_request(lambda request: urlsplit(request.url).path == chat_path(ann)):
        ann.clock.fast_forward("24:00:00")

    expect(message_of(ann, "Good night").locator(".day")).to_have_text("Today")


# Writing


def test_whoever_comes_later_is_named_and_seen_too(ann: Page, bea: Page, meet: Meet) -> None:
    cleo = at_home(meet(0), "Cleo Example", invitation=invite(ann))
    open_chat(cleo)
    write(bea, "Who is new here?")

    expect(bea.locator("#seen")).to_contain_text("Cleo Example")
    bea.get_by_label("Message", exact=True).press_sequentially("Hello @cl")
    people = bea.get_by_role("listbox", name="Whom do you mean?")
    expect(people.get_by_role("option")).to_have_text(re.compile("Cleo Example"))


def test_somebody_is_named_by_keyboard(bea: Page) -> None:
    words = bea.get_by_label("Message", exact=True)
    words.press_sequentially("Thanks @an")
    people = bea.get_by_role("listbox", name="Whom do you mean?")
    expect(people.get_by_role("option")).to_have_count(1)
    expect(people.get_by_role("option", selected=True)).to_have_text(re.compile("Ann Example"))
    chosen = people.get_by_role("option", selected=True).get_attribute("id")
    expect(words).to_have_attribute("aria-activedescendant", chosen or "")

    words.press("Enter")
    expect(words).to_have_value("Thanks @Ann Example ")
    expect(people).to_be_hidden()
    words.press_sequentially("@")
    expect(people.get_by_role("option")).to_have_count(2)
    words.press("ArrowDown")
    expect(people.get_by_role("option", selected=True)).to_have_text(re.compile("Bea Example"))
    words.press("Escape")
    expect(people).to_be_hidden()
    words.press("Backspace")
    words.press("Enter")
    expect(message_of(bea, "Thanks").locator(".mention")).to_have_text("@Ann Example")


DATA = """async ({ event, name, type, bytes }) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([Uint8Array.from(bytes)], name, { type }));
  const target = document.getElementById(event === "paste" ? "content" : "conversation");
  const options = { bubbles: true, cancelable: true };
  target.dispatchEvent(event === "paste"
    ? new ClipboardEvent("paste", { ...options, clipboardData: transfer })
    : new DragEvent("drop", { ...options, dataTransfer: transfer }));
}"""


@pytest.mark.parametrize("event", ["paste", "drop"])
def test_a_picture_is_pasted_or_dropped(bea: Page, ann: Page, event: str) -> None:
    file = picture("from elsewhere.jpg")
    bea.evaluate(DATA, {"event": event, "name": file["name"], "type": file["mimeType"], "bytes": list(file["buffer"])})
    expect(bea.locator("#tray li")).to_contain_text("from elsewhere.jpg")
    expect(bea.locator("#tray progress")).to_be_hidden()
    bea.get_by_role("button", name="Send", exact=True).click()

    expect(ann.locator("#messages .pictures img")).to_have_count(1)


def test_a_file_on_its_way_is_called_off_and_nothing_of_it_is_sent(bea: Page, ann: Page, problems: Problems) -> None:
    problems.expect("ERR_ABORTED")
    with holding(bea, "**/files"):
        bea.locator("#files").set_input_files([picture("wrong.jpg")])
    expect(bea.locator("#tray progress")).to_be_visible()
    # Sent while it is on its way: it waits.
    write(bea, "No picture")
    expect(bea.get_by_text("Your message goes when its files are there.")).to_be_visible()
    expect(bea.locator("#messages > li")).to_have_count(0)

    bea.get_by_role("button", name="Leave it out").click()

    expect(message_of(ann, "No picture")).to_be_visible()
    expect(ann.locator("#messages img")).to_have_count(0)


def test_a_file_that_is_refused_says_why(bea: Page, problems: Problems) -> None:
    problems.expect("415")
    page: FilePayload = {"name": "page.html", "mimeType": "text/html", "buffer": b"<script>alert(1)</script>"}
    bea.locator("#files").set_input_files([page])
    expect(bea.locator("#tray .error")).not_to_be_empty()
    write(bea, "Without it")
    expect(message_of(bea, "Without it")).to_be_visible()
    expect(bea.locator("#tray li")).to_have_count(0)


def test_a_file_that_did_not_go_is_tried_again_as_it_was(ann: Page, bea: Page, problems: Problems) -> None:
    problems.expect("ERR_FAILED", "/files")
    ann.route("**/files", lambda route: route.abort("failed"), times=2)
    ann.locator("#files").set_input_files([picture("fridge.jpg")])
    again = ann.locator("#tray").get_by_role("button", name="Try again")
    expect(ann.locator("#tray .error")).to_have_text("Not sent.")
    assert_targets_are_large_enough(ann)
    assert_nothing_overflows(ann, PHONE)
    again.tap()
    expect(ann.locator("#tray .error")).to_have_text("Not sent.")

    with ann.expect_response(lambda answer: answer.status == 201):
        again.tap()

    expect(again).to_be_hidden()
    expect(ann.locator("#tray .error")).to_be_empty()
    expect(ann.locator("#tray li")).to_have_count(1)
    ann.get_by_role("button", name="Send", exact=True).tap()
    expect(bea.get_by_alt_text("Picture: fridge.jpg")).to_be_visible()


def test_what_is_refused_is_not_offered_to_be_tried_again(bea: Page, problems: Problems) -> None:
    problems.expect("415")
    page: FilePayload = {"name": "a.html", "mimeType": "text/html", "buffer": b"<p>a</p>"}
    bea.locator("#files").set_input_files([page])

    expect(bea.locator("#tray .error")).not_to_be_empty()
    expect(bea.locator("#tray").get_by_role("button", name="Try again")).to_be_hidden()
    expect(bea.locator("#tray").get_by_role("button", name="Leave it out")).to_be_visible()


# Those who leave


def test_whoever_is_taken_out_of_a_chat_is_cut_off(ann: Page, bea: Page, problems: Problems) -> None:
    problems.expect("404")
    write(ann, "Between us")
    expect(message_of(bea, "Between us")).to_be_visible()

    follow(ann.get_by_role("link", name="About this chat"))
    follow(ann.get_by_role("link", name="Back to the chat"))
    expect(log_of(ann)).to_be_visible()
    (home,) = ann.request.get("/api/v1/households").json()["items"]
    me = ann.request.get("/api/v1/users/me").json()["id"]
    chat = chat_path(ann).rpartition("/")[2]
    answer = ann.request.patch(
        f"/api/v1/households/{home['id']}/chats/{chat}", data={"is_for_all": False, "member_ids": [me]}
    )
    assert answer.ok

    expect(bea.get_by_text("This chat is not there any more, or not for you.")).to_be_visible()
    expect(bea.get_by_text("Between us")).to_have_count(0)
    write(ann, "A secret")
    expect(message_of(ann, "A secret")).to_be_visible()
    assert bea.request.get(chat_path(bea)).status == 404


def test_whoever_leaves_the_household_is_cut_off(ann: Page, bea: Page, problems: Problems) -> None:
    problems.expect("404", "403", "WebSocket")
    write(ann, "Before she left")
    expect(message_of(bea, "Before she left")).to_be_visible()
    (home,) = ann.request.get("/api/v1/households").json()["items"]
    her = bea.request.get("/api/v1/users/me").json()["id"]

    assert ann.request.delete(f"/api/v1/households/{home['id']}/members/{her}").ok

    expect(bea.get_by_text("Before she left")).to_have_count(0)


# For every eye


@pytest.fixture
def full(ann: Page, bea: Page) -> Page:
    """Ann's phone, with something of everything on it."""
    ann.locator("#files").set_input_files([picture("fridge.jpg")])
    write(ann, "Look, the fridge")
    expect(message_of(ann, "Look, the fridge").locator("img")).to_be_visible()
    write(
        bea,
        "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft https://example.com/a/very/long/address/that/does/not/end/anywhere/near",
    )
    write(bea, "שלום, @Ann Example: من أكل الزبادي؟")
    expect(message_of(ann, "שלום")).to_be_visible()
    ann.request.post(
        f"{chat_path(ann)}/messages/{message_of(ann, 'Look').get_attribute('data-id')}/react", form={"emoji": "🎉"}
    )
    reply_to = message_of(ann, "שלום").get_attribute("data-id")
    assert ann.request.post(api_of(ann), data={"content": "I did", "reply_to_id": reply_to}).ok
    ann.reload()
    expect(message_of(ann, "I did")).to_be_visible()
    return ann


def test_axe_finds_nothing_in_a_conversation(full: Page) -> None:
    assert_axe_finds_nothing(full, PHONE, DESK)


def test_nothing_of_a_conversation_overflows_and_targets_are_large(full: Page) -> None:
    assert_targets_are_large_enough(full)
    assert_nothing_overflows(full, PHONE, ZOOMED, DESK)


def test_a_conversation_from_right_to_left_fits_a_phone(meet: Meet) -> None:
    reader = at_home(meet(0), "ليلى", locale="ar")
    reader.request.post("/settings", form={"name": "ليلى", "locale": "ar", "theme": "system"})
    reader.goto("/chats")
    follow(reader.locator(".chats a").first)
    expect(reader.locator("html")).to_have_attribute("dir", "rtl")
    for text in ("من أكل الزبادي؟ " * 8, "Some English in between: https://example.com/" + "x" * 90):
        reader.locator("#content").fill(text)
        reader.locator("#send").tap()
    expect(reader.locator("#messages > li[data-id]")).to_have_count(2)

    assert_nothing_overflows(reader, PHONE, ZOOMED, DESK)
    for path in ("/chats", "/chats/new", "/chats/search?q=x"):
        reader.goto(path)
        assert_nothing_overflows(reader, DESK)


def test_without_a_script_one_talks_too(meet: Meet, ann: Page) -> None:
    write(ann, "Hello")
    expect(message_of(ann, "Hello")).to_be_visible()
    page = meet(1, java_script_enabled=False, storage_state=ann.context.storage_state())
    page.goto(chat_path(ann))
    expect(page.locator("#messages").get_by_text("Hello")).to_be_in_viewport()
    page.get_by_label("Message", exact=True).fill("By hand")
    page.get_by_label("Pictures and files").set_input_files([picture("by hand.jpg")])
    page.get_by_role("button", name="Send", exact=True).click()

    expect(page.locator("#messages").get_by_text("By hand")).to_be_in_viewport()
    expect(page.locator(".pictures img")).to_have_count(1)
    expect(message_of(ann, "By hand").locator("img")).to_have_count(1)


def test_the_composer_stays_above_the_keyboard(ann: Page) -> None:
    # With its keyboard open, a phone has half the room.
    ann.set_viewport_size({"width": 360, "height": 380})
    ann.get_by_label("Message", exact=True).tap()
    ann.get_by_label("Message", exact=True).fill("\n".join("Line" for _ in range(12)))
    box = ann.locator("#composer").bounding_box()
    assert box
    assert box["y"] + box["height"] <= 380
    expect(ann.get_by_role("button", name="Send", exact=True)).to_be_in_viewport()
    expect(log_of(ann)).to_be_in_viewport()


def test_a_conversation_is_light() -> None:
    dist = ROOT / "static" / "dist"
    manifest = json.loads((dist / "manifest.json").read_text())
    scripts = [gzip.compress((dist / manifest[name]).read_bytes()) for name in ("app.js", "chat.js")]
    assert sum(map(len, scripts)) < 40 * 1024
    assert (dist / manifest["chat.css"]).stat().st_size < 15 * 1024
