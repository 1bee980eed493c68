"""What is mailed about accounts: through a real SMTP server, and with links that work."""

import re
from datetime import timedelta
from email.message import EmailMessage

import pytest
from sqlmodel import col, select

from db import session_scope
from models import Delivery, DeliveryStatus, LinkPurpose, OneTimeLink, User
from services import account_mail, accounts, one_time_links, recovery
from services.core import clock
from services.delivery.account import NOTICES
from services.permissions import Actor
from tests.conftest import NOW
from tests.delivery.conftest import Configure, deliver, due_lot, make_delivery
from tests.delivery.peers import smtp_peer

HOME = "https://larder.example.org"


async def send(actor: Actor, purpose: LinkPurpose, *, email: str | None = None) -> None:
    async with session_scope() as session:
        user = await session.get_one(User, actor.user_id)
        assert await account_mail.send_link(session, user, purpose, email=email)


async def states() -> list[str]:
    async with session_scope(read_only=True) as session:
        return [row.status for row in await session.scalars(select(Delivery).order_by(col(Delivery.id)))]


def bodies(message: EmailMessage) -> tuple[str, str]:
    text, html = (part.get_content() for part in message.iter_parts())
    return text, html


@pytest.mark.parametrize(
    ("purpose", "path", "subject"),
    [
        (LinkPurpose.VERIFY_EMAIL, "/verify/", "Confirm your e-mail address"),
        (LinkPurpose.RESET_PASSWORD, "/reset/", "Choose a new password"),
        (LinkPurpose.CHANGE_EMAIL, "/verify/", "Confirm your new e-mail address"),
    ],
)
async def test_a_link_reaches_its_reader_and_works(
    purpose: LinkPurpose, path: str, subject: str, configure: Configure, ann: Actor
) -> None:
    async with smtp_peer() as peer:
        configure(mail_url=peer.url, base_url=f"{HOME}/")
        to = f"new-{ann.email}" if purpose is LinkPurpose.CHANGE_EMAIL else ann.email
        await send(ann, purpose, email=to)
        await deliver()

    (message,) = peer.messages
    assert (message["Subject"], message["To"]) == (subject, f"Ann <{to}>")
    assert message["List-Unsubscribe"] is None
    text, html = bodies(message)
    (link,) = set(re.findall(rf"{HOME}{path}[\w.-]+", text))
    assert f'href="{link}"' in html
    assert "Ann" in text
    assert await states() == [DeliveryStatus.SENT]
    async with session_scope() as session:
        found, user = await one_time_links.use(session, link.rpartition("/")[2], purpose)
        assert (found.email, user.id) == (to, ann.user_id)


async def test_a_forgotten_password_goes_the_whole_way(configure: Configure, ann: Actor) -> None:
    async with smtp_peer() as peer:
        configure(mail_url=peer.url, base_url=HOME)
        assert await recovery.send_reset(ann.email) == "1 written"
        await deliver()
        (link,) = set(re.findall(r"/reset/([\w.-]+)", bodies(peer.messages[0])[0]))
        async with session_scope() as session:
            await recovery.reset(session, link, "nine plums 9")
        await deliver()

    told = peer.messages[1]
    assert (told["Subject"], told["To"]) == ("Your password was changed", f"Ann <{ann.email}>")
    assert f"{HOME}/forgot" in bodies(told)[0]


@pytest.mark.parametrize("change", ["used", "over", "void", "disabled"])
async def test_a_link_that_is_no_good_any_more_is_not_sent(change: str, configure: Configure, ann: Actor) -> None:
    async with smtp_peer() as peer:
        configure(mail_url=peer.url, base_url=HOME)
        await send(ann, LinkPurpose.RESET_PASSWORD)
        async with session_scope() as session:
            (link,) = await session.scalars(select(OneTimeLink).where(OneTimeLink.user_id == ann.user_id))
            if change == "used":
                link.used_at = clock.now()
            elif change == "void":
                await one_time_links.void(session, ann.user_id)
            elif change == "disabled":
                await accounts.disable(session, ann.user_id, by=None)
        await deliver(after=timedelta(hours=2) if change == "over" else timedelta())

    assert peer.messages == []
    assert await states() == [DeliveryStatus.CANCELLED]


async def test_what_happens_to_an_address_is_told_to_the_old_one(configure: Configure, ann: Actor) -> None:
    async with smtp_peer() as peer:
        configure(mail_url=peer.url, base_url=HOME)
        new = f"new-{ann.email}"
        await send(ann, LinkPurpose.CHANGE_EMAIL, email=new)
        await deliver()
        (token,) = set(re.findall(r"/verify/([\w.-]+)", bodies(peer.messages[0])[0]))
        async with session_scope() as session:
            await recovery.confirm_address(session, token, visitor=None)
        await deliver()

    told = peer.messages[1]
    assert (told["Subject"], told["To"]) == ("Your e-mail address was changed", f"Ann <{ann.email}>")
    assert new in bodies(told)[0]


@pytest.mark.parametrize("what", NOTICES)
async def test_every_notice_can_be_read_and_holds_no_link_that_lets_in(
    what: str, configure: Configure, ann: Actor
) -> None:
    async with smtp_peer() as peer:
        configure(mail_url=peer.url, base_url=HOME)
        async with session_scope() as session:
            user = await session.get_one(User, ann.user_id)
            await account_mail.send_notice(session, user, what, about="<b>Script</b>")
        await deliver()

    (message,) = peer.messages
    text, html = bodies(message)
    assert "<b>Script</b>" not in html
    assert "/reset/" not in text + html
    assert "{" not in text


async def test_a_name_cannot_write_headers(configure: Configure, ann: Actor) -> None:
    async with smtp_peer() as peer:
        configure(mail_url=peer.url, base_url=HOME)
        async with session_scope() as session:
            (await session.get_one(User, ann.user_id)).name = "Ann\r\nBcc: eve@example.com\r\n\r\nHello"
        await send(ann, LinkPurpose.VERIFY_EMAIL)
        await deliver()

    (message,) = peer.messages
    assert message["Bcc"] is None
    assert ann.email in message["To"]


async def test_letters_are_in_their_readers_language(configure: Configure, ann: Actor) -> None:
    async with smtp_peer() as peer:
        configure(mail_url=peer.url, base_url=HOME)
        async with session_scope() as session:
            (await session.get_one(User, ann.user_id)).locale = "de"
        await send(ann, LinkPurpose.VERIFY_EMAIL)
        await deliver()

    assert peer.messages[0]["Content-Language"] == "de"


@pytest.mark.parametrize("must_verify", [False, True])
async def test_a_digest_goes_to_an_unconfirmed_address_unless_it_must_be_confirmed(
    must_verify: bool, configure: Configure, ann: Actor
) -> None:
    async with smtp_peer() as peer:
        configure(mail_url=peer.url, base_url=HOME, require_verified=must_verify)
        async with session_scope() as session:
            (await session.get_one(User, ann.user_id)).is_verified = False
        await make_delivery(ann, lots=[await due_lot(ann)])
        await send(ann, LinkPurpose.VERIFY_EMAIL)
        await deliver()

    subjects = {message["Subject"] for message in peer.messages}
    assert "Confirm your e-mail address" in subjects
    assert len(subjects) == (1 if must_verify else 2)


async def test_mail_is_printed_where_no_server_is_set(
    configure: Configure, ann: Actor, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(mail_url="console://", base_url=HOME)
    await send(ann, LinkPurpose.VERIFY_EMAIL)
    await deliver()

    printed = capsys.readouterr().out
    assert f"{HOME}/verify/" in printed
    assert NOW.strftime("%d %b %Y") in printed
