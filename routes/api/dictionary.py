"""Lists to choose from: /dictionary/{kind}."""

from typing import Annotated

from fastapi import Path

from routes.api.routers import account_router
from routes.deps import AccountDep, SessionDep
from services import dictionary
from services.schemas.dictionary import OptionsRead

router = account_router("words", errors=(401, 404, 422))


@router.get("/dictionary/{kind}", response_model=OptionsRead, name="dictionary:options")
async def list_options(
    kind: Annotated[str, Path(max_length=50)], session: SessionDep, account: AccountDep
) -> OptionsRead:
    """What staff proposes to choose from, in order: `store` has shops."""
    found = await dictionary.list_options(session, account, kind)
    return OptionsRead.model_validate({"items": found}, from_attributes=True)
