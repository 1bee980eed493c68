"""Doing the same to many items: each on its own, or all or nothing."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from services.core.errors import AppError, InvalidInput
from services.schemas.products import FieldError, ItemErrors

T = TypeVar("T")


async def each(
    session: AsyncSession, items: Sequence[Any], act: Callable[[Any], Awaitable[T]], *, atomic: bool
) -> tuple[list[T], list[ItemErrors]]:
    """What came of each item, and what was wrong with the others, which left nothing behind.

    Raises `InvalidInput` for all that is wrong when it is to be all or nothing.
    """
    results: list[T] = []
    failed: list[ItemErrors] = []
    for index, item in enumerate(items):
        try:
            async with session.begin_nested():
                results.append(await act(item))
        except AppError as error:
            fields = error.fields if isinstance(error, InvalidInput) else {"": str(error)}
            errors = [FieldError(field=field, message=message) for field, message in fields.items()]
            failed.append(ItemErrors(index=index, errors=errors))
    if atomic and failed:
        raise InvalidInput(
            {f"items.{item.index}.{error.field}".rstrip("."): error.message for item in failed for error in item.errors}
        )
    return results, failed
