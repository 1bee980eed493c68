"""role …, permissions …, init, init-plan."""

from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlmodel import col, select, update

from db import session_scope
from models import Endpoint, SeedRecord, StaffRole, User
from tests.commands.conftest import Oppman

PASSWORD = "kitchen42x"


@pytest.fixture
def email(seeded: Oppman) -> str:
    """The address of a superuser."""
    email = f"{uuid4().hex[:12]}@example.com"
    made = seeded("createsuperuser", "--noinput", "--email", email, LARDER_SUPERUSER_PASSWORD=PASSWORD)
    assert made.exit_code == 0, made.output
    return email


@pytest.fixture
def code() -> str:
    return f"r{uuid4().hex[:10]}"


def says(oppman: Oppman, *arguments: str) -> str:
    done = oppman(*arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def refuses(oppman: Oppman, *arguments: str) -> str:
    done = oppman(*arguments)
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit)
    return done.output


def test_a_role_is_made_granted_given_and_taken_back(seeded: Oppman, email: str, code: str) -> None:
    says(seeded, "role", "create", code, "--name", "Night watch", "--scope", "all")
    says(seeded, "role", "grant", code, "panel.unit:*", "stock:list")
    says(seeded, "role", "grant", code, "catalogue.units", "--kind", "menu")
    says(seeded, "role", "assign", email, code)

    shown = says(seeded, "role", "show", code).splitlines()
    assert {"permission\tpanel.unit:edit", "permission\tstock:list", "menu\tcatalogue.units"} <= set(shown)
    assert f"holder\t{email}" in shown
    listed = next(line for line in says(seeded, "role", "list").splitlines() if line.startswith(code))
    assert listed.split()[1:3] == ["all", "1"]
    assert "Night watch" in listed

    says(seeded, "role", "revoke", code, "panel.*")
    says(seeded, "role", "withdraw", email, code)
    assert says(seeded, "role", "show", code).splitlines() == ["permission\tstock:list", "menu\tcatalogue.units"]


def test_mistakes_are_told_in_a_line(seeded: Oppman, email: str, code: str) -> None:
    says(seeded, "role", "create", code)

    assert "already" in refuses(seeded, "role", "create", code)
    assert "small letters" in refuses(seeded, "role", "create", "No Good").lower()
    assert "moon:land" in refuses(seeded, "role", "grant", code, "moon:land")
    assert "no role nobody" in refuses(seeded, "role", "grant", "nobody", "stock:list")
    assert "nobody@example.com" in refuses(seeded, "role", "assign", "nobody@example.com", code)
    for chosen in ("{}", "[]", "no", '{"all": [{"field": "hashed_password", "is": "x"}]}'):
        assert "filter" in refuses(seeded, "role", "create", f"{code}x", "--scope", "custom", "--filter", chosen)
    chosen = '{"any": [{"field": "locale", "starts_with": "de"}]}'
    says(seeded, "role", "create", f"{code}x", "--scope", "custom", "--filter", chosen)


def test_the_last_superuser_stays_one(empty: Oppman) -> None:
    for command in ("migrate", "seed"):
        says(empty, command)
    for name in ("ann", "ben"):
        email = f"{name}@example.com"
        done = empty("createsuperuser", "--noinput", "--email", email, LARDER_SUPERUSER_PASSWORD=PASSWORD)
        assert done.exit_code == 0, done.output

    says(empty, "role", "super", "ann@example.com", "--off")
    assert "last superuser" in refuses(empty, "role", "super", "ben@example.com", "--off")
    says(empty, "role", "super", "ann@example.com")
    says(empty, "role", "super", "ben@example.com", "--off")

    assert empty.run(superusers()) == ["ann@example.com"]


async def superusers() -> list[str]:
    async with session_scope(read_only=True) as session:
        return list(await session.scalars(select(User.email).where(User.is_superuser)))


def test_what_there_is_to_permit_is_listed(seeded: Oppman) -> None:
    listed = says(seeded, "permissions", "list")

    assert "panel.unit:edit" in listed
    assert "Units: Change" in listed


def test_endpoints_are_brought_up_to_date(seeded: Oppman) -> None:
    assert says(seeded, "permissions", "sync") == "0 new, 0 changed, 0 gone.\n"
    seeded.run(forget_history())

    planned = says(seeded, "permissions", "sync", "--dry-run")
    assert "+ GET       /history  events:list" in planned
    assert planned.endswith("1 new, 0 changed, 0 gone (nothing was written).\n")
    assert says(seeded, "permissions", "sync").endswith("1 new, 0 changed, 0 gone.\n")


async def forget_history() -> None:
    async with session_scope() as session:
        await session.execute(sa.delete(Endpoint).where(col(Endpoint.path) == "/history"))


def test_an_endpoint_is_switched_off_and_on_again(seeded: Oppman) -> None:
    says(seeded, "permissions", "disable", "get", "/history")
    assert says(seeded, "permissions", "endpoints", "--off").split() == ["off", "GET", "/history", "events:list"]
    says(seeded, "permissions", "enable", "GET", "/history")
    assert says(seeded, "permissions", "endpoints", "--off") == ""

    assert "cannot be switched off" in refuses(seeded, "permissions", "disable", "POST", "/login")
    assert "no such endpoint" in refuses(seeded, "permissions", "disable", "GET", "/nowhere")


def test_the_plan_says_what_differs_and_exits_so(empty: Oppman) -> None:
    says(empty, "migrate")
    assert "* role support: new" in refuses(empty, "init-plan")
    assert empty.run(count(StaffRole)) == 0

    says(empty, "init")
    assert says(empty, "init-plan") == "Everything is as declared.\n"
    assert says(empty, "init") == "Everything is as declared.\n"
    assert empty.run(count(User)) == 0

    empty.run(rename_support())
    planned = refuses(empty, "init-plan")
    assert "! role support: changed by hand" in planned
    assert "name: 'Support' -> 'Help desk'" in planned
    says(empty, "init")
    assert "changed by hand" in refuses(empty, "init-plan")
    assert "* role support: changed" in says(empty, "init", "--force")
    assert says(empty, "init-plan") == "Everything is as declared.\n"


async def count(table: type[StaffRole] | type[User] | type[SeedRecord]) -> int:
    async with session_scope(read_only=True) as session:
        return await session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


async def rename_support() -> None:
    async with session_scope() as session:
        await session.execute(update(StaffRole).where(col(StaffRole.code) == "support").values(name="Help desk"))


def test_seeding_brings_it_in_too(empty: Oppman) -> None:
    says(empty, "migrate")
    assert "staff roles" in says(empty, "seed")

    assert says(empty, "init-plan") == "Everything is as declared.\n"
