"""The storage, on each store there is: a folder, memory, and a bucket on a real S3 server."""

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import obstore
import pytest

from services.core import storage
from services.core.errors import NotFound, Unavailable
from services.core.storage import Storage
from settings import ROOT, StorageAddress
from tests.processes import until
from tests.s3 import KEY, SECRET, S3Server, s3_server

STORES = ("folder", "memory", "bucket")
PDF = "application/pdf"
WEBP = "image/webp"
BODY = b"0123456789"
FAR_TOO_MUCH = 100 * 1024 * 1024

Address = Callable[[str], str]


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    def address(kind: str) -> str:
        if kind == "folder":
            return (tmp_path / "files").as_uri()
        if kind == "memory":
            return "memory://"
        server: S3Server = request.getfixturevalue("s3")
        return server.url()

    return address


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, address: Address) -> Storage:
    return storage.open_storage(address(request.param))


@pytest.fixture
def bucket(s3: S3Server) -> Storage:
    return storage.open_storage(s3.url())


async def streamed(store: Storage, key: str, start: int = 0) -> bytes:
    return b"".join([chunk async for chunk in store.stream(key, start=start)])


async def keys(store: Storage, prefix: str = "") -> list[str]:
    return sorted([entry.key async for entry in store.list(prefix)])


async def test_what_is_put_is_read_again(store: Storage) -> None:
    await store.put("a/one.webp", BODY, media_type=WEBP)

    assert await store.read("a/one.webp") == BODY
    assert await streamed(store, "a/one.webp") == BODY
    assert await store.size("a/one.webp") == 10


async def test_nothing_is_something_too(store: Storage) -> None:
    await store.put("a/empty", b"", media_type=PDF)

    assert await store.read("a/empty") == b""
    assert await streamed(store, "a/empty") == b""
    assert await store.size("a/empty") == 0


async def test_the_second_replaces_the_first(store: Storage) -> None:
    await store.put("a/one", b"the first, and longer", media_type=PDF)
    await store.put("a/one", BODY, media_type=PDF)

    assert await store.read("a/one") == BODY


async def test_a_file_is_put_a_part_at_a_time(store: Storage, tmp_path: Path) -> None:
    body = secrets.token_bytes(2 * storage.PART + 1234)
    path = tmp_path / "body"
    path.write_bytes(body)

    await store.put("a/long", path, media_type=PDF)

    assert await store.size("a/long") == len(body)
    assert await streamed(store, "a/long") == body
    assert await streamed(store, "a/long", storage.PART - 3) == body[storage.PART - 3 :]


@pytest.mark.parametrize(("start", "expected"), [(0, BODY), (4, BODY[4:]), (9, b"9"), (10, b""), (50, b"")])
async def test_a_part_of_it_is_streamed(start: int, expected: bytes, store: Storage) -> None:
    await store.put("a/one", BODY, media_type=PDF)

    assert await streamed(store, "a/one", start) == expected


async def test_what_is_not_there_is_not_found(store: Storage) -> None:
    with pytest.raises(NotFound):
        await store.read("a/none")
    with pytest.raises(NotFound):
        await streamed(store, "a/none")
    with pytest.raises(NotFound):
        await streamed(store, "a/none", 5)
    assert await store.size("a/none") is None


async def test_objects_are_listed_below_a_prefix(store: Storage) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    for key in ("a/1/large.webp", "a/1/small.webp", "a/12/file", "b/1/file"):
        await store.put(key, BODY, media_type=PDF)

    assert await keys(store) == ["a/1/large.webp", "a/1/small.webp", "a/12/file", "b/1/file"]
    assert await keys(store, "a") == ["a/1/large.webp", "a/1/small.webp", "a/12/file"]
    assert await keys(store, "a/1") == ["a/1/large.webp", "a/1/small.webp"]
    assert await keys(store, "none") == []
    async for entry in store.list("b"):
        assert entry.size == 10
        assert before < entry.modified_at < datetime.now(UTC) + timedelta(minutes=1)


async def test_deleting_removes_what_is_there(store: Storage) -> None:
    """FastOpp D17: there, a name was cut wrongly and the store ignored, so nothing was ever deleted."""
    for key in ("a/1/file", "a/2/file", "uploads/uploads/sad.pdf"):
        await store.put(key, BODY, media_type=PDF)

    await store.delete(["a/1/file", "a/3/file", "uploads/uploads/sad.pdf"])
    await store.delete([])

    assert await keys(store) == ["a/2/file"]
    with pytest.raises(NotFound):
        await store.read("uploads/uploads/sad.pdf")


async def test_a_folder_is_left_as_it_was_found(address: Address, tmp_path: Path) -> None:
    store = storage.open_storage(address("folder"))
    await store.put("a/1/file", BODY, media_type=PDF)

    await store.delete(["a/1/file"])

    assert list((tmp_path / "files").iterdir()) == []
    assert (tmp_path / "files").stat().st_mode & 0o077 == 0


PUTTING = """
import asyncio, sys
from pathlib import Path
from services.core import storage

async def main(url, path):
    store = storage.open_storage(url)
    while True:
        await store.put("a/long", Path(path), media_type="application/pdf")

asyncio.run(main(*sys.argv[1:]))
"""


def test_what_a_process_left_that_was_killed_is_no_object_and_removed_a_day_later(
    address: Address, tmp_path: Path
) -> None:
    store = storage.open_storage(address("folder"))
    body = tmp_path / "body"
    with body.open("wb") as file:
        file.truncate(FAR_TOO_MUCH)
    process = subprocess.Popen(
        [sys.executable, "-c", PUTTING, address("folder"), str(body)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "LARDER_ENVIRONMENT": "test"},
    )
    until(lambda: torn(tmp_path))
    process.kill()
    process.wait()

    assert all(entry == "a/long" for entry in asyncio.run(keys(store)))
    left = len(torn(tmp_path))
    assert asyncio.run(store.remove_torn(before=datetime.now(UTC) - timedelta(days=1))) == 0
    assert len(torn(tmp_path)) == left
    assert asyncio.run(store.remove_torn(before=datetime.now(UTC) + timedelta(minutes=1))) == left
    assert torn(tmp_path) == []


def torn(folder: Path) -> list[Path]:
    return list(folder.rglob("*#*"))


@pytest.mark.parametrize(
    "key",
    [
        "",
        ".",
        "..",
        "../a",
        "a/../../b",
        "a/..",
        "/etc/passwd",
        "a//b",
        "a/",
        "a\\b",
        "a/.hidden",
        "a/%2e%2e/b",
        "a#1",
        "a\x00b",
        "a\nb",
        "ä",
        "x" * 501,
    ],
)
async def test_a_key_leads_down_and_nowhere_else(key: str, store: Storage) -> None:
    """FastOpp D16: there, the name of a file was what its sender wrote."""
    with pytest.raises(ValueError, match="key"):
        await store.put(key, BODY, media_type=PDF)
    with pytest.raises(ValueError, match="key"):
        await store.read(key)
    with pytest.raises(ValueError, match="key"):
        await streamed(store, key)
    with pytest.raises(ValueError, match="key"):
        await store.size(key)
    with pytest.raises(ValueError, match="key"):
        await store.delete(["a/fine", key])
    assert await keys(store) == []


async def test_it_says_that_it_works(store: Storage) -> None:
    await store.check()
    await store.try_writing()

    assert await keys(store) == []


async def test_a_bucket_may_be_ours_alone(s3: S3Server) -> None:
    store = storage.open_storage(s3.url(bucket=s3.make_bucket(), prefix=""))
    await store.put("a/one", BODY, media_type=PDF)

    assert await keys(store) == ["a/one"]
    link = await store.presign("a/one", expires_in=timedelta(minutes=5))
    assert (await fetch(str(link))).content == BODY


async def test_those_of_one_prefix_see_nothing_of_another(s3: S3Server) -> None:
    one, other = (storage.open_storage(s3.url(prefix=f"shared-{name}")) for name in ("a", "ab"))
    await one.put("a/one", BODY, media_type=PDF)
    await other.put("a/two", BODY, media_type=PDF)

    assert await keys(one) == ["a/one"]
    assert await one.size("a/two") is None


async def test_many_put_at_once(store: Storage) -> None:
    await asyncio.gather(*(store.put(f"a/{n}/file", str(n).encode(), media_type=PDF) for n in range(50)))

    assert len(await keys(store)) == 50
    assert await store.read("a/37/file") == b"37"


# Links


async def fetch(url: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(url, headers=headers)


async def test_a_link_gives_the_object_as_it_says(store: Storage) -> None:
    """FastOpp D16: there, every file in the bucket said that it was a JPEG."""
    await store.put("a/one", BODY, media_type=PDF, download_as='ü "1".pdf')

    link = await store.presign("a/one", expires_in=timedelta(minutes=5))

    if store.address.scheme != "s3":
        assert link is None
        assert store.origin is None
        return
    assert link is not None
    assert store.origin is not None
    assert link.startswith(f"{store.origin}/")
    answer = await fetch(link)
    assert (answer.status_code, answer.content) == (200, BODY)
    assert answer.headers["content-type"] == PDF
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%BC%20%221%22.pdf"
    assert answer.headers["cache-control"] == "private, max-age=900, immutable"
    part = await fetch(link, Range="bytes=2-4")
    assert (part.status_code, part.content) == (206, b"234")


async def test_a_picture_is_shown_where_it_is(bucket: Storage) -> None:
    await bucket.put("a/large.webp", BODY, media_type=WEBP)

    link = await bucket.presign("a/large.webp", expires_in=timedelta(minutes=5))

    assert link is not None
    answer = await fetch(link)
    assert (answer.headers["content-type"], answer.headers["content-disposition"]) == (WEBP, "inline")


async def test_what_was_put_a_part_at_a_time_is_called_and_kept_alike(bucket: Storage, tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(secrets.token_bytes(storage.PART + 1))
    await bucket.put("a/long", path, media_type=PDF, download_as="x.pdf")

    link = await bucket.presign("a/long", expires_in=timedelta(minutes=5))

    answer = await fetch(str(link))
    assert answer.content == path.read_bytes()
    assert answer.headers["content-type"] == PDF
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''x.pdf"
    assert answer.headers["cache-control"] == "private, max-age=900, immutable"


async def test_the_second_is_called_as_it_says_and_not_as_the_first(bucket: Storage) -> None:
    await bucket.put("a/one", BODY, media_type=PDF, download_as="x.pdf")
    await bucket.put("a/one", BODY, media_type=WEBP)

    answer = await fetch(str(await bucket.presign("a/one", expires_in=timedelta(minutes=5))))

    assert (answer.headers["content-type"], answer.headers["content-disposition"]) == (WEBP, "inline")


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("a/one", "a/two"),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=host&response-content-type=text%2Fhtml"),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=host&response-content-disposition=inline"),
        ("X-Amz-Expires=300", "X-Amz-Expires=900"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
    ],
)
async def test_a_link_that_was_tampered_with_is_refused(written: str, instead: str, bucket: Storage) -> None:
    for key in ("a/one", "a/two"):
        await bucket.put(key, BODY, media_type=PDF, download_as="x.pdf")
    link = await bucket.presign("a/one", expires_in=timedelta(minutes=5))
    assert link is not None
    assert written in link

    answer = await fetch(link.replace(written, instead))

    assert answer.status_code == 403
    assert BODY not in answer.content


async def test_a_link_is_good_for_a_while_only(bucket: Storage) -> None:
    await bucket.put("a/one", BODY, media_type=PDF)
    link = await bucket.presign("a/one", expires_in=timedelta(seconds=1))
    assert link is not None

    until(lambda: httpx.get(link).status_code != 200)

    answer = await fetch(link)
    assert answer.status_code == 403
    assert "expired" in answer.text


async def test_without_a_link_nobody_gets_anything(bucket: Storage, s3: S3Server) -> None:
    await bucket.put("a/one", BODY, media_type=PDF)

    s3_path = f"{bucket.address.bucket}/{bucket.address.prefix}"

    for path in ("", "/", "/a/one", "/a/one?versionId=null", "/?list-type=2"):
        assert (await fetch(f"{s3.endpoint}/{s3_path}{path}")).status_code == 403


async def test_a_link_of_another_key_is_refused(bucket: Storage, s3: S3Server) -> None:
    await bucket.put("a/one", BODY, media_type=PDF)
    other = storage.open_storage(s3.url(prefix=bucket.address.prefix, secret="guessed"))
    link = await other.presign("a/one", expires_in=timedelta(minutes=5))
    assert link is not None

    assert (await fetch(link)).status_code == 403


@pytest.mark.parametrize(
    ("options", "origin"),
    [
        ("", "https://s3.us-east-1.amazonaws.com"),
        ("?region=eu-central-1", "https://s3.eu-central-1.amazonaws.com"),
        ("?endpoint=https://s3.example.org", "https://s3.example.org"),
        ("?endpoint=http://storage:8333", None),
        ("?endpoint=http://storage:8333&public=https://files.example.org", "https://files.example.org"),
        ("?endpoint=https://s3.internal&public=", None),
    ],
)
async def test_there_are_links_where_browsers_reach_the_bucket(
    options: str, origin: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)

    store = storage.open_storage(f"s3://key:secret@larder/below{options}")

    assert store.origin == origin
    link = await store.presign("a/one", expires_in=timedelta(hours=1))
    assert link is None if origin is None else str(link).startswith(f"{origin}/larder/below/a/one?")


async def test_keys_come_from_the_usual_variables_where_the_address_has_none(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = StorageAddress.parse(s3.url())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", whole.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", whole.secret_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "")
    store = storage.open_storage(f"s3://{whole.bucket}/{whole.prefix}?public={s3.endpoint}")

    await store.put("a/one", BODY, media_type=PDF)

    link = await store.presign("a/one", expires_in=timedelta(minutes=5))
    assert link is not None
    assert (await fetch(link)).content == BODY


async def test_what_the_address_says_goes_before_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://other.example.org")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://another.example.org")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    store = storage.open_storage("s3://key:secret@larder?region=eu-central-1&public=https://files.example.org")

    link = await store.presign("a/one", expires_in=timedelta(minutes=5))

    assert str(link).startswith("https://files.example.org/larder/a/one?")
    assert "eu-central-1%2Fs3" in str(link)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One with a role, as Amazon's are: who runs on it asks for the keys at an address."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with ThreadingHTTPServer(("127.0.0.1", 0), Role) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()
        thread.join()


class Role(BaseHTTPRequestHandler):
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html"""

    def do_PUT(self) -> None:
        self._answer("a token to ask with")

    def do_GET(self) -> None:
        ends_at = datetime.now(UTC) + timedelta(hours=6)
        keys = {
            "AccessKeyId": KEY,
            "SecretAccessKey": SECRET,
            "Token": "",
            "Expiration": f"{ends_at:%Y-%m-%dT%H:%M:%SZ}",
        }
        self._answer("larder" if self.path.endswith("/security-credentials/") else json.dumps(keys))

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.mark.usefixtures("machine")
async def test_links_are_signed_with_the_role_of_a_machine(s3: S3Server) -> None:
    store = storage.open_storage(f"s3://larder/{uuid4().hex}?endpoint={s3.endpoint}&public={s3.endpoint}")
    await store.put("a/one", BODY, media_type=PDF)

    link = await store.presign("a/one", expires_in=timedelta(minutes=5))

    assert (await fetch(str(link))).content == BODY


@pytest.mark.usefixtures("machine")
async def test_a_role_that_gives_no_keys_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Role, "do_GET", lambda role: role.send_error(404))
    store = storage.open_storage("s3://larder")

    with pytest.raises(Unavailable):
        await store.presign("a/one", expires_in=timedelta(minutes=5))


async def test_a_session_token_goes_with_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a/token=")
    store = storage.open_storage("s3://larder")

    link = await store.presign("a/one", expires_in=timedelta(minutes=5))

    query = parse_qs(urlsplit(str(link)).query)
    assert query["X-Amz-Security-Token"] == ["a/token="]
    assert query["X-Amz-Expires"] == ["300"]


# Failures


async def assert_unavailable(store: Storage, tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(secrets.token_bytes(2 * storage.PART))
    with pytest.raises(Unavailable):
        await store.check()
    with pytest.raises(Unavailable):
        await store.try_writing()
    with pytest.raises(Unavailable):
        await store.put("a/one", BODY, media_type=PDF)
    with pytest.raises(Unavailable):
        await store.put("a/long", path, media_type=PDF)
    with pytest.raises(Unavailable):
        await store.read("a/one")
    with pytest.raises(Unavailable):
        await streamed(store, "a/one", 5)
    with pytest.raises(Unavailable):
        await store.size("a/one")
    with pytest.raises(Unavailable):
        await store.delete(["a/one"])
    with pytest.raises(Unavailable):
        await keys(store)


@pytest.mark.parametrize("wrong", [{"secret": "guessed"}, {"key": "nobody"}])
async def test_wrong_keys_are_refused(wrong: dict[str, str], s3: S3Server, tmp_path: Path) -> None:
    right = storage.open_storage(s3.url())
    await right.put("a/one", BODY, media_type=PDF)

    await assert_unavailable(storage.open_storage(s3.url(prefix=right.address.prefix, **wrong)), tmp_path)

    assert await right.read("a/one") == BODY
    assert await keys(right) == ["a/one"]


async def test_a_bucket_that_is_not_there_is_told(s3: S3Server) -> None:
    store = storage.open_storage(s3.url(bucket="nosuchbucket"))

    with pytest.raises(Unavailable):
        await store.check()
    with pytest.raises(Unavailable):
        await store.put("a/one", BODY, media_type=PDF)
    with pytest.raises(Unavailable):
        await keys(store)


async def test_a_server_that_goes_down_in_the_middle_is_told_and_nothing_hangs(tmp_path: Path) -> None:
    with s3_server() as server:
        store = storage.open_storage(server.url())
        await store.put("a/one", secrets.token_bytes(20 * 1024 * 1024), media_type=PDF)
        stream = store.stream("a/one")
        assert await anext(stream)

        server.stop()

        with pytest.raises(Unavailable):
            [chunk async for chunk in stream]
        await assert_unavailable(store, tmp_path)


async def test_a_server_that_says_nothing_is_waited_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "PATIENCE", timedelta(milliseconds=200))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        store = storage.open_storage(f"s3://key:secret@larder?endpoint=http://127.0.0.1:{port}")

        for work in (store.check(), store.read("a/one"), store.put("a/one", BODY, media_type=PDF)):
            with pytest.raises(Unavailable):
                await asyncio.wait_for(work, 20)


async def test_who_is_cancelled_while_something_is_put_waits_for_its_end(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = storage.open_storage(address("folder"))
    has_begun, may_go_on = threading.Event(), threading.Event()

    def put(*arguments: Any, **options: Any) -> None:
        has_begun.set()
        assert may_go_on.wait(30)
        original(*arguments, **options)

    original = obstore.put
    monkeypatch.setattr(obstore, "put", put)
    putting = asyncio.create_task(store.put("a/one", BODY, media_type=PDF))
    await asyncio.to_thread(has_begun.wait)

    putting.cancel()
    await asyncio.sleep(0)
    assert not putting.done()
    may_go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await putting
    assert await keys(store) == ["a/one"]


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
async def test_a_folder_that_cannot_be_written_is_told(address: Address, tmp_path: Path) -> None:
    store = storage.open_storage(address("folder"))
    (tmp_path / "files").chmod(0o500)

    with pytest.raises(Unavailable):
        await store.check()
    with pytest.raises(Unavailable):
        await store.put("a/one", BODY, media_type=PDF)
    (tmp_path / "files").chmod(0o700)


async def test_a_folder_that_is_gone_is_told(address: Address, tmp_path: Path) -> None:
    store = storage.open_storage(address("folder"))
    (tmp_path / "files").rmdir()

    with pytest.raises(Unavailable):
        await store.check()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("a file")

    with pytest.raises(Unavailable):
        storage.open_storage((tmp_path / "files" / "below").as_uri())


async def test_what_went_wrong_is_logged_without_the_secret(s3: S3Server, capsys: pytest.CaptureFixture[str]) -> None:
    store = storage.open_storage(s3.url(secret="hunter2-hunter2"))

    with pytest.raises(Unavailable):
        await store.put("a/one", BODY, media_type=PDF)

    logged = "".join(capsys.readouterr())
    assert "SignatureDoesNotMatch" in logged
    assert "hunter2" not in logged
    assert "hunter2" not in f"{store} {store.address!r}"


# Memory

GROWTH = """
import asyncio, json, sys
from hashlib import sha256
from pathlib import Path
import psutil
from services.core import storage

async def main(url, path):
    # What is loaded once is not what an object costs.
    store = storage.open_storage(url)
    await store.put("warm", b"up", media_type="text/plain")
    await store.read("warm")
    process, most, digest = psutil.Process(), 0, sha256()
    before = process.memory_info().rss

    async def watch():
        nonlocal most
        while True:
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(0.005)

    watching = asyncio.create_task(watch())
    await store.put("long", Path(path), media_type="application/pdf")
    async for chunk in store.stream("long"):
        digest.update(chunk)
        most = max(most, process.memory_info().rss)
    watching.cancel()
    print(json.dumps({"growth": most - before, "digest": digest.hexdigest()}))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_100_megabytes_cost_less_than_20_of_memory(kind: str, address: Address, tmp_path: Path) -> None:
    """FastOpp D16: there, each file was in memory as a whole before anybody asked how large it is."""
    path = tmp_path / "body"
    digest = sha256()
    with path.open("wb") as file:
        for _part in range(FAR_TOO_MUCH // 2**20):
            part = secrets.token_bytes(2**20)
            digest.update(part)
            file.write(part)

    done = subprocess.run(
        [sys.executable, "-c", GROWTH, address(kind), str(path)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "LARDER_ENVIRONMENT": "test"},
        capture_output=True,
        check=True,
    )

    told = json.loads(done.stdout)
    assert told["digest"] == digest.hexdigest()
    assert told["growth"] < 20 * 2**20, f"{told['growth'] / 2**20:.1f} MiB"


# The setting


def test_the_default_is_a_folder_of_ours() -> None:
    assert StorageAddress.parse("file:///srv/larder/var/files").path == Path("/srv/larder/var/files")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("file:///srv/my%20files", "file:///srv/my%20files"),
        ("memory://", "memory://"),
        ("s3://larder", "s3://larder"),
        ("s3://key:se%2Fcret@Larder.Files/a/b/?region=eu-central-1", "s3://Larder.Files/a/b"),
    ],
)
def test_an_address_is_shown_without_what_is_secret(url: str, shown: str) -> None:
    assert str(StorageAddress.parse(url)) == shown


def test_what_is_in_an_address_is_read() -> None:
    address = StorageAddress.parse(
        "s3://key:se%2Fcret@larder/a/?endpoint=https://s3.example/&region=x&public=https://f/"
    )

    assert (address.access_key, address.secret_key, address.bucket, address.prefix) == ("key", "se/cret", "larder", "a")
    assert (address.endpoint, address.region, address.public) == ("https://s3.example", "x", "https://f")
    assert "se/cret" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "files",
        "/srv/files",
        "file://",
        "file:///",
        "file://server/files",
        "http://bucket",
        "s3://",
        "s3:///prefix",
        "s3://key@bucket",
        "s3://bucket?endpint=https://s3.example",
        "s3://bucket?endpoint=s3.example",
        "s3://bucket?endpoint=ftp://s3.example",
        "s3://bucket/a/../b",
    ],
)
def test_an_address_that_means_nothing_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"use|name|option|address|prefix"):
        StorageAddress.parse(url)
