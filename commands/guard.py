"""guard list, guard ban, guard unban."""

from collections.abc import Sequence
from typing import Annotated

import typer

from commands.asynchronous import run
from db import session_scope
from models import GuardBan, GuardCount
from services import guard as guarding
from services.guard import keys
from services.schemas.guard import BanCreate
from services.schemas.messages import validate

guard = typer.Typer(name="guard", help="Who is kept out, and who is counted.", no_args_is_help=True)

Who = Annotated[str, typer.Argument(help="An address, or the e-mail of an account.")]


@guard.command("list")
def list_all() -> None:
    """List who is kept out and until when, and what is counted at the moment. Times are in UTC."""
    bans, counts = run(_list())
    for ban in bans:
        typer.echo(f"banned   {_shown(ban.key):<45} until {ban.until:%Y-%m-%d %H:%M}  {ban.reason}".rstrip())
    for count in counts:
        what, _colon, who = count.key.partition(":")
        typer.echo(f"{what:<8} {_shown(who):<45} {count.hits} since {count.window_at:%H:%M}")
    if not bans and not counts:
        typer.echo("Nobody is kept out, and nothing is counted.")


async def _list() -> tuple[Sequence[GuardBan], Sequence[GuardCount]]:
    async with session_scope(read_only=True) as session:
        return await guarding.list_bans(session), await guarding.list_counts(session)


@guard.command()
def ban(
    who: Who,
    minutes: Annotated[int, typer.Option(help="For how long.")] = 60,
    reason: Annotated[str, typer.Option(help="Staff sees it.")] = "",
) -> None:
    """Keep somebody out: an address from what needs no session, an account from signing in."""
    data = validate(BanCreate, {"who": who, "minutes": minutes, "reason": reason})
    until = run(_ban(data)).until
    typer.echo(f"{who} is kept out until {until:%Y-%m-%d %H:%M} UTC.")


async def _ban(data: BanCreate) -> GuardBan:
    async with session_scope() as session:
        return await guarding.ban(session, data, by=None)


@guard.command()
def unban(who: Annotated[str, typer.Argument(help="As `guard list` shows it, or an e-mail.")]) -> None:
    """Let somebody in again, with nothing counted against them."""
    run(_unban(who))
    typer.echo(f"{who} may come in again.")


async def _unban(who: str) -> None:
    async with session_scope() as session:
        await guarding.unban(session, who, by=None)


def _shown(key: str) -> str:
    return key.removeprefix(keys.ADDRESS)
