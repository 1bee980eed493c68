"""The picture of a catalogue item, which every household sees."""

import pytest
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from models import AuditEntry, CatalogueItem, CatalogueSource, FilePurpose, FileState, StoredFile
from services.permissions import Actor
from tests import samples
from tests.admin.conftest import Rows, act
from tests.conftest import NOWHERE, ClientOf
from tests.factories import make_product, make_role
from tests.pages import html
from tests.pages.ways import BOTH_WAYS, ends_whole, toast_of


@pytest.fixture
def at(rows: Rows) -> str:
    return f"/admin/catalogue-items/{rows['catalogue-item']}/picture"


@pytest.fixture
def details(rows: Rows) -> str:
    return f"/admin/catalogue-item/details/{rows['catalogue-item']}"


async def send(panel: AsyncClient, to: str, content: bytes | None = None, **headers: str) -> Response:
    files = {"file": ("oats.jpg", samples.picture() if content is None else content, "image/jpeg")}
    return await panel.post(to, files=files, headers=headers)


async def states(session: AsyncSession) -> list[FileState]:
    return list(await session.scalars(select(StoredFile.state).where(StoredFile.purpose == FilePurpose.CATALOGUE)))


async def pictures_of(panel: AsyncClient, page: str) -> list[str]:
    answer = await panel.get(page)
    assert html.problems(answer.text) == []
    return [image.attrs["src"] for image in html.read(answer.text).all("img", **{"class": "picture"})]


@BOTH_WAYS
async def test_staff_gives_an_item_a_picture_and_takes_it_away(
    browser_of: ClientOf, sam: Actor, session: AsyncSession, at: str, details: str, htmx: bool
) -> None:
    panel = browser_of(sam, htmx=htmx)

    for count in (1, 0):
        step = await send(panel, at) if count else await panel.post(f"{at}/remove")
        assert step.status_code == (200 if htmx else 303), step.text
        assert htmx or step.headers["location"] == details
        assert not ends_whole(step)
        assert toast_of(step)["level"] == "success"
        found = await pictures_of(panel, details)
        assert len(found) == count
        for address in found:
            assert (await panel.get(address)).headers["content-type"] == "image/webp"

    entries = (await session.scalars(select(AuditEntry).where(AuditEntry.subject_type == "catalogue_item"))).all()
    assert {entry.action for entry in entries} == {
        "panel.catalogue-item:picture",
        "panel.catalogue-item:remove-picture",
    }
    assert {entry.actor_id for entry in entries} == {sam.user_id}
    assert await states(session) == [FileState.RELEASED]


@BOTH_WAYS
async def test_what_is_no_picture_is_refused_at_the_field(
    browser_of: ClientOf, sam: Actor, session: AsyncSession, at: str, htmx: bool
) -> None:
    answer = await send(browser_of(sam, htmx=htmx), at, b"a list")

    assert answer.status_code == 415
    assert ends_whole(answer) is not htmx
    assert html.problems(answer.text) == []
    (form,) = html.read(answer.text).all("form", action=at)
    assert "Send a picture" in form.errors["file"]
    assert FileState.READY not in await states(session)


async def test_only_a_role_that_says_so_lets_staff_do_it(
    browser_of: ClientOf, session: AsyncSession, tess: Actor, bob: Actor, at: str, details: str
) -> None:
    await make_role(session, permissions=["panel.catalogue-item:details"], holder=tess)
    await session.commit()
    for who in (tess, bob):
        assert (await send(browser_of(who), at)).status_code == 403
        assert (await browser_of(who).post(f"{at}/remove")).status_code == 403
    assert "data-upload" not in (await browser_of(tess).get(details)).text

    await make_role(session, permissions=["panel.catalogue-item:picture"], holder=tess)
    await session.commit()
    assert (await send(browser_of(tess), at)).status_code == 303
    page = (await browser_of(tess).get(details)).text
    assert "data-upload" in page
    assert f"{at}/remove" not in page


async def test_an_item_that_is_not_there_leaves_nothing(panel: AsyncClient, session: AsyncSession, rows: Rows) -> None:
    nowhere = f"/admin/catalogue-items/{NOWHERE}/picture"

    assert (await send(panel, nowhere)).status_code == 404
    assert (await panel.post(f"{nowhere}/remove")).status_code == 404
    assert FileState.READY not in await states(session)


async def test_households_see_it_on_what_they_have_of_it(
    browser_of: ClientOf, panel: AsyncClient, session: AsyncSession, rows: Rows, alice: Actor, at: str
) -> None:
    product = await make_product(session, alice, name="Oat drink", catalogue_item_id=rows["catalogue-item"])
    await session.commit()

    await send(panel, at)

    assert len(await pictures_of(browser_of(alice), f"/products/{product.id}")) == 1


async def test_of_duplicates_the_one_that_stays_takes_the_picture(
    panel: AsyncClient, session: AsyncSession, rows: Rows, at: str
) -> None:
    kept = CatalogueItem(gtin="00000096385074", name="Oats", name_key="oats", source=CatalogueSource.STAFF)
    session.add(kept)
    await session.commit()
    await send(panel, at)

    await act(panel, "catalogue-item", "merge", str(kept.id), rows["catalogue-item"], survivor_id=str(kept.id))

    assert len(await pictures_of(panel, f"/admin/catalogue-item/details/{kept.id}")) == 1
