"""`oppman.py audit export` and `prune`."""

import getpass
import json
from datetime import UTC, datetime, timedelta

from sqlmodel import col, select

from db import session_scope
from models import AuditEntry
from services.core import clock
from tests.commands.conftest import Oppman


async def write(*days: int) -> None:
    async with session_scope() as session:
        for age in days:
            with clock.frozen(datetime.now(UTC) - timedelta(days=age)):
                session.add(AuditEntry(action="products:edit", subject_name=f"{age} days old"))


async def names() -> list[str]:
    async with session_scope(read_only=True) as session:
        found = await session.scalars(
            select(AuditEntry.subject_name)
            .where(AuditEntry.action == "products:edit")
            .order_by(col(AuditEntry.id).desc())
        )
        return list(found)


def test_old_entries_are_forgotten_and_exported_before(seeded: Oppman) -> None:
    seeded.run(write(3, 50, 800))

    whole = seeded("audit", "export")
    until = (datetime.now(UTC) - timedelta(days=40)).date()
    table = seeded("audit", "export", "--to", str(until), "--format", "csv")
    assert [json.loads(line)["subject_name"] for line in whole.stdout.splitlines()][:3] == [
        "800 days old",
        "50 days old",
        "3 days old",
    ]
    assert table.stdout.splitlines()[0].startswith("id,at,action,")
    assert len(table.stdout.splitlines()) == 3

    pruned = seeded("audit", "prune", "--older-than", "365d", "--yes")

    assert (pruned.exit_code, pruned.stdout) == (0, "1 entries forgotten.\n")
    assert seeded.run(names()) == ["3 days old", "50 days old"]


def test_what_a_command_does_is_noted_under_who_ran_it(seeded: Oppman) -> None:
    seeded.run(write(900))
    seeded("audit", "prune", "--older-than", "365d", "--yes")

    entries = [json.loads(line) for line in seeded("audit", "export").stdout.splitlines()]
    noted = next(entry for entry in entries if entry["action"] == "audit:prune")

    assert (noted["source"], noted["actor_id"], noted["actor_name"]) == ("command", None, getpass.getuser())


def test_it_asks_first_and_takes_no_for_an_answer(seeded: Oppman) -> None:
    seeded.run(write(700))

    refused = seeded("audit", "prune", "--older-than", "365d", typed="n\n")

    assert refused.exit_code == 1
    assert "700 days old" in seeded.run(names())


def test_the_last_month_stays(seeded: Oppman) -> None:
    refused = seeded("audit", "prune", "--older-than", "29d", "--yes")

    assert refused.exit_code == 1
    assert "30 days" in refused.stderr


def test_what_makes_no_sense_is_refused(seeded: Oppman) -> None:
    for arguments in (
        ("prune", "--older-than", "a year", "--yes"),
        ("prune", "--older-than", "-5d", "--yes"),
        ("prune", "--older-than", "365", "--yes"),
        ("export", "--from", "yesterday"),
        ("export", "--format", "xml"),
    ):
        assert seeded("audit", *arguments).exit_code == 2, arguments


def test_a_retention_shorter_than_a_month_is_refused(oppman: Oppman) -> None:
    refused = oppman("audit", "export", LARDER_AUDIT_DAYS="7")

    assert refused.exit_code == 1
    assert "LARDER_AUDIT_DAYS" in refused.stderr
