"""The permanent cast, on both databases, rolled back after each test.

alice owns a household in Berlin, bob is a member, vera may only look, dora administers it; charlie has a household of
his own next door; sam is a superuser and belongs nowhere, nor does tess, who has the staff roles a test gives her.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid5

import hypothesis
import pytest
import pytest_asyncio
from alembic import command
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker

from auth import COOKIE
from commands.migrations import alembic_config
from db import Database, run_after_commit, run_before_commit, use_database
from main import create_app
from models import Chat, Household, Membership, Role, SessionToken, Theme, TokenKind, User, UserSession
from services import locations, seeding
from services.core import clock, i18n, storage
from services.core.ids import hash_token
from services.passwords import HASHER
from services.permissions import Actor
from settings import Settings
from tests.s3 import S3Server, s3_server
from tests.servers import ENGINES, create_database, empty_database, postgresql_server, settings_for, using

# How fast this machine is today proves nothing.
hypothesis.settings.register_profile("larder", deadline=None)
hypothesis.settings.load_profile("larder")

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
TODAY = date(2026, 11, 22)
PASSWORD = "correct horse 7"
NAMESPACE = UUID("00000000-0000-4000-8000-000000000000")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    # Not in pytest's own folders: it tidies away all but the newest runs, those that still go on too.
    with TemporaryDirectory(prefix="larder-") as folder, postgresql_server(Path(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(scope="session", params=ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty database, on each engine in turn."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('db') / 'larder.db'}"
    return asyncio.run(create_database(request.getfixturevalue("postgresql")))


@pytest.fixture(scope="session")
def config(database_url: str) -> Iterator[Settings]:
    """The settings of the tests, for everything that asks for settings."""
    config = settings_for(database_url)
    with using(config):
        yield config


@pytest_asyncio.fixture(scope="session")
async def database(config: Settings) -> AsyncIterator[Database]:
    """A migrated database with the words and the cast in it."""
    await asyncio.to_thread(command.upgrade, alembic_config(config.database_url), "head")
    database = Database(config)
    # Ids tell when they were made, so what tests make comes after the cast whatever the machine's clock says.
    with clock.frozen(NOW - timedelta(days=1)):
        async with database.session_scope() as session:
            await seeding.seed_words(session)
            await _make_cast(session)
    yield database
    await database.dispose()


@pytest.fixture(scope="module", params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated database of its own for each module of tests that commit, on each engine in turn."""
    with empty_database(request, tmp_path_factory.mktemp("committing")) as url:
        command.upgrade(alembic_config(url), "head")
        yield url


class RolledBack(Database):
    """Every session on one connection, each a savepoint of a transaction that never commits."""

    def __init__(self, connection: AsyncConnection, url: Any) -> None:
        self.url = url
        self.reader = self.writer = connection.engine
        sessions = async_sessionmaker(
            connection, class_=AsyncSession, expire_on_commit=False, join_transaction_mode="create_savepoint"
        )
        self._sessions = {True: sessions, False: sessions}

    @asynccontextmanager
    async def session_scope(self, *, read_only: bool = False) -> AsyncIterator[AsyncSession]:
        async with self._sessions[read_only]() as session:
            yield session
            await run_before_commit(session)
            await session.commit()
            run_after_commit(session)

    async def dispose(self) -> None:
        """The connection is the fixture's."""


@pytest_asyncio.fixture
async def rolled_back(database: Database) -> AsyncIterator[RolledBack]:
    async with database.writer.connect() as connection:
        transaction = await connection.begin()
        rolled_back = RolledBack(connection, database.url)
        use_database(rolled_back)
        yield rolled_back
        use_database(None)
        await transaction.rollback()


@pytest_asyncio.fixture
async def session(rolled_back: RolledBack) -> AsyncIterator[AsyncSession]:
    async with rolled_back.writing_sessions() as session:
        yield session


@pytest.fixture(autouse=True)
def _standing_still() -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(clock.frozen(NOW))
        i18n.use_locale("en-GB")
        yield


@pytest.fixture(autouse=True)
def memory_storage() -> Iterator[storage.Storage]:
    """A storage with nothing in it, for each test."""
    kept = storage.open_storage("memory://")
    storage.use(kept)
    yield kept
    storage.use(None)


@pytest.fixture
def app(rolled_back: RolledBack) -> FastAPI:
    return create_app()


ClientOf = Callable[..., AsyncClient]


def client_as(
    app: FastAPI, actor: Actor | None, *, is_browser: bool = False, base_url: str = "http://localhost", **options: Any
) -> AsyncClient:
    """As one of the cast: with a bearer token, or with a cookie like a browser's."""
    headers = {"Sec-Fetch-Site": "same-origin"} if is_browser else {}
    client = AsyncClient(transport=ASGITransport(app, **options), base_url=base_url, headers=headers, timeout=30)
    if actor and is_browser:
        client.cookies.set(COOKIE, token_of(actor, TokenKind.COOKIE))
    elif actor:
        client.headers["Authorization"] = f"Bearer {token_of(actor, TokenKind.ACCESS)}"
    return client


@pytest.fixture
def client_of(app: FastAPI) -> ClientOf:
    """An API client of one of the cast; of nobody for None."""

    def client_of(actor: Actor | None) -> AsyncClient:
        return client_as(app, actor, base_url="http://localhost/api/v1")

    return client_of


@pytest.fixture
def browser_of(app: FastAPI) -> ClientOf:
    """A browser without JavaScript; `htmx=True` sends what htmx sends."""

    def browser_of(actor: Actor | None, *, htmx: bool = False) -> AsyncClient:
        browser = client_as(app, actor, is_browser=True)
        if htmx:
            browser.headers["HX-Request"] = "true"
        return browser

    return browser_of


@pytest.fixture
def client(client_of: ClientOf, alice: Actor) -> AsyncClient:
    """Alice's API client."""
    return client_of(alice)


# The cast


def _user_id(name: str) -> UUID:
    return uuid5(NAMESPACE, name)


HOUSEHOLD = uuid5(NAMESPACE, "household")
NEXT_DOOR = uuid5(NAMESPACE, "next door")
CHAT = uuid5(HOUSEHOLD, "chat")
CHAT_NEXT_DOOR = uuid5(NEXT_DOOR, "chat")
NOWHERE = uuid5(NAMESPACE, "nowhere")
ROLES = {"alice": Role.OWNER, "dora": Role.ADMIN, "bob": Role.MEMBER, "vera": Role.VIEWER}
NAMES = (*ROLES, "charlie", "sam", "tess")
AT_NO_HOME = {"Sam", "Tess"}


def make_actor(name: str) -> Actor:
    return Actor(
        user_id=_user_id(name),
        session_id=uuid5(_user_id(name), "session"),
        name=name.capitalize(),
        email=f"{name}@example.com",
        locale="en-GB",
        theme=Theme.SYSTEM,
        is_superuser=name == "sam",
        household_id=HOUSEHOLD if name in ROLES else NEXT_DOOR,
        household_name="Home" if name in ROLES else "Next door",
        role=ROLES.get(name, Role.OWNER),
        time_zone="Europe/Berlin",
        currency="EUR",
        soon_days=5,
    )


def token_of(actor: Actor, kind: TokenKind) -> str:
    return f"{kind} of {actor.name}".replace(" ", "-")


async def _make_cast(session: AsyncSession) -> None:
    hashed = HASHER.hash(PASSWORD)
    session.add_all(
        Household(id=household_id, name=name, time_zone="Europe/Berlin", locale="en-GB")
        for household_id, name in ((HOUSEHOLD, "Home"), (NEXT_DOOR, "Next door"))
    )
    actors = [make_actor(name) for name in NAMES]
    session.add_all(
        User(
            id=actor.user_id,
            email=actor.email,
            name=actor.name,
            hashed_password=hashed,
            is_superuser=actor.is_superuser,
            is_verified=True,
        )
        for actor in actors
    )
    await session.flush()
    session.add_all([*locations.first_locations(HOUSEHOLD), *locations.first_locations(NEXT_DOOR)])
    session.add_all(
        Chat(id=chat_id, household_id=household_id, title="Everyone", title_key="everyone")
        for chat_id, household_id in ((CHAT, HOUSEHOLD), (CHAT_NEXT_DOOR, NEXT_DOOR))
    )
    session.add_all(
        Membership(household_id=actor.household_id, user_id=actor.user_id, role=actor.role)
        for actor in actors
        if actor.name not in AT_NO_HOME and actor.role
    )
    session.add_all(
        UserSession(
            id=actor.session_id,
            user_id=actor.user_id,
            household_id=actor.household_id if actor.name not in AT_NO_HOME else None,
            created_at=NOW,
            last_used_at=NOW,
            expires_at=NOW + timedelta(days=3650),
        )
        for actor in actors
    )
    await session.flush()
    session.add_all(
        SessionToken(
            token_hash=hash_token(token_of(actor, kind)),
            session_id=actor.session_id,
            kind=kind,
            expires_at=NOW + timedelta(days=3650),
        )
        for actor in actors
        for kind in (TokenKind.ACCESS, TokenKind.COOKIE)
    )


@pytest.fixture
def alice() -> Actor:
    return make_actor("alice")


@pytest.fixture
def dora() -> Actor:
    return make_actor("dora")


@pytest.fixture
def bob() -> Actor:
    return make_actor("bob")


@pytest.fixture
def vera() -> Actor:
    return make_actor("vera")


@pytest.fixture
def charlie() -> Actor:
    return make_actor("charlie")


@pytest.fixture
def sam() -> Actor:
    return make_actor("sam")


@pytest.fixture
def tess() -> Actor:
    return make_actor("tess")


@pytest.fixture
def testdata() -> Path:
    """The samples beside the project; tests that want them skip where they are absent."""
    folder = Path(__file__).parents[2] / "shared" / "testdata"
    if not folder.is_dir():
        pytest.skip("../shared/testdata is not here")
    return folder
