"""Files: avatars, pictures, photos, and what goes with a message."""

from typing import Annotated
from uuid import UUID

from fastapi import Request

from models import FilePurpose
from routes import uploads
from routes.api.routers import account_router, household_router
from routes.deps import AccountDep, ActorDep, SessionDep
from routes.errors import documented
from routes.idempotent import IdempotentRoute
from routes.uploads import Placed, UploadingAccountDep, kept_for
from services import accounts, files, products
from services.permissions import Actor
from services.schemas.accounts import UserRead
from services.schemas.files import FileRead
from services.schemas.products import ProductRead

router = household_router("files", route_class=IdempotentRoute)
own_router = account_router("account")

MessageFileDep = Annotated[Placed[Actor], kept_for(FilePurpose.MESSAGE)]
ProductFileDep = Annotated[Placed[Actor], kept_for(FilePurpose.PRODUCT)]
LotFileDep = Annotated[Placed[Actor], kept_for(FilePurpose.LOT)]

# FastAPI would read the body itself if it knew of it.
FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}
ERRORS = documented(400, 413, 415, 503)


@router.post(
    "/files", response_model=FileRead, status_code=201, name="files:upload", responses=ERRORS, openapi_extra=FORM
)
async def upload(placed: MessageFileDep) -> FileRead:
    """Send a picture or a document ahead of the message it goes with. Unsent, it is gone after a day."""
    session, sender, file = placed
    files.note_upload(session, sender, file)
    return FileRead.of(file)


@router.delete("/files/{file_id}", status_code=204, name="files:remove")
async def remove(file_id: UUID, session: SessionDep, actor: ActorDep) -> None:
    """Take back a file of yours that was not sent yet."""
    await files.remove(session, actor, file_id)


@router.post(
    "/products/{product_id}/picture",
    response_model=ProductRead,
    name="products:picture",
    responses=ERRORS,
    openapi_extra=FORM,
)
async def set_product_picture(product_id: UUID, placed: ProductFileDep) -> ProductRead:
    """Give a product a picture, in place of the one it has."""
    session, sender, file = placed
    await files.set_product_picture(session, sender, product_id, file)
    return await products.read_product(session, sender, product_id)


@router.delete("/products/{product_id}/picture", status_code=204, name="products:remove_picture")
async def remove_product_picture(product_id: UUID, session: SessionDep, actor: ActorDep) -> None:
    """Take a product's picture away."""
    await files.remove_product_picture(session, actor, product_id)


@router.post(
    "/lots/{lot_id}/photos",
    response_model=FileRead,
    status_code=201,
    name="stock:photo",
    responses=ERRORS,
    openapi_extra=FORM,
)
async def add_lot_photo(lot_id: UUID, placed: LotFileDep) -> FileRead:
    """Add a photo of a lot, as of its label. One that is there already is answered as it is."""
    session, sender, file = placed
    return FileRead.of(await files.add_lot_photo(session, sender, lot_id, file))


@router.delete("/lots/{lot_id}/photos/{file_id}", status_code=204, name="stock:remove_photo")
async def remove_lot_photo(lot_id: UUID, file_id: UUID, session: SessionDep, actor: ActorDep) -> None:
    """Take a photo of a lot away."""
    await files.remove_lot_photo(session, actor, lot_id, file_id)


@own_router.post(
    "/users/me/avatar",
    response_model=UserRead,
    name="account:avatar",
    responses={**documented(401, 403, 409, 422), **ERRORS},
    openapi_extra=FORM,
)
async def set_avatar(request: Request, account: UploadingAccountDep) -> UserRead:
    """Show a picture of you, in place of the one you have. It is cut to a square."""
    async with uploads.keeping(request, account, FilePurpose.AVATAR) as (session, sender, file):
        await files.set_avatar(session, sender, file)
        return await accounts.read_profile(session, sender)


@own_router.delete("/users/me/avatar", status_code=204, name="account:remove_avatar", responses=documented(401, 403))
async def remove_avatar(session: SessionDep, account: AccountDep) -> None:
    """Show your initials again."""
    await files.remove_avatar(session, account)
