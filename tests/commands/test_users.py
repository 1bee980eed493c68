"""createsuperuser, changepassword."""

from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlmodel import col, select
from typer.testing import Result

import auth
from db import session_scope
from models import Membership, User, UserSession
from services import sessions
from services.core.errors import NotSignedIn
from tests.commands.conftest import Oppman

PASSWORD = "kitchen42x"
OTHER = "pantry43y"


@pytest.fixture
def email() -> str:
    return f"{uuid4().hex[:12]}@example.com"


@pytest.fixture
def known(seeded: Oppman, email: str) -> str:
    """The e-mail of an account with `PASSWORD`."""
    assert create(seeded, email).exit_code == 0
    return email


def create(oppman: Oppman, email: str, password: str = PASSWORD, *more: str) -> Result:
    return oppman("createsuperuser", "--noinput", "--email", email, *more, LARDER_SUPERUSER_PASSWORD=password)


async def has_account(email: str) -> bool:
    async with session_scope(read_only=True) as session:
        found = await session.scalars(select(User.id).where(User.email == email))
        return found.first() is not None


async def count_users() -> int:
    async with session_scope(read_only=True) as session:
        return await session.scalar(sa.select(sa.func.count()).select_from(User)) or 0


async def sign_in_twice(email: str) -> None:
    user = await auth.authenticate(email, PASSWORD)
    async with session_scope() as session:
        await sessions.start(session, user)
        await sessions.start(session, user)


async def count_sessions(email: str) -> int:
    async with session_scope(read_only=True) as session:
        statement = select(UserSession.id).join(User, col(User.id) == col(UserSession.user_id)).where(User.email == email)
        return len((await session.scalars(statement)).all())


async def count_memberships(email: str) -> int:
    async with session_scope(read_only=True) as session:
        statement = select(Membership.id).join(User).where(User.email == email)
        return len((await session.scalars(statement)).all())


def test_a_superuser_is_made_without_questions(seeded: Oppman, email: str) -> None:
    result = create(seeded, email, PASSWORD, "--name", "Ann")

    assert result.exit_code == 0
    assert result.stdout == f"{email} can sign in at /login and use /admin.\n"
    user = seeded.run(auth.authenticate(email, PASSWORD))
    assert (user.name, user.is_superuser, user.is_verified, user.is_active) == ("Ann", True, True, True)
    assert seeded.run(count_memberships(email)) == 0


def test_a_superuser_is_made_with_questions(seeded: Oppman, email: str) -> None:
    result = seeded("createsuperuser", typed=f"{email.upper()}\n\n{PASSWORD}\n{OTHER}\n{PASSWORD}\n{PASSWORD}\n")

    assert result.exit_code == 0
    assert "do not match" in result.output
    assert PASSWORD not in result.output
    user = seeded.run(auth.authenticate(email, PASSWORD))
    assert (user.email, user.name, user.is_superuser) == (email, "Admin", True)


def test_what_is_given_is_not_asked_for(seeded: Oppman, email: str) -> None:
    result = seeded("createsuperuser", "--email", email, "--name", "Bea", typed=f"{PASSWORD}\n{PASSWORD}\n")

    assert result.exit_code == 0
    assert "E-mail" not in result.output
    assert seeded.run(auth.authenticate(email, PASSWORD)).name == "Bea"


@pytest.mark.parametrize(
    ("email", "name", "password", "field"),
    [
        ("ann@example.com", "Ann", "short1", "password"),
        ("ann@example.com", "Ann", "lettersonly", "password"),
        ("ann@example.com", "Ann", "password1", "password"),
        ("ann7@example.com", "Ann", "ann7@example.com", "password"),
        ("ann@example.com", "Ann", "x1" * 65, "password"),
        ("not an address", "Ann", PASSWORD, "email"),
        ("ann@example.com", " ", PASSWORD, "name"),
        ("ann@example.com", "A" * 101, PASSWORD, "name"),
    ],
)
def test_what_the_form_refuses_is_refused_here_too(
    email: str, name: str, password: str, field: str, seeded: Oppman
) -> None:
    before = seeded.run(count_users())

    result = create(seeded, email, password, "--name", name)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"{field}: ")
    assert password not in result.output
    assert seeded.run(count_users()) == before


def test_an_address_is_taken_once(seeded: Oppman, known: str) -> None:
    result = create(seeded, known.upper(), OTHER)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "There is an account with this e-mail address already." in result.stderr
    seeded.run(auth.authenticate(known, PASSWORD))


@pytest.mark.parametrize("given", [{}, {"LARDER_SUPERUSER_PASSWORD": PASSWORD}])
def test_no_questions_need_all_the_answers(given: dict[str, str], oppman: Oppman) -> None:
    result = oppman("createsuperuser", "--noinput", **given)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "With --noinput, give --email and set LARDER_SUPERUSER_PASSWORD.\n"


def test_leaving_at_a_question_makes_nothing(seeded: Oppman, email: str) -> None:
    result = seeded("createsuperuser", typed=f"{email}\nAnn\n")

    assert result.exit_code == 1
    assert "Aborted." in result.stderr
    assert not seeded.run(has_account(email))


def test_a_new_password_ends_every_session(seeded: Oppman, known: str) -> None:
    seeded.run(sign_in_twice(known))

    result = seeded("changepassword", known.upper(), typed=f"{OTHER}\n{OTHER}\n")

    assert result.exit_code == 0
    assert "is changed, and every session has ended." in result.stdout
    assert OTHER not in result.output
    assert seeded.run(count_sessions(known)) == 0
    seeded.run(auth.authenticate(known, OTHER))
    with pytest.raises(NotSignedIn):
        seeded.run(auth.authenticate(known, PASSWORD))


def test_a_password_is_changed_without_questions_and_again(seeded: Oppman, known: str) -> None:
    for _once_more in range(2):
        result = seeded("changepassword", "--noinput", known, LARDER_SUPERUSER_PASSWORD=OTHER)

        assert result.exit_code == 0
        assert result.stdout == f"The password of {known} is changed, and every session has ended.\n"
        assert OTHER not in result.output
    seeded.run(auth.authenticate(known, OTHER))


def test_a_weak_new_password_changes_nothing(seeded: Oppman, known: str) -> None:
    seeded.run(sign_in_twice(known))

    result = seeded("changepassword", "--noinput", known, LARDER_SUPERUSER_PASSWORD="password1")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("password: ")
    assert "password1" not in result.output
    seeded.run(auth.authenticate(known, PASSWORD))
    assert seeded.run(count_sessions(known)) == 2


def test_an_unknown_address_is_told_before_a_password_is_asked_for(seeded: Oppman) -> None:
    result = seeded("changepassword", "nobody@example.com")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "There is no account with the e-mail nobody@example.com.\n"


def test_no_questions_need_the_new_password(seeded: Oppman, known: str) -> None:
    result = seeded("changepassword", "--noinput", known)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "With --noinput, set LARDER_SUPERUSER_PASSWORD.\n"


def test_leaving_at_the_question_changes_nothing(seeded: Oppman, known: str) -> None:
    result = seeded("changepassword", known, typed=f"{OTHER}\n")

    assert result.exit_code == 1
    seeded.run(auth.authenticate(known, PASSWORD))
