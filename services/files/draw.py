"""A program that draws a picture anew: `draw.py <picture> <format> <folder> <shape>`. See `drawing`.

What it is given was sent by somebody, and what decodes it is a million lines of C: so it runs alone, with little memory
and time, and knows nothing of us. Writes `large` and `small` into the folder, and says in a line of JSON that it is
`drawn`, or what is wrong; `failed` is not the picture's fault.
"""

import json
import resource
import struct
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms, UnidentifiedImageError

MAX_MEMORY = 1024 * 1024 * 1024
MAX_SECONDS = 30
MAX_WRITTEN = 32 * 1024 * 1024
MAX_PIXELS = 50_000_000
SIDES = {"large": 1600, "small": 320}
QUALITY = {"large": 82, "small": 78}

ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What decoders raise for what they cannot read.
BROKEN = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, MemoryError, struct.error)


def main() -> None:
    for limit, most in (
        (resource.RLIMIT_AS, MAX_MEMORY),
        (resource.RLIMIT_CPU, MAX_SECONDS),
        (resource.RLIMIT_FSIZE, MAX_WRITTEN),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    warnings.simplefilter("ignore")
    source, name, folder, shape = sys.argv[1:]
    try:
        said = draw(Path(source), name, Path(folder), is_square=shape == "square")
    except BROKEN as error:
        # What the system says has a number; what a decoder says of a picture has none.
        said = {"outcome": "failed" if getattr(error, "errno", None) else "broken"}
    sys.stdout.write(json.dumps(said))


def draw(source: Path, name: str, folder: Path, *, is_square: bool) -> dict[str, object]:
    Image.MAX_IMAGE_PIXELS = None  # the cap is ours
    if name == "HEIF":
        import_module("pillow_heif").register_heif_opener(thumbnails=False)
    try:
        opened = Image.open(source, formats=[name])
    except UnidentifiedImageError:
        return {"outcome": "broken"}
    with opened as image:
        if image.width * image.height > MAX_PIXELS:
            return {"outcome": "too_many_pixels"}
        turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
        profile = image.info.get("icc_profile")
        image.draft("RGB", (SIDES["large"], SIDES["large"]))  # a JPEG is decoded no larger than it is needed
        image.load()
        drawn = _fit(_even(image), SIDES["large"], is_square=is_square)
    drawn = _without_metadata(_in_srgb(drawn, profile))
    if turn is not None:
        drawn = drawn.transpose(turn)
    size = drawn.size
    drawn.save(folder / "large", "WEBP", quality=QUALITY["large"], method=4)
    drawn.thumbnail((SIDES["small"], SIDES["small"]), Image.Resampling.LANCZOS)
    drawn.save(folder / "small", "WEBP", quality=QUALITY["small"], method=4)
    return {"outcome": "drawn", "width": size[0], "height": size[1]}


def _even(image: Image.Image) -> Image.Image:
    """In a mode whose values can be averaged: no palette, no more than 8 bits."""
    if image.has_transparency_data:
        return image if image.mode == "RGBA" else image.convert("RGBA")
    if image.mode.startswith(("I", "F")):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image if image.mode in {"L", "RGB", "CMYK"} else image.convert("RGB")


def _fit(image: Image.Image, side: int, *, is_square: bool) -> Image.Image:
    if is_square:
        least = min(image.size)
        left, top = (image.width - least) // 2, (image.height - least) // 2
        image = image.crop((left, top, left + least, top + least))
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return image


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    colours = image.convert("RGB") if alpha else image
    if profile:
        # One that is broken, or for another mode, is as if there were none.
        with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            colours = _converted(colours, profile)
    colours = colours.convert("RGB")
    if alpha:
        colours.putalpha(alpha)
    return colours


def _converted(image: Image.Image, profile: bytes) -> Image.Image:
    source: Any = ImageCms.ImageCmsProfile(BytesIO(profile))
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return image if converted is None else converted


def _without_metadata(image: Image.Image) -> Image.Image:
    """Its pixels, and nothing else that came with it."""
    bare = Image.new(image.mode, image.size)
    bare.paste(image)
    return bare


if __name__ == "__main__":
    main()
