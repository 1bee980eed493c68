"""Where pictures are shown: an avatar, a product, a lot. Whatever one replaces is let go with it."""

from collections.abc import Iterable
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from models import Avatar, FileState, Lot, LotPhoto, Product, StoredFile, User
from services import audit
from services.core import file_urls
from services.core.errors import Conflict, NotFound
from services.core.i18n import _
from services.files.keeping import release
from services.permissions import Account, Actor
from services.schemas.files import FileRead

MAX_LOT_PHOTOS = 10


async def set_avatar(session: AsyncSession, account: Account, file: StoredFile) -> None:
    user = await _locked_user(session, account)
    avatar = await session.get(Avatar, user.id)
    if avatar is None:
        session.add(Avatar(user_id=user.id, file_id=file.id))
    else:
        await release(session, [avatar.file_id])
        avatar.file_id = file.id
    audit.record(session, "account:avatar", by=account, subject=user, after={"file": file.id})
    await session.flush()


async def remove_avatar(session: AsyncSession, account: Account) -> None:
    """It is fine when there is none."""
    user = await _locked_user(session, account)
    avatar = await session.get(Avatar, user.id)
    before = {"file": avatar.file_id} if avatar else None
    if avatar is not None:
        await release(session, [avatar.file_id])
        await session.delete(avatar)
    audit.record(session, "account:remove_avatar", by=account, subject=user, before=before)


async def avatar_url(session: AsyncSession, user_id: UUID) -> str | None:
    file_id = (await session.scalars(select(Avatar.file_id).where(Avatar.user_id == user_id))).one_or_none()
    return file_urls.address(file_id, "small") if file_id else None


async def avatar_urls(session: AsyncSession, user_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Of those who have one."""
    statement = sa.select(col(Avatar.user_id), col(Avatar.file_id)).where(col(Avatar.user_id).in_(list(user_ids)))
    return {user_id: file_urls.address(file_id, "small") for user_id, file_id in await session.execute(statement)}


async def set_product_picture(session: AsyncSession, actor: Actor, product_id: UUID, file: StoredFile) -> None:
    await _change_product_picture(session, actor, product_id, action="products:picture", picture_id=file.id)


async def remove_product_picture(session: AsyncSession, actor: Actor, product_id: UUID) -> None:
    """It is fine when there is none."""
    await _change_product_picture(session, actor, product_id, action="products:remove_picture", picture_id=None)


async def add_lot_photo(session: AsyncSession, actor: Actor, lot_id: UUID, file: StoredFile) -> StoredFile:
    """The photo of the lot: the one before when it is the same, as if its answer got lost and it was sent again.

    Raises `Conflict` for one too many.
    """
    lot = await _locked_lot(session, actor, lot_id)
    same = (
        select(StoredFile)
        .join(LotPhoto, col(LotPhoto.file_id) == col(StoredFile.id))
        .where(LotPhoto.lot_id == lot.id, StoredFile.digest == file.digest)
    )
    before: StoredFile | None = (await session.scalars(same)).first()
    if before is not None:
        await release(session, [file.id])
        return before
    count = select(sa.func.count()).select_from(LotPhoto).where(LotPhoto.lot_id == lot.id)
    if (await session.scalars(count)).one() >= MAX_LOT_PHOTOS:
        raise Conflict(_("A lot can have {count} photos.").format(count=MAX_LOT_PHOTOS))
    session.add(LotPhoto(lot_id=lot.id, file_id=file.id))
    audit.record(session, "stock:photo", by=actor, subject=lot, after={"file": file.id})
    await session.flush()
    return file


async def remove_lot_photo(session: AsyncSession, actor: Actor, lot_id: UUID, file_id: UUID) -> None:
    lot = await _locked_lot(session, actor, lot_id)
    removed = await session.execute(
        delete(LotPhoto)
        .where(col(LotPhoto.lot_id) == lot.id, col(LotPhoto.file_id) == file_id)
        .returning(col(LotPhoto.file_id))
    )
    if removed.scalar_one_or_none() is None:
        raise NotFound(_("There is no such photo."))
    await release(session, [file_id])
    audit.record(session, "stock:remove_photo", by=actor, subject=lot, before={"file": file_id})


async def list_lot_photos(session: AsyncSession, lot_id: UUID) -> list[FileRead]:
    """Of a lot that somebody may see, oldest first."""
    statement = (
        select(StoredFile)
        .join(LotPhoto, col(LotPhoto.file_id) == col(StoredFile.id))
        .where(LotPhoto.lot_id == lot_id, StoredFile.state == FileState.READY)
        .order_by(col(StoredFile.id))
    )
    return [FileRead.of(file) for file in await session.scalars(statement)]


async def _change_product_picture(
    session: AsyncSession, actor: Actor, product_id: UUID, *, action: str, picture_id: UUID | None
) -> None:
    product = await _locked_product(session, actor, product_id)
    before, after = {"picture": product.picture_id}, {"picture": picture_id}
    await release(session, [product.picture_id])
    product.picture_id = picture_id
    audit.record(session, action, by=actor, subject=product, before=before, after=after)
    await session.flush()


async def _locked_user(session: AsyncSession, account: Account) -> User:
    return await session.get_one(User, account.user_id, with_for_update={"key_share": True}, populate_existing=True)


async def _locked_product(session: AsyncSession, actor: Actor, product_id: UUID) -> Product:
    statement = select(Product).where(Product.household_id == actor.household_id, Product.id == product_id)
    found = await session.scalars(statement.with_for_update().execution_options(populate_existing=True))
    product: Product | None = found.one_or_none()
    if product is None:
        raise NotFound(_("There is no such product."))
    return product


async def _locked_lot(session: AsyncSession, actor: Actor, lot_id: UUID) -> Lot:
    statement = select(Lot).where(Lot.household_id == actor.household_id, Lot.id == lot_id)
    lot: Lot | None = (await session.scalars(statement.with_for_update())).one_or_none()
    if lot is None:
        raise NotFound(_("There is no such lot."))
    return lot
