"""createsuperuser, changepassword, user, apikey, clearsessions, secrets."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlmodel import col, select
from typer.testing import Result

import auth
from db import session_scope
from models import ApiKey, AuditEntry, Delivery, LinkPurpose, Membership, User, UserSession
from services import one_time_links, sessions
from services.core import clock
from services.core.errors import NotSignedIn
from services.core.ids import hash_token
from services.delivery import vapid
from settings import Environment, Settings
from tests.commands.conftest import Oppman
from tests.servers import SECRET

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
        statement = (
            select(UserSession.id).join(User, col(User.id) == col(UserSession.user_id)).where(User.email == email)
        )
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


# user …


async def user_of(email: str) -> User:
    async with session_scope(read_only=True) as session:
        found: User = (await session.scalars(select(User).where(User.email == email))).one()
        return found


async def keys_of(email: str) -> list[ApiKey]:
    async with session_scope(read_only=True) as session:
        return list(await session.scalars(select(ApiKey).join(User).where(User.email == email)))


async def acts_on(email: str) -> list[str]:
    async with session_scope(read_only=True) as session:
        about = select(AuditEntry).where(col(AuditEntry.subject_name).contains(email)).order_by(col(AuditEntry.id))
        return [entry.action for entry in await session.scalars(about) if entry.action.startswith("users:")]


async def has_letter(email: str) -> bool:
    async with session_scope(read_only=True) as session:
        statement = select(Delivery.template).join(User).where(User.email == email)
        return list(await session.scalars(statement)) == ["reset_password"]


@pytest.fixture
def member(seeded: Oppman, email: str) -> str:
    """The e-mail of an account that is no superuser's."""
    assert seeded("user", "create", email, "--name", "Bea", typed=f"{PASSWORD}\n{PASSWORD}\n").exit_code == 0
    return email


def test_a_user_is_made_with_a_password_that_is_asked_for(seeded: Oppman, member: str) -> None:
    user = seeded.run(auth.authenticate(member, PASSWORD))
    assert (user.name, user.is_superuser, user.is_verified, user.must_change_password) == ("Bea", False, True, False)


def test_a_user_is_made_who_must_choose_another_password(seeded: Oppman, email: str) -> None:
    typed = f"Bea\n{PASSWORD}\n{PASSWORD}\n"
    assert seeded("user", "create", email, "--must-change-password", typed=typed).exit_code == 0

    assert seeded.run(user_of(email)).must_change_password


def test_a_user_is_invited_to_choose_the_password(seeded: Oppman, email: str) -> None:
    result = seeded("user", "create", email, "--name", "Bea", "--invite")

    assert (result.exit_code, "on its way" in result.stdout) == (0, True)
    assert seeded.run(has_letter(email))
    with pytest.raises(NotSignedIn):
        seeded.run(auth.authenticate(email, ""))


@pytest.mark.parametrize("email", ["nobody", "x" * 300 + "@example.com", "\u0430nn@example.com", "a@example.com\r\nb"])
def test_a_user_is_not_made_with_what_is_no_address(seeded: Oppman, email: str) -> None:
    result = seeded("user", "create", email, "--name", "Bea", "--invite")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("email: ")


def test_users_are_listed_with_what_is_special_about_them(seeded: Oppman, known: str) -> None:
    result = seeded("user", "list", known.partition("@")[0].upper())

    assert result.exit_code == 0
    assert result.stdout == f"{known}\tAdmin\tsuperuser\tnever\n"
    assert seeded("user", "list", "100% nobody_").stdout == ""
    assert known in seeded("user", "list").stdout


def test_a_user_is_disabled_and_enabled_again(seeded: Oppman, member: str) -> None:
    seeded.run(sign_in_twice(member))

    assert seeded("user", "disable", member.upper()).exit_code == 0

    assert seeded.run(count_sessions(member)) == 0
    with pytest.raises(NotSignedIn):
        seeded.run(auth.authenticate(member, PASSWORD))
    assert "disabled" in seeded("user", "list", member).stdout
    assert seeded("user", "enable", member).exit_code == 0
    seeded.run(auth.authenticate(member, PASSWORD))
    assert seeded.run(acts_on(member)) == ["users:create", "users:disable", "users:enable"]


def test_a_user_is_signed_out_everywhere(seeded: Oppman, member: str) -> None:
    seeded.run(sign_in_twice(member))

    assert seeded("user", "logout", member).exit_code == 0

    assert seeded.run(count_sessions(member)) == 0
    seeded.run(auth.authenticate(member, PASSWORD))


def test_a_password_is_set_for_a_user(seeded: Oppman, member: str) -> None:
    result = seeded("user", "passwd", member, typed=f"{OTHER}\n{OTHER}\n")

    assert result.exit_code == 0
    assert OTHER not in result.output
    seeded.run(auth.authenticate(member, OTHER))


@pytest.mark.parametrize("command", ["disable", "enable", "logout", "passwd"])
def test_a_user_who_does_not_exist_is_told(seeded: Oppman, command: str) -> None:
    result = seeded("user", command, "nobody@example.com")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "There is no account with the e-mail nobody@example.com.\n"


def test_the_last_superuser_is_not_disabled(empty: Oppman) -> None:
    for arguments in (("migrate",), ("createsuperuser", "--noinput", "--email", "a@example.com")):
        assert empty(*arguments, LARDER_SUPERUSER_PASSWORD=PASSWORD).exit_code == 0

    result = empty("user", "disable", "a@example.com")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "last superuser" in result.stderr
    empty.run(auth.authenticate("a@example.com", PASSWORD))


# apikey …


def make_key(oppman: Oppman, email: str, *more: str) -> Result:
    return oppman("apikey", "create", email, "--name", "Backup", "--scope", "stock:read", *more)


def test_a_key_is_made_and_its_secret_is_all_that_is_printed(seeded: Oppman, member: str) -> None:
    result = make_key(seeded, member, "--scope", "events:read")

    assert result.exit_code == 0
    secret = result.stdout.strip()
    assert secret.startswith("lrk_")
    assert secret not in result.stderr
    (key,) = seeded.run(keys_of(member))
    assert (key.name, key.scopes, key.key_hash) == ("Backup", ["events:read", "stock:read"], hash_token(secret))
    assert key.expires_at is not None
    listed = seeded("apikey", "list", member).stdout
    assert secret not in listed
    assert listed.startswith(f"{key.id}\tBackup (lrk_")


def test_a_key_can_be_for_ever(seeded: Oppman, member: str) -> None:
    assert make_key(seeded, member, "--days", "0").exit_code == 0

    (key,) = seeded.run(keys_of(member))
    assert key.expires_at is None
    assert seeded("apikey", "list", member).stdout.endswith("for ever\n")


def test_a_key_is_not_for_what_there_is_no_scope_for(seeded: Oppman, member: str) -> None:
    result = make_key(seeded, member, "--scope", "account:edit")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("scopes.")
    assert seeded.run(keys_of(member)) == []


def test_a_key_is_ended(seeded: Oppman, member: str) -> None:
    make_key(seeded, member)
    (key,) = seeded.run(keys_of(member))

    assert seeded("apikey", "revoke", str(key.id)).exit_code == 0

    assert seeded.run(keys_of(member)) == []
    again = seeded("apikey", "revoke", str(key.id))
    assert (again.exit_code, again.stderr) == (1, "There is no such API key.\n")
    assert seeded("apikey", "revoke", "nothing").exit_code == 2


# clearsessions, secrets


def test_what_ran_out_is_forgotten(seeded: Oppman, member: str) -> None:
    seeded.run(sign_in_twice(member))
    seeded.run(let_run_out(member))

    result = seeded("clearsessions")

    assert (result.exit_code, result.stdout) == (0, "1 sessions, 0 tokens, 0 challenges, 1 links removed.\n")
    assert seeded.run(count_sessions(member)) == 1


async def let_run_out(email: str) -> None:
    """One of two sessions, and a link."""
    async with session_scope() as session:
        user = (await session.scalars(select(User).where(User.email == email))).one()
        link = await one_time_links.make(session, user, LinkPurpose.RESET_PASSWORD, email=email)
        first = (await session.scalars(select(UserSession).where(UserSession.user_id == user.id))).first()
        assert first is not None
        first.expires_at = link.expires_at = clock.now() - timedelta(seconds=1)


def test_secrets_are_new_each_time_and_never_those_in_use(oppman: Oppman, tmp_path: Path) -> None:
    first, second = (oppman("secrets").stdout.splitlines() for _time in range(2))

    names = ["LARDER_SECRET_KEY", "LARDER_METRICS_TOKEN", "LARDER_VAPID_PRIVATE_KEY"]
    assert [line.partition("=")[0] for line in first] == names
    assert not set(first) & set(second)
    assert SECRET not in "".join(first)
    (tmp_path / "new.env").write_text("\n".join(first))
    settings = Settings(_env_file=tmp_path / "new.env", environment=Environment.PRODUCTION)
    assert settings.secret_key.get_secret_value() == first[0].partition("=")[2]
    assert settings.vapid_private_key is not None
    vapid.load(settings.vapid_private_key.get_secret_value())
