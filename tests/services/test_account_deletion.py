"""An account goes with all that is its own, and leaves what was said and booked among others, without a name."""

from dataclasses import replace
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col, select, update

from db import run_before_commit
from models import (
    ApiKey,
    AuditEntry,
    Avatar,
    Channel,
    ChannelKind,
    Chat,
    ChatMember,
    Event,
    FileKind,
    FilePurpose,
    FileState,
    Household,
    Job,
    LinkPurpose,
    LiveKind,
    Membership,
    Mention,
    Message,
    Notification,
    OneTimeLink,
    Outbox,
    Preference,
    Product,
    Reaction,
    Role,
    StoredFile,
    User,
    UserSession,
)
from services import account_deletion, account_mail, api_keys, chats, households, mentions, outbox, sessions
from services.core.errors import ConfirmationNeeded, Conflict, InvalidInput, NotWhileActing
from services.core.i18n import use_locale
from services.delivery import email
from services.delivery.content import Letter
from services.permissions import Account, Actor
from services.schemas.accounts import ApiKeyCreate, Scope
from services.schemas.chats import ChatCreate
from services.schemas.households import HouseholdCreate
from tests.conftest import HOUSEHOLD, NEXT_DOOR, PASSWORD
from tests.factories import make_lot, make_message


async def count(session: AsyncSession, table: type[SQLModel], **where: object) -> int:
    conditions = [col(getattr(table, name)) == value for name, value in where.items()]
    return (await session.execute(sa.select(sa.func.count()).select_from(table).where(*conditions))).scalar_one()


async def delete(session: AsyncSession, account: Account) -> None:
    await account_deletion.delete_by_password(session, account, PASSWORD)
    await run_before_commit(session)
    session.expire_all()


async def the_chat(session: AsyncSession) -> UUID:
    found: UUID = (await session.scalars(select(Chat.id).where(Chat.household_id == HOUSEHOLD))).one()
    return found


async def test_all_that_is_ones_own_goes(session: AsyncSession, bob: Actor) -> None:
    session.add(Channel(user_id=bob.user_id, kind=ChannelKind.WEBHOOK, address="https://x.example/", address_hash="1"))
    session.add(Preference(user_id=bob.user_id, household_id=HOUSEHOLD))
    scopes = frozenset({Scope.STOCK_READ})
    await sessions.confirm(session, bob)
    await api_keys.create(session, bob, ApiKeyCreate(name="Kitchen", scopes=scopes))
    picture = StoredFile(
        uploader_id=bob.user_id,
        purpose=FilePurpose.AVATAR,
        state=FileState.READY,
        kind=FileKind.IMAGE,
        media_type="image/webp",
        size=1,
        key="avatar/x",
        digest="",
    )
    session.add(picture)
    await session.flush()
    session.add(Avatar(user_id=bob.user_id, file_id=picture.id))
    await session.flush()

    await delete(session, bob)

    assert await count(session, User, id=bob.user_id) == 0
    for table in (UserSession, ApiKey, Channel, Preference, Membership, Avatar, Notification):
        assert await count(session, table, user_id=bob.user_id) == 0, table
    file = (await session.scalars(select(StoredFile))).one()
    assert (file.state, file.uploader_id) == (FileState.RELEASED, None)


async def test_nothing_refers_to_an_account_that_would_keep_it() -> None:
    keys = [
        (table.name, key.parent.name, key.ondelete)
        for table in SQLModel.metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table.name == "user"
    ]

    assert len(keys) > 20
    assert [(table, column) for table, column, ondelete in keys if ondelete not in {"CASCADE", "SET NULL"}] == []


async def test_what_was_said_and_booked_stays_without_a_name(session: AsyncSession, alice: Actor, bob: Actor) -> None:
    lot = await make_lot(session, bob, product="Milk")
    chat_id = await the_chat(session)
    message = await make_message(session, chat_id, bob, "@Alice I bought milk")
    answer = await make_message(session, chat_id, alice, "Thanks @Bob")
    session.add_all(
        [
            Mention(message_id=message.id, user_id=alice.user_id),
            Mention(message_id=answer.id, user_id=bob.user_id),
            Reaction(message_id=answer.id, user_id=bob.user_id, emoji="👍"),
        ]
    )
    await session.flush()
    await mentions.tell(session, message, [alice.user_id])

    await delete(session, bob)

    said = await session.scalars(select(Message).where(Message.chat_id == chat_id).order_by(col(Message.seq)))
    assert [(each.author_id, each.content) for each in said] == [
        (None, "@Alice I bought milk"),
        (alice.user_id, "Thanks @Bob"),
    ]
    events = (await session.scalars(select(Event).where(col(Event.lot_id) == UUID(str(lot.id))))).all()
    assert [event.actor_id for event in events] == [None]
    assert await count(session, Product) == 1
    assert await count(session, Mention, user_id=bob.user_id) == 0
    assert await count(session, Reaction) == 0
    assert await count(session, Notification, user_id=alice.user_id) == 1


async def test_what_nobody_else_belongs_to_goes_and_what_others_belong_to_is_nobodys(
    session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    own = await chats.create_chat(session, bob, ChatCreate(title="Mine", member_ids=[]))
    shared = await chats.create_chat(session, bob, ChatCreate(title="Ours", member_ids=[alice.user_id]))

    await delete(session, bob)

    assert await count(session, Chat, id=own.id) == 0
    assert (await session.get_one(Chat, shared.id)).owner_id is None
    assert await count(session, ChatMember, chat_id=shared.id) == 1


async def test_a_household_with_others_in_it_must_be_handed_over_first(
    session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    with pytest.raises(Conflict, match="Hand these over to somebody first: Home") as refused:
        await delete(session, alice)
    assert refused.value.code == "owns_households"
    homes = await account_deletion.list_homes(session, alice)
    assert [home.name for home in homes.to_hand_over] == ["Home"]
    assert (homes.to_delete, homes.to_leave) == ([], [])

    await households.change_role(session, alice, bob.user_id, Role.OWNER)
    await delete(session, alice)

    assert await count(session, User, id=alice.user_id) == 0
    assert await count(session, Household, id=HOUSEHOLD) == 1


async def test_a_household_one_is_alone_in_goes_too(session: AsyncSession, bob: Actor) -> None:
    alone = await households.create_household(session, bob, HouseholdCreate(name="Alone", time_zone="UTC"))
    homes = await account_deletion.list_homes(session, bob)
    assert [home.name for home in homes.to_delete] == ["Alone"]
    assert [home.name for home in homes.to_leave] == ["Home"]

    await delete(session, bob)

    assert await count(session, Household, id=alone.id) == 0
    assert await count(session, Household, id=HOUSEHOLD) == await count(session, Household, id=NEXT_DOOR) == 1


async def test_it_needs_the_password(session: AsyncSession, bob: Actor) -> None:
    with pytest.raises(InvalidInput) as refused:
        await account_deletion.delete_by_password(session, bob, "wrong horse 7")

    assert "password" in refused.value.fields
    assert await count(session, User, id=bob.user_id) == 1


async def test_or_to_have_shown_who_one_is_and_the_address_once_more(session: AsyncSession, bob: Actor) -> None:
    with pytest.raises(ConfirmationNeeded):
        await account_deletion.delete_by_email(session, bob, bob.email)
    await sessions.confirm(session, bob)

    with pytest.raises(InvalidInput) as refused:
        await account_deletion.delete_by_email(session, bob, "alice@example.com")
    assert "email" in refused.value.fields
    await account_deletion.delete_by_email(session, bob, " BOB@example.com ")

    assert await count(session, User, id=bob.user_id) == 0


async def test_the_last_superuser_stays(session: AsyncSession, sam: Actor, tess: Actor) -> None:
    with pytest.raises(Conflict) as refused:
        await delete(session, sam)
    assert refused.value.code == "last_superuser"

    await session.execute(update(User).where(col(User.id) == tess.user_id).values(is_superuser=True))
    await delete(session, sam)

    assert await count(session, User, id=sam.user_id) == 0


async def test_neither_staff_who_acts_nor_an_api_key_can(session: AsyncSession, bob: Actor, tess: Actor) -> None:
    for who in (replace(bob, impersonator_id=tess.user_id), replace(bob, scopes=frozenset({"stock:read"}))):
        with pytest.raises(NotWhileActing):
            await delete(session, who)

    assert await count(session, User, id=bob.user_id) == 1


async def test_other_devices_hear_that_they_are_signed_out(session: AsyncSession, bob: Actor) -> None:
    await delete(session, bob)

    words = (await session.scalars(select(Outbox).where(Outbox.user_id == bob.user_id).order_by(col(Outbox.id)))).all()
    assert [(word.kind, word.subject_id) for word in words] == [
        (LiveKind.MEMBER_REMOVED, HOUSEHOLD),
        (LiveKind.SESSION_REVOKED, bob.session_id),
    ]


async def test_it_is_written_down_under_the_name(session: AsyncSession, bob: Actor) -> None:
    await delete(session, bob)

    entries = (await session.scalars(select(AuditEntry).where(AuditEntry.actor_id == bob.user_id))).all()
    said = {entry.action: (entry.actor_name, entry.subject_name, entry.household_id) for entry in entries}
    assert said == {"members:remove": ("Bob", "Bob", HOUSEHOLD), "account:delete": ("Bob", "Bob", None)}


async def test_a_mail_says_goodbye(session: AsyncSession, bob: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []

    class Mailbox(email.EmailSender):
        async def send(self, letter: Letter) -> None:
            sent.append(email.compose(letter, "Larder <larder@example.com>"))

    monkeypatch.setattr(email, "EmailSender", Mailbox)

    await delete(session, bob)
    job = (await session.scalars(select(Job).where(Job.task == "say_goodbye"))).one()
    use_locale("de")
    assert await account_mail.send_goodbye(**job.payload) == "1 written"

    (mail,) = sent
    assert (mail["To"], mail["Subject"]) == ("Bob <bob@example.com>", "Your account was deleted")
    assert "without your name" in str(mail)


async def test_links_that_were_mailed_lead_nowhere(session: AsyncSession, bob: Actor) -> None:
    user = await session.get_one(User, bob.user_id)
    await account_mail.send_link(session, user, LinkPurpose.RESET_PASSWORD)

    await delete(session, bob)

    assert await count(session, OneTimeLink) == 0


async def test_words_outlive_the_household_they_are_of(session: AsyncSession, bob: Actor) -> None:
    """On SQLite the newest id of the outbox would go to the next word, and whoever had read that far would miss it."""
    alone = await households.create_household(session, bob, HouseholdCreate(name="Alone", time_zone="UTC"))
    outbox.tell(session, LiveKind.LOT_CHANGED, household_id=alone.id, subject_id=alone.id)
    await run_before_commit(session)
    newest = await session.scalar(sa.select(sa.func.max(col(Outbox.id))))

    await delete(session, bob)

    assert await count(session, Outbox, id=newest) == 1
    assert min(await session.scalars(select(Outbox.id).where(Outbox.user_id == bob.user_id))) > (newest or 0)
