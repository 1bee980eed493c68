"""The guard's page, for the staff that may see it."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import AuditEntry, GuardBan
from services import guard
from services.permissions import Actor
from services.schemas.guard import BanCreate
from tests.conftest import NOW, ClientOf


async def test_staff_keeps_somebody_out_and_lets_them_in_again(
    session: AsyncSession, browser_of: ClientOf, sam: Actor
) -> None:
    browser = browser_of(sam)
    form = {"who": "198.51.100.7", "minutes": "90", "reason": "Noise"}
    assert (await browser.post("/admin/guard/ban", data=form)).status_code == 303

    page = await browser.get("/admin/guard")
    assert "198.51.100.7" in page.text
    assert "Noise" in page.text
    banned = await session.get_one(GuardBan, "address:198.51.100.7")
    assert (banned.until - NOW).total_seconds() == 90 * 60
    assert banned.created_by_id == sam.user_id

    assert (await browser.post("/admin/guard/unban", data={"who": "198.51.100.7"})).status_code == 303
    assert "198.51.100.7</code>" not in (await browser.get("/admin/guard")).text
    entries = (await session.execute(select(AuditEntry.action, AuditEntry.actor_name, AuditEntry.subject_name))).all()
    assert sorted(map(tuple, entries)) == [
        ("guard:ban", "Sam", "198.51.100.7"),
        ("guard:unban", "Sam", "198.51.100.7"),
    ]


@pytest.mark.parametrize(
    "form",
    [
        {"who": "nonsense"},
        {"who": "127.0.0.1"},
        {"who": ""},
        {"who": "198.51.100.7", "minutes": "0"},
        {"who": "198.51.100.7", "minutes": "99999999999999"},
        {"who": "198.51.100.7", "minutes": "soon"},
        {"who": "x" * 300},
        {"who": "198.51.100.7", "reason": "y" * 200},
        {"who": "a\u0000@example.com", "reason": "\u0000"},
    ],
)
async def test_what_makes_no_sense_is_said_at_its_field(
    form: dict[str, str], session: AsyncSession, browser_of: ClientOf, sam: Actor
) -> None:
    answer = await browser_of(sam).post("/admin/guard/ban", data=form)

    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert (await session.scalars(select(GuardBan))).all() == []


async def test_what_is_not_banned_cannot_be_let_in(browser_of: ClientOf, sam: Actor) -> None:
    for who, status in (("198.51.100.7", 404), ("nonsense", 422), ("", 422), ("account:%", 422)):
        assert (await browser_of(sam).post("/admin/guard/unban", data={"who": who})).status_code == status


@pytest.mark.parametrize(
    "path", ["/admin/guard", "/admin/monitor", "/admin/monitor/requests", "/admin/monitor/problems"]
)
async def test_nobody_else_sees_it(path: str, browser_of: ClientOf, alice: Actor) -> None:
    assert (await browser_of(alice).get(path)).status_code == 403
    assert (await browser_of(None).get(path)).status_code == 303


async def test_nobody_else_bans(session: AsyncSession, browser_of: ClientOf, alice: Actor) -> None:
    await guard.ban(session, BanCreate(who="198.51.100.7"), by=None)
    await session.commit()
    for path in ("/admin/guard/ban", "/admin/guard/unban"):
        assert (await browser_of(alice).post(path, data={"who": "198.51.100.7"})).status_code == 403

    assert len(await guard.list_bans(session)) == 1
