"""What a file is: by its content alone, never by its name or by what its sender says. The list is closed.

A file must be one thing: what is also an archive, a page or a script is refused, whatever it is besides.
"""

import codecs
import csv
import re
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from models import FileKind
from services.core.errors import UnsupportedType
from services.core.i18n import _

BLOCK = 1024 * 1024
HEAD = 4096
# What an office document unpacks to, at most, and how much more that may be than it is packed.
MAX_UNPACKED = 256 * 1024 * 1024
MAX_RATIO = 200
MAX_ENTRIES = 5000
# All of its directory is in memory before one entry of it is looked at.
MAX_DIRECTORY = 2 * 1024 * 1024
# How an archive ends when nothing comes behind it, with how large its directory is; one beyond 4 GB has another before.
ARCHIVE_END = re.compile(rb"(PK\x06\x07.{16})?PK\x05\x06.{8}(.{4}).{4}\0\0\Z", re.DOTALL)

OFFICE = "application/vnd.openxmlformats-officedocument"
# What is in an archive that is a document of this type.
_OFFICE_PARTS = {
    "word/document.xml": f"{OFFICE}.wordprocessingml.document",
    "xl/workbook.xml": f"{OFFICE}.spreadsheetml.sheet",
}
_OPEN_DOCUMENTS = {
    b"application/vnd.oasis.opendocument.text": "application/vnd.oasis.opendocument.text",
    b"application/vnd.oasis.opendocument.spreadsheet": "application/vnd.oasis.opendocument.spreadsheet",
}
EXTENSIONS = {
    "application/pdf": "pdf",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    f"{OFFICE}.wordprocessingml.document": "docx",
    f"{OFFICE}.spreadsheetml.sheet": "xlsx",
    "image/webp": "webp",
    "text/csv": "csv",
    "text/plain": "txt",
}

_IMAGES = {
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "GIF": re.compile(rb"GIF8[79]a"),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "HEIF": re.compile(rb"....ftyp(heic|heix|heim|heis|hevc|hevx|hevm|hevs|mif1|msf1)", re.DOTALL),
    "AVIF": re.compile(rb"....ftyp(avif|avis)", re.DOTALL),
}
# What a browser or a shell would run. Long enough not to turn up in compressed pictures by chance.
# It looks at each byte once: who holds a regular expression up holds everybody up.
_ACTIVE = re.compile(
    rb"<script|<!doctype|<html[\s>]|<\?php|<svg[\s>](?:(?!<svg[\s>])[^\0]){0,200}xmlns|<iframe[\s>]", re.IGNORECASE
)
_MARKUP = re.compile(r"\s*(<[a-zA-Z!?/]|#!|%!|\{\\rtf)")
_BINARY = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
_PDF_END = re.compile(rb"%%EOF[\s\0]*\Z")
_MACROS = re.compile(r"(^|/)(vbaProject\.bin|Basic/|Scripts/)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """`format`: which decoder an image is for; nothing else may look at it. `media_type`: of a document."""

    kind: FileKind
    format: str = ""
    media_type: str = ""


def find(path: Path) -> Found:
    """Look at a file. Blocks. Raises `UnsupportedType` for what is not on the list, or is several things at once."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    image = next((name for name, start in _IMAGES.items() if start.match(head)), None)
    if image:
        if zipfile.is_zipfile(path) or _is_active(path) or b"%PDF-" in head[:1024]:
            raise _refused()
        return Found(FileKind.IMAGE, format=image)
    return Found(FileKind.DOCUMENT, media_type=_document(path, head))


def _document(path: Path, head: bytes) -> str:
    if head.startswith(b"%PDF-"):
        return _pdf(path, head)
    if head.startswith(b"PK\x03\x04"):
        return _office(path, head)
    return _text(path)


def _pdf(path: Path, head: bytes) -> str:
    if zipfile.is_zipfile(path) or _ACTIVE.search(head) or not _PDF_END.search(_tail(path)):
        raise _refused()
    return "application/pdf"


def _office(path: Path, head: bytes) -> str:
    """An archive that begins and ends as one, holds a document, and does not grow without measure."""
    end = ARCHIVE_END.search(_tail(path))
    if end is None or end[1] or int.from_bytes(end[2], "little") > MAX_DIRECTORY:
        raise _refused()
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if not _is_bounded(entries):
                raise _refused()
            if any(_MACROS.search(entry.filename) for entry in entries):
                raise _refused()
            names = {entry.filename for entry in entries}
            # By the standard the first entry, not compressed: it is read from the file as it is.
            media_type = next(
                (kind for mark, kind in _OPEN_DOCUMENTS.items() if head[30:].startswith(b"mimetype" + mark + b"PK")),
                None,
            )
            if media_type is None and "[Content_Types].xml" in names:
                media_type = next((kind for part, kind in _OFFICE_PARTS.items() if part in names), None)
            if media_type is None or (media_type in _OPEN_DOCUMENTS.values() and "content.xml" not in names):
                raise _refused()
            return media_type
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, EOFError) as error:
        raise _refused() from error


def _is_bounded(entries: list[zipfile.ZipInfo]) -> bool:
    unpacked, packed = (sum(getattr(entry, size) for entry in entries) for size in ("file_size", "compress_size"))
    spans = sorted((entry.header_offset, entry.header_offset + entry.compress_size) for entry in entries)
    # Entries that share their bytes are how a small archive becomes a huge one.
    overlap = any(end > start for (_start, end), (start, _end) in pairwise(spans))
    is_plain = not any(entry.flag_bits & 1 or _leads_out(entry.filename) for entry in entries)
    return (
        0 < len(entries) <= MAX_ENTRIES
        and unpacked <= MAX_UNPACKED
        and unpacked <= max(packed, BLOCK // 16) * MAX_RATIO
        and not overlap
        and is_plain
    )


def _leads_out(name: str) -> bool:
    return name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or ":" in name


def _text(path: Path) -> str:
    """Plain text in UTF-8, all of it, that is no markup and no script."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    is_first = True
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                text = decoder.decode(block)
                if is_first and _MARKUP.match(text):
                    raise _refused()
                if _BINARY.search(text):
                    raise _refused()
                is_first = False
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _refused() from error
    if zipfile.is_zipfile(path) or _is_active(path):
        raise _refused()
    return "text/csv" if _is_table(path) else "text/plain"


def _is_table(path: Path) -> bool:
    """Whether its first lines have the same fields, and several of them."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = [line for line in (file.readline(HEAD) for _ in range(20)) if line]
    for delimiter in ",;\t":
        try:
            widths = {len(row) for row in csv.reader(lines, delimiter=delimiter) if row}
        except csv.Error:
            continue
        if len(lines) > 1 and len(widths) == 1 and max(widths) > 1:
            return True
    return False


def _is_active(path: Path) -> bool:
    """Whether anything in it would be run by something. Read in blocks that overlap."""
    rest = b""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            if _ACTIVE.search(rest + block):
                return True
            rest = block[-256:]
    return False


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - HEAD, 0))
        return file.read()


def _refused() -> UnsupportedType:
    return UnsupportedType(
        _("Send a picture (JPEG, PNG, WebP, GIF, HEIC) or a document (PDF, text, office). Nothing else is taken.")
    )
