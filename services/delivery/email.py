"""E-mail, over one connection to the operator's server for as long as there is mail."""

import re
import sys
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import format_datetime, parseaddr
from ipaddress import ip_address

import aiosmtplib

from services.core.i18n import _
from services.delivery.content import Letter
from services.delivery.rendering import render
from services.delivery.sender import Refused, Undelivered
from settings import MailServer, get_settings

# Of each answer the server gives. `services.deliveries` bounds the whole.
TIMEOUT = 10
# Servers hang up on those who stay too long.
MAX_LETTERS = 50


def compose(letter: Letter, sender: str) -> EmailMessage:
    """The message. Its Message-ID is the delivery's, so that a repetition is known as one."""
    name, address = parseaddr(sender)
    values = {"letter": letter}
    message = EmailMessage(policy=POLICY)
    try:
        message["Subject"] = _line(render(f"{letter.template}/subject.txt", values))
        message["From"] = Address(_line(name or "Larder"), addr_spec=address)
        message["To"] = Address(_line(letter.name), addr_spec=letter.email)
    except (MessageError, ValueError, IndexError) as error:
        raise Refused(_("This is not an e-mail address one can send to.")) from error
    message["Date"] = format_datetime(letter.at)
    message["Message-ID"] = f"<{letter.id}@{address.rpartition('@')[2]}>"
    if letter.words is None:  # what is written about an account is not to be left out
        message["List-Unsubscribe"] = f"<{letter.settings_url}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(render(f"{letter.template}/body.txt", values))
    message.add_alternative(render(f"{letter.template}/body.html", values), subtype="html")
    message["Content-Language"] = letter.locale  # `set_content` drops those that begin so
    return message


class EmailSender:
    def __init__(self) -> None:
        self._server = get_settings().mail
        self._connection: aiosmtplib.SMTP | None = None
        self._sent = 0

    async def send(self, letter: Letter) -> None:
        message = compose(letter, self._server.sender)
        if self._server.scheme == "console":
            sys.stdout.write(f"{message.as_string()}\n")
            sys.stdout.flush()
            return
        is_whole = False
        try:
            connection = await self._connected()
            await connection.send_message(message)
            is_whole = True
        except aiosmtplib.SMTPRecipientsRefused as error:
            is_whole = True
            raise _refused(error.recipients[0].code) from error
        except (aiosmtplib.SMTPDataError, aiosmtplib.SMTPSenderRefused) as error:
            is_whole = True
            raise _refused(error.code) from error
        except aiosmtplib.SMTPAuthenticationError as error:
            raise Undelivered(_("The mail server does not accept our password.")) from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise Undelivered(_("The mail server cannot be reached, or does not speak clearly.")) from error
        finally:
            if not is_whole:
                # Cut off within a message: what is sent next on this connection would become part of it.
                await self.close()

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _connected(self) -> aiosmtplib.SMTP:
        if self._connection is None or not self._connection.is_connected or self._sent == MAX_LETTERS:
            await self.close()
            self._connection, self._sent = _client(self._server), 0
            await self._connection.connect()
        self._sent += 1
        return self._connection


def _refused(code: int) -> Undelivered:
    reason = _("The mail server answered {code}.").format(code=code)
    return Refused(reason) if code >= 500 else Undelivered(reason)


def _client(server: MailServer) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        username=server.username or None,
        password=server.password or None,
        use_tls=server.scheme == "smtps",
        start_tls=_start_tls(server),
        timeout=TIMEOUT,
    )


def _start_tls(server: MailServer) -> bool | None:
    """None: when it is offered. A password goes over a network in no other way."""
    if server.scheme == "smtps":
        return False
    return True if server.password and not _is_here(server.host) else None


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _line(text: str) -> str:
    """One line, whatever people put into names."""
    return re.sub(r"[\s\x00-\x1f\x7f]+", " ", text).strip()
