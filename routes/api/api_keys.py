"""API keys of one's own: /users/me/api-keys."""

from uuid import UUID

from fastapi import Response

from routes.api.routers import account_router
from routes.deps import AccountDep, PageDep, SessionDep
from routes.errors import documented
from services import api_keys
from services.core.pagination import Page
from services.schemas.accounts import ApiKeyCreate, ApiKeyCreated, ApiKeyRead
from services.schemas.types import PageOf

router = account_router("api keys", errors=(401, 403))


@router.get("/users/me/api-keys", response_model=PageOf[ApiKeyRead], name="api_keys:list", responses=documented(422))
async def list_keys(session: SessionDep, account: AccountDep, page: PageDep) -> Page[ApiKeyRead]:
    """Your API keys, newest first."""
    return await api_keys.list_keys(session, account, page)


@router.post("/users/me/api-keys", status_code=201, name="api_keys:create", responses=documented(409, 422))
async def create_key(body: ApiKeyCreate, response: Response, session: SessionDep, account: AccountDep) -> ApiKeyCreated:
    """Make a key for a program. Its secret is in this answer only. Confirm first that it is you."""
    response.headers["Cache-Control"] = "no-store"
    return await api_keys.create(session, account, body)


@router.delete("/users/me/api-keys/{key_id}", status_code=204, name="api_keys:revoke", responses=documented(404, 422))
async def revoke_key(key_id: UUID, session: SessionDep, account: AccountDep) -> None:
    """End a key at once."""
    await api_keys.revoke(session, account, key_id)
