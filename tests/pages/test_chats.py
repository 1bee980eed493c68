"""Talk on pages: as a whole, in parts, without JavaScript; and nothing anybody writes is ever markup."""

import re
from uuid import UUID

import pytest
import pytest_asyncio
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from db import run_before_commit
from models import FilePurpose, Membership, Role, StoredFile
from services import chats, files, messages
from services.core.pagination import PageRequest
from services.permissions import Actor
from services.schemas.chats import ChatCreate, ChatRead, ChatUpdate
from services.schemas.talk import MessageCreate, MessageFilters, MessageRead
from tests.conftest import HOUSEHOLD, NEXT_DOOR, NOWHERE, ClientOf
from tests.factories import make_file, make_lot, make_product
from tests.pages import html
from tests.pages.ways import BOTH_WAYS, assert_sent, ends_whole, form_at, refused, shows, toast_of

NASTY = "<script>alert(1)</script> 100 %(name)s {{ 7 * 7 }} שלום & “Käse”"


async def talk_of(session: AsyncSession, actor: Actor, title: str = "Kitchen") -> ChatRead:
    return await chats.create_chat(session, actor, ChatCreate(title=title))


@pytest_asyncio.fixture
async def chat(session: AsyncSession, alice: Actor) -> ChatRead:
    """Alice's, for all, and silent."""
    chat = await talk_of(session, alice)
    await session.commit()
    return chat


async def say(session: AsyncSession, actor: Actor, chat: ChatRead, content: str, **more: UUID) -> MessageRead:
    return await messages.post(session, actor, chat.id, MessageCreate(content=content, **more))


async def said_in(session: AsyncSession, actor: Actor, chat: ChatRead) -> list[str]:
    page = await messages.list_messages(session, actor, chat.id, PageRequest(), MessageFilters())
    return [message.content for message in page.items]


async def send(browser: AsyncClient, chat: ChatRead, **fields: str) -> Response:
    """What the composer sends."""
    parts = {name: (None, value) for name, value in fields.items()}
    return await browser.post(f"/chats/{chat.id}/messages", files=parts)


def lines_of(response: Response) -> list[html.Element]:
    return [li for li in html.read(response.text).all("li") if "data-id" in li.attrs]


# Which there are


async def test_the_list_says_who_said_what_last_and_how_much_is_new(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor, chat: ChatRead
) -> None:
    await say(session, bob, chat, NASTY)
    await say(session, bob, chat, "Bring milk")
    await session.commit()

    page = await browser_of(alice).get("/chats")

    assert ends_whole(page)
    assert html.problems(page.text) == []
    assert all(shows(page, "Kitchen", "Bob : Bring milk", "2 messages that you have not read").values())
    part = await browser_of(alice, htmx=True).get("/chats")
    assert "<html" not in part.text
    assert "Bring milk" in part.text


async def test_a_link_that_was_sent_opens_the_chat_whatever_household_the_device_shows(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, charlie: Actor
) -> None:
    session.add(Membership(household_id=NEXT_DOOR, user_id=alice.user_id, role=Role.VIEWER))
    chat = await talk_of(session, charlie, "Next door")
    said = await say(session, charlie, chat, "Hello over there")
    await session.commit()
    browser = browser_of(alice)
    link = f"/chats/{chat.id}?around={said.id}"
    assert (await browser.get(link)).status_code == 404

    sent = await browser.get(f"{link}&household={NEXT_DOOR}")

    assert (sent.status_code, sent.headers["location"]) == (303, link)
    assert "Hello over there" in (await browser.get(link)).text
    assert (await browser_of(charlie).get(f"{link}&household={HOUSEHOLD}")).status_code == 404


async def test_archived_chats_have_a_list_of_their_own(
    browser_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    chat = await talk_of(session, alice, "Last summer")
    await session.commit()
    browser = browser_of(alice)

    answer = await browser.post(f"/chats/{chat.id}/archive")
    assert toast_of(answer)["action"] == f"/chats/{chat.id}/restore"
    assert "Last summer" not in html.read((await browser.get("/chats")).text).one("main").text
    assert "Last summer" in html.read((await browser.get("/chats?archived=true")).text).one("main").text
    page = await browser.get(f"/chats/{chat.id}")
    assert 'action="/chats/' + str(chat.id) + '/messages"' not in page.text
    assert "This chat is archived" in page.text

    await browser.post(f"/chats/{chat.id}/restore")
    assert "Last summer" in html.read((await browser.get("/chats")).text).one("main").text


@BOTH_WAYS
async def test_a_chat_is_started_renamed_and_deleted(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor, htmx: bool
) -> None:
    browser = browser_of(alice, htmx=htmx)
    made = await browser.post("/chats/new", data={"title": "Weekend", "is_for_all": "true"})
    to = made.headers["hx-redirect" if htmx else "location"]
    chat_id = to.rpartition("/")[2]

    values = await form_at(browser, f"{to}/settings", f"{to}/settings")
    assert values["title"] == "Weekend"
    edited = await browser.post(
        f"{to}/settings",
        data={"title": "Sunday", "is_for_all": "false", "member_ids": [str(bob.user_id)], "tells_stock": "true"},
    )
    assert assert_sent(edited, htmx, to)["message"] == "Saved."
    chat = await chats.get_chat(session, alice, UUID(chat_id))
    assert (chat.title, chat.is_for_all, chat.tells_stock) == ("Sunday", False, True)
    assert {person.id for person in chat.members} == {alice.user_id, bob.user_id}

    assert_sent(await browser.post(f"{to}/delete"), htmx, "/chats")
    assert (await browser.get(to)).status_code == 404


async def test_a_title_that_is_taken_comes_back_with_what_was_typed(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    await talk_of(session, alice)
    await session.commit()

    answer = await browser_of(alice).post(
        "/chats/new", data={"title": " KITCHEN", "is_for_all": "false", "member_ids": [str(bob.user_id)]}
    )

    errors, values = refused(answer, "/chats/new")
    assert "already a chat" in errors[""]
    assert values["title"] == " KITCHEN"
    boxes = html.read(answer.text).all("input", name="member_ids", value=str(bob.user_id))
    assert "checked" in boxes[0].attrs


async def test_who_may_not_change_a_chat_reads_who_is_in_it(
    browser_of: ClientOf, bob: Actor, vera: Actor, chat: ChatRead
) -> None:
    for reader in (bob, vera):
        page = await browser_of(reader).get(f"/chats/{chat.id}/settings")
        assert all(shows(page, "Who is in it", "Alice", "Started by Alice").values())
        assert "/delete" not in page.text
    assert (await browser_of(bob).post(f"/chats/{chat.id}/delete")).status_code == 403


# One of them


async def test_a_chat_is_a_page_a_fragment_and_more_of_it(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor, chat: ChatRead
) -> None:
    for number in range(60):
        await say(session, bob if number % 3 else alice, chat, f"Word {number}.")
    await session.commit()
    browser = browser_of(alice)

    page = await browser.get(f"/chats/{chat.id}")
    assert ends_whole(page)
    assert html.problems(page.text) == []
    words = [line.one("p", **{"class": "words"}).text for line in lines_of(page)]
    assert words == [f"Word {number}." for number in range(10, 60)]
    part = await browser.get(f"/chats/{chat.id}", headers={"HX-Request": "true"})
    assert "<html" not in part.text
    assert len(lines_of(part)) == 50

    older = html.read(page.text).one("p", id="older").one("a").attrs["href"]
    rest = await browser.get(older)
    assert ends_whole(rest)
    assert len(lines_of(rest)) == 10
    newer = html.read(rest.text).one("p", id="newer").one("a").attrs["href"]
    assert len(lines_of(await browser.get(newer))) == 50


async def test_days_begin_and_messages_follow_each_other(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor, chat: ChatRead
) -> None:
    for author, content in ((alice, "One"), (alice, "Two"), (bob, "Three"), (bob, "Four")):
        await say(session, author, chat, content)
    await session.commit()

    looks = [set(line.attrs["class"].split()) for line in lines_of(await browser_of(alice).get(f"/chats/{chat.id}"))]

    assert [("starts-day" in look, "follows" in look, "is-own" in look) for look in looks] == [
        (True, False, True),
        (False, True, True),
        (False, False, False),
        (False, True, False),
    ]
    assert [number for number, look in enumerate(looks) if "is-first-new" in look] == [2]


@pytest.mark.parametrize(
    ("content", "is_large"),
    [("👍", True), ("🥕 👩🏽‍🍳 🇩🇪", True), ("👍👍👍👍", False), ("👍 yes", False), ("7", False)],
)
async def test_a_few_emoji_alone_are_large(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, content: str, is_large: bool, chat: ChatRead
) -> None:
    await say(session, alice, chat, content)
    await session.commit()

    (line,) = lines_of(await browser_of(alice).get(f"/chats/{chat.id}"))

    assert ("is-emoji" in line.attrs["class"].split()) is is_large


async def test_what_is_new_begins_with_what_others_said_or_did(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    chat = await chats.create_chat(session, alice, ChatCreate(title="Kitchen", tells_stock=True))
    await make_lot(session, alice)
    await run_before_commit(session)
    theirs = await say(session, bob, chat, "Thanks")
    await session.commit()

    page = await browser_of(alice).get(f"/chats/{chat.id}")

    (first,) = [line for line in lines_of(page) if "is-first-new" in line.attrs["class"]]
    assert first.attrs["data-id"] == str(theirs.id)


async def test_a_search_finds_the_place_where_it_was_said(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, chat: ChatRead
) -> None:
    wanted = await say(session, alice, chat, "Where is the 100% rye bread?")
    for number in range(60):
        await say(session, alice, chat, f"Word {number}.")
    await session.commit()
    browser = browser_of(alice)

    page = await browser.get("/chats/search", params={"q": "100%"})
    (link,) = [a for a in html.read(page.text).all("a") if "around" in a.attrs.get("href", "")]
    assert "rye bread" in link.text
    assert [mark.text for mark in link.all("mark")] == ["100%"]
    found = await browser.get(link.attrs["href"])
    assert f"message-{wanted.id}" in found.text
    assert "To the newest" in found.text
    assert all(shows(await browser.get("/chats/search", params={"q": "zzz"}), "Nobody said that").values())
    assert (await browser.get("/chats/search", params={"q": "\u0000"})).status_code < 500


# Saying something


@BOTH_WAYS
async def test_what_is_said_is_there(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, chat: ChatRead, htmx: bool
) -> None:
    answer = await send(browser_of(alice, htmx=htmx), chat, content="Who ate\nthe yoghurt?", idempotency_key="once")

    if htmx:
        (line,) = lines_of(answer)
        assert "Who ate" in line.text
        assert "<html" not in answer.text
    else:
        assert (answer.status_code, answer.headers["location"]) == (303, f"/chats/{chat.id}")
    assert await said_in(session, alice, chat) == ["Who ate\nthe yoghurt?"]


@BOTH_WAYS
async def test_what_is_sent_twice_under_one_key_is_said_once(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, chat: ChatRead, htmx: bool
) -> None:
    browser = browser_of(alice, htmx=htmx)

    first = await send(browser, chat, content="Bring milk", idempotency_key="a key")
    again = await send(browser, chat, content="Bring milk", idempotency_key="a key")

    assert again.status_code == first.status_code
    assert again.text == first.text
    assert await said_in(session, alice, chat) == ["Bring milk"]


async def test_nothing_is_said_by_what_nobody_can_see(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, chat: ChatRead
) -> None:
    reply_to = await say(session, alice, chat, "A question")
    await session.commit()

    answer = await send(browser_of(alice), chat, content="\u200b\u200d ", reply_to_id=str(reply_to.id))

    errors, values = refused(answer, f"/chats/{chat.id}/messages")
    assert errors["content"]
    assert values["reply_to_id"] == str(reply_to.id)
    assert "A question" in html.read(answer.text).one("div", id="about").text
    toast = toast_of(await send(browser_of(alice, htmx=True), chat, content="\u200b"))
    assert toast["level"] == "error"


async def test_nothing_that_is_written_is_markup(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    chat = await talk_of(session, alice, NASTY)
    first = await say(session, bob, chat, NASTY)
    await say(session, bob, chat, NASTY, reply_to_id=first.id)
    await session.commit()
    browser = browser_of(alice)

    for path in (
        f"/chats/{chat.id}",
        f"/chats/{chat.id}?reply={first.id}",
        f"/chats/{chat.id}/settings",
        f"/chats/{chat.id}/messages/{first.id}",
        f"/chats/{chat.id}/messages/{first.id}/actions",
        "/chats",
        "/chats/search?q=100",
    ):
        page = await browser.get(path)
        assert page.status_code == 200
        assert "alert(1)" in page.text
        assert "<script>alert" not in page.text
        assert "100 %(name)s {{ 7 * 7 }} שלום" in html.read(page.text).text
        assert html.problems(page.text) == []


async def test_links_lead_out_safely_and_names_stand_out(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor, chat: ChatRead
) -> None:
    await say(session, alice, chat, "@Bob see https://example.com/?a=1&b=2 not javascript:alert(1)")
    await session.commit()

    page = html.read((await browser_of(bob).get(f"/chats/{chat.id}")).text)

    (link,) = page.all("a", href="https://example.com/?a=1&b=2")
    assert set(link.attrs["rel"].split()) == {"noopener", "noreferrer", "nofollow"}
    assert page.one("bdi", **{"class": "mention"}).text == "@Bob"
    assert not [a for a in page.all("a") if a.attrs.get("href", "").startswith("javascript")]
    (line,) = page.all("li", **{"data-author": str(alice.user_id)})
    assert "names-me" in line.attrs["class"]


async def test_a_reply_says_what_it_answers(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, chat: ChatRead
) -> None:
    question = await say(session, alice, chat, "Who ate the yoghurt?")
    await session.commit()
    browser = browser_of(alice)

    values = await form_at(browser, f"/chats/{chat.id}?reply={question.id}", f"/chats/{chat.id}/messages")
    assert values["reply_to_id"] == str(question.id)
    part = await browser.get(f"/chats/{chat.id}?part=about&reply={question.id}", headers={"HX-Request": "true"})
    assert "sheet:close" in part.headers["hx-trigger"]
    assert "Who ate the yoghurt?" in part.text
    await send(browser, chat, content="I did", reply_to_id=values["reply_to_id"])

    page = html.read((await browser.get(f"/chats/{chat.id}")).text)
    (quote,) = page.all("a", **{"class": "quote"})
    assert quote.attrs["href"] == f"/chats/{chat.id}?around={question.id}#message-{question.id}"
    assert "Who ate the yoghurt?" in quote.text


async def test_what_the_house_says_is_answered_like_the_rest(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    chat = await chats.create_chat(session, alice, ChatCreate(title="Kitchen", tells_stock=True))
    await make_lot(session, bob, product="Yoghurt", quantity="1.5")
    await run_before_commit(session)
    await session.commit()
    browser = browser_of(alice)
    (told,) = lines_of(await browser.get(f"/chats/{chat.id}"))
    at = f"/chats/{chat.id}/messages/{told.attrs['data-id']}"
    assert told.one("a", **{"class": "dots"}).attrs["href"] == f"{at}/actions"
    sheet = await browser.get(f"{at}/actions", headers={"HX-Request": "true"})
    assert "/edit" not in sheet.text

    values = await form_at(browser, f"/chats/{chat.id}?reply={told.attrs['data-id']}", f"/chats/{chat.id}/messages")
    await send(browser, chat, content="Thank you", reply_to_id=values["reply_to_id"])
    await browser.post(f"{at}/react", data={"emoji": "👍"})

    told, answer = lines_of(await browser.get(f"/chats/{chat.id}"))
    quote = answer.one("a", **{"class": "quote"}).text
    assert "Larder" in quote
    assert "Bob: " in quote
    assert "1.5" in quote
    assert "former member" not in quote
    assert "👍" in told.one("form", **{"class": "reactions"}).text


async def test_one_talks_about_a_lot_or_a_product(browser_of: ClientOf, session: AsyncSession, alice: Actor) -> None:
    lot = await make_lot(session, alice, product="Milk", quantity=2)
    product = await make_product(session, alice, name="Jam <b>")
    picture = make_file(alice, purpose=FilePurpose.PRODUCT)
    session.add(picture)
    await session.flush()
    await files.set_product_picture(session, alice, product.id, picture)
    await session.commit()
    browser = browser_of(alice)
    abouts = {f"/stock/lots/{lot.id}": f"lot={lot.id}", f"/products/{product.id}": f"product={product.id}"}
    for path, about in abouts.items():
        assert f"/chats/about?{about}" in (await browser.get(path)).text

    # There is one chat, and so nothing to choose.
    (chat,) = (await chats.list_chats(session, alice, PageRequest())).items
    sent = await browser.get(f"/chats/about?lot={lot.id}")
    assert (sent.status_code, sent.headers["location"]) == (303, f"/chats/{chat.id}?lot={lot.id}")
    values = await form_at(browser, sent.headers["location"], f"/chats/{chat.id}/messages")
    await send(browser, chat, content="Use this first", lot_id=values["lot_id"])
    await send(browser, chat, content="Any left?", product_id=str(product.id))

    page = await browser.get(f"/chats/{chat.id}")
    (card,) = html.read(page.text).all("a", href=f"/stock/lots/{lot.id}")
    assert "Milk" in card.text
    assert "2 pieces" in card.text
    assert not card.all("img")
    card = html.read(page.text).one("a", href=f"/products/{product.id}")
    assert "Jam <b>" in card.text
    assert f"/files/{picture.id}/small" in card.one("img").attrs["src"]
    await talk_of(session, alice, "Another")
    await session.commit()
    choosing = await browser.get(f"/chats/about?lot={lot.id}")
    assert f"/chats/{chat.id}?lot={lot.id}" in choosing.text


# What one does with what was said


@BOTH_WAYS
async def test_a_message_is_edited_and_deleted(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, chat: ChatRead, htmx: bool
) -> None:
    message = await say(session, alice, chat, "Brign milk")
    await session.commit()
    browser = browser_of(alice, htmx=htmx)
    at = f"/chats/{chat.id}/messages/{message.id}"
    place = f"/chats/{chat.id}?around={message.id}#message-{message.id}"

    values = await form_at(browser, f"{at}/edit", f"{at}/edit")
    assert values["content"] == "Brign milk"
    for answer, text in (
        (await browser.post(f"{at}/edit", data={"content": "Bring milk"}), "Bring milk"),
        (await browser.post(f"{at}/delete"), "This message was deleted."),
    ):
        if htmx:
            (line,) = lines_of(answer)
            assert line.attrs["hx-swap-oob"] == "morph"
            assert text in line.text
            assert "sheet:close" in answer.headers["hx-trigger"]
        else:
            assert (answer.status_code, answer.headers["location"]) == (303, place)
    assert await said_in(session, alice, chat) == [""]


@BOTH_WAYS
async def test_an_edit_to_nothing_comes_back(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, chat: ChatRead, htmx: bool
) -> None:
    message = await say(session, alice, chat, "Milk")
    await session.commit()
    at = f"/chats/{chat.id}/messages/{message.id}/edit"

    answer = await browser_of(alice, htmx=htmx).post(at, data={"content": ""})

    errors, _values = refused(answer, at)
    assert errors["content"]
    assert ends_whole(answer) is not htmx


@BOTH_WAYS
async def test_what_came_with_a_file_may_lose_its_words(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, chat: ChatRead, htmx: bool
) -> None:
    file = make_file(alice)
    session.add(file)
    await session.flush()
    data = MessageCreate(content="Look", attachment_ids=[file.id])
    message = await messages.post(session, alice, chat.id, data)
    await session.commit()

    await browser_of(alice, htmx=htmx).post(f"/chats/{chat.id}/messages/{message.id}/edit", data={"content": ""})

    assert await said_in(session, alice, chat) == [""]


@BOTH_WAYS
async def test_a_reaction_comes_and_goes(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor, chat: ChatRead, htmx: bool
) -> None:
    message = await say(session, alice, chat, "Cake?")
    await session.commit()
    at = f"/chats/{chat.id}/messages/{message.id}"

    for browser in (browser_of(alice, htmx=htmx), browser_of(bob, htmx=htmx)):
        assert (await browser.post(f"{at}/react", data={"emoji": "🎉"})).status_code == (200 if htmx else 303)
    page = html.read((await browser_of(alice).get(f"/chats/{chat.id}")).text)
    (button,) = page.all("button", name="emoji")
    assert (button.attrs["title"], button.attrs["aria-pressed"]) == ("You, Bob", "true")
    assert "2" in button.text
    await browser_of(alice, htmx=htmx).post(button.attrs["formaction"], data={"emoji": "🎉"})

    page = html.read((await browser_of(alice).get(f"/chats/{chat.id}")).text)
    assert page.all("button", name="emoji")[0].attrs["aria-pressed"] == "false"
    assert (await browser_of(alice, htmx=htmx).post(f"{at}/react", data={"emoji": "not one"})).status_code == 422


async def test_a_chat_is_marked_as_read_without_a_script(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor, chat: ChatRead
) -> None:
    await say(session, bob, chat, "Milk")
    await session.commit()
    browser = browser_of(alice)
    assert "1 message that you have not read" in (await browser.get("/chats/unread")).text

    values = await form_at(browser, f"/chats/{chat.id}", f"/chats/{chat.id}/read")
    await browser.post(f"/chats/{chat.id}/read", data=values)

    assert "not read" not in (await browser.get("/chats/unread")).text
    assert f"/chats/{chat.id}/read" not in (await browser.get(f"/chats/{chat.id}")).text


# Who


async def test_a_viewer_talks_and_starts_nothing(browser_of: ClientOf, vera: Actor, chat: ChatRead) -> None:
    browser = browser_of(vera)

    assert (await send(browser, chat, content="May I have some?")).status_code == 303
    assert "/chats/new" not in (await browser.get("/chats")).text
    assert (await browser.post("/chats/new", data={"title": "Mine"})).status_code == 403


async def test_strangers_and_those_who_were_not_chosen_find_nothing(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor, charlie: Actor
) -> None:
    chat = await chats.create_chat(session, alice, ChatCreate(title="A secret", member_ids=[alice.user_id]))
    message = await say(session, alice, chat, "Hush")
    await session.commit()
    for reader in (bob, charlie):
        browser = browser_of(reader)
        assert "A secret" not in (await browser.get("/chats")).text
        for path in ("", "/settings", f"/messages/{message.id}", f"/messages/{message.id}/actions", "?part=head"):
            answer = await browser.get(f"/chats/{chat.id}{path}")
            assert answer.status_code == 404
            assert "Hush" not in answer.text
        assert (await send(browser, chat, content="Hello?")).status_code == 404


@pytest.mark.parametrize("field", ["reply_to_id", "product_id", "lot_id", "attachment_ids"])
async def test_what_is_gone_by_the_time_takes_no_words_along(
    browser_of: ClientOf, alice: Actor, field: str, chat: ChatRead
) -> None:
    answer = await send(browser_of(alice), chat, content="Bring milk", **{field: str(NOWHERE)})

    errors, values = refused(answer, f"/chats/{chat.id}/messages")
    assert values["content"] == "Bring milk"
    assert field not in values
    assert errors[""]


async def test_too_many_files_take_no_words_along(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, chat: ChatRead
) -> None:
    sent = [("file", (f"{n}.txt", b"a list", "text/plain")) for n in range(11)]

    answer = await browser_of(alice).post(f"/chats/{chat.id}/messages", files=[*sent, ("content", (None, "Our lists"))])

    errors, values = refused(answer, f"/chats/{chat.id}/messages")
    assert "10 files" in errors[""]
    assert values["content"] == "Our lists"
    assert (await session.scalars(select(StoredFile))).all() == []


async def test_what_was_written_into_a_chat_that_was_archived_meanwhile_can_be_copied(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, chat: ChatRead
) -> None:
    await chats.edit_chat(session, alice, chat.id, ChatUpdate(is_archived=True))
    await session.commit()

    answer = await send(browser_of(alice), chat, content="Bring <milk>")

    assert answer.status_code == 422
    assert html.read(answer.text).one("textarea", readonly="").text == "Bring <milk>"
    assert await said_in(session, alice, chat) == []


@pytest.mark.parametrize("query", [f"around={NOWHERE}", "around=x", f"reply={NOWHERE}", f"lot={NOWHERE}", "after=x"])
async def test_what_leads_nowhere_says_so(browser_of: ClientOf, alice: Actor, query: str, chat: ChatRead) -> None:
    for htmx in (False, True):
        answer = await browser_of(alice, htmx=htmx).get(f"/chats/{chat.id}?part=about&{query}")
        assert answer.status_code in {200, 404, 422}


async def test_every_request_of_htmx_stands_on_what_works_without_it(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor, chat: ChatRead
) -> None:
    message = await say(session, bob, chat, "Milk")
    await messages.react(session, alice, chat.id, message.id, "🎉")
    await session.commit()
    at = f"/chats/{chat.id}/messages/{message.id}"
    for path in ("/chats", f"/chats/{chat.id}", f"{at}/actions", f"{at}/edit", "/chats/search"):
        page = html.read((await browser_of(alice).get(path, headers={"HX-Request": "true"})).text)
        for element in page:
            if "hx-post" in element.attrs:
                assert (element.tag, element.attrs["action"]) == ("form", element.attrs["hx-post"])
            if "hx-get" in element.attrs and not re.search("from:body|load", element.attrs.get("hx-trigger", "")):
                assert element.tag in {"a", "form"}
