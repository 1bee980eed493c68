"""People who have just shown who they are, and their authenticator apps."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import AuditEntry, Delivery
from services import second_factor, sessions
from services.core import clock
from services.permissions import Actor

Confirm = Callable[[Actor], Awaitable[None]]


@pytest.fixture
def confirm(session: AsyncSession) -> Confirm:
    """Somebody has just shown that it is them."""

    async def confirm(actor: Actor) -> None:
        await sessions.confirm(session, actor)
        await session.commit()

    return confirm


class App:
    """An authenticator app that knows somebody's secret."""

    def __init__(self, secret: str) -> None:
        self._totp = pyotp.TOTP(secret)

    def code(self, *, steps: int = 0) -> str:
        """What it shows now, or so many half minutes later."""
        return self._totp.at(clock.now() + timedelta(seconds=30 * steps))


SetUp = Callable[[Actor], Awaitable[tuple[App, list[str]]]]


@pytest.fixture
def set_up(session: AsyncSession, confirm: Confirm) -> SetUp:
    """An app of somebody's, that was set up a while ago, and the recovery codes."""

    async def set_up(actor: Actor) -> tuple[App, list[str]]:
        await confirm(actor)
        with clock.frozen(clock.now() - timedelta(minutes=10)):
            app = App((await second_factor.start(session, actor)).secret)
            codes = await second_factor.confirm(session, actor, code=app.code())
        await session.commit()
        return app, codes

    return set_up


async def notices_to(session: AsyncSession, actor: Actor) -> list[str]:
    statement = select(Delivery).where(Delivery.user_id == actor.user_id, Delivery.template == "notice")
    return [delivery.data["what"] for delivery in await session.scalars(statement)]


async def audited(session: AsyncSession, action: str) -> list[AuditEntry]:
    return list(await session.scalars(select(AuditEntry).where(AuditEntry.action == action)))
