"""Pictures are drawn anew, each in a process of its own (`draw.py`), two at a time; this process never decodes one.

What comes out has been turned upright and shrunk, and has nothing in it but its pixels: no EXIF, no place where it was
taken, nothing hidden behind it.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import msgspec

from services.core.errors import InvalidInput, Unavailable
from services.core.i18n import _

PROGRAM = Path(__file__).with_name("draw.py")
AT_ONCE = 2
PATIENCE = 60
LARGE, SMALL = "large", "small"


class Said(msgspec.Struct, frozen=True):
    outcome: str
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Drawn:
    """The two sizes of a picture, and how large the large one is in pixels."""

    large: Path
    small: Path
    width: int
    height: int


# A semaphore belongs to the loop it is used in.
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def draw(source: Path, format: str, folder: Path, *, is_square: bool = False) -> Drawn:
    """Draw a picture into `folder`. Raises `InvalidInput` for one that cannot be read, and `Unavailable` when that
    takes too long."""
    async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)):
        said = await _ask(source, format, folder, "square" if is_square else "whole")
    match said.outcome:
        case "drawn":
            return Drawn(folder / LARGE, folder / SMALL, said.width, said.height)
        case "too_many_pixels":
            raise InvalidInput({"file": _("This picture is too large: 50 megapixels are the most.")})
        case "failed":
            raise Unavailable(_("We are busy. Please try again in a moment."))
        case _:
            raise InvalidInput({"file": _("This picture cannot be read. Is it complete?")})


async def _ask(source: Path, format: str, folder: Path, shape: str) -> Said:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(PROGRAM),
        str(source),
        format,
        str(folder),
        shape,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd=folder,
        env={name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ},
    )
    try:
        async with asyncio.timeout(PATIENCE):
            said, _nothing = await child.communicate()
    except TimeoutError as error:
        raise Unavailable(_("We are busy. Please try again in a moment.")) from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    try:
        return msgspec.json.decode(said, type=Said)
    except msgspec.DecodeError:
        return Said("broken")  # it was too much for its memory or time, or for its decoder
