"""What is drawn once and shown again."""

from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from routes import rendering
from services import stock
from services.core.i18n import use_locale
from services.core.pagination import PageRequest
from services.permissions import Actor
from services.schemas.stock import LotConsume, LotFilters
from tests.factories import make_lot


async def drawn(session: AsyncSession, actor: Actor, *, can_act: bool = True) -> str:
    found = await stock.list_lots(session, actor, PageRequest(), LotFilters())
    (row,) = stock.merged(found.items)
    return rendering.environment().from_string("{{ lot_line(row, can_act) }}").render(row=row, can_act=can_act)


async def test_a_line_drawn_before_still_follows_its_lot_its_reader_and_their_language(
    session: AsyncSession, alice: Actor
) -> None:
    lot = await make_lot(session, alice, product="Rice", quantity="2.5")
    use_locale("en")
    before = await drawn(session, alice)
    again = await drawn(session, alice)
    without_acts = await drawn(session, alice, can_act=False)
    use_locale("de")
    in_german = await drawn(session, alice)
    use_locale("en")
    await stock.consume(session, alice, lot.id, LotConsume(quantity=Decimal(1)))
    after = await drawn(session, alice)

    assert before == again
    assert "<form" in before
    assert "<form" not in without_acts
    assert ("2.5" in before, "2,5" in in_german, "1.5" in after) == (True, True, True)
