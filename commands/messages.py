"""vapid, sendtestemail."""

from typing import Annotated

import typer

from commands.asynchronous import fail, run
from services.core import clock
from services.core.i18n import DEFAULT_LOCALE
from services.core.ids import new_id
from services.delivery import vapid
from services.delivery.content import Letter
from services.delivery.email import EmailSender
from services.delivery.sender import Undelivered
from services.schemas.messages import validate
from services.schemas.types import Email, Schema
from settings import get_settings


class Recipient(Schema):
    email: Email


def vapid_key(
    show_private: Annotated[bool, typer.Option("--show-private", help="Also print the private key.")] = False,
    new: Annotated[
        bool, typer.Option("--new", help="Replace the key there is: every browser must subscribe anew.")
    ] = False,
) -> None:
    """Make the key pair that push services know this instance by, once, and print the public key."""
    key = vapid.find()
    if new and get_settings().vapid_private_key is not None:
        fail("LARDER_VAPID_PRIVATE_KEY is set: change it there.")
        raise typer.Exit(1)
    if key is None or new:
        key = vapid.make()
        vapid.keep(key)
        typer.echo(
            f"Written to {vapid.PATH}. Where processes share no disk, set LARDER_VAPID_PRIVATE_KEY instead.", err=True
        )
    typer.echo(vapid.public(key))
    if show_private:
        typer.echo(vapid.private(key), nl=False)


def sendtestemail(address: Annotated[str, typer.Argument(help="To whom.")]) -> None:
    """Send a test message with the mail settings, and say what the server answered."""
    recipient: Recipient = validate(Recipient, {"email": address})
    letter = Letter(
        id=new_id(), template="test", at=clock.now(), name=address, email=recipient.email, locale=DEFAULT_LOCALE
    )
    try:
        run(_send(letter))
    except Undelivered as error:
        fail(str(error))
        raise typer.Exit(1) from error
    typer.echo(f"The mail server took a message to {recipient.email}.", err=True)


async def _send(letter: Letter) -> None:
    sender = EmailSender()
    try:
        await sender.send(letter)
    finally:
        await sender.close()
