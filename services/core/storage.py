"""Where files are kept: a folder, a bucket, or memory, alike to whoever uses them.

Keys are made by the server. A store that fails, or does not answer within some ten seconds, raises `Unavailable`; an
object that is not there raises `NotFound`. Never call it with a session open.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from urllib.parse import quote, urlsplit

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, S3Store

from services.core import ids
from services.core.errors import NotFound, Unavailable
from services.core.i18n import _
from settings import StorageAddress, get_settings

if TYPE_CHECKING:  # obstore has the names of types for checkers only
    from obstore import GetOptions
    from obstore.store import ObjectStore, S3Config

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger()

# What a bucket takes as a part at least.
PART = 5 * 1024 * 1024
CHUNK = 256 * 1024
LISTED_AT_ONCE = 500
# A server that is down is asked again within the time one that hangs is waited for.
PATIENCE = timedelta(seconds=10)
REGION = "us-east-1"
# How a browser keeps what it fetched from a bucket. Each link is another address, so longer helps nobody.
CACHE_CONTROL = "private, max-age=900, immutable"
# obstore's own coroutines end in threads of theirs, which abort a process that ends at the same moment (0.12). Nobody
# else waits for these: a store that hangs keeps no password from being hashed.
_threads = ThreadPoolExecutor(16, thread_name_prefix="storage")
# How obstore calls a file in a folder until all of it is there; no list shows those.
_TORN = re.compile(r"#\d+$")
_PART_OF_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as a list names it. `size` in bytes."""

    key: str
    size: int
    modified_at: datetime


class Storage:
    """`origin`: of the links `presign` makes; None where it makes none."""

    origin: str | None = None

    def __init__(self, store: "ObjectStore", address: StorageAddress) -> None:
        self.address = address
        self._store = store

    def __str__(self) -> str:
        return str(self.address)

    async def put(self, key: str, source: Path | bytes, *, media_type: str, download_as: str | None = None) -> None:
        """Keep it whole or not at all, in place of what was there. A path is read a part at a time.

        `media_type` and `download_as` are what links give it as; without `download_as` it is shown.
        """
        with _failing(self, "put", key, missing=Unavailable):
            await _to_its_end(
                obstore.put,
                self._store,
                _checked(key),
                source,
                attributes=self._attributes(media_type, download_as),
                chunk_size=PART,
                max_concurrency=1,
            )

    async def read(self, key: str) -> bytes:
        """All of it, in memory: for what is known to be small."""
        with _failing(self, "read", key):
            return await _in_thread(lambda: bytes(obstore.get(self._store, _checked(key)).bytes()))

    async def stream(self, key: str, *, start: int = 0) -> AsyncIterator[bytes]:
        """From byte `start` on. What is past the end of the object is empty."""
        options: GetOptions = {"range": {"offset": start}} if start else {}
        with _failing(self, "read", key):
            try:
                found = await _in_thread(obstore.get, self._store, _checked(key), options=options)
            except (BaseError, OSError):
                # Each store refuses a range past the end in its own words.
                size = await self.size(key) if start else None
                if size is not None and start >= size:
                    return
                raise
            chunks = iter(found.stream(min_chunk_size=CHUNK))
            while (chunk := await _in_thread(next, chunks, None)) is not None:
                yield bytes(chunk)

    async def size(self, key: str) -> int | None:
        """In bytes; None when there is no such object."""
        try:
            with _failing(self, "size", key):
                return (await _in_thread(obstore.head, self._store, _checked(key)))["size"]
        except NotFound:
            return None

    async def delete(self, keys: Iterable[str]) -> None:
        """Those that are there; it is fine when none is."""
        for key in [_checked(key) for key in keys]:
            try:
                with _failing(self, "delete", key):
                    await _to_its_end(obstore.delete, self._store, key)
            except NotFound:
                continue

    async def list(self, prefix: str = "") -> AsyncIterator[Entry]:
        """Every object below `prefix`, which ends where a part of a key ends."""
        async for page in self.list_pages(prefix):
            for entry in page:
                yield entry

    async def list_pages(self, prefix: str = "") -> AsyncIterator[Sequence[Entry]]:
        """As `list`, some at once. They may be deleted meanwhile."""
        with _failing(self, "list", prefix, missing=Unavailable):
            below = _checked(prefix) if prefix else None
            pages = iter(obstore.list(self._store, below, chunk_size=LISTED_AT_ONCE))
            while (page := await _in_thread(next, pages, None)) is not None:
                yield [Entry(each["path"], each["size"], each["last_modified"]) for each in page]

    async def presign(self, key: str, *, expires_in: timedelta) -> str | None:
        """A link with which anybody can get the object for a while; None where the store knows no links.

        Signed with the role of a machine it ends with that role's keys, if that is sooner; obstore has new ones five
        minutes before.
        """
        return None

    async def check(self) -> None:
        """Whether it answers. Changes nothing."""
        with _failing(self, "check", "", missing=Unavailable):
            await _in_thread(next, iter(obstore.list(self._store, "check", chunk_size=1)), None)

    async def remove_torn(self, *, before: datetime) -> int:
        """Remove parts of what was put until a process died, before then; how many. A bucket has a rule for that."""
        return 0

    async def try_writing(self) -> None:
        """Whether it takes an object and gives it back."""
        key = f"check/{ids.new_id().hex}"
        await self.put(key, b"check", media_type="text/plain")
        if await self.read(key) != b"check":
            raise Unavailable(_("The files cannot be reached at the moment. Please try again."))
        await self.delete([key])

    def _attributes(self, media_type: str, download_as: str | None) -> dict[str, str] | None:
        return None


class FolderStorage(Storage):
    def __init__(self, address: StorageAddress) -> None:
        address.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        super().__init__(LocalStore(address.path, automatic_cleanup=True), address)

    async def check(self) -> None:
        path = self.address.path
        # One that is gone would be made again by the next put, on a disk that is not the one it was on.
        if not await _in_thread(lambda: path.is_dir() and os.access(path, os.W_OK | os.X_OK)):
            raise _unavailable(self, "check", "", FileNotFoundError(path))

    async def remove_torn(self, *, before: datetime) -> int:
        with _failing(self, "delete", "", missing=Unavailable):
            return await _in_thread(self._remove_torn, before.timestamp())

    def _remove_torn(self, before: float) -> int:
        removed = 0
        for path in self.address.path.rglob("*#*"):
            with suppress(FileNotFoundError):  # put to its end at the moment
                if _TORN.search(path.name) and path.stat().st_mtime < before:
                    path.unlink()
                    removed += 1
        return removed


class MemoryStorage(Storage):
    def __init__(self, address: StorageAddress) -> None:
        super().__init__(MemoryStore(), address)


class BucketStorage(Storage):
    def __init__(self, address: StorageAddress) -> None:
        region = address.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or REGION
        endpoint = address.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        endpoint = endpoint or f"https://s3.{region}.amazonaws.com"
        super().__init__(_open_bucket(address, region, endpoint), address)
        public = address.public if address.public is not None else endpoint if endpoint.startswith("https://") else ""
        # An address is part of what is signed: this one asks nothing of the bucket, and may not even reach it.
        self._linking = _open_bucket(address, region, public) if public else None
        if public:
            parts = urlsplit(public)
            self.origin = f"{parts.scheme}://{parts.netloc}"

    async def presign(self, key: str, *, expires_in: timedelta) -> str | None:
        linking = self._linking
        if linking is None:
            return None
        with _failing(self, "sign", key, missing=Unavailable):
            return await _in_thread(lambda: obstore.sign(linking, "GET", _checked(key), expires_in))

    def _attributes(self, media_type: str, download_as: str | None) -> dict[str, str] | None:
        shown = "inline" if download_as is None else f"attachment; filename*=UTF-8''{quote(download_as, safe='')}"
        return {"Content-Type": media_type, "Content-Disposition": shown, "Cache-Control": CACHE_CONTROL}


_KINDS: dict[str, type[FolderStorage] | type[MemoryStorage] | type[BucketStorage]] = {
    "file": FolderStorage,
    "memory": MemoryStorage,
    "s3": BucketStorage,
}
_current: Storage | None = None


def open_storage(url: str) -> Storage:
    """The storage at a `Settings.storage_url`. Raises `Unavailable` when its folder cannot be made."""
    address = StorageAddress.parse(url)
    with _failing(address, "open", ""):
        return _KINDS[address.scheme](address)


def current() -> Storage:
    """The one of the settings, opened once in a process."""
    global _current
    if _current is None:
        _current = open_storage(get_settings().storage_url.get_secret_value())
    return _current


def use(storage: Storage | None) -> None:
    """Put another one in its place; None: that of the settings again."""
    global _current
    _current = storage


def reason(error: Unavailable) -> str:
    """What the store said, for whoever keeps it: it names addresses, never what they were asked with."""
    # The first paragraph says what; in those behind it obstore draws it.
    return str(error.__cause__ or error).partition("\n\n")[0]


def _open_bucket(address: StorageAddress, region: str, endpoint: str) -> S3Store:
    # By this name it goes before every variable.
    config: S3Config = {"region": region, "aws_endpoint_url_s3": endpoint, "virtual_hosted_style_request": False}
    if address.access_key:
        config |= {"access_key_id": address.access_key, "secret_access_key": address.secret_key}
    return S3Store(
        address.bucket,
        prefix=address.prefix or None,
        config=config,
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=4),
            # For a pause, not for the whole: how long a body takes is for its size and for who reads it.
            "read_timeout": PATIENCE,
            "timeout": timedelta(hours=1),
        },
        retry_config={
            "max_retries": 2,
            "retry_timeout": PATIENCE,
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=1),
                "base": 2,
            },
        },
    )


async def _in_thread(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads, partial(work, *arguments, **options))


async def _to_its_end(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Who is cancelled waits for what was begun: nothing appears or goes after whoever wanted it has tidied up."""
    future = asyncio.get_running_loop().run_in_executor(_threads, partial(work, *arguments, **options))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        with suppress(BaseError, OSError):
            await future
        raise


def _checked(key: str) -> str:
    """A key that is a way down and nowhere else, on every store."""
    if len(key) > 500 or not all(_PART_OF_KEY.fullmatch(part) for part in key.split("/")):
        raise ValueError("not a key of an object")
    return key


@contextmanager
def _failing(
    storage: Storage | StorageAddress, doing: str, key: str, *, missing: type[NotFound] | type[Unavailable] = NotFound
) -> Iterator[None]:
    """Tell what a store says in our own words. `missing`: what it means that something is not there."""
    try:
        yield
    except FileNotFoundError as error:
        if missing is NotFound:
            raise NotFound(_("There is no such file.")) from error
        raise _unavailable(storage, doing, key, error) from error
    except (BaseError, OSError) as error:
        raise _unavailable(storage, doing, key, error) from error


def _unavailable(storage: Storage | StorageAddress, doing: str, key: str, error: Exception) -> Unavailable:
    unavailable = Unavailable(_("The files cannot be reached at the moment. Please try again."))
    unavailable.__cause__ = error
    log.warning("storage failed", doing=doing, key=key, storage=str(storage), reason=reason(unavailable))
    return unavailable
