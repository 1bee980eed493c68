"""Sending files over the API, and getting them back by their signed addresses."""

import re
import resource
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from main import create_app
from models import AuditEntry, FileState, Membership, StoredFile, TokenKind
from services import file_renewal, files
from services.core import clock, storage
from services.core.errors import NotFound, Unavailable
from services.core.storage import MemoryStorage
from services.permissions import Actor
from settings import StorageAddress, get_settings
from tests import samples
from tests.conftest import HOUSEHOLD, NEXT_DOOR, NOW, ClientOf, RolledBack, token_of
from tests.factories import make_lot, make_product
from tests.s3 import S3Server

FILES = f"/households/{HOUSEHOLD}/files"
AVATAR = "/users/me/avatar"
MEGABYTE = 1024 * 1024
TWO_GIGABYTES = 2 * 1024 * MEGABYTE
FORM = "multipart/form-data; boundary=xyz"
HEAD = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
TAIL = b"\r\n--xyz--\r\n"


async def send(
    client: AsyncClient, content: bytes, name: str = "a.bin", *, to: str = FILES, key: str | None = None
) -> Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post(to, files={"file": (name, content, "image/png")}, headers=headers)


def problem(response: Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["code"]


async def nothing_is_left(session: AsyncSession) -> bool:
    rows = await session.scalars(select(StoredFile))
    return not rows.all() and not [entry async for entry in storage.current().list()]


@pytest.fixture
def visitor(app: FastAPI) -> AsyncClient:
    """Somebody with an address and nothing else."""
    return AsyncClient(transport=ASGITransport(app), base_url="http://localhost")


# Sending


async def test_a_picture_is_sent_and_got_back(client: AsyncClient, visitor: AsyncClient) -> None:
    sent = await send(client, samples.photo(orientation=6), "../Fridge.JPG")

    assert sent.status_code == 201, sent.text
    file = sent.json()
    assert {name: file[name] for name in ("name", "kind", "media_type", "width", "height")} == {
        "name": "Fridge.JPG",
        "kind": "image",
        "media_type": "image/webp",
        "width": 40,
        "height": 80,
    }
    for url in (file["url"], file["small_url"]):
        got = await visitor.get(url)
        assert (got.status_code, got.headers["content-type"]) == (200, "image/webp")
        assert samples.opened(got.content).size == (40, 80)
        assert got.headers["content-disposition"] == "inline"
        assert got.headers["x-content-type-options"] == "nosniff"


async def test_a_document_is_only_ever_a_download(client: AsyncClient, visitor: AsyncClient) -> None:
    sent = (await send(client, samples.TEXT, "Grüße.html")).json()

    assert (sent["kind"], sent["media_type"], sent["small_url"], sent["width"]) == (
        "document",
        "text/plain",
        None,
        None,
    )
    got = await visitor.get(sent["url"])
    assert (got.status_code, got.content) == (200, samples.TEXT)
    assert got.headers["content-type"] == "text/plain; charset=utf-8"
    assert got.headers["content-disposition"] == "attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe.html.txt"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in got.headers["content-security-policy"]


async def test_a_viewer_may_send_and_a_stranger_may_not(client_of: ClientOf, vera: Actor, charlie: Actor) -> None:
    assert (await send(client_of(vera), samples.TEXT)).status_code == 201
    assert problem(await send(client_of(charlie), samples.TEXT)) == (404, "not_found")
    assert problem(await send(client_of(None), samples.TEXT)) == (401, "not_signed_in")


REFUSED = {
    "svg": (samples.SVG, 415, "unsupported_media"),
    "html called a picture": (samples.HTML, 415, "unsupported_media"),
    "zip bomb": (samples.zip_bomb(), 415, "unsupported_media"),
    "polyglot": (samples.picture() + samples.docx(), 415, "unsupported_media"),
    "picture bomb": (samples.png_bomb(), 422, "invalid_input"),
    "half a picture": (samples.picture(900, 900, format="PNG")[:-40], 422, "invalid_input"),
    "nothing": (b"", 422, "invalid_input"),
}


@pytest.mark.parametrize(("content", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_bad_is_refused_and_nothing_is_left(
    client: AsyncClient, session: AsyncSession, content: bytes, status: int, code: str
) -> None:
    assert problem(await send(client, content, "picture.png")) == (status, code)
    assert await nothing_is_left(session)


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b'{"file": "a"}', (415, "unsupported_media")),
        ("image/png", samples.picture(format="PNG"), (415, "unsupported_media")),
        ("application/x-www-form-urlencoded", b"file=a", (415, "unsupported_media")),
        ("multipart/form-data", HEAD + b"milk" + TAIL, (415, "unsupported_media")),
        (FORM, HEAD + b"milk", (400, "bad_request")),
        (FORM, HEAD[:20], (400, "bad_request")),
        (FORM, b"", (400, "bad_request")),
        (FORM, b"no form at all", (400, "bad_request")),
        (FORM, b"--xyz\r\n" + b"X-Y: " + b"a" * 100_000 + b"\r\n\r\n" + TAIL, (400, "bad_request")),
        (FORM, (HEAD + b"milk" + TAIL).replace(b'"file"', b'"photo"'), (422, "invalid_input")),
        (FORM, (HEAD + b"milk" + TAIL).replace(b'; filename="a.txt"', b""), (422, "invalid_input")),
        (FORM, (HEAD + TAIL).replace(b'"a.txt"', b'""'), (422, "invalid_input")),
        (FORM, HEAD + b"milk\r\n" + HEAD + b"eggs" + TAIL, (422, "invalid_input")),
        (FORM, HEAD.replace(b"; filename", b"; x") + b"a" * 70_000 + TAIL, (413, "too_large")),
        (FORM, b'--xyz\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n' * 60 + TAIL, (400, "bad_request")),
        (f"multipart/form-data; boundary={'x' * 500}", HEAD, (400, "bad_request")),
    ],
)
async def test_what_is_no_form_with_one_file_is_refused(
    client: AsyncClient, content_type: str, body: bytes, expected: tuple[int, str]
) -> None:
    answer = await client.post(FILES, content=body, headers={"Content-Type": content_type})

    assert problem(answer) == expected


@pytest.mark.parametrize("name", [b"\xff\xfe.txt", b"a\\..\\b.txt", b"%2e%2e%2fpasswd", b"a" * 20_000])
async def test_any_name_is_survived(client: AsyncClient, name: bytes) -> None:
    body = HEAD.replace(b"a.txt", name) + b"milk" + TAIL

    sent = await client.post(FILES, content=body, headers={"Content-Type": FORM})

    assert sent.status_code == 201, sent.text
    assert len(sent.json()["name"]) <= 200
    assert not set("/\\\0") & set(sent.json()["name"])


# The machine's own disk


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """As many bytes as it takes of a file. In the end, none of them is there any more."""
    most = 20 * 1024 * 1024
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    yield most
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.glob("larder-*"))


async def test_a_disk_that_is_full_is_no_error_of_ours(client: AsyncClient, session: AsyncSession, room: int) -> None:
    assert problem(await send(client, b"a" * (room + 1))) == (503, "unavailable")
    assert await nothing_is_left(session)


async def test_where_nothing_can_be_put_down_for_a_moment_nothing_is_taken(
    client: AsyncClient, session: AsyncSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))

    assert problem(await send(client, samples.TEXT)) == (503, "unavailable")
    assert await nothing_is_left(session)


# Too large


class Body:
    """A body that is made while it is read, and knows how much was."""

    def __init__(self, size: int, head: bytes = HEAD) -> None:
        self.size, self.read, self._head = size, 0, head

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._head
        while self.read < self.size:
            self.read += MEGABYTE
            yield b"a" * MEGABYTE
        yield TAIL


async def test_what_says_that_it_is_two_gigabytes_is_not_read(client: AsyncClient) -> None:
    body = Body(TWO_GIGABYTES)

    answer = await client.post(
        FILES, content=body, headers={"Content-Type": FORM, "Content-Length": str(TWO_GIGABYTES)}
    )

    assert problem(answer) == (413, "too_large")
    assert body.read == 0


async def test_what_is_two_gigabytes_is_read_up_to_the_limit(client: AsyncClient, session: AsyncSession) -> None:
    body = Body(TWO_GIGABYTES)

    answer = await client.post(FILES, content=body, headers={"Content-Type": FORM})

    assert problem(answer) == (413, "too_large")
    assert body.read <= 34 * MEGABYTE
    assert await nothing_is_left(session)


async def test_only_routes_that_take_files_take_large_bodies(client: AsyncClient) -> None:
    for path in ("/users/me", f"/households/{HOUSEHOLD}/products", f"{FILES}/../products"):
        body = Body(TWO_GIGABYTES)
        answer = await client.post(path, content=body, headers={"Content-Type": FORM})

        assert answer.status_code in {405, 413, 422}
        assert body.read <= 3 * MEGABYTE
    told = await client.post(
        f"/households/{HOUSEHOLD}/products",
        content=Body(3 * MEGABYTE),
        headers={"Content-Type": FORM, "Content-Length": str(3 * MEGABYTE)},
    )
    assert problem(told) == (413, "too_large")


async def test_the_largest_file_fits_and_one_byte_more_does_not(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(get_settings(), "upload_limit_mb", 3)

    assert (await send(client, b"a" * 3 * MEGABYTE)).status_code == 201
    assert problem(await send(client, b"a" * (3 * MEGABYTE + 1))) == (413, "too_large")


async def test_who_may_not_send_is_told_before_anything_is_read(
    client_of: ClientOf, charlie: Actor, vera: Actor
) -> None:
    picture = f"/households/{HOUSEHOLD}/products/{HOUSEHOLD}/picture"
    for who, path, status in ((None, FILES, 401), (charlie, FILES, 404), (vera, picture, 403), (None, AVATAR, 401)):
        body = Body(10 * MEGABYTE)

        answer = await client_of(who).post(path, content=body, headers={"Content-Type": FORM})

        assert answer.status_code == status
        assert body.read == 0


# Trouble


class Broken(MemoryStorage):
    async def put(self, key: str, source: Path | bytes, *, media_type: str, download_as: str | None = None) -> None:
        raise Unavailable("The files cannot be reached at the moment. Please try again.")


async def test_a_storage_that_is_down_is_said_and_nothing_is_left(client: AsyncClient, session: AsyncSession) -> None:
    storage.use(Broken(StorageAddress.parse("memory://")))

    for path in (FILES, AVATAR):
        answer = await send(client, samples.picture(), to=path)
        assert problem(answer) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"
    assert await nothing_is_left(session)


async def test_a_household_without_room_takes_no_more(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_settings(), "household_quota_mb", 0)

    assert problem(await send(client, samples.TEXT)) == (409, "quota_exceeded")
    assert (await send(client, samples.picture(), to=AVATAR)).status_code == 200


async def test_who_left_while_it_came_in_puts_it_nowhere(
    client_of: ClientOf, session: AsyncSession, bob: Actor, alice: Actor
) -> None:
    product = await make_product(session, alice)
    await session.commit()

    async def body() -> AsyncIterator[bytes]:
        yield HEAD + samples.picture()
        membership = await session.scalars(select(Membership).where(Membership.user_id == bob.user_id))
        await session.delete(membership.one())
        await session.commit()
        yield TAIL

    path = f"/households/{HOUSEHOLD}/products/{product.id}/picture"
    answer = await client_of(bob).post(path, content=body(), headers={"Content-Type": FORM})

    assert problem(answer) == (404, "not_found")
    assert await nothing_is_left(session)


async def test_a_picture_for_what_is_not_there_is_not_kept(
    client: AsyncClient, session: AsyncSession, charlie: Actor
) -> None:
    theirs = await make_product(session, charlie)
    lot = await make_lot(session, charlie)
    await session.commit()

    for path in (f"products/{theirs.id}/picture", f"lots/{lot.id}/photos"):
        answer = await send(client, samples.picture(), to=f"/households/{HOUSEHOLD}/{path}")
        assert problem(answer) == (404, "not_found")
    answer = await send(client, samples.picture(), to=f"/households/{HOUSEHOLD}/lots/x/photos")
    assert problem(answer) == (422, "invalid_input")
    assert await nothing_is_left(session)


# Sent again


@pytest_asyncio.fixture
async def places(session: AsyncSession, alice: Actor) -> dict[str, str]:
    """Where files are sent to in a household, by the names of the routes."""
    lot = await make_lot(session, alice)
    await session.commit()
    home = f"/households/{HOUSEHOLD}"
    return {
        "files:upload": FILES,
        "stock:photo": f"{home}/lots/{lot.id}/photos",
        "products:picture": f"{home}/products/{lot.product.id}/picture",
    }


@pytest.mark.parametrize("place", ["files:upload", "stock:photo", "products:picture"])
async def test_what_is_sent_again_under_its_key_is_the_first_file(
    client: AsyncClient, session: AsyncSession, places: dict[str, str], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing could be kept any more."""
    picture, to = samples.picture(), places[place]
    first = await send(client, picture, to=to, key="photo-1")
    monkeypatch.setattr(get_settings(), "household_quota_mb", 0)
    storage.use(Broken(StorageAddress.parse("memory://")))
    again = await send(client, picture, to=to, key="photo-1")

    assert first.is_success, first.text
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len((await session.scalars(select(StoredFile))).all()) == 1
    assert len((await session.scalars(select(AuditEntry).where(AuditEntry.action == place))).all()) == 1


async def test_a_key_is_for_one_file_in_one_place(
    client: AsyncClient, session: AsyncSession, places: dict[str, str]
) -> None:
    assert (await send(client, samples.TEXT, "a.txt", key="file-1")).status_code == 201

    for content, name, to in (
        (samples.CSV, "a.txt", FILES),
        (samples.TEXT, "b.txt", FILES),
        (samples.TEXT, "a.txt", places["stock:photo"]),
    ):
        refused = await send(client, content, name, to=to, key="file-1")
        assert problem(refused) == (409, "idempotency_key_reused")
    assert len((await session.scalars(select(StoredFile))).all()) == 1


async def test_what_was_not_kept_was_never_sent(client: AsyncClient) -> None:
    assert problem(await send(client, samples.HTML, key="file-1")) == (415, "unsupported_media")
    working = storage.current()
    storage.use(Broken(StorageAddress.parse("memory://")))
    assert problem(await send(client, samples.TEXT, key="file-1")) == (503, "unavailable")
    storage.use(working)

    assert (await send(client, samples.TEXT, key="file-1")).status_code == 201


async def test_keys_of_others_are_their_own(client: AsyncClient, client_of: ClientOf, bob: Actor) -> None:
    mine, bobs = [await send(one, samples.TEXT, key="file-1") for one in (client, client_of(bob))]

    assert mine.json()["id"] != bobs.json()["id"]


async def test_a_key_that_is_none_is_refused(client: AsyncClient, session: AsyncSession) -> None:
    answer = await send(client, samples.TEXT, key="x" * 201)

    assert problem(answer) == (422, "invalid_input")
    assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]
    assert await nothing_is_left(session)


# Where they appear


async def test_an_avatar_is_seen_by_oneself_and_by_members(client: AsyncClient, visitor: AsyncClient) -> None:
    assert (await client.get("/users/me")).json()["avatar_url"] is None

    first = await send(client, samples.picture(400, 300), to=AVATAR)
    assert first.status_code == 200, first.text
    second = await send(client, samples.picture(400, 300, format="PNG"), to=AVATAR)

    url = (await client.get("/users/me")).json()["avatar_url"]
    assert url == second.json()["avatar_url"] != first.json()["avatar_url"]
    assert samples.opened((await visitor.get(url)).content).size == (300, 300)
    members = (await client.get(f"/households/{HOUSEHOLD}/members")).json()["items"]
    assert {member["name"]: member["avatar_url"] for member in members}["Alice"] == url
    assert {member["avatar_url"] for member in members} == {url, None}
    assert (await client.patch("/users/me", json={"name": "Alice"})).json()["avatar_url"] == url
    # The old one is nobody's any more.
    assert (await visitor.get(first.json()["avatar_url"])).status_code == 404

    assert (await client.delete(AVATAR)).status_code == 204
    assert (await client.delete(AVATAR)).status_code == 204
    assert (await client.get("/users/me")).json()["avatar_url"] is None
    assert (await visitor.get(url)).status_code == 404


async def test_an_avatar_is_no_document(client: AsyncClient) -> None:
    assert problem(await send(client, samples.PDF, to=AVATAR)) == (415, "unsupported_media")


async def test_products_have_pictures_and_lots_photos(
    client: AsyncClient, session: AsyncSession, visitor: AsyncClient, alice: Actor
) -> None:
    lot = await make_lot(session, alice)
    await session.commit()
    product = f"/households/{HOUSEHOLD}/products/{lot.product.id}"
    photos = f"/households/{HOUSEHOLD}/lots/{lot.id}/photos"

    shown = await send(client, samples.picture(), to=f"{product}/picture")
    assert shown.status_code == 200, shown.text
    assert shown.json()["id"] == str(lot.product.id)
    photo = await send(client, samples.picture(), to=photos)
    assert photo.status_code == 201, photo.text
    again = await send(client, samples.picture(), to=photos)
    assert (again.status_code, again.json()["id"]) == (201, photo.json()["id"])
    assert (await visitor.get(photo.json()["url"])).status_code == 200
    assert (await client.get(photos.removesuffix("/photos"))).json()["photos"] == [photo.json()]
    picture = (await client.get(product)).json()["picture"]
    assert [(await visitor.get(url)).status_code for url in picture.values()] == [200, 200]

    assert (await client.delete(f"{photos}/{photo.json()['id']}")).status_code == 204
    assert problem(await client.delete(f"{photos}/{photo.json()['id']}")) == (404, "not_found")
    assert (await client.delete(f"{product}/picture")).status_code == 204
    assert (await client.get(product)).json()["picture"] is None
    assert (await client.get(photos.removesuffix("/photos"))).json()["photos"] == []


async def test_what_was_not_sent_yet_is_taken_back(
    client: AsyncClient, client_of: ClientOf, session: AsyncSession, bob: Actor
) -> None:
    sent = (await send(client, samples.TEXT)).json()

    assert problem(await client_of(bob).delete(f"{FILES}/{sent['id']}")) == (404, "not_found")
    assert (await client.delete(f"{FILES}/{sent['id']}")).status_code == 204
    assert problem(await client.delete(f"{FILES}/{sent['id']}")) == (404, "not_found")
    assert await files.tidy() == "1 files, 0 stray objects"
    assert await nothing_is_left(session)


async def test_who_sent_what_is_written_down(client: AsyncClient, session: AsyncSession) -> None:
    await send(client, samples.TEXT, "letter.txt")
    await send(client, samples.picture(), to=AVATAR)

    entries = await session.scalars(select(AuditEntry).order_by(col(AuditEntry.id)))
    assert [(entry.action, entry.subject_name) for entry in entries] == [
        ("files:upload", ""),
        ("account:avatar", "Alice <alice@example.com>"),
    ]


async def test_admins_do_not_read_in_the_log_what_a_file_of_a_chat_is_called(
    client: AsyncClient, client_of: ClientOf, bob: Actor
) -> None:
    sent = (await send(client_of(bob), samples.TEXT, "lawyer.txt")).json()
    assert (await client_of(bob).delete(f"{FILES}/{sent['id']}")).status_code == 204

    log = await client.get(f"/households/{HOUSEHOLD}/audit")

    assert [entry["action"] for entry in log.json()["items"]] == ["files:remove", "files:upload"]
    assert "lawyer" not in log.text


# Getting


@pytest.fixture
async def address(client: AsyncClient) -> str:
    """Of a document with ten letters."""
    return str((await send(client, b"0123456789", "ten.txt")).json()["url"])


async def test_an_address_that_was_changed_leads_nowhere(
    address: str, client: AsyncClient, visitor: AsyncClient
) -> None:
    other = (await send(client, b"other")).json()["url"]
    file_id, other_id = address.split("/")[2], other.split("/")[2]
    query = address.partition("?")[2]
    expires = re.search(r"expires=(\d+)", address)
    assert expires
    changed = [
        address.replace("/file?", "/large?"),
        address.replace(file_id, other_id),
        address.replace(file_id, file_id.upper()),
        address.replace(file_id, "x"),
        address.replace(expires[1], str(int(expires[1]) + 3600)),
        address[:-1] + ("0" if address[-1] != "0" else "1"),
        address.partition("?")[0],
        f"/files/{file_id}/file?expires={expires[1]}",
        f"/files/{file_id}/../{other_id}/file?{query}",
        f"{address}0",
    ]

    said = {(got.status_code, got.text.split("<main")[-1]) for got in [await visitor.get(url) for url in changed]}

    assert {status for status, _text in said} == {404}
    assert len({text for _status, text in said if "no such file" in text}) == 1


async def test_an_address_ends(address: str, visitor: AsyncClient) -> None:
    with clock.frozen(NOW + timedelta(hours=1)):
        assert (await visitor.get(address)).status_code == 200
    with clock.frozen(NOW + timedelta(hours=2)):
        assert (await visitor.get(address)).status_code == 404


async def test_one_that_is_over_leads_members_to_a_new_one(
    client: AsyncClient,
    browser_of: ClientOf,
    visitor: AsyncClient,
    session: AsyncSession,
    places: dict[str, str],
    bob: Actor,
    charlie: Actor,
) -> None:
    """On a page that was open overnight. Who is no member any more has it for two hours at most."""
    address = (await send(client, samples.picture(), to=places["stock:photo"])).json()["small_url"]
    avatar = (await send(client, samples.picture(), to=AVATAR)).json()["avatar_url"]
    browser = browser_of(bob)

    with clock.frozen(NOW + timedelta(hours=12)):
        renewed = await browser.get(address)
        assert (renewed.status_code, renewed.headers["cache-control"]) == (307, "no-store")
        assert renewed.headers["location"].partition("?")[0] == address.partition("?")[0]
        assert (await visitor.get(renewed.headers["location"])).status_code == 200
        for other in (browser_of(charlie), client, visitor):
            assert (await other.get(f"http://localhost{address}")).status_code == 404
        assert (await browser.get(f"{address}0")).status_code == 404
        assert (await browser.get(avatar)).status_code == 404

        membership = await session.scalars(select(Membership).where(Membership.user_id == bob.user_id))
        await session.delete(membership.one())
        await session.commit()
        assert (await browser.get(address)).status_code == 404


async def test_what_is_in_a_chat_is_found_again_by_those_who_are_in_it(
    client: AsyncClient, browser_of: ClientOf, session: AsyncSession, alice: Actor, bob: Actor, vera: Actor
) -> None:
    chats = f"/households/{HOUSEHOLD}/chats"
    chat = (await client.post(chats, json={"title": "Two", "member_ids": [str(bob.user_id)]})).json()
    said, unsaid = [(await send(client, content)).json() for content in (samples.TEXT, samples.CSV)]
    posted = await client.post(f"{chats}/{chat['id']}/messages", json={"attachment_ids": [said["id"]]})
    assert posted.status_code == 201, posted.text

    with clock.frozen(NOW + timedelta(hours=12)):
        found = [(await browser_of(one).get(said["url"])).status_code for one in (alice, bob, vera)]
        assert found == [307, 307, 404]
        assert (await browser_of(alice).get(unsaid["url"])).status_code == 404
    file = await session.get_one(StoredFile, UUID(said["id"]))
    with pytest.raises(NotFound):
        await file_renewal.renew(session, replace(bob, impersonator_id=alice.user_id), files.Content(file, "file", 0))


async def test_an_address_of_what_was_let_go_leads_nowhere(
    address: str, session: AsyncSession, visitor: AsyncClient
) -> None:
    file = (await session.scalars(select(StoredFile))).one()
    file.state = FileState.RELEASED
    await session.commit()

    assert (await visitor.get(address)).status_code == 404


async def test_a_browser_keeps_what_it_got(address: str, visitor: AsyncClient) -> None:
    got = await visitor.get(address)

    seconds = re.fullmatch(r"private, max-age=(\d+), immutable", got.headers["cache-control"])
    assert seconds
    assert 3600 <= int(seconds[1]) <= 2 * 3600
    again = await visitor.get(address, headers={"If-None-Match": got.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", got.headers["etag"])
    assert (await visitor.get(address, headers={"If-None-Match": '"other"'})).status_code == 200


@pytest.mark.parametrize(
    ("range", "status", "content", "content_range"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=0-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=99-100", 416, b"", "bytes */10"),
        ("lines=1-2", 400, None, None),
        ("bytes=4-2", 400, None, None),
    ],
)
async def test_a_part_is_got(
    address: str, visitor: AsyncClient, range: str, status: int, content: bytes | None, content_range: str | None
) -> None:
    got = await visitor.get(address, headers={"Range": range})

    assert got.status_code == status
    assert content is None or got.content == content
    assert got.headers.get("content-range") == content_range


async def test_a_part_of_what_changed_is_all_of_it(address: str, visitor: AsyncClient) -> None:
    whole = await visitor.get(address)
    for condition, status in ((whole.headers["etag"], 206), ('"other"', 200)):
        got = await visitor.get(address, headers={"Range": "bytes=0-0", "If-Range": condition})
        assert got.status_code == status


async def test_several_parts_are_got(address: str, visitor: AsyncClient) -> None:
    got = await visitor.get(address, headers={"Range": "bytes=0-1,8-9"})

    assert got.status_code == 206
    assert got.headers["content-type"].startswith("multipart/byteranges")
    assert b"\r\n01\r\n" in got.content
    assert b"\r\n89\r\n" in got.content


async def test_a_head_is_all_but_the_body(address: str, visitor: AsyncClient) -> None:
    got = await visitor.head(address)

    assert (got.status_code, got.content, got.headers["content-length"]) == (200, b"", "10")
    assert (await visitor.head(f"{address}0")).status_code == 404


async def test_nobody_but_who_has_the_address_is_asked(address: str, client_of: ClientOf, charlie: Actor) -> None:
    """A picture shows in a page whoever reads it, and a member of another household can be given one."""
    got = await client_of(charlie).get(f"http://localhost{address}")

    assert got.status_code == 200
    assert charlie.household_id == NEXT_DOOR


async def test_what_is_gone_from_the_storage_is_not_there(address: str, visitor: AsyncClient) -> None:
    await storage.current().delete([entry.key async for entry in storage.current().list()])

    assert (await visitor.get(address)).status_code == 404


class Linking(MemoryStorage):
    """A storage that links to its objects, as buckets do."""

    async def presign(self, key: str, *, expires_in: timedelta) -> str | None:
        return f"https://bucket.example.com/{key}?for={expires_in.seconds}"


async def test_from_a_bucket_it_comes_by_itself(client: AsyncClient, visitor: AsyncClient) -> None:
    storage.use(Linking(StorageAddress.parse("memory://")))
    document = (await send(client, samples.PDF, "letter.pdf")).json()
    picture = (await send(client, samples.picture())).json()

    got = await visitor.get(document["url"])
    assert (got.status_code, got.headers["cache-control"]) == (307, "private, max-age=240")
    assert got.headers["location"].endswith("/file?for=900")
    assert (await visitor.get(picture["small_url"])).headers["location"].endswith("/small?for=900")
    assert (await visitor.get(f"{document['url']}0")).status_code == 404
    assert (await visitor.head(document["url"])).status_code == 200


async def test_from_a_real_bucket_too(client: AsyncClient, s3: S3Server) -> None:
    storage.use(storage.open_storage(s3.url()))
    document = (await send(client, b"0123456789", "Grüße.txt")).json()
    picture = (await send(client, samples.picture())).json()
    addresses = [f"http://localhost{url}" for url in (document["url"], picture["small_url"])]
    links = [(await client.get(address)).headers["location"] for address in addresses]
    async with AsyncClient() as browser:
        text, image = [await browser.get(link) for link in links]
        part = await browser.get(links[0], headers={"Range": "bytes=2-4"})
        tampered = await browser.get(links[0].replace("/file?", "/large?"))
        other = await browser.get(links[0][:-1] + ("0" if links[0][-1] != "0" else "1"))

    assert (text.status_code, text.content, text.headers["content-type"]) == (200, b"0123456789", "text/plain")
    assert text.headers["content-disposition"] == "attachment; filename*=UTF-8''Gr%C3%BC%C3%9Fe.txt"
    assert (image.status_code, image.headers["content-type"]) == (200, "image/webp")
    assert image.headers["content-disposition"] == "inline"
    assert samples.opened(image.content).size == (64, 48)
    assert (part.status_code, part.content) == (206, b"234")
    assert {tampered.status_code, other.status_code} == {403}


async def test_pages_show_pictures_of_the_bucket_and_of_nowhere_else(
    client: AsyncClient, rolled_back: RolledBack, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = (await client.get("/users/me")).headers["content-security-policy"]
    assert "img-src 'self' data: blob:;" in own

    url = s3.url()
    monkeypatch.setattr(get_settings(), "storage_url", SecretStr(url))
    storage.use(storage.open_storage(url))
    async with AsyncClient(transport=ASGITransport(create_app()), base_url="http://localhost") as browser:
        policy = (await browser.get("/login")).headers["content-security-policy"]

    assert f"img-src 'self' data: blob: {s3.endpoint};" in policy
    assert policy.replace(f" {s3.endpoint}", "") == own


async def test_a_cookie_is_asked_where_a_form_of_another_site_leads(app: FastAPI, alice: Actor) -> None:
    other = AsyncClient(transport=ASGITransport(app), base_url="http://localhost/api/v1")
    other.cookies.set("larder_session", token_of(alice, TokenKind.COOKIE))

    answer = await other.post(
        AVATAR, files={"file": ("a.png", samples.picture())}, headers={"Sec-Fetch-Site": "cross-site"}
    )

    assert problem(answer) == (403, "cross_origin")
