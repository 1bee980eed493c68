"""What the people of the demo household say to each other, with a picture of their fridge."""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from db import session_scope
from models import Chat, FilePurpose, Lot
from services import files, messages
from services.core import clock
from services.permissions import Actor
from services.schemas.talk import MessageCreate

WIDTH, HEIGHT, SHELVES = 960, 1200, 4
WALL, SHELF = (238, 242, 240), (176, 188, 184)
COLOURS = (
    (47, 107, 63),
    (201, 72, 58),
    (236, 178, 62),
    (94, 140, 190),
    (240, 232, 214),
    (122, 82, 140),
    (232, 132, 80),
)

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Line:
    """`by` 0 or 1 says it so long ago; with a product by its name, to the line before when `is_answer`."""

    by: int
    ago: timedelta
    text: str
    product: str = ""
    is_answer: bool = False
    reaction: str = ""


LINES = (
    Line(1, timedelta(days=3, hours=2), "Who ate the last yoghurt?", product="Yoghurt"),
    Line(0, timedelta(days=3, hours=1), "Guilty. I bring some tomorrow.", is_answer=True, reaction="😂"),
    Line(0, timedelta(days=1, hours=3), "I pass by the market after work. Anything besides milk?", product="Milk"),
    Line(1, timedelta(days=1, hours=2), "Bread and bananas, please.", is_answer=True, reaction="👍"),
    Line(0, timedelta(hours=5), "Done: https://en.wikipedia.org/wiki/Banana says they keep best on a hook."),
)


async def talk(session: AsyncSession, people: tuple[Actor, Actor], product_ids: Mapping[str, UUID]) -> None:
    chat_id = await _chat(session, people[0])
    now, last = clock.now(), None
    for line in LINES:
        with clock.frozen(now - line.ago):
            said = MessageCreate(
                content=line.text,
                product_id=product_ids.get(line.product),
                reply_to_id=last if line.is_answer else None,
            )
            last = (await messages.post(session, people[line.by], chat_id, said)).id
            if line.reaction:
                await messages.react(session, people[1 - line.by], chat_id, last, line.reaction)
    with clock.frozen(now - timedelta(hours=1)):
        urgent = MessageCreate(
            content=f"@{people[0].name} shall we eat this tonight?", lot_id=await _next(session, people[0])
        )
        await messages.post(session, people[1], chat_id, urgent)


async def show_fridge(actor: Actor) -> None:
    """Outside of any session: a picture is drawn and stored without one."""
    with TemporaryDirectory(prefix="larder-") as folder:
        path = Path(folder) / "fridge.png"
        path.write_bytes(_png(_paint(Random(12))))  # noqa: S311  (the same fridge every time)
        received = files.Received(path, path.name, path.stat().st_size)
        kept = await files.keep(actor, received, purpose=FilePurpose.MESSAGE, household_id=actor.household_id)
    async with session_scope() as session:
        said = MessageCreate(content="How it looks in there right now.", attachment_ids=[kept.id])
        await messages.post(session, actor, await _chat(session, actor), said)


async def _chat(session: AsyncSession, actor: Actor) -> UUID:
    first = select(Chat.id).where(Chat.household_id == actor.household_id).order_by(col(Chat.id))
    return (await session.scalars(first)).first() or UUID(int=0)


async def _next(session: AsyncSession, actor: Actor) -> UUID | None:
    """What is to be eaten next."""
    dated = select(Lot.id).where(Lot.household_id == actor.household_id, col(Lot.quantity) > 0)
    return (await session.scalars(dated.order_by(col(Lot.expires_on).nulls_last(), col(Lot.id)))).first()


def _paint(chance: Random) -> list[bytearray]:
    """Shelves with boxes, jars and bottles on them, row by row."""
    rows = [bytearray(bytes(WALL) * WIDTH) for _row in range(HEIGHT)]
    for left, top, right, bottom, colour in _things(chance):
        for row in rows[top:bottom]:
            row[left * 3 : right * 3] = bytes(colour) * (right - left)
    return rows


def _things(chance: Random) -> Iterator[tuple[int, int, int, int, Colour]]:
    for shelf in range(SHELVES):
        floor = (shelf + 1) * HEIGHT // SHELVES - 24
        yield 0, floor, WIDTH, floor + 12, SHELF
        left = 24
        while (right := left + chance.randrange(50, 130)) < WIDTH - 24:
            yield left, floor - chance.randrange(70, 230), right, floor, chance.choice(COLOURS)
            left = right + chance.randrange(8, 40)


def _png(rows: list[bytearray]) -> bytes:
    """W3C PNG, section 5: signature, header, pixels, end; each row is preceded by the filter it has, none."""
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, (b"IHDR", b"IDAT", b"IEND"), (header, pixels, b"")))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
