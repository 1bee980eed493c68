"""API keys: what lets a machine act as a user, as far as the scopes go that its user chose.

A key is a bearer token of its own kind (`sessions.find` knows it), independent of sessions: signing out everywhere
leaves it, a reset of the password ends it, and so does disabling its user for as long as that lasts.
"""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from models import ApiKey, LiveKind, User
from services import account_mail, audit, outbox, sessions
from services.core import clock
from services.core.errors import Conflict, InsufficientScope, NotFound
from services.core.i18n import _, mark
from services.core.ids import hash_token, new_token
from services.core.pagination import Page, PageRequest, by_id, fetch_page
from services.permissions import Account
from services.schemas.accounts import ApiKeyCreate, ApiKeyCreated, ApiKeyRead, Scope

MAX_KEYS = 20
SHOWN = 4

# What each scope opens, by the names of routes. What is in none is closed to keys: accounts, credentials, members,
# invitations, channels, feeds, and all that staff does.
SCOPES: Mapping[Scope, frozenset[str]] = {
    Scope.HOUSEHOLD_READ: frozenset(
        {"categories:list", "households:detail", "households:list", "locations:list", "members:list", "units:list"}
    ),
    Scope.HOUSEHOLD_WRITE: frozenset(
        {
            "categories:create",
            "categories:delete",
            "categories:edit",
            "locations:archive",
            "locations:create",
            "locations:edit",
            "units:create",
            "units:delete",
            "units:edit",
        }
    ),
    Scope.PRODUCTS_READ: frozenset({"products:detail", "products:list"}),
    Scope.PRODUCTS_WRITE: frozenset(
        {
            "products:add_barcode",
            "products:add_conversion",
            "products:archive",
            "products:create",
            "products:create_bulk",
            "products:edit",
            "products:picture",
            "products:remove_barcode",
            "products:remove_conversion",
            "products:remove_picture",
            "products:restore",
        }
    ),
    Scope.STOCK_READ: frozenset({"stock:detail", "stock:list"}),
    Scope.STOCK_WRITE: frozenset(
        {
            "events:undo",
            "products:consume",
            "stock:add",
            "stock:add_bulk",
            "stock:consume",
            "stock:correct",
            "stock:discard",
            "stock:edit",
            "stock:freeze",
            "stock:move",
            "stock:open",
            "stock:photo",
            "stock:remove_photo",
            "stock:snooze",
            "stock:thaw",
        }
    ),
    Scope.EVENTS_READ: frozenset({"events:list"}),
    Scope.CHATS_READ: frozenset({"chats:detail", "chats:list", "chats:unread", "messages:list", "messages:search"}),
    Scope.CHATS_WRITE: frozenset(
        {
            "chats:create",
            "chats:delete",
            "chats:edit",
            "chats:read",
            "files:remove",
            "files:upload",
            "messages:create",
            "messages:delete",
            "messages:edit",
            "messages:react",
            "messages:unreact",
        }
    ),
    Scope.NOTIFICATIONS_READ: frozenset({"notifications:list", "notifications:unread_count"}),
    Scope.NOTIFICATIONS_WRITE: frozenset({"notifications:read", "notifications:read_all"}),
    Scope.LIVE_LISTEN: frozenset({"live:socket"}),
}
LABELS: Mapping[Scope, str] = {
    Scope.HOUSEHOLD_READ: mark("See households, members, places, units and categories"),
    Scope.HOUSEHOLD_WRITE: mark("Change places, units and categories"),
    Scope.PRODUCTS_READ: mark("See products"),
    Scope.PRODUCTS_WRITE: mark("Add and change products"),
    Scope.STOCK_READ: mark("See what is in stock"),
    Scope.STOCK_WRITE: mark("Add to stock, use it, and undo"),
    Scope.EVENTS_READ: mark("See the history"),
    Scope.CHATS_READ: mark("Read chats"),
    Scope.CHATS_WRITE: mark("Make chats, and say something in them"),
    Scope.NOTIFICATIONS_READ: mark("See notifications"),
    Scope.NOTIFICATIONS_WRITE: mark("Mark notifications as read"),
    Scope.LIVE_LISTEN: mark("Hear of changes as they happen"),
}


def require_scope(account: Account, permission: str) -> None:
    """Raises `InsufficientScope` for a key whose scopes do not open a route. People have none, and need none."""
    if account.scopes is None:
        return
    if not any(permission in opened for scope, opened in SCOPES.items() if scope in account.scopes):
        raise InsufficientScope(_("This API key is not for that."))


async def list_keys(session: AsyncSession, account: Account, page: PageRequest) -> Page[ApiKeyRead]:
    """One's own, newest first; also those that are over, until they are removed."""
    statement = select(ApiKey).where(ApiKey.user_id == account.user_id)
    found = await fetch_page(session, statement, page, by_id(col(ApiKey.id)), descending=True)
    return replace(found, items=[_read(key) for key in found.items])


async def create(session: AsyncSession, account: Account, data: ApiKeyCreate) -> ApiKeyCreated:
    """For oneself. Raises `Conflict` for one too many, and `ConfirmationNeeded`."""
    await sessions.require_confirmed(session, account)
    made = await issue(session, account.user_id, data, by=account)
    user = await session.get_one(User, account.user_id)
    await account_mail.send_notice(session, user, "api_key_made", about=made.name)
    return made


async def issue(session: AsyncSession, user_id: UUID, data: ApiKeyCreate, *, by: Account | None) -> ApiKeyCreated:
    """Make a key for somebody. Its secret is shown this once."""
    await session.scalars(select(User.id).where(User.id == user_id).with_for_update())
    count = await session.scalar(sa.select(sa.func.count()).select_from(ApiKey).where(col(ApiKey.user_id) == user_id))
    if (count or 0) >= MAX_KEYS:
        raise Conflict(_("You can have {count} API keys. Remove one first.").format(count=MAX_KEYS))

    secret = f"{sessions.API_KEY_PREFIX}{new_token()}"
    key = ApiKey(
        user_id=user_id,
        name=data.name,
        prefix=secret[: len(sessions.API_KEY_PREFIX) + SHOWN],
        key_hash=hash_token(secret),
        scopes=sorted(data.scopes),
        expires_at=data.expires_at,
    )
    session.add(key)
    await session.flush()
    after = audit.snapshot(key, ("name", "scopes", "expires_at"))
    audit.record(session, "api_keys:create", by=by, subject=key, after=after)
    return ApiKeyCreated(**_read(key).model_dump(), key=secret)


async def revoke(session: AsyncSession, account: Account, key_id: UUID) -> None:
    """One of one's own. Raises `NotFound`."""
    await _revoke(session, key_id, by=account, of=account.user_id)


async def revoke_any(session: AsyncSession, key_id: UUID, *, by: Account | None) -> None:
    """Anybody's: for commands and the panel, which look after who may. Raises `NotFound`."""
    await _revoke(session, key_id, by=by)


async def revoke_all(session: AsyncSession, user_id: UUID) -> None:
    """All of a user's, when somebody else may have had the password."""
    await _end_where(session, col(ApiKey.user_id) == user_id)


async def _revoke(session: AsyncSession, key_id: UUID, *, by: Account | None, of: UUID | None = None) -> None:
    wanted = select(ApiKey).where(ApiKey.id == key_id)
    key = (await session.scalars(wanted if of is None else wanted.where(ApiKey.user_id == of))).one_or_none()
    if key is None:
        raise NotFound(_("There is no such API key."))
    audit.record(session, "api_keys:revoke", by=by, subject=key)
    await _end_where(session, col(ApiKey.id) == key_id)


async def _end_where(session: AsyncSession, condition: sa.ColumnElement[bool]) -> None:
    ended = delete(ApiKey).where(condition).returning(col(ApiKey.id), col(ApiKey.user_id))
    for key_id, user_id in (await session.execute(ended)).tuples().all():
        # Sockets that it opened hear of it as those of a session do.
        outbox.tell(session, LiveKind.SESSION_REVOKED, user_id=user_id, subject_id=key_id)


def choices() -> list[tuple[Scope, str]]:
    return [(scope, _(LABELS[scope])) for scope in SCOPES]


def _read(key: ApiKey) -> ApiKeyRead:
    is_over = key.expires_at is not None and key.expires_at <= clock.now()
    return ApiKeyRead(**key.model_dump(), is_over=is_over)
