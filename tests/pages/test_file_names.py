"""Names of files on pages: text, whatever is in them."""

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from models import FileKind
from services import chats, messages
from services.permissions import Actor
from services.schemas.chats import ChatCreate
from services.schemas.talk import MessageCreate
from tests.conftest import ClientOf
from tests.factories import make_file
from tests.pages import html
from tests.pages.ways import BOTH_WAYS

NASTY = [
    "<img src=x onerror=alert(1)>.pdf",
    '"><script>alert(1)</script>.pdf',
    "' onmouseover='alert(1).pdf",
    "{{ 7 * 7 }} %(name)s.pdf",
    "javascript:alert(1)",
]


@BOTH_WAYS
@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("kind", list(FileKind))
async def test_the_name_of_a_file_is_text_wherever_it_stands(
    name: str, kind: FileKind, htmx: bool, browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    """FastOpp D15: there, fragments were put together from what people wrote, markup and all."""
    chat = await chats.create_chat(session, alice, ChatCreate(title="Kitchen"))
    media_type = "image/webp" if kind is FileKind.IMAGE else "application/pdf"
    file = make_file(alice, kind=kind, name=name, media_type=media_type)
    session.add(file)
    await session.flush()
    await messages.post(session, alice, chat.id, MessageCreate(content="Look", attachment_ids=[file.id]))
    await session.commit()
    browser: AsyncClient = browser_of(bob, htmx=htmx)

    page = await browser.get(f"/chats/{chat.id}")

    assert page.status_code == 200
    assert str(file.id) in page.text
    assert html.problems(page.text) == []
    assert "<script>alert" not in page.text
    assert "<img src=x" not in page.text
    for element in html.read(page.text):
        assert not [attribute for attribute in element.attrs if attribute.startswith("on")]
        assert not element.attrs.get("href", "").startswith("javascript:")
