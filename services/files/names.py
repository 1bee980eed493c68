"""What a file is called where people see it. It names no place in the storage."""

import re
import unicodedata

from models import FileKind, StoredFile
from services.core import text
from services.files import kinds

MAX_LENGTH = 200
_NEVER = re.compile(r'[<>:"|?*]')


def clean(name: str) -> str:
    """The last part of a path, without what no name may hold; empty when nothing is left."""
    last = re.split(r"[/\\]", name)[-1]
    shown = "".join(each for each in unicodedata.normalize("NFC", last) if not text.has_forbidden_characters(each))
    kept = _NEVER.sub("", shown).strip(" .")
    if len(kept) > MAX_LENGTH:
        stem, dot, extension = kept.rpartition(".")
        is_extension = bool(dot) and len(extension) <= 10
        kept = f"{stem[: MAX_LENGTH - len(extension) - 1]}.{extension}" if is_extension else kept[:MAX_LENGTH]
    return "" if text.is_blank(kept) else kept


def for_download(name: str, extension: str) -> str:
    """With the ending of what it is, whatever its sender said."""
    stem = name.removesuffix(f".{extension}") or "file"
    return f"{stem}.{extension}"


def download_as(file: StoredFile) -> str | None:
    """What a document is saved as; None for a picture, which is shown."""
    return None if file.kind is FileKind.IMAGE else for_download(file.name, kinds.EXTENSIONS[file.media_type])
