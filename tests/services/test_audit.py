"""The audit log: what is kept, what is not, and that it stays."""

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import AuditEntry, Channel, ChannelKind, Invitation, Role, User
from services import audit, audit_log
from services.audit_log import Format
from services.core import clock, origin
from services.core.errors import InvalidInput
from services.core.origin import Origin, Source
from services.permissions import Actor
from services.pruning import prune_audit
from settings import Settings
from tests.conftest import HOUSEHOLD, NOW


async def the_entry(session: AsyncSession) -> AuditEntry:
    await session.flush()
    entry: AuditEntry = (await session.scalars(select(AuditEntry))).one()
    return entry


async def test_only_what_differs_is_kept(session: AsyncSession, alice: Actor) -> None:
    before = {"name": "Milk", "unit": "piece", "min_quantity": Decimal("1.50"), "on": date(2026, 1, 2), "gone": 1}
    after = {"name": "Oat milk", "unit": "piece", "min_quantity": Decimal(2), "on": date(2026, 1, 2), "come": None}

    audit.record(session, "products:edit", by=alice, before=before, after=after)

    entry = await the_entry(session)
    assert entry.before == {"name": "Milk", "min_quantity": "1.50", "gone": 1}
    assert entry.after == {"name": "Oat milk", "min_quantity": "2", "come": None}
    assert (entry.actor_id, entry.actor_name, entry.on_behalf_of_id) == (alice.user_id, "Alice", None)


async def test_secrets_are_not_kept_wherever_they_lie(session: AsyncSession, alice: Actor) -> None:
    channel = Channel(
        user_id=alice.user_id,
        kind=ChannelKind.WEBHOOK,
        address="https://hooks.example.com/in",
        address_hash="abc123",
        secret="s3cret",
    )
    nested = {"inner": {"new_password": "hunter22", "list": [{"token_hash": "def456"}]}, "raw": b"bytes", "secret": ""}

    audit.record(session, "channels:add", by=alice, subject=channel, after={**audit.snapshot(channel), **nested})

    kept = json.dumps((await the_entry(session)).model_dump(mode="json"))
    for secret in ("hooks.example.com", "abc123", "s3cret", "hunter22", "def456", "bytes"):
        assert secret not in kept
    assert audit.REDACTED in json.loads(kept)["after"].values()


async def test_what_has_no_name_of_its_own_is_not_told_by_all_its_columns(session: AsyncSession, alice: Actor) -> None:
    invitation = Invitation(household_id=HOUSEHOLD, role=Role.VIEWER, token_hash="abc123", expires_at=NOW)

    audit.record(session, "invitations:create", by=alice, subject=invitation)

    entry = await the_entry(session)
    assert (entry.subject_type, entry.subject_id, entry.subject_name) == ("invitation", str(invitation.id), "")
    assert entry.household_id == HOUSEHOLD


async def test_it_says_where_it_came_from(session: AsyncSession, alice: Actor) -> None:
    origin.set_origin(Origin(Source.API, "203.0.113.7", "abc"))

    audit.record(session, "products:edit", by=alice)

    entry = await the_entry(session)
    assert (entry.source, entry.ip_address, entry.request_id) == ("api", "203.0.113.7", "abc")


async def test_where_nobody_is_signed_in_the_program_is_named(session: AsyncSession) -> None:
    origin.set_origin(Origin(Source.COMMAND, program="root"))

    audit.record(session, "users:disable", by=None)

    entry = await the_entry(session)
    assert (entry.actor_id, entry.actor_name, entry.source) == (None, "root", "command")


async def test_endless_names_are_cut_and_not_refused(session: AsyncSession, alice: Actor) -> None:
    audit.record(session, "x", by=alice, subject_type="t" * 99, subject_id="i" * 999, subject_name="n" * 999)

    entry = await the_entry(session)
    assert [len(text) for text in (entry.subject_type, entry.subject_id, entry.subject_name)] == [40, 200, 200]


# It stays


def entry_of(at: datetime, name: str = "") -> AuditEntry:
    with clock.frozen(at):
        return AuditEntry(action="products:edit", subject_name=name)


async def refuses(session: AsyncSession, statement: sa.Executable) -> bool:
    try:
        async with session.begin_nested():
            await session.execute(statement)
    except IntegrityError as error:
        return "append-only" in str(error)
    return False


async def test_nobody_changes_an_entry_whatever_its_age(session: AsyncSession) -> None:
    session.add_all([entry_of(datetime(2001, 1, 1, tzinfo=UTC)), entry_of(datetime.now(UTC))])
    await session.flush()

    assert await refuses(session, sa.update(AuditEntry).values(actor_name="Nobody"))
    assert await refuses(session, sa.text("UPDATE audit_entry SET at = '2001-01-01 00:00:00'"))


async def test_nobody_deletes_an_entry_of_the_last_month(session: AsyncSession) -> None:
    now = datetime.now(UTC)
    young, old = entry_of(now - timedelta(days=29)), entry_of(now - timedelta(days=31))
    session.add_all([young, old])
    await session.flush()

    assert await refuses(session, sa.delete(AuditEntry).where(col(AuditEntry.id) == young.id))
    assert await refuses(session, sa.delete(AuditEntry))
    assert not await refuses(session, sa.delete(AuditEntry).where(col(AuditEntry.id) == old.id))


async def test_it_outlives_whom_and_what_it_is_about(session: AsyncSession, alice: Actor) -> None:
    audit.record(session, "members:edit", by=alice, subject=await session.get_one(User, alice.user_id))
    await session.flush()

    await session.execute(sa.delete(User).where(col(User.id) == alice.user_id))

    assert (await the_entry(session)).actor_name == "Alice"


# Forgetting


async def fill(session: AsyncSession, ages: list[int]) -> None:
    """Entries that are so many days old, by the machine's clock: so does the trigger count."""
    session.add_all(entry_of(datetime.now(UTC) - timedelta(days=age), str(age)) for age in ages)
    await session.commit()


async def left(session: AsyncSession) -> set[str]:
    return set(await session.scalars(select(AuditEntry.subject_name).where(AuditEntry.action == "products:edit")))


async def test_what_is_old_enough_is_forgotten_and_that_is_noted(session: AsyncSession) -> None:
    await fill(session, [1, 31, 364, 366, *range(400, 400 + audit_log.BATCH)])

    with clock.frozen(datetime.now(UTC)):
        forgotten = await audit_log.prune(timedelta(days=365))

    assert forgotten == audit_log.BATCH + 1
    assert await left(session) == {"1", "31", "364"}
    (noted,) = await session.scalars(select(AuditEntry).where(AuditEntry.action == "audit:prune"))
    assert noted.after["entries"] == forgotten


async def test_nothing_younger_than_a_month_is_forgotten(session: AsyncSession) -> None:
    await fill(session, [1, 29])

    with clock.frozen(datetime.now(UTC)):
        with pytest.raises(InvalidInput):
            await audit_log.prune(timedelta(days=29))
        assert await audit_log.prune(timedelta(days=30)) == 0
    assert await left(session) == {"1", "29"}


@pytest.mark.parametrize(("days", "said", "kept"), [(0, "kept for ever", {"1", "90"}), (60, "1 entries", {"1"})])
async def test_the_daily_task_keeps_what_the_operator_wants(
    days: int, said: str, kept: set[str], session: AsyncSession, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(session, [1, 90])
    monkeypatch.setattr(config, "audit_days", days)

    with clock.frozen(datetime.now(UTC)):
        assert await prune_audit() == said
    assert await left(session) == kept


# Taking it elsewhere


async def exported(form: Format, *conditions: sa.ColumnElement[bool]) -> str:
    return "".join([piece async for piece in audit_log.export(conditions, form)])


async def test_an_export_holds_everything_oldest_first(session: AsyncSession, alice: Actor) -> None:
    for number in range(audit_log.BATCH + 5):
        audit.record(session, "products:edit", by=alice, after={"name": f"Brot {number} “süß”"})
    await session.commit()

    lines = [json.loads(line) for line in (await exported(Format.JSONL)).splitlines()]
    rows = list(csv.DictReader(io.StringIO(await exported(Format.CSV))))

    assert [line["after"]["name"] for line in lines] == [f"Brot {n} “süß”" for n in range(audit_log.BATCH + 5)]
    assert [row["id"] for row in rows] == [line["id"] for line in lines]
    assert json.loads(rows[0]["after"]) == lines[0]["after"]


async def test_a_spreadsheet_runs_nothing_of_it(session: AsyncSession, alice: Actor) -> None:
    for name in ("=cmd()", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"):
        audit.record(session, "products:edit", by=alice, subject_name=name)
    await session.commit()

    rows = list(csv.DictReader(io.StringIO(await exported(Format.CSV), newline="")))

    assert len(rows) == 6
    assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row.values())


async def test_days_are_those_of_ones_own_clocks(session: AsyncSession) -> None:
    # Half past eleven on the first of May in New York is the second in London.
    moment = datetime(2026, 5, 2, 3, 30, tzinfo=UTC)
    session.add(entry_of(moment))
    await session.commit()

    async def found(day: date, time_zone: str) -> int:
        return len((await exported(Format.JSONL, *audit_log.within(day, day, time_zone=time_zone))).splitlines())

    assert [await found(date(2026, 5, day), "America/New_York") for day in (1, 2)] == [1, 0]
    assert [await found(date(2026, 5, day), "Europe/London") for day in (1, 2)] == [0, 1]


def test_ids_tell_when_entries_were_made() -> None:
    """Filters by day and the order of the list rely on it."""
    entry = entry_of(datetime(2026, 5, 2, 3, 30, tzinfo=UTC))

    assert entry.id.int >> 80 == int(entry.at.timestamp() * 1000)
    assert isinstance(entry.id, UUID)
    assert entry.id != uuid4()
