"""seed, dbshell."""

import re
import shutil

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

import auth
from commands.database import DEMO_EMAIL
from db import session_scope
from models import Category, Event, Household, Lot, Message, User
from services import demo, messages
from services.core import clock
from services.schemas.talk import MessageRead
from services.seeding import read_rows
from tests.commands.conftest import Oppman
from tests.factories import assert_ledger_holds

UNITS, CATEGORIES = (len(list(read_rows(name))) for name in ("units.csv", "categories.csv"))


async def rename_a_category() -> None:
    async with session_scope() as session:
        banana = (await session.scalars(select(Category).where(Category.name_key == "bananas"))).one()
        banana.fridge_days = 1
        session.add(Category(name="Our own", name_key="our own"))


async def find_own_words() -> list[str]:
    async with session_scope(read_only=True) as session:
        return list(await session.scalars(select(Category.name).where(col(Category.code).is_(None))))


async def count_demo() -> dict[str, int]:
    async with session_scope(read_only=True) as session:
        await assert_ledger_holds(session)
        tables = {"users": User, "households": Household, "lots": Lot, "events": Event, "messages": Message}
        return {
            name: await session.scalar(sa.select(sa.func.count()).select_from(table)) for name, table in tables.items()
        }


async def read_talk() -> list[MessageRead]:
    """What was said in the demo household, as the one who is shown it reads it."""
    async with session_scope(read_only=True) as session:
        said = (await session.scalars(select(Message.id).order_by(col(Message.seq)))).all()
        found = await messages.find_shared(session, said)
        return [found[message_id] for message_id in said]


async def days_of_events() -> set[int]:
    async with session_scope(read_only=True) as session:
        return {(clock.now() - moment).days for moment in await session.scalars(select(Event.occurred_at))}


def first_line(output: str) -> str:
    return output.splitlines()[0]


def test_words_are_filled_in_once_and_brought_up_to_date(empty: Oppman) -> None:
    empty("migrate")

    assert first_line(empty("seed").stdout) == f"{UNITS} units, {CATEGORIES} categories new or changed."
    assert first_line(empty("seed").stdout) == "0 units, 0 categories new or changed."

    empty.run(rename_a_category())

    assert first_line(empty("seed").stdout) == "0 units, 1 categories new or changed."
    assert first_line(empty("seed").stdout) == "0 units, 0 categories new or changed."
    assert empty.run(find_own_words()) == ["Our own"]


def test_there_are_enough_words() -> None:
    assert CATEGORIES >= 150


def test_a_database_that_is_not_migrated_is_told(empty: Oppman) -> None:
    result = empty("seed")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "python oppman.py migrate" in result.stderr
    assert "INSERT" not in result.stderr
    assert "SELECT" not in result.stderr


def test_the_demo_is_lively_made_once_and_its_password_shown_once(
    seeded: Oppman, monkeypatch: pytest.MonkeyPatch
) -> None:
    if seeded.url.startswith("postgresql"):
        # Months on one engine and a month on the other say as much as months on both.
        monkeypatch.setattr(demo, "DAYS", 30)

    made = seeded("seed", "--demo")

    assert made.exit_code == 0
    (password,) = re.findall(rf"Sign in as {DEMO_EMAIL} with the password (\S+) \(shown this once\)", made.stdout)
    assert seeded.run(auth.authenticate(DEMO_EMAIL, password)).name == "Robin Baker"
    before = seeded.run(count_demo())
    assert before["users"] == 2
    assert before["events"] > 15 * demo.DAYS
    days = seeded.run(days_of_events())
    assert 0 <= min(days) <= 1
    assert max(days) > demo.DAYS - 5

    again = seeded("seed", "--demo")

    assert again.exit_code == 0
    assert f"The demo household of {DEMO_EMAIL} is there already." in again.stdout
    assert "password" not in again.output
    assert seeded.run(count_demo()) == before
    seeded.run(auth.authenticate(DEMO_EMAIL, password))


def test_the_demo_talks_about_what_it_has_and_shows_a_picture(seeded: Oppman, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "DAYS", 20)
    assert seeded("seed", "--demo").exit_code == 0

    talk = seeded.run(read_talk())

    assert {message.author.name for message in talk if message.author} == {"Robin Baker", "Sam Oduya"}
    assert [message.product.name for message in talk if message.product] == ["Yoghurt", "Milk"]
    assert [message.reply_to.seq for message in talk if message.reply_to] == [1, 3]
    assert [reaction.emoji for message in talk for reaction in message.reactions] == ["😂", "👍"]
    assert [person.name for message in talk for person in message.mentions] == ["Robin Baker"]
    assert [message.seq for message in talk if message.lot] == [6]
    (picture,) = talk[-1].attachments
    assert (picture.name, picture.media_type, picture.width, picture.height) == ("fridge.png", "image/webp", 960, 1200)


def test_the_demo_goes_back_for_months() -> None:
    assert demo.DAYS > 100


def test_production_has_no_demo(oppman: Oppman) -> None:
    oppman("migrate")

    result = oppman("seed", "--demo", LARDER_ENVIRONMENT="production", LARDER_STORAGE_URL="file:///nowhere")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "No demo household in production.\n"
    assert oppman("seed").stdout.startswith(f"{UNITS} units")


def test_the_shell_of_the_database_opens(seeded: Oppman) -> None:
    program = "sqlite3" if seeded.url.startswith("sqlite") else "psql"
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")

    shell = seeded.start("dbshell")
    said, _nothing = shell.communicate("SELECT 'units: ' || count(*) FROM unit;\n")

    assert shell.returncode == 0
    assert f"units: {UNITS}" in said


def test_the_shell_of_the_database_fails_as_its_program_does() -> None:
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed")

    shell = Oppman("postgresql://larder:s3cret-word@127.0.0.1:1/larder").start("dbshell")
    said, _nothing = shell.communicate("SELECT 1;\n")

    assert shell.returncode == 2
    assert "s3cret-word" not in said


def test_the_shell_of_the_database_needs_its_program(oppman: Oppman) -> None:
    result = oppman("dbshell", PATH="")

    assert result.exit_code == 1
    assert result.stderr == "sqlite3 is not installed.\n"
