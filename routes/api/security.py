"""How one signs in: second factor, passkeys, linked identities. Changes need a sign-in or confirmation not long ago."""

from collections.abc import Sequence
from uuid import UUID

from fastapi import Request, Response

from models import ExternalIdentity, Passkey
from routes.api.routers import account_router
from routes.deps import AccountDep, SessionDep
from routes.errors import documented
from routes.urls import relying_party
from services import identities, passkeys, second_factor
from services.schemas.identities import IdentityRead
from services.schemas.passkeys import PasskeyAdd, PasskeyOptions, PasskeyRead, PasskeyRename
from services.schemas.second_factor import CodeEntry, RecoveryCodes, SecondFactorRead, SetUp
from services.schemas.types import PageOf

router = account_router("security")


@router.get(
    "/users/me/second-factor",
    response_model=SecondFactorRead,
    name="second_factor:detail",
    responses=documented(401, 403),
)
async def second_factor_state(session: SessionDep, account: AccountDep) -> SecondFactorRead:
    """Whether signing in needs a code, and how many recovery codes are left."""
    return await second_factor.get_state(session, account)


@router.post(
    "/users/me/second-factor",
    response_model=SetUp,
    status_code=201,
    name="second_factor:start",
    responses=documented(401, 403, 409),
)
async def start_second_factor(response: Response, session: SessionDep, account: AccountDep) -> SetUp:
    """Begin to set up an authenticator app; it counts once a code of it confirms that."""
    response.headers["Cache-Control"] = "no-store"
    return await second_factor.start(session, account)


@router.post(
    "/users/me/second-factor/confirm",
    response_model=RecoveryCodes,
    name="second_factor:confirm",
    responses=documented(401, 403, 409, 422),
)
async def confirm_second_factor(
    body: CodeEntry, response: Response, session: SessionDep, account: AccountDep
) -> RecoveryCodes:
    """Turn it on with a first code; the recovery codes, shown this once."""
    response.headers["Cache-Control"] = "no-store"
    return RecoveryCodes(recovery_codes=await second_factor.confirm(session, account, code=body.code))


@router.post(
    "/users/me/second-factor/recovery-codes",
    response_model=RecoveryCodes,
    status_code=201,
    name="second_factor:renew_codes",
    responses=documented(401, 403, 409),
)
async def renew_recovery_codes(response: Response, session: SessionDep, account: AccountDep) -> RecoveryCodes:
    """New recovery codes, shown this once; the old ones are void."""
    response.headers["Cache-Control"] = "no-store"
    return RecoveryCodes(recovery_codes=await second_factor.renew_codes(session, account))


@router.delete("/users/me/second-factor", status_code=204, name="second_factor:end", responses=documented(401, 403))
async def end_second_factor(session: SessionDep, account: AccountDep) -> None:
    """Turn it off: signing in needs no code any more, and recovery codes are void."""
    await second_factor.end(session, account)


@router.get(
    "/users/me/passkeys", response_model=PageOf[PasskeyRead], name="passkeys:list", responses=documented(401, 403)
)
async def list_passkeys(session: SessionDep, account: AccountDep) -> dict[str, Sequence[Passkey]]:
    """Your passkeys, oldest first. There are never more than fit one page."""
    return {"items": await passkeys.list_passkeys(session, account)}


@router.post(
    "/users/me/passkeys/options",
    response_model=PasskeyOptions,
    name="passkeys:begin",
    responses=documented(401, 403, 409),
)
async def begin_passkey(request: Request, session: SessionDep, account: AccountDep) -> PasskeyOptions:
    """Begin to add a passkey: what `navigator.credentials.create` needs."""
    return await passkeys.begin_adding(session, account, relying_party(request))


@router.post(
    "/users/me/passkeys",
    response_model=PasskeyRead,
    status_code=201,
    name="passkeys:add",
    responses=documented(401, 403, 409, 422),
)
async def add_passkey(body: PasskeyAdd, request: Request, session: SessionDep, account: AccountDep) -> Passkey:
    """Add the passkey that the browser made."""
    return await passkeys.add(session, account, body, relying_party(request))


@router.patch(
    "/users/me/passkeys/{passkey_id}",
    response_model=PasskeyRead,
    name="passkeys:rename",
    responses=documented(401, 403, 404, 422),
)
async def rename_passkey(passkey_id: UUID, body: PasskeyRename, session: SessionDep, account: AccountDep) -> Passkey:
    """Give a passkey another name."""
    return await passkeys.rename(session, account, passkey_id, name=body.name)


@router.delete(
    "/users/me/passkeys/{passkey_id}",
    status_code=204,
    name="passkeys:remove",
    responses=documented(401, 403, 404, 409, 422),
)
async def remove_passkey(passkey_id: UUID, session: SessionDep, account: AccountDep) -> None:
    """Remove a passkey, unless it is the only way you can sign in."""
    await passkeys.remove(session, account, passkey_id)


@router.get(
    "/users/me/identities",
    response_model=PageOf[IdentityRead],
    name="identities:list",
    responses=documented(401, 403),
)
async def list_identities(session: SessionDep, account: AccountDep) -> dict[str, Sequence[ExternalIdentity]]:
    """Who you are at the OpenID provider, as far as that signs you in here. Linking is done in a browser."""
    return {"items": await identities.list_identities(session, account)}


@router.delete(
    "/users/me/identities/{identity_id}",
    status_code=204,
    name="identities:unlink",
    responses=documented(401, 403, 404, 409, 422),
)
async def unlink_identity(identity_id: UUID, session: SessionDep, account: AccountDep) -> None:
    """Let an identity sign you in no more, unless it is the only way you can sign in."""
    await identities.unlink(session, account, identity_id)
