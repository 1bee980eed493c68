"""What a file is, what is kept of it, and what becomes of files nobody needs."""

import asyncio
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image, ImageCms
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from models import (
    Attachment,
    Avatar,
    FileKind,
    FilePurpose,
    FileState,
    Household,
    LotPhoto,
    Product,
    StoredFile,
    User,
)
from services import chats, files
from services.core import clock, file_urls, storage
from services.core.errors import AppError, Conflict, InvalidInput, NotFound, Unavailable, UnsupportedType
from services.core.storage import MemoryStorage, Storage
from services.files import drawing, kinds, names
from services.files.keeping import Received
from services.permissions import Account, Actor
from services.schemas.chats import ChatCreate
from settings import ROOT, StorageAddress, get_settings
from tests import samples
from tests.conftest import HOUSEHOLD, NEXT_DOOR, NOW, RolledBack
from tests.factories import make_file, make_lot, make_message, make_product

Receive = Callable[..., Received]
Keep = Callable[..., Coroutine[Any, Any, StoredFile]]


@pytest.fixture
def receive(tmp_path: Path) -> Receive:
    """A body as a route hands it on."""

    def write(content: bytes, name: str = "") -> Received:
        path = tmp_path / uuid4().hex
        path.write_bytes(content)
        return Received(path, name, len(content))

    return write


@pytest.fixture
def keep(rolled_back: RolledBack) -> Keep:
    async def keep(
        actor: Account, received: Received, purpose: FilePurpose = FilePurpose.MESSAGE, *, at_home: bool = True
    ) -> StoredFile:
        return await files.keep(actor, received, purpose=purpose, household_id=HOUSEHOLD if at_home else None)

    return keep


async def keys() -> set[str]:
    return {entry.key async for entry in storage.current().list()}


async def rows(session: AsyncSession) -> list[StoredFile]:
    statement = select(StoredFile).execution_options(populate_existing=True)
    return list(await session.scalars(statement))


# What a file is


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "HEIF", "AVIF"])
def test_a_picture_is_known_by_its_content(receive: Receive, format: str) -> None:
    found = kinds.find(receive(samples.picture(format=format), "letter.txt").path)

    assert (found.kind, found.format) == (FileKind.IMAGE, format)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (samples.PDF, "application/pdf"),
        (samples.PDF + b"\n\0\0", "application/pdf"),
        (samples.TEXT, "text/plain"),
        (b"<3 milk", "text/plain"),
        ("\ufeffKäse".encode(), "text/plain"),
        (b"one line, with a comma", "text/plain"),
        (samples.CSV, "text/csv"),
        (samples.CSV.replace(b",", b";"), "text/csv"),
        (samples.docx(), "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (samples.xlsx(), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (samples.open_document("text"), "application/vnd.oasis.opendocument.text"),
        (samples.open_document("spreadsheet"), "application/vnd.oasis.opendocument.spreadsheet"),
    ],
)
def test_a_document_is_known_by_its_content(receive: Receive, content: bytes, media_type: str) -> None:
    found = kinds.find(receive(content, "picture.png").path)

    assert (found.kind, found.media_type) == (FileKind.DOCUMENT, media_type)


NOT_TAKEN = {
    "html": samples.HTML,
    "html behind space": b"\n  <b>hello</b>",
    "svg with a script": samples.SVG,
    "svg with a declaration": b'<?xml version="1.0"?>' + samples.SVG,
    "shell script": b"#!/bin/sh\nrm -rf /\n",
    "php": b"hello <?php system($_GET['x']); ?>",
    "text that becomes a page": b"hello\n" * 300_000 + b"<script>alert(1)</script>",
    "program": b"\x7fELF" + bytes(100),
    "windows program": b"MZ\x90\0" + bytes(100),
    "text in another encoding": "Käse".encode("latin-1"),
    "text cut in a letter": "Käs\u00e9".encode()[:-1],
    "text with a null": b"milk\0eggs",
    "archive": samples.archive({"a.txt": b"a"}),
    "zip bomb": samples.zip_bomb(),
    "document of too many parts": samples.docx(**{f"part{number}": b"" for number in range(kinds.MAX_ENTRIES)}),
    "document with a macro": samples.docx(**{"word/vbaProject.bin": b"macro"}),
    "document that leads out": samples.docx(**{"../../etc/passwd": b"root"}),
    "document behind a script": b"#!/bin/sh\n" + samples.docx(),
    "document before a page": samples.docx() + samples.HTML,
    "document with a comment": samples.docx(comment=samples.PDF),
    "half a document": samples.docx()[:-30],
    "picture and archive": samples.picture() + samples.docx(),
    "picture and page": b"GIF89a/*<script>alert(1)</script>*/=1;",
    "picture with a page in a comment": samples.picture(format="JPEG", comment=b"<script>alert(1)</script>"),
    "picture and pdf": samples.picture(comment=b"%PDF-1.4"),
    "pdf and archive": samples.PDF + samples.docx(),
    "pdf before a page": samples.PDF + samples.HTML,
    "pdf with a page at its head": b"%PDF-1.4\n" + samples.HTML + samples.PDF,
    "pdf behind a page": samples.HTML + samples.PDF,
    "half a pdf": samples.PDF[:-10],
    "tiff, which is on no list": samples.picture(format="TIFF"),
    "bmp, which is on no list": samples.picture(format="BMP"),
    "postscript, which runs": b"%!PS-Adobe-3.0\n/Times findfont\n",
}


@pytest.mark.parametrize("content", NOT_TAKEN.values(), ids=NOT_TAKEN.keys())
def test_nothing_else_is_taken(receive: Receive, content: bytes) -> None:
    with pytest.raises(UnsupportedType):
        kinds.find(receive(content, "picture.png").path)


def test_what_would_run_is_found_across_the_seam_of_two_blocks(receive: Receive) -> None:
    content = samples.picture() + b"\0" * kinds.BLOCK
    split = content[: kinds.BLOCK - 4] + b"<script>" + b"\0" * 100

    with pytest.raises(UnsupportedType):
        kinds.find(receive(split).path)


def test_what_pretends_to_begin_to_run_hides_nothing(receive: Receive) -> None:
    with pytest.raises(UnsupportedType):
        kinds.find(receive(b"a <svg <svg <svgs xmlns='http://www.w3.org/2000/svg'>").path)


@pytest.mark.parametrize(
    "content",
    [
        "ä,😀".encode() * (1024 * 1024),
        samples.docx() + samples.directory(200_000),
    ],
    ids=["text in one line", "an archive that names many parts"],
)
def test_looking_at_a_file_takes_little_memory(receive: Receive, content: bytes) -> None:
    received = receive(content)
    tracemalloc.start()
    try:
        with suppress(UnsupportedType):
            kinds.find(received.path)
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 16 * kinds.BLOCK


def test_entries_that_share_their_bytes_are_a_bomb(receive: Receive) -> None:
    content = samples.docx(**{f"part{number}": b"\0" * 1000 for number in range(50)})
    file = BytesIO(content)
    with zipfile.ZipFile(file, "a") as packed:
        one = packed.getinfo("part0")
        for entry in packed.infolist():
            if entry.filename.startswith("part"):
                entry.header_offset = one.header_offset
        packed._didModify = True  # type: ignore[attr-defined]

    with pytest.raises(UnsupportedType):
        kinds.find(receive(file.getvalue()).path)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("fridge.jpg", "fridge.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\bob\\letter.docx", "letter.docx"),
        ("..", ""),
        ("a\0b\r\nSet-Cookie: c.png", "abSet-Cookie c.png"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ('"><script>.png', "script.png"),
        ("\u200b\u200b", ""),
        ("Ka\u0308se.png", "Käse.png"),
        ("a" * 300 + ".jpeg", "a" * 195 + ".jpeg"),
        ("a" * 300, "a" * 200),
    ],
)
def test_a_name_is_only_for_showing(sent: str, shown: str) -> None:
    assert names.clean(sent) == shown


def test_a_download_is_called_what_it_is() -> None:
    assert names.for_download("evil.html", "txt") == "evil.html.txt"
    assert names.for_download("letter.pdf", "pdf") == "letter.pdf"
    assert names.for_download("", "pdf") == "file.pdf"


# Pictures are drawn anew


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
async def test_nothing_of_where_it_was_taken_is_kept(alice: Actor, receive: Receive, keep: Keep, format: str) -> None:
    content = samples.photo(format=format)
    assert b"GPS" in content or samples.PLACE in content  # it was there

    file = await keep(alice, receive(content))

    for key in files.objects_of(file):
        kept = await storage.current().read(key)
        image = samples.opened(kept)
        assert (image.format, dict(image.getexif()), image.info.get("icc_profile")) == ("WEBP", {}, None)
        assert samples.PLACE not in kept
        assert not any(chunk in kept for chunk in (b"EXIF", b"ICCP", b"XMP "))


@pytest.mark.parametrize(
    ("orientation", "corners"),
    [
        (1, "red red blue blue"),
        (2, "blue blue red red"),
        (3, "blue blue red red"),
        (4, "red red blue blue"),
        (5, "red blue red blue"),
        (6, "red blue red blue"),
        (7, "blue red blue red"),
        (8, "blue red blue red"),
    ],
)
async def test_a_picture_is_turned_upright(
    alice: Actor, receive: Receive, keep: Keep, orientation: int, corners: str
) -> None:
    """The corners: top left, bottom left, top right, bottom right."""
    file = await keep(alice, receive(samples.photo(orientation=orientation)))

    image = samples.opened(await storage.current().read(f"{file.key}/large")).convert("RGB")
    assert (image.width < image.height) is (orientation >= 5)
    right, bottom = image.width - 2, image.height - 2
    seen = [image.getpixel(place) for place in ((1, 1), (1, bottom), (right, 1), (right, bottom))]
    assert ["red" if colour[0] > colour[2] else "blue" for colour in seen] == corners.split()  # type: ignore[index]


async def test_a_picture_is_kept_in_two_sizes(alice: Actor, receive: Receive, keep: Keep) -> None:
    file = await keep(alice, receive(samples.picture(4000, 1000), "fridge.jpg"))

    kept = [samples.opened(await storage.current().read(key)) for key in files.objects_of(file)]
    assert [image.size for image in kept] == [(1600, 400), (320, 80)]
    assert (file.width, file.height, file.media_type, file.name) == (1600, 400, "image/webp", "fridge.jpg")
    assert file.size == sum([await storage.current().size(key) or 0 for key in files.objects_of(file)])
    assert await keys() == set(files.objects_of(file))


async def test_a_small_picture_is_not_blown_up(alice: Actor, receive: Receive, keep: Keep) -> None:
    file = await keep(alice, receive(samples.picture(10, 20)))

    assert (file.width, file.height) == (10, 20)


async def test_an_avatar_is_cut_to_a_square(alice: Actor, receive: Receive, keep: Keep) -> None:
    file = await keep(alice, receive(samples.picture(900, 300)), FilePurpose.AVATAR, at_home=False)

    kept = [samples.opened(await storage.current().read(key)) for key in files.objects_of(file)]
    assert [image.size for image in kept] == [(300, 300), (300, 300)]


async def test_of_a_moving_picture_the_first_is_kept(alice: Actor, receive: Receive, keep: Keep) -> None:
    first, *rest = (Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue"))
    moving = samples.encoded(first, "GIF", save_all=True, append_images=rest)

    file = await keep(alice, receive(moving))

    image = samples.opened(await storage.current().read(f"{file.key}/large"))
    assert getattr(image, "n_frames", 1) == 1
    red, _green, blue = image.convert("RGB").getpixel((5, 5))  # type: ignore[misc]
    assert red > 200 > blue


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
async def test_a_picture_of_any_kind_of_colours_is_drawn(alice: Actor, receive: Receive, keep: Keep, mode: str) -> None:
    image = Image.new("I;16", (30, 20), 65535) if mode == "I;16" else Image.new("RGB", (30, 20), "white").convert(mode)

    file = await keep(alice, receive(samples.encoded(image, "PNG")))

    kept = samples.opened(await storage.current().read(f"{file.key}/large")).convert("RGB")
    assert min(kept.getpixel((15, 10))) > 240  # type: ignore[arg-type]


async def test_what_is_seen_through_stays_so(alice: Actor, receive: Receive, keep: Keep) -> None:
    file = await keep(alice, receive(samples.encoded(Image.new("RGBA", (30, 20), (255, 0, 0, 0)), "PNG")))

    assert samples.opened(await storage.current().read(f"{file.key}/large")).getpixel((15, 10))[3] == 0  # type: ignore[index]


async def test_colours_of_another_profile_look_the_same(alice: Actor, receive: Receive, keep: Keep) -> None:
    """In a space whose primaries are swapped, what is stored as red is seen as something else."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    wrong = await keep(alice, receive(samples.picture(icc_profile=lab)))
    garbage = await keep(alice, receive(samples.picture(icc_profile=b"no profile at all" * 20)))

    for file in (wrong, garbage):
        image = samples.opened(await storage.current().read(f"{file.key}/large")).convert("RGB")
        assert image.getpixel((2, 2))[0] > 200  # type: ignore[index]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "HEIF", "AVIF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
async def test_half_a_picture_is_none(
    session: AsyncSession, alice: Actor, receive: Receive, keep: Keep, format: str, share: float
) -> None:
    noise = Image.effect_noise((300, 200), 80).convert("RGB")
    content = samples.encoded(noise, format)

    with pytest.raises((InvalidInput, UnsupportedType)):
        await keep(alice, receive(content[: max(int(len(content) * share), 16)]))
    assert (await rows(session), await keys()) == ([], set())


@pytest.mark.parametrize("content", [samples.png_bomb(), samples.png_claiming(60_000, 60_000)], ids=["true", "claimed"])
async def test_a_picture_of_too_many_pixels_is_not_decoded(
    session: AsyncSession, alice: Actor, receive: Receive, keep: Keep, content: bytes
) -> None:
    assert len(content) < 2_000_000

    with pytest.raises(InvalidInput, match="50 megapixels"):
        await keep(alice, receive(content))
    assert (await rows(session), await keys()) == ([], set())


async def test_what_kills_its_decoder_is_refused_and_nothing_more(
    receive: Receive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "draw.py"
    program.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(drawing, "PROGRAM", program)

    with pytest.raises(InvalidInput):
        await drawing.draw(receive(samples.picture()).path, "JPEG", tmp_path)


async def test_a_picture_is_not_to_blame_for_a_disk_that_takes_none(receive: Receive, tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()

    with pytest.raises(Unavailable):
        await drawing.draw(receive(samples.picture()).path, "JPEG", tmp_path)


async def test_what_takes_its_decoder_too_long_is_given_up(
    receive: Receive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "draw.py"
    program.write_text("import sys\nsys.stdin.close()\nwhile True: pass\n")
    monkeypatch.setattr(drawing, "PROGRAM", program)
    monkeypatch.setattr(drawing, "PATIENCE", 0)

    with pytest.raises(Unavailable):
        await drawing.draw(receive(samples.picture()).path, "JPEG", tmp_path)


def test_who_serves_requests_never_loads_a_decoder() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import main, sys; main.create_app(); print('PIL' in sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={"LARDER_ENVIRONMENT": "test"},
    )

    assert said.stdout.split()[-1] == "False"


def test_who_draws_has_little_memory() -> None:
    code = "import draw, resource; draw.sys.argv = ['', '', '', '', '']\ntry: draw.main()\nexcept OSError: pass\n"
    asked = f"{code}print(*(resource.getrlimit(limit)[0] for limit in (resource.RLIMIT_AS, resource.RLIMIT_CPU)))"
    said = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT / "services" / "files", capture_output=True, text=True, check=True
    )

    assert said.stdout.splitlines()[-1].endswith(f"{1024 * 1024 * 1024} 30")


# Keeping


async def test_what_is_kept_has_a_key_of_ours(alice: Actor, receive: Receive, keep: Keep) -> None:
    """Nothing of what the sender says is in it (chat D21)."""
    one, two = [await keep(alice, receive(samples.TEXT, "../../a.html")) for _ in range(2)]

    assert one.key != two.key
    assert one.key.startswith("message/2026/")
    assert one.key.removeprefix("message/2026/").isalnum()
    assert (one.name, one.media_type, one.state) == ("a.html", "text/plain", FileState.READY)
    assert await storage.current().read(f"{one.key}/file") == samples.TEXT


@pytest.mark.parametrize("purpose", [each for each in FilePurpose if each is not FilePurpose.MESSAGE])
async def test_where_a_picture_goes_no_document_does(
    alice: Actor, receive: Receive, keep: Keep, purpose: FilePurpose
) -> None:
    with pytest.raises(UnsupportedType):
        await keep(alice, receive(samples.PDF), purpose)


async def test_an_empty_file_is_none(alice: Actor, receive: Receive, keep: Keep) -> None:
    with pytest.raises(InvalidInput):
        await keep(alice, receive(b"", "empty.txt"))


class Ailing(MemoryStorage):
    """A storage that goes down after it took some objects."""

    def __init__(self, *, takes: int) -> None:
        super().__init__(StorageAddress.parse("memory://"))
        self.takes = takes
        self.is_down = False

    async def put(self, key: str, source: Path | bytes, *, media_type: str, download_as: str | None = None) -> None:
        self.is_down = self.is_down or self.takes == 0
        self._fail()
        self.takes -= 1
        await super().put(key, source, media_type=media_type, download_as=download_as)

    async def delete(self, keys: object) -> None:
        self._fail()
        await super().delete(keys)  # type: ignore[arg-type]

    def _fail(self) -> None:
        if self.is_down:
            raise Unavailable("down")


async def test_a_storage_that_goes_down_in_the_middle_leaves_nothing(
    session: AsyncSession, alice: Actor, receive: Receive, keep: Keep
) -> None:
    ailing = Ailing(takes=1)
    storage.use(ailing)

    with pytest.raises(Unavailable):
        await keep(alice, receive(samples.picture()))

    assert [file.state for file in await rows(session)] == [FileState.RELEASED]
    assert len(await keys()) == 1  # the large one was taken
    ailing.is_down = False
    assert await files.tidy() == "1 files, 0 stray objects"
    assert (await rows(session), await keys()) == ([], set())


async def test_a_storage_that_only_refuses_leaves_nothing_at_once(
    session: AsyncSession, alice: Actor, receive: Receive, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    ailing = Ailing(takes=1)
    storage.use(ailing)
    monkeypatch.setattr(ailing, "delete", lambda keys: MemoryStorage.delete(ailing, keys))

    with pytest.raises(Unavailable):
        await keep(alice, receive(samples.picture()))

    assert (await rows(session), await keys()) == ([], set())


async def test_who_goes_away_in_the_middle_leaves_nothing(
    session: AsyncSession,
    alice: Actor,
    receive: Receive,
    keep: Keep,
    memory_storage: Storage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reached, never = asyncio.Event(), asyncio.Event()

    async def put(*_: object, **__: object) -> None:
        reached.set()
        await never.wait()

    monkeypatch.setattr(memory_storage, "put", put)
    sending = asyncio.create_task(keep(alice, receive(samples.TEXT)))
    await reached.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending

    assert await rows(session) == []


async def test_a_household_has_only_so_much_room(
    session: AsyncSession, alice: Actor, receive: Receive, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(get_settings(), "household_quota_mb", 1)
    session.add(make_file(alice, size=1024 * 1024 - len(samples.TEXT)))
    session.add(make_file(alice, size=10**9, state=FileState.RELEASED))
    session.add(make_file(alice, size=10**9, household_id=NEXT_DOOR))
    await session.commit()

    await keep(alice, receive(samples.TEXT))
    with pytest.raises(Conflict) as refused:
        await keep(alice, receive(samples.TEXT))

    assert refused.value.code == "quota_exceeded"
    assert len(await keys()) == 1
    await keep(alice, receive(samples.picture()), FilePurpose.AVATAR, at_home=False)  # counts for nobody


async def test_what_took_too_long_is_not_there_after_all(
    session: AsyncSession,
    alice: Actor,
    receive: Receive,
    keep: Keep,
    memory_storage: Storage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def put(*_: object, **__: object) -> None:
        with clock.frozen(NOW + timedelta(hours=2)):
            await files.tidy()

    monkeypatch.setattr(memory_storage, "put", put)

    with pytest.raises(Conflict):
        await keep(alice, receive(samples.TEXT))
    assert (await rows(session), await keys()) == ([], set())


# What is attached


async def test_only_what_one_sent_oneself_and_did_not_use_yet_is_attached(
    session: AsyncSession, alice: Actor, bob: Actor
) -> None:
    chat = await chats.create_chat(session, alice, ChatCreate(title="Shopping"))
    message = await make_message(session, chat.id, alice)
    mine, second, used = make_file(alice), make_file(alice), make_file(alice)
    wrong = [
        used,
        make_file(bob),
        make_file(alice, purpose=FilePurpose.LOT),
        make_file(alice, state=FileState.PENDING),
        make_file(alice, state=FileState.RELEASED),
        make_file(alice, household_id=NEXT_DOOR),
    ]
    session.add_all([mine, second, *wrong])
    await session.flush()
    session.add(Attachment(message_id=message.id, file_id=used.id))
    await session.flush()

    assert await files.find_attachable(session, alice, [second.id, mine.id]) == [second, mine]
    assert await files.find_attachable(session, alice, []) == []
    for file in wrong:
        with pytest.raises(InvalidInput) as refused:
            await files.find_attachable(session, alice, [mine.id, file.id])
        assert set(refused.value.fields) == {"attachment_ids"}
    with pytest.raises(InvalidInput):
        await files.find_attachable(session, alice, [mine.id, mine.id])


# Addresses


def test_an_address_stays_the_same_for_an_hour() -> None:
    file_id = uuid4()
    addresses = set()
    for minutes in range(0, 4 * 60, 10):
        with clock.frozen(NOW + timedelta(minutes=minutes)):
            addresses.add(files.address(file_id))

    assert len(addresses) in {4, 5}


def test_an_address_cannot_be_made_up() -> None:
    file_id = str(uuid4())
    query = dict(each.split("=") for each in files.address(file_id, "small").partition("?")[2].split("&"))

    def is_good(**changed: str) -> bool:
        given = {"file_id": file_id, "size": "small", **query, **changed}
        return file_urls.is_signed(given["file_id"], given["size"], given["expires"], given["signature"])

    assert is_good()
    assert not is_good(size="large")
    assert not is_good(file_id=str(uuid4()))
    assert not is_good(expires=str(int(query["expires"]) + 1))
    assert not is_good(signature=query["signature"][:-1] + ("0" if query["signature"][-1] != "0" else "1"))
    for expires in ("", "x", "-1", "1e9", "٣", "9" * 400):
        assert not is_good(expires=expires)
    for signature in ("", "ä", query["signature"] + "0", query["signature"].upper() + "\0"):
        assert not is_good(signature=signature)


# Where they are shown


async def test_what_a_new_picture_replaces_is_let_go(session: AsyncSession, alice: Actor) -> None:
    """Old avatars were never deleted (chat D21)."""
    product = await make_product(session, alice)
    old, new, first, second = make_file(alice), make_file(alice), make_file(alice), make_file(alice)
    session.add_all([old, new, first, second])
    await session.flush()

    await files.set_avatar(session, alice, old)
    await files.set_avatar(session, alice, new)
    await files.set_product_picture(session, alice, product.id, first)
    await files.set_product_picture(session, alice, product.id, second)

    states = {file.id: file.state for file in await rows(session)}
    assert [states[file] for file in (old.id, new.id, first.id, second.id)] == [
        FileState.RELEASED,
        FileState.READY,
        FileState.RELEASED,
        FileState.READY,
    ]
    assert await files.avatar_url(session, alice.user_id) == files.address(new.id, "small")

    await files.remove_avatar(session, alice)
    await files.remove_avatar(session, alice)
    await files.remove_product_picture(session, alice, product.id)
    assert {file.state for file in await rows(session)} == {FileState.RELEASED}
    assert await files.avatar_url(session, alice.user_id) is None


async def test_what_is_in_its_place_is_not_thrown_away_by_who_gave_up(
    session: AsyncSession, alice: Actor, receive: Receive, keep: Keep
) -> None:
    product = await make_product(session, alice)
    await session.commit()
    placed, other = await keep(alice, receive(samples.picture())), await keep(alice, receive(samples.picture()))
    await files.set_product_picture(session, alice, product.id, placed)
    await session.commit()

    await files.discard(placed)
    await files.discard(other)

    assert [(file.id, file.state) for file in await rows(session)] == [(placed.id, FileState.READY)]
    assert await keys() == set(files.objects_of(placed))


async def test_a_lot_has_so_many_photos(session: AsyncSession, alice: Actor, charlie: Actor) -> None:
    lot = await make_lot(session, alice)
    photos = [make_file(alice, purpose=FilePurpose.LOT) for _ in range(11)]
    session.add_all(photos)
    await session.flush()
    for photo in photos[:10]:
        await files.add_lot_photo(session, alice, lot.id, photo)

    with pytest.raises(Conflict):
        await files.add_lot_photo(session, alice, lot.id, photos[10])
    assert [photo.id for photo in await files.list_lot_photos(session, lot.id)] == [each.id for each in photos[:10]]
    with pytest.raises(NotFound):
        await files.remove_lot_photo(session, charlie, lot.id, photos[0].id)
    await files.remove_lot_photo(session, alice, lot.id, photos[0].id)
    with pytest.raises(NotFound):
        await files.remove_lot_photo(session, alice, lot.id, photos[0].id)
    assert len(await files.list_lot_photos(session, lot.id)) == 9


# Tidying


async def put_all(*kept: StoredFile) -> None:
    for file in kept:
        for key in files.objects_of(file):
            await storage.current().put(key, b"kept", media_type=file.media_type)


async def test_what_nobody_refers_to_goes_and_everything_else_stays(session: AsyncSession, alice: Actor) -> None:
    product = await make_product(session, alice)
    lot = await make_lot(session, alice, product=product)
    chat = await chats.create_chat(session, alice, ChatCreate(title="Shopping"))
    message = await make_message(session, chat.id, alice)
    day, hour = timedelta(days=1, seconds=1), timedelta(hours=1, seconds=1)
    used = [make_file(alice, created_at=NOW - 9 * day) for _ in range(4)]
    young = [make_file(alice), make_file(alice, state=FileState.PENDING)]
    gone = [
        make_file(alice, state=FileState.RELEASED),
        make_file(alice, state=FileState.PENDING, created_at=NOW - hour),
        make_file(alice, created_at=NOW - day),
        make_file(alice, created_at=NOW - day, kind=FileKind.DOCUMENT),
    ]
    session.add_all([*used, *young, *gone])
    await session.flush()
    (await session.get_one(Product, product.id)).picture_id = used[0].id
    session.add(Avatar(user_id=alice.user_id, file_id=used[1].id))
    session.add(LotPhoto(lot_id=lot.id, file_id=used[2].id))
    session.add(Attachment(message_id=message.id, file_id=used[3].id))
    await session.commit()
    await put_all(*used, *young, *gone)

    assert await files.tidy() == "4 files, 0 stray objects"

    stays = {file.id for file in (*used, *young)}
    assert {file.id for file in await rows(session)} == stays
    assert await keys() == {key for file in (*used, *young) for key in files.objects_of(file)}
    assert await files.tidy() == "0 files, 0 stray objects"


async def test_with_a_household_or_an_account_go_its_files(session: AsyncSession, alice: Actor, charlie: Actor) -> None:
    product = await make_product(session, charlie)
    theirs = make_file(charlie, purpose=FilePurpose.PRODUCT, created_at=NOW - timedelta(days=2))
    face = make_file(charlie, purpose=FilePurpose.AVATAR, household_id=None, created_at=NOW - timedelta(days=2))
    session.add_all([theirs, face])
    await session.flush()
    (await session.get_one(Product, product.id)).picture_id = theirs.id
    session.add(Avatar(user_id=charlie.user_id, file_id=face.id))
    await session.commit()
    await put_all(theirs, face)
    assert await files.tidy() == "0 files, 0 stray objects"

    await session.execute(delete(Household).where(col(Household.id) == NEXT_DOOR))
    await session.execute(delete(User).where(col(User.id) == charlie.user_id))
    await session.commit()

    assert await files.tidy() == "2 files, 0 stray objects"
    assert await keys() == set()


async def test_objects_without_a_row_go_after_a_day(rolled_back: RolledBack) -> None:
    stray, foreign = f"lot/2026/{uuid4().hex}/large", "backup/2026/ours/not"
    for key in (stray, foreign):
        await storage.current().put(key, b"stray", media_type="image/webp")

    (entry,) = [each async for each in storage.current().list(stray.rpartition("/")[0])]
    with clock.frozen(entry.modified_at + timedelta(hours=23)):
        assert (await files.tidy()).endswith("0 stray objects")
    with clock.frozen(entry.modified_at + timedelta(days=1, seconds=1)):
        said = await files.tidy()

    assert said.endswith("1 stray objects")
    assert stray not in await keys()
    assert foreign in await keys()


async def test_objects_without_a_row_are_found_on_every_page_of_the_list(
    rolled_back: RolledBack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "LISTED_AT_ONCE", 2)
    storage.use(storage.open_storage(f"file://{tmp_path}"))
    for _each in range(5):
        await storage.current().put(f"lot/2026/{uuid4().hex}/large", b"stray", media_type="image/webp")

    (entry, *_rest) = [each async for each in storage.current().list()]
    with clock.frozen(entry.modified_at + timedelta(days=1, minutes=1)):
        assert await files.tidy() == "0 files, 5 stray objects"
    assert await keys() == set()


async def test_a_storage_that_is_down_keeps_the_rows(session: AsyncSession, alice: Actor) -> None:
    """Objects go first: a row that is left leads back to them."""
    ailing = Ailing(takes=2)
    storage.use(ailing)
    file = make_file(alice, state=FileState.RELEASED)
    session.add(file)
    await session.commit()
    await put_all(file)
    ailing.is_down = True

    with pytest.raises(AppError):
        await files.tidy()

    assert len(await rows(session)) == 1
