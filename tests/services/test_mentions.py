"""Mentions: whom a message names hears of it once, at once, where they want to, and only if they may read it."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select, update

from db import run_before_commit
from models import (
    Channel,
    ChannelKind,
    Chat,
    ChatMember,
    Delivery,
    Job,
    LiveKind,
    Membership,
    Message,
    Notification,
    NotificationKind,
    Outbox,
    Preference,
    User,
)
from services import chats, mentions, notifications, preferences, sweep
from services.core import clock, i18n
from services.core.errors import NotFound
from services.core.ids import new_id
from services.core.pagination import PageRequest
from services.delivery import content
from services.delivery.email import compose
from services.delivery.webhook import body
from services.live import frames
from services.live.audience import Audience, Reader
from services.permissions import Account, Actor
from services.preferences import Rhythm
from services.schemas.notifications import NotificationFilters, NotificationRead, PreferencesUpdate
from tests.conftest import HOUSEHOLD, NOW, TODAY
from tests.factories import make_account, make_lot

ALL = PageRequest(limit=200)
EVERYTHING = NotificationFilters()
MENTION = NotificationKind.MENTION
BERLIN = ZoneInfo("Europe/Berlin")


async def make_message(
    session: AsyncSession, author: Actor, text: str, *, among: Iterable[Actor] = (), title: str = "Everyone"
) -> Message:
    """In a chat of its own, for all or among some."""
    chosen = list(among)
    chat = Chat(
        household_id=author.household_id,
        title=title,
        title_key=f"{title} {new_id()}",
        is_for_all=not chosen,
        last_seq=1,
    )
    session.add(chat)
    await session.flush()
    session.add_all(ChatMember(chat_id=chat.id, user_id=actor.user_id) for actor in chosen)
    message = Message(chat_id=chat.id, seq=1, author_id=author.user_id, content=text)
    session.add(message)
    await session.flush()
    return message


async def told(session: AsyncSession, account: Account) -> list[NotificationRead]:
    return list((await notifications.list_notifications(session, account, ALL, EVERYTHING)).items)


async def deliveries(session: AsyncSession, actor: Actor) -> list[Delivery]:
    mine = select(Delivery).where(Delivery.user_id == actor.user_id).order_by(col(Delivery.id))
    return list(await session.scalars(mine))


async def heard(session: AsyncSession) -> list[str]:
    """Who was told of a notification on open pages."""
    await run_before_commit(session)
    rows = await session.execute(
        sa.select(col(User.name))
        .join(Outbox, col(Outbox.user_id) == col(User.id))
        .where(col(Outbox.kind) == LiveKind.NOTIFICATION_CREATED)
        .order_by(col(Outbox.id))
    )
    return list(rows.scalars())


async def want(session: AsyncSession, actor: Actor, *channels: ChannelKind, **rest: object) -> None:
    wanted = {MENTION: list(channels)}
    await preferences.edit_preferences(session, actor, PreferencesUpdate.model_validate({"wanted": wanted, **rest}))


async def test_who_is_named_is_told_who_said_what_where(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    message = await make_message(session, alice, "@Bob bring\nmilk,   please")

    await mentions.tell(session, message, [bob.user_id])

    (said,) = await told(session, bob)
    assert (said.kind, said.product, said.lot_id, said.due_on) == (MENTION, None, None, TODAY)
    assert (said.title, said.text) == ("Alice mentioned you in Everyone", "@Bob bring milk, please")
    assert said.message is not None
    assert (said.message.id, said.message.chat_id) == (message.id, message.chat_id)
    assert (said.message.chat_title, said.message.content) == ("Everyone", "@Bob bring\nmilk,   please")
    assert said.message.author is not None
    assert (said.message.author.id, said.message.author.name) == (alice.user_id, "Alice")
    assert await heard(session) == ["Bob"]


async def test_nobody_is_told_twice_of_one_message(
    session: AsyncSession, alice: Actor, bob: Actor, vera: Actor
) -> None:
    message = await make_message(session, alice, "@Bob and @Vera")
    await mentions.tell(session, message, [bob.user_id])

    await mentions.tell(session, message, [bob.user_id, vera.user_id, vera.user_id])
    await mentions.tell(session, message, [])

    assert await heard(session) == ["Bob", "Vera"]
    assert [len(await told(session, who)) for who in (bob, vera)] == [1, 1]
    assert [len(await deliveries(session, who)) for who in (bob, vera)] == [1, 1]


async def test_several_messages_of_a_day_are_each_told(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    for text in ("@Bob one", "@Bob two"):
        await mentions.tell(session, await make_message(session, alice, text), [bob.user_id])

    assert [said.text for said in await told(session, bob)] == ["@Bob two", "@Bob one"]


async def test_neither_oneself_nor_a_stranger_nor_who_is_not_in_the_chat_is_told(
    session: AsyncSession, alice: Actor, bob: Actor, vera: Actor, charlie: Actor, dora: Actor
) -> None:
    message = await make_message(session, alice, "@Alice @Bob @Vera @Charlie @Dora", among=[alice, bob, dora])
    await session.execute(update(User).where(col(User.id) == dora.user_id).values(is_active=False))

    everybody = [who.user_id for who in (alice, bob, vera, charlie, dora)]
    await mentions.tell(session, message, everybody)

    found = await session.scalars(select(Notification.user_id).where(col(Notification.message_id) == message.id))
    assert found.all() == [bob.user_id]


async def test_it_leaves_at_once_on_every_channel_that_is_wanted(
    session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    hook = Channel(user_id=bob.user_id, kind=ChannelKind.WEBHOOK, address="https://example.com/", address_hash="1")
    push = Channel(user_id=bob.user_id, kind=ChannelKind.WEB_PUSH, address="{}", address_hash="2")
    session.add_all([hook, push])
    await want(session, bob, ChannelKind.EMAIL, ChannelKind.WEBHOOK)

    await mentions.tell(session, await make_message(session, alice, "@Bob"), [bob.user_id])

    found = await deliveries(session, bob)
    assert {(each.channel, each.channel_id) for each in found} == {
        (ChannelKind.EMAIL, None),
        (ChannelKind.WEBHOOK, hook.id),
    }
    assert {each.next_attempt_at for each in found} == {NOW}
    await session.commit()
    assert "deliver" in (await session.scalars(select(Job.task))).all()
    # It is not wanted in the app.
    assert await told(session, bob) == []
    assert await notifications.count_unread(session, bob) == 0


async def test_who_wants_to_hear_nowhere_is_not_told(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    await want(session, bob)

    await mentions.tell(session, await make_message(session, alice, "@Bob"), [bob.user_id])

    assert (await told(session, bob), await deliveries(session, bob)) == ([], [])


async def test_preferences_from_before_there_were_mentions_hear_of_them_everywhere(
    session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    session.add(Preference(user_id=bob.user_id, household_id=HOUSEHOLD, wanted={"soon": []}))
    await session.flush()

    await mentions.tell(session, await make_message(session, alice, "@Bob"), [bob.user_id])

    assert len(await told(session, bob)) == len(await deliveries(session, bob)) == 1
    assert (await preferences.get_preferences(session, bob)).wanted[MENTION] == list(ChannelKind)


@pytest.mark.parametrize(
    ("now", "leaves"),
    [
        ("2026-11-22 21:59", "2026-11-22 21:59"),
        ("2026-11-22 22:00", "2026-11-23 07:30"),
        ("2026-11-23 03:00", "2026-11-23 07:30"),
        ("2026-11-23 07:30", "2026-11-23 07:30"),
    ],
)
async def test_it_waits_for_the_end_of_quiet_hours(
    session: AsyncSession, alice: Actor, bob: Actor, now: str, leaves: str
) -> None:
    await want(session, bob, *ChannelKind, quiet_from="22:00", quiet_until="07:30")
    message = await make_message(session, alice, "@Bob")

    with clock.frozen(datetime.fromisoformat(now).replace(tzinfo=BERLIN)):
        await mentions.tell(session, message, [bob.user_id])

    (delivery,) = await deliveries(session, bob)
    assert delivery.next_attempt_at == datetime.fromisoformat(leaves).replace(tzinfo=BERLIN).astimezone(UTC)
    assert len(await told(session, bob)) == 1


def test_quiet_hours_within_a_day_end_on_that_day() -> None:
    rhythm = Rhythm(quiet_from=13 * 60, quiet_until=15 * 60)
    noon = datetime(2026, 11, 22, 12, 0, tzinfo=BERLIN)

    assert rhythm.leaves_at(noon) == noon
    assert rhythm.leaves_at(noon + timedelta(hours=2)) == noon + timedelta(hours=3)
    assert Rhythm().leaves_at(noon) == noon


async def test_a_digest_does_not_tell_it_again(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    await mentions.tell(session, await make_message(session, alice, "@Bob"), [bob.user_id])
    await make_lot(session, alice, product="Bolt", expires_on=TODAY)
    await session.commit()

    await sweep.sweep()

    mention, digest = await deliveries(session, bob)
    assert (mention.template, digest.template) == ("mention", "digest")
    assert mention.data["notification_id"] not in digest.data["notification_ids"]


# What is sent


async def written(session: AsyncSession, actor: Actor) -> content.Letter | None:
    (delivery,) = await deliveries(session, actor)
    return await content.read(session, delivery)


async def test_a_letter_has_the_words_and_the_way_to_them(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    message = await make_message(session, alice, "@Bob <b>milk</b>\nand bread", title="Kitchen & co")
    await mentions.tell(session, message, [bob.user_id])

    letter = await written(session, bob)

    assert letter is not None
    assert (letter.title, letter.text) == ("Alice mentioned you in Kitchen & co", "@Bob <b>milk</b> and bread")
    assert letter.url.endswith(f"/chats/{message.chat_id}?around={message.id}&household={HOUSEHOLD}")
    mail = compose(letter, "Larder <larder@example.com>")
    assert mail["Subject"] == "Alice mentioned you in Kitchen & co"
    plain, html = (part.get_content() for part in mail.iter_parts())
    assert "@Bob <b>milk</b>\nand bread" in plain
    assert letter.url in plain
    assert "@Bob &lt;b&gt;milk&lt;/b&gt;" in html
    assert f'"message":{{"id":"{message.id}"'.encode() in body(letter)


async def test_a_long_message_is_told_by_its_beginning(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    await mentions.tell(session, await make_message(session, alice, "@Bob" + "x" * 4000), [bob.user_id])

    (said,) = await told(session, bob)

    assert len(said.text) == 200
    assert said.text.endswith("x…")


async def test_it_speaks_the_language_of_whom_it_is_for(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    await session.execute(update(User).where(col(User.id) == bob.user_id).values(locale="de"))
    await mentions.tell(session, await make_message(session, alice, "@Bob"), [bob.user_id])

    assert await written(session, bob) is not None
    assert i18n.current_locale() == "de"


async def delete_message(session: AsyncSession, message: Message, _named: Actor) -> None:
    message.deleted_at, message.content = clock.now(), ""


async def leave_the_chat(session: AsyncSession, message: Message, named: Actor) -> None:
    await session.execute(delete(ChatMember).where(col(ChatMember.user_id) == named.user_id))


async def leave_the_household(session: AsyncSession, message: Message, named: Actor) -> None:
    await session.execute(delete(Membership).where(col(Membership.user_id) == named.user_id))


async def delete_the_chat(session: AsyncSession, message: Message, _named: Actor) -> None:
    await session.execute(delete(Chat).where(col(Chat.id) == message.chat_id))


Change = Callable[[AsyncSession, Message, Actor], "object"]


@pytest.mark.parametrize("change", [delete_message, leave_the_chat, leave_the_household, delete_the_chat])
async def test_its_words_go_with_what_they_were_said_in(
    session: AsyncSession, alice: Actor, bob: Actor, change: Change
) -> None:
    message = await make_message(session, alice, "@Bob, a secret", among=[alice, bob])
    await mentions.tell(session, message, [bob.user_id])
    (said,) = await told(session, bob)
    assert await notifications.count_unread(session, bob) == 1
    assert await notifications.find_shared(session, [said.id])
    assert await written(session, bob) is not None

    await change(session, message, bob)  # type: ignore[misc]
    await session.flush()

    assert await told(session, bob) == []
    assert await notifications.count_unread(session, bob) == 0
    assert await notifications.find_shared(session, [said.id]) == {}
    assert await written(session, bob) is None
    with pytest.raises(NotFound):
        await notifications.mark_read(session, bob, said.id)


async def test_what_was_read_meanwhile_is_not_sent(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    message = await make_message(session, alice, "@Bob")
    await mentions.tell(session, message, [bob.user_id])

    await notifications.mark_mentions_read(session, bob, message.chat_id, up_to=0)
    assert await notifications.count_unread(session, bob) == 1
    await notifications.mark_mentions_read(session, bob, message.chat_id, up_to=1)

    assert await notifications.count_unread(session, bob) == 0
    assert await written(session, bob) is None
    (said,) = await told(session, bob)
    assert said.read_at == NOW


async def test_the_words_of_a_former_member_stay(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    message = await make_message(session, alice, "@Bob, goodbye")
    await mentions.tell(session, message, [bob.user_id])
    message.author_id = None
    await session.flush()

    (said,) = await told(session, bob)

    assert (said.title, said.text) == ("A former member mentioned you in Everyone", "@Bob, goodbye")
    assert said.message is not None
    assert said.message.author is None


async def test_staff_who_acts_as_somebody_and_api_keys_hear_no_talk(
    session: AsyncSession, alice: Actor, bob: Actor, tess: Actor
) -> None:
    await mentions.tell(session, await make_message(session, alice, "@Bob, a secret"), [bob.user_id])
    await make_lot(session, alice, product="Bolt", expires_on=TODAY)
    await session.commit()
    await sweep.sweep()

    for who in (
        replace(make_account(bob), impersonator_id=tess.user_id),
        replace(make_account(bob), scopes=frozenset({"notifications:read"})),
    ):
        assert [said.kind for said in await told(session, who)] == [NotificationKind.TODAY]
        assert await notifications.count_unread(session, who) == 1
    assert await notifications.count_unread(session, bob) == 2


async def test_neither_do_they_on_sockets(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    await mentions.tell(session, await make_message(session, alice, "@Bob, a secret"), [bob.user_id])
    await run_before_commit(session)
    row = (await session.scalars(select(Outbox).where(Outbox.kind == LiveKind.NOTIFICATION_CREATED))).one()

    (frame,) = await frames.read(session, [frames.Word(*(getattr(row, name) for name in frames.Word._fields))])

    bobs = Audience(bob.session_id, bob.user_id, Reader(hears_talk=True), {})
    assert frame.is_for(bobs)
    assert "a secret" in frame.text_for(bobs)
    assert not frame.is_for(replace(bobs, reader=Reader(hears_talk=False)))


async def test_nor_do_they_count_it_or_mark_it_as_read(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    await mentions.tell(session, await make_message(session, alice, "@Bob, a secret"), [bob.user_id])
    await make_lot(session, alice, product="Bolt", expires_on=TODAY)
    await session.commit()
    await sweep.sweep()
    row = (await session.scalars(select(Outbox).where(Outbox.kind == LiveKind.NOTIFICATION_CREATED))).all()[-1]
    program = replace(make_account(bob), scopes=frozenset({"notifications:write"}))

    (frame,) = await frames.read(session, [frames.Word(*(getattr(row, name) for name in frames.Word._fields))])
    await notifications.mark_all_read(session, program)

    for hears_talk, unread in ((True, 2), (False, 1)):
        text = frame.text_for(Audience(bob.session_id, bob.user_id, Reader(hears_talk), {}))
        assert json.loads(text)["unread"] == unread
    assert await notifications.count_unread(session, bob) == 1


# Where it is shown


async def test_the_page_leads_to_the_message(
    session: AsyncSession, browser_of: Callable[..., AsyncClient], alice: Actor, bob: Actor
) -> None:
    message = await make_message(session, alice, "@Bob <i>bring</i> milk")
    await mentions.tell(session, message, [bob.user_id])
    await session.commit()
    browser = browser_of(bob)

    page = await browser.get("/notifications?kind=mention")
    (said,) = await told(session, bob)
    gone = await browser.post(f"/notifications/{said.id}/read")

    assert "Alice mentioned you in Everyone" in page.text
    assert "@Bob &lt;i&gt;bring&lt;/i&gt; milk" in page.text
    assert (gone.status_code, gone.headers["location"]) == (
        303,
        f"/chats/{message.chat_id}?around={message.id}",
    )
    assert await notifications.count_unread(session, bob) == 0


async def test_who_reads_the_chat_has_read_the_mention(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    message = await make_message(session, alice, "@Bob")
    await mentions.tell(session, message, [bob.user_id])

    await chats.mark_read(session, bob, message.chat_id, message.id)

    assert await notifications.count_unread(session, bob) == 0
