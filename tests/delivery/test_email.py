"""E-mail, handed to a real SMTP server; and to some that are none."""

from datetime import timedelta
from email import message_from_string
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from db import session_scope
from models import DeliveryStatus, Household, User
from services.core.ids import new_id
from services.delivery import email
from services.delivery.content import Letter
from services.delivery.sender import Refused, Undelivered
from services.permissions import Actor
from settings import MailServer
from tests.conftest import NOW
from tests.delivery.certificates import NAME, certificate, resolve, server_side
from tests.delivery.conftest import Configure, deliver, due_lot, get, make_delivery
from tests.delivery.peers import broken_smtp, mail_url, smtp_peer


def letter(**fields: object) -> Letter:
    values = {"id": new_id(), "template": "test", "at": NOW, "name": "Ann", "email": "ann@example.com", "locale": "en"}
    return Letter(**{**values, **fields})  # type: ignore[arg-type]


async def send(message: Letter) -> None:
    sender = email.EmailSender()
    try:
        await sender.send(message)
    finally:
        await sender.close()


async def test_a_digest_says_what_is_due_and_how_to_act(configure: Configure, ann: Actor) -> None:
    async with smtp_peer() as peer:
        configure(mail_url=peer.url, base_url="https://larder.example.org/")
        lots = [await due_lot(ann, "Milk"), await due_lot(ann, "Yoghurt", days=0), await due_lot(ann, "Ham", days=-1)]
        delivery = await make_delivery(ann, lots=lots)

        await deliver()

    (message,) = peer.messages
    assert message["Subject"] == "Home: Ham, Yoghurt, Milk"
    assert message["From"] == "Larder <larder@example.org>"
    assert message["To"] == f"Ann <{ann.email}>"
    assert message["Message-ID"] == f"<{delivery}@example.org>"
    assert message["Date"].datetime == NOW
    assert message["List-Unsubscribe"].startswith("<https://larder.example.org/")
    assert message["Content-Language"] == "en-GB"
    text, html = (part.get_content() for part in message.iter_parts())
    for body in (text, html.partition("<body>")[2]):
        assert body.index("Use now") < body.index("Ham") < body.index("Yoghurt") < body.index("Use soon")
        # Ham is past its use-by, so it can only be binned; of the others, what is soon due can wait.
        assert body.count("https://larder.example.org/do/") == 1 + 3 + 4
    assert "Use by was yesterday" in text or "Best before was yesterday" in text
    assert "<h1>Home</h1>" in html


async def test_names_are_escaped_in_html_and_no_header_can_be_put_in(configure: Configure, ann: Actor) -> None:
    async with smtp_peer() as peer:
        configure(mail_url=peer.url)
        lot = await due_lot(ann, "<script>alert(1)</script> & Söhne")
        async with session_scope() as session:
            (await session.get_one(Household, ann.household_id)).name = "Home\r\nBcc: all@example.com\r\n\r\nHi"
            (await session.get_one(User, ann.user_id)).name = 'Ann" <x@y>\r\nX-Evil: 1'
        await make_delivery(ann, lots=[lot])

        await deliver()

    (message,) = peer.messages
    assert message["Bcc"] is None
    assert message["X-Evil"] is None
    assert [address.addr_spec for address in message["To"].addresses] == [ann.email]
    assert message["Subject"].startswith("Home Bcc: all@example.com Hi: ")
    _text, html = (part.get_content() for part in message.iter_parts())
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; Söhne" in html


@pytest.mark.parametrize("address", ["", "ann", "ann@example.com\r\nBcc: x@y.example", "a@b@c", "a b@c.example"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(Refused):
        email.compose(letter(email=address), "larder@example.org")


async def test_one_speaks_the_member_s_language(configure: Configure, ann: Actor) -> None:
    async with smtp_peer() as peer:
        configure(mail_url=peer.url)
        async with session_scope() as session:
            (await session.get_one(User, ann.user_id)).locale = "ar"
        await make_delivery(ann, lots=[await due_lot(ann)])

        await deliver()

    (message,) = peer.messages
    assert message["Content-Language"] == "ar"
    _text, html = (part.get_content() for part in message.iter_parts())
    assert '<html lang="ar" dir="rtl">' in html


async def test_one_connection_carries_many_letters(configure: Configure, ann: Actor) -> None:
    async with smtp_peer() as peer:
        configure(mail_url=peer.url)
        sender = email.EmailSender()
        for _ in range(email.MAX_LETTERS + 1):
            await sender.send(letter())
        await sender.close()

    assert len({message["Message-ID"] for message in peer.messages}) == email.MAX_LETTERS + 1


async def test_who_is_not_there_is_given_up_and_the_next_letter_goes_on(configure: Configure, ann: Actor) -> None:
    async with smtp_peer() as peer:
        configure(mail_url=peer.url)
        peer.refused.add("nobody@example.com")
        sender = email.EmailSender()
        with pytest.raises(Refused, match="550"):
            await sender.send(letter(email="nobody@example.com"))
        await sender.send(letter())
        await sender.close()

    assert len(peer.messages) == 1


@pytest.mark.parametrize(("answer", "is_final"), [("451 later", False), ("452 full", False), ("554 spam", True)])
async def test_a_refused_message_is_tried_again_unless_it_never_will_be_taken(
    configure: Configure, ann: Actor, answer: str, is_final: bool
) -> None:
    lot = await due_lot(ann)
    async with smtp_peer() as peer:
        configure(mail_url=peer.url)
        peer.answers.append(answer)
        delivery = await make_delivery(ann, lots=[lot])

        await deliver()
        found = await get(delivery)
        assert found.status is (DeliveryStatus.DEAD if is_final else DeliveryStatus.PENDING)
        assert found.last_error == f"The mail server answered {answer[:3]}."

        await deliver(timedelta(minutes=5))
        assert len(peer.messages) == (0 if is_final else 1)


@pytest.mark.parametrize("behaviour", ["garbage", "busy", "dies mid-DATA", "refuses"])
async def test_a_server_that_is_none_is_tried_again(configure: Configure, ann: Actor, behaviour: str) -> None:
    lot = await due_lot(ann)
    async with broken_smtp("hangs" if behaviour == "refuses" else behaviour) as port:
        configure(mail_url=mail_url(1 if behaviour == "refuses" else port))
        delivery = await make_delivery(ann, lots=[lot])

        await deliver()

    found = await get(delivery)
    assert (found.status, found.attempts) == (DeliveryStatus.PENDING, 1)
    assert found.last_error == "The mail server cannot be reached, or does not speak clearly."
    async with smtp_peer() as peer:
        configure(mail_url=peer.url)
        await deliver(timedelta(minutes=5))
    assert [message["Message-ID"] for message in peer.messages] == [f"<{delivery}@example.org>"]


class TestTls:
    async def test_is_used_where_it_is_offered_and_then_we_sign_in(
        self, configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = certificate(tmp_path)
        resolve(monkeypatch, {NAME: ["127.0.0.1"]})
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        async with smtp_peer(tls=server_side(path)) as peer:
            configure(mail_url=f"smtp://larder:pass%2Fword@{NAME}:{peer.port}?from=larder@example.org")
            await send(letter())

        assert peer.logins == [(b"larder", b"pass/word")]
        assert len(peer.messages) == 1

    async def test_without_it_no_password_is_sent(self, configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
        resolve(monkeypatch, {NAME: ["127.0.0.1"]})
        async with smtp_peer() as peer:
            configure(mail_url=f"smtp://larder:secret@{NAME}:{peer.port}?from=larder@example.org")
            with pytest.raises(Undelivered):
                await send(letter())

        assert (peer.logins, peer.messages) == ([], [])

    async def test_of_another_host_is_not_believed(
        self, configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = certificate(tmp_path, "other.test")
        resolve(monkeypatch, {NAME: ["127.0.0.1"]})
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        async with smtp_peer(tls=server_side(path)) as peer:
            configure(mail_url=f"smtp://larder:secret@{NAME}:{peer.port}?from=larder@example.org")
            with pytest.raises(Undelivered):
                await send(letter())
        assert peer.logins == []


async def test_without_a_server_it_is_printed(
    configure: Configure, ann: Actor, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(mail_url="console://")
    await send(letter())

    printed = message_from_string(capsys.readouterr().out, policy=default)
    assert isinstance(printed, EmailMessage)
    assert printed["To"] == "Ann <ann@example.com>"


class TestMailServer:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("smtp://host?from=a@b.example", ("smtp", "host", 25, "", "")),
            ("smtp://u:p%40@host?from=a@b.example", ("smtp", "host", 587, "u", "p@")),
            ("smtps://u:p@host?from=a@b.example", ("smtps", "host", 465, "u", "p")),
            ("smtp://host:2525?from=a@b.example", ("smtp", "host", 2525, "", "")),
        ],
    )
    def test_is_read_from_its_address(self, url: str, expected: tuple[object, ...]) -> None:
        server = MailServer.parse(url)

        assert (server.scheme, server.host, server.port, server.username, server.password) == expected
        assert "p@" not in repr(server)

    @pytest.mark.parametrize(
        "url", ["", "http://host", "smtp://", "smtp://host", "smtp://host?from=nobody", "smtp://host:x?from=a@b.c"]
    )
    def test_refuses_what_is_no_address(self, url: str) -> None:
        with pytest.raises(ValueError, match=r".+"):
            MailServer.parse(url)
