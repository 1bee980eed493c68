"""What nobody needs any more is forgotten, and what somebody may need is not."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import SQLModel, col, select

from db import session_scope
from models import IdempotencyRecord, LiveKind, Outbox, SessionToken, TokenKind, UserSession
from services import idempotency, pruning
from services.core import clock
from services.core.ids import new_id
from services.live import MEMORY
from tests.live.conftest import Person

pytestmark = pytest.mark.usefixtures("place")

MINUTE = timedelta(minutes=1)


async def _add(*rows: SQLModel) -> None:
    async with session_scope() as session:
        for row in rows:
            session.add(row)
            await session.flush()


async def _all(column: Any, *where: Any) -> set[Any]:
    async with session_scope(read_only=True) as session:
        return set(await session.scalars(select(column).where(*where)))


async def test_words_are_kept_while_they_can_be_asked_for_and_the_last_old_one_marks_the_gap(
    alice: Person,
) -> None:
    ages = (MEMORY * 3, MEMORY * 2, MEMORY + MINUTE, MEMORY - MINUTE, MINUTE)
    words = [
        Outbox(kind=LiveKind.LOT_CHANGED, user_id=alice.user_id, created_at=clock.now() - age, data={}) for age in ages
    ]
    await _add(*words)

    said = await pruning.prune()

    assert "2 words" in said
    kept = await _all(Outbox.id, col(Outbox.user_id) == alice.user_id)
    assert kept == {word.id for word in words[2:]}


async def test_sign_ins_tokens_and_answers_that_are_over_go(alice: Person) -> None:
    now = clock.now()
    over = UserSession(user_id=alice.user_id, expires_at=now - MINUTE)
    tokens = [
        SessionToken(
            token_hash=str(new_id()), session_id=alice.session_id, kind=TokenKind.TICKET, expires_at=expires_at
        )
        for expires_at in (now - pruning.AFTERLIFE - MINUTE, now - MINUTE, now + MINUTE)
    ]
    answers = [
        IdempotencyRecord(user_id=alice.user_id, key=key, fingerprint="", status_code=200, body=b"", created_at=at)
        for key, at in (("old", now - idempotency.MEMORY - MINUTE), ("new", now))
    ]
    await _add(over, *tokens, *answers)

    await pruning.prune()

    assert await _all(UserSession.id, col(UserSession.user_id) == alice.user_id) == {alice.session_id}
    tickets = await _all(SessionToken.token_hash, col(SessionToken.kind) == TokenKind.TICKET)
    assert {token.token_hash for token in tokens[1:]} <= tickets
    assert tokens[0].token_hash not in tickets
    assert await _all(IdempotencyRecord.key, col(IdempotencyRecord.user_id) == alice.user_id) == {"new"}
