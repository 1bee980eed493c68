"""Folders for what is on its way, on the machine's own disk: which may be full, or gone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from services.core.errors import Unavailable
from services.core.i18n import _

log = structlog.get_logger()


@contextmanager
def folder(name: str) -> Iterator[Path]:
    """Gone again in the end, with what is in it. Raises `Unavailable` when it cannot be made."""
    with writing():
        made = TemporaryDirectory(prefix=f"larder-{name}-")
    with made as path:
        yield Path(path)


@contextmanager
def writing() -> Iterator[None]:
    """Raises `Unavailable` for what the disk does not take."""
    try:
        yield
    except OSError as error:
        log.warning("no temporary file", reason=str(error))
        raise Unavailable(_("The files cannot be reached at the moment. Please try again.")) from error
