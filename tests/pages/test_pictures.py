"""Pictures in the pages, either way they are sent and taken away."""

import pytest
import pytest_asyncio
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from main import MAX_BODY
from models import AuditEntry, CatalogueItem, CatalogueSource, FileState, Product, StoredFile
from routes.uploads import MEGABYTE
from services.permissions import Actor
from services.schemas.stock import LotRead
from settings import get_settings
from tests import samples
from tests.conftest import NOWHERE, ClientOf
from tests.factories import make_lot, make_product
from tests.pages import html
from tests.pages.ways import BOTH_WAYS, assert_sent, ends_whole, form_at, refused, toast_of

SETTINGS = "/settings"


async def send(browser: AsyncClient, to: str, content: bytes | None = None, name: str = "photo.jpg") -> Response:
    sent = samples.picture() if content is None else content
    return await browser.post(to, files={"file": (name, sent, "image/jpeg")})


async def send_several(browser: AsyncClient, to: str, contents: list[bytes]) -> Response:
    parts = [("file", (f"{number}.jpg", content, "image/jpeg")) for number, content in enumerate(contents)]
    return await browser.post(to, files=parts)


def assert_taken(response: Response, htmx: bool, *, to: str) -> dict[str, str]:
    """It is in its place: HTMX gets that part of the page anew, others go on to a page."""
    if htmx:
        assert response.status_code == 200, response.text
        assert not ends_whole(response)
        assert "data-pictures" in response.text
        assert html.problems(response.text) == []
    else:
        assert (response.status_code, response.headers.get("location")) == (303, to), response.text
    return toast_of(response)


def assert_refused(response: Response, htmx: bool, *, status: int, action: str) -> str:
    """What the form says beside its field."""
    assert response.status_code == status, response.text
    assert ends_whole(response) is not htmx
    (form,) = html.read(response.text).all("form", method="post", action=action)
    return form.errors["file"]


async def images_of(browser: AsyncClient, page: str, of: str) -> list[str]:
    """Addresses of the pictures of a kind on a page."""
    response = await browser.get(page, headers={"HX-Request": ""})
    assert html.problems(response.text) == []
    return [
        image.attrs["src"]
        for image in html.read(response.text).all("img")
        if of in image.attrs.get("class", "").split()
    ]


async def assert_shown(browser: AsyncClient, address: str) -> None:
    answer = await browser.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")


async def states(session: AsyncSession) -> list[FileState]:
    session.expire_all()
    return sorted(await session.scalars(select(StoredFile.state)))


@pytest_asyncio.fixture
async def lot(session: AsyncSession, bob: Actor) -> LotRead:
    """Milk, in the fridge."""
    lot = await make_lot(session, bob)
    await session.commit()
    return lot


# Oneself


@BOTH_WAYS
async def test_a_picture_of_oneself_takes_the_place_of_the_initials(
    browser_of: ClientOf, alice: Actor, bob: Actor, htmx: bool
) -> None:
    browser = browser_of(alice, htmx=htmx)
    before = html.read((await browser_of(alice).get("/")).text)

    said = assert_taken(await send(browser, "/settings/avatar"), htmx, to=SETTINGS)

    assert before.one("span", id="me").text == "A"
    assert said["message"] == "This is you now."
    for page in ("/", SETTINGS, "/household"):
        for address in await images_of(browser, page, "avatar"):
            await assert_shown(browser, address)
    assert len(await images_of(browser, SETTINGS, "avatar")) == 2
    assert len(await images_of(browser_of(bob), "/household", "avatar")) == 1


async def test_the_picture_changes_wherever_it_stands(browser_of: ClientOf, alice: Actor) -> None:
    answer = await send(browser_of(alice, htmx=True), "/settings/avatar")

    page = html.read(answer.text)
    (elsewhere,) = [found for found in page if "data-elsewhere" in found.attrs]
    assert elsewhere.one("span", id="me").one("img").attrs["src"] == page.all("img")[0].attrs["src"]


@BOTH_WAYS
async def test_taken_away_the_initials_are_back(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, htmx: bool
) -> None:
    browser = browser_of(alice, htmx=htmx)
    await send(browser, "/settings/avatar")
    await form_at(browser, SETTINGS, "/settings/avatar/remove")

    said = assert_taken(await browser.post("/settings/avatar/remove"), htmx, to=SETTINGS)

    assert said["message"] == "Removed."
    assert await images_of(browser, SETTINGS, "avatar") == []
    assert await states(session) == [FileState.RELEASED]


@pytest.mark.parametrize(
    ("name", "initials"),
    [
        ("Ann", "A"),
        ("ann example", "AE"),
        ("Ann van Example", "AE"),
        ("ليلى العلي", "لا"),
        ("ß", "S"),
        ("🥕 Mo", "🥕M"),
    ],
)
async def test_initials_are_up_to_two_letters(browser_of: ClientOf, alice: Actor, name: str, initials: str) -> None:
    browser = browser_of(alice)
    await browser.post(SETTINGS, data={"name": name, "locale": "en", "theme": "system"})

    assert html.read((await browser.get(SETTINGS)).text).one("span", id="me").text == initials


@BOTH_WAYS
@pytest.mark.parametrize(
    ("content", "name", "status", "said"),
    [
        (b"a shopping list", "list.jpg", 415, "Send a picture"),
        (b"%PDF-1.4\n%%EOF\n", "paper.pdf", 415, "picture"),
        (samples.picture()[:300], "half.jpg", 422, "cannot be read"),
        (b"", "empty.jpg", 422, "empty"),
    ],
)
async def test_what_is_no_picture_is_refused_at_the_field(
    browser_of: ClientOf,
    session: AsyncSession,
    alice: Actor,
    lot: LotRead,
    htmx: bool,
    content: bytes,
    name: str,
    status: int,
    said: str,
) -> None:
    browser = browser_of(alice, htmx=htmx)

    for to in ("/settings/avatar", f"/products/{lot.product.id}/picture", f"/stock/lots/{lot.id}/photos"):
        response = await send(browser, to, content, name)
        assert said in assert_refused(response, htmx, status=status, action=to)
    assert set(await states(session)) <= {FileState.RELEASED}


@BOTH_WAYS
async def test_a_form_without_a_file_is_refused_at_the_field(browser_of: ClientOf, alice: Actor, htmx: bool) -> None:
    response = await browser_of(alice, htmx=htmx).post("/settings/avatar", files={"other": (None, "text")})

    said = assert_refused(response, htmx, status=422, action="/settings/avatar")
    assert said == "Choose a file."


# Products


@BOTH_WAYS
async def test_a_product_is_known_by_its_picture_wherever_it_stands(
    browser_of: ClientOf, bob: Actor, lot: LotRead, htmx: bool
) -> None:
    browser = browser_of(bob, htmx=htmx)
    page = f"/products/{lot.product.id}"

    said = assert_taken(await send(browser, f"{page}/picture"), htmx, to=page)

    assert said["message"] == "That is how it looks."
    (address,) = await images_of(browser, f"{page}/edit", "picture")
    await assert_shown(browser, address)
    for shown in ("/", "/stock", "/products", page, f"/stock/lots/{lot.id}", f"/stock/lots/{lot.id}/actions", "/today"):
        assert address in await images_of(browser, shown, "tile"), shown


@BOTH_WAYS
async def test_a_picture_sent_from_the_form_of_a_product_leads_back_there(
    browser_of: ClientOf, session: AsyncSession, bob: Actor, htmx: bool
) -> None:
    product = await make_product(session, bob)
    await session.commit()
    browser = browser_of(bob, htmx=htmx)
    form = f"/products/{product.id}/edit"
    browser.headers["referer"] = f"http://localhost{form}"

    assert_taken(await send(browser, f"/products/{product.id}/picture"), htmx, to=form)
    assert_taken(await browser.post(f"/products/{product.id}/picture/remove"), htmx, to=form)

    assert await images_of(browser, form, "picture") == []


async def test_without_one_of_its_own_a_product_shows_that_of_the_catalogue(
    browser_of: ClientOf, session: AsyncSession, alice: Actor
) -> None:
    item = CatalogueItem(gtin="04006381333931", name="Oats", name_key="oats", source=CatalogueSource.STAFF)
    session.add(item)
    await session.flush()
    product = await make_product(session, alice, name="Oats", catalogue_item_id=item.id)
    await session.commit()
    browser = browser_of(alice)
    page = f"/products/{product.id}"
    await send(browser, f"{page}/picture")
    own = await session.get_one(type(product), product.id, populate_existing=True)
    item.picture_id, own.picture_id = own.picture_id, None
    await session.commit()

    (address,) = await images_of(browser, page, "picture")
    await assert_shown(browser, address)
    text = (await browser.get(page)).text
    assert "from the catalogue" in text
    assert f"{page}/picture/remove" not in text


# Together with a new product

NEW = "/products/new"


async def make(browser: AsyncClient, fields: dict[str, str], content: bytes = b"", name: str = "milk.jpg") -> Response:
    sent = {"file": (name, content or samples.picture(), "image/jpeg")}
    return await browser.post(NEW, data=fields, files=sent)


async def fields_of(browser: AsyncClient, **given: str) -> dict[str, str]:
    return {**await form_at(browser, NEW, NEW), **given}


@BOTH_WAYS
async def test_a_product_is_made_with_its_picture_and_once_however_often_that_is_sent(
    browser_of: ClientOf, session: AsyncSession, bob: Actor, htmx: bool
) -> None:
    browser = browser_of(bob, htmx=htmx)
    fields = await fields_of(browser, name="Milk", min_quantity="1,5")

    answers = [await make(browser, fields) for _time in range(2)]

    product = (await session.scalars(select(Product))).one()
    for answer in answers:
        assert assert_sent(answer, htmx, f"/products/{product.id}")["message"] == "Milk is made."
    (address,) = await images_of(browser, f"/products/{product.id}", "picture")
    await assert_shown(browser, address)
    assert await states(session) == [FileState.READY]
    assert set(await session.scalars(select(AuditEntry.action))) >= {"products:create", "products:picture"}


async def test_a_product_is_made_without_a_picture_too(browser_of: ClientOf, session: AsyncSession, bob: Actor) -> None:
    """As a browser sends a field in which nothing was chosen."""
    browser = browser_of(bob)
    answer = await browser.post(NEW, data=await fields_of(browser, name="Milk"), files={"file": ("", b"")})

    assert answer.status_code == 303
    assert (await session.scalars(select(Product.picture_id))).all() == [None]
    assert await states(session) == []


@BOTH_WAYS
@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"a shopping list", 415, "Send a picture"),
        (samples.picture()[:300], 422, "cannot be read"),
        (b"a" * (3 * MEGABYTE + 1), 413, "too large"),
    ],
    ids=["text", "half", "too large"],
)
async def test_with_a_bad_picture_no_product_is_made_and_what_was_typed_stays(
    browser_of: ClientOf,
    session: AsyncSession,
    bob: Actor,
    monkeypatch: pytest.MonkeyPatch,
    htmx: bool,
    content: bytes,
    status: int,
    said: str,
) -> None:
    monkeypatch.setattr(get_settings(), "upload_limit_mb", 3)
    browser = browser_of(bob, htmx=htmx)
    fields = await fields_of(browser, name="Käse 🧀", note="für Oma 👵")

    answer = await make(browser, fields, content)

    errors, values = refused(answer, NEW, status=status)
    assert set(errors) == {"file"}
    assert said in errors["file"]
    assert {name: values[name] for name in ("name", "note")} == {"name": "Käse 🧀", "note": "für Oma 👵"}
    assert html.problems(answer.text) == []
    assert (await session.scalars(select(Product))).all() == []
    assert await states(session) == []
    assert (await make(browser, fields)).status_code == (204 if htmx else 303)


@BOTH_WAYS
@pytest.mark.parametrize(
    ("wrong", "field"), [({"name": ""}, "name"), ({"name": "milk"}, ""), ({"category": "No such thing"}, "category")]
)
async def test_what_is_wrong_with_a_product_leaves_nothing_of_its_picture(
    browser_of: ClientOf, session: AsyncSession, bob: Actor, htmx: bool, wrong: dict[str, str], field: str
) -> None:
    await make_product(session, bob, name="Milk")
    await session.commit()
    browser = browser_of(bob, htmx=htmx)

    answer = await make(browser, await fields_of(browser, **{"name": "Cheese", **wrong}))

    errors, _values = refused(answer, NEW)
    assert set(errors) == {field, "file"}
    assert errors["file"] == "Choose the picture again."
    assert await states(session) == []


async def test_a_product_and_its_picture_are_of_those_who_may(
    browser_of: ClientOf, session: AsyncSession, alice: Actor, vera: Actor
) -> None:
    assert (await make(browser_of(vera), {"name": "Milk"})).status_code == 403
    assert await states(session) == []
    assert 'name="file"' in (await browser_of(alice).get(NEW)).text


async def test_only_a_body_with_a_file_may_be_large(browser_of: ClientOf, alice: Actor) -> None:
    answer = await browser_of(alice).post(NEW, data={"name": "Milk", "note": "a" * MAX_BODY})

    assert answer.status_code == 413


# Lots


DIFFERENT = [samples.picture(width) for width in range(40, 62, 2)]


@BOTH_WAYS
async def test_a_photo_that_is_sent_again_is_there_once(
    browser_of: ClientOf, session: AsyncSession, bob: Actor, lot: LotRead, htmx: bool
) -> None:
    """As after an answer that got lost."""
    browser = browser_of(bob, htmx=htmx)
    page = f"/stock/lots/{lot.id}"

    for _time in range(2):
        assert_taken(await send(browser, f"{page}/photos"), htmx, to=page)

    shown = html.read((await browser.get(page, headers={"HX-Request": ""})).text)
    assert len(shown.one("ul", **{"class": "photos"}).all("img")) == 1
    assert sorted(await states(session)) == [FileState.READY, FileState.RELEASED]


@BOTH_WAYS
async def test_a_lot_has_several_photos(
    browser_of: ClientOf, session: AsyncSession, bob: Actor, lot: LotRead, htmx: bool
) -> None:
    browser = browser_of(bob, htmx=htmx)
    page = f"/stock/lots/{lot.id}"

    for width in (64, 80):
        assert_taken(await send(browser, f"{page}/photos", samples.picture(width)), htmx, to=page)

    shown = html.read((await browser.get(page, headers={"HX-Request": ""})).text)
    large = [link.attrs["href"] for link in shown.one("ul", **{"class": "photos"}).all("a")]
    assert len(large) == 2
    for address in large:
        await assert_shown(browser, address)

    first = shown.one("ul", **{"class": "photos"}).all("form")[0].attrs["action"]
    assert assert_taken(await browser.post(first), htmx, to=page)["message"] == "Removed."
    assert (await browser.post(first)).status_code == 404
    assert await states(session) == [FileState.READY, FileState.RELEASED]


@BOTH_WAYS
async def test_one_photo_too_many_is_refused_and_leaves_nothing(
    browser_of: ClientOf, session: AsyncSession, bob: Actor, lot: LotRead, htmx: bool
) -> None:
    browser = browser_of(bob, htmx=htmx)
    to = f"/stock/lots/{lot.id}/photos"
    await send_several(browser, to, DIFFERENT[:10])

    assert "10 photos" in assert_refused(await send(browser, to), htmx, status=409, action=to)
    assert (await states(session)).count(FileState.READY) == 10


@BOTH_WAYS
async def test_several_photos_come_in_one_form(
    browser_of: ClientOf, session: AsyncSession, bob: Actor, lot: LotRead, htmx: bool
) -> None:
    browser = browser_of(bob, htmx=htmx)
    page = f"/stock/lots/{lot.id}"

    assert_taken(await send_several(browser, f"{page}/photos", DIFFERENT[:3]), htmx, to=page)

    (form,) = html.read((await browser.get(page, headers={"HX-Request": ""})).text).all(
        "form", method="post", action=f"{page}/photos"
    )
    assert form.attrs["data-room"] == "7"
    assert "multiple" in form.one("input", name="file").attrs
    assert await states(session) == [FileState.READY] * 3
    assert len((await session.scalars(select(AuditEntry).where(AuditEntry.action == "stock:photo"))).all()) == 3


@BOTH_WAYS
async def test_of_several_photos_the_good_ones_stay_and_each_other_is_named(
    browser_of: ClientOf, session: AsyncSession, bob: Actor, lot: LotRead, htmx: bool
) -> None:
    browser = browser_of(bob, htmx=htmx)
    to = f"/stock/lots/{lot.id}/photos"

    answer = await send_several(browser, to, [b"a list", samples.picture(), samples.picture()[:300]])

    first, second = assert_refused(answer, htmx, status=415, action=to).split("2.jpg: ")
    assert first.startswith("0.jpg: Send a picture")
    assert "cannot be read" in second
    assert len(html.read(answer.text).one("ul", **{"class": "photos"}).all("img")) == 1
    assert (await states(session)).count(FileState.READY) == 1


@BOTH_WAYS
async def test_as_many_of_several_stay_as_there_is_room_for(
    browser_of: ClientOf, session: AsyncSession, bob: Actor, lot: LotRead, htmx: bool
) -> None:
    browser = browser_of(bob, htmx=htmx)
    to = f"/stock/lots/{lot.id}/photos"
    await send_several(browser, to, DIFFERENT[:8])

    answer = await send_several(browser, to, DIFFERENT[8:11])
    assert assert_refused(answer, htmx, status=409, action=to) == "2.jpg: A lot can have 10 photos."
    answer = await send_several(browser, to, DIFFERENT[:11])
    assert "10 files" in assert_refused(answer, htmx, status=422, action=to)
    assert (await states(session)).count(FileState.READY) == 10


# Who may


async def test_viewers_look_and_others_do_not_even_find_it(
    browser_of: ClientOf, alice: Actor, vera: Actor, charlie: Actor, lot: LotRead
) -> None:
    to = [f"/products/{lot.product.id}/picture", f"/stock/lots/{lot.id}/photos"]
    for address in to:
        await send(browser_of(alice), address)

    for actor, status in ((vera, 403), (charlie, 404)):
        for address in to:
            assert (await send(browser_of(actor), address)).status_code == status
        assert (await browser_of(actor).post(f"{to[0]}/remove")).status_code == status
        assert (await browser_of(actor).post(f"{to[1]}/{NOWHERE}/remove")).status_code == status
    for page, of in ((f"/products/{lot.product.id}", "picture"), ("/stock", "tile")):
        assert await images_of(browser_of(vera), page, of) != []
    for page in (f"/products/{lot.product.id}", f"/stock/lots/{lot.id}"):
        assert "data-upload" not in (await browser_of(vera).get(page)).text


async def test_each_is_written_down(browser_of: ClientOf, session: AsyncSession, alice: Actor, lot: LotRead) -> None:
    browser = browser_of(alice)
    for to in ("/settings/avatar", f"/products/{lot.product.id}/picture"):
        await send(browser, to)
        await browser.post(f"{to}/remove")
    await send(browser, f"/stock/lots/{lot.id}/photos")

    said = set(await session.scalars(select(AuditEntry.action)))
    assert said >= {
        "account:avatar",
        "account:remove_avatar",
        "products:picture",
        "products:remove_picture",
        "stock:photo",
    }
    told = (await browser.get("/household/audit")).text
    assert "Picture set" in told
