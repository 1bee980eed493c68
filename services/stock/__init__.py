"""Stock: the lots a household has, and everything one can do with them. Bookings go through `ledger`."""

from services.stock.adding import Added, add, add_bulk, suggest_date, usual_storage
from services.stock.booking import (
    Booked,
    consume,
    consume_product,
    correct,
    discard,
    edit,
    freeze,
    move,
    open_lot,
    snooze,
    thaw,
)
from services.stock.reading import Numbers, Row, SharedLot, count, find_lots, find_shared, get_lot, list_lots, merged

__all__ = [
    "Added",
    "Booked",
    "Numbers",
    "Row",
    "SharedLot",
    "add",
    "add_bulk",
    "consume",
    "consume_product",
    "correct",
    "count",
    "discard",
    "edit",
    "find_lots",
    "find_shared",
    "freeze",
    "get_lot",
    "list_lots",
    "merged",
    "move",
    "open_lot",
    "snooze",
    "suggest_date",
    "thaw",
    "usual_storage",
]
