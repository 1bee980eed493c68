"""Files people send, good and bad, made as they are needed."""

import io
import struct
import zipfile
import zlib
from typing import Any

import pillow_heif
from PIL import Image, ImageCms

pillow_heif.register_heif_opener()

PLACE = b"somewhere in Berlin"
ORIENTATION, DESCRIPTION, GPS = 0x0112, 0x010E, 0x8825


def picture(width: int = 64, height: int = 48, *, format: str = "JPEG", mode: str = "RGB", **options: Any) -> bytes:
    """Its left half is red, its right half blue: one sees how it is turned."""
    image = Image.new(mode, (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height))
    return encoded(image, format, **options)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def photo(*, orientation: int = 1, format: str = "JPEG") -> bytes:
    """As from a phone: with where it was taken, on what, and which way up."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[DESCRIPTION] = PLACE.decode()
    exif.get_ifd(GPS).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return picture(80, 40, format=format, exif=exif.tobytes(), icc_profile=profile, comment=PLACE)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def png_claiming(width: int, height: int) -> bytes:
    """A few bytes that say they are a huge picture."""
    row = b"\0" * (width // 8 + 1)
    data = zlib.compress(row * min(height, 10))
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def png_bomb(width: int = 30_000, height: int = 30_000) -> bytes:
    """A true picture, of some kilobytes, that is 900 megapixels."""
    packer = zlib.compressobj(9)
    row = b"\0" * (width // 8 + 1)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><html><script>alert(1)</script></html>"
CSV = b"name,quantity\nMilk,2\nEggs,6\n"
TEXT = "Bring milk – and eggs.\n".encode()


def docx(*, comment: bytes = b"", **more: bytes) -> bytes:
    parts = {"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<document/>", **more}
    return archive(parts, comment=comment)


def xlsx() -> bytes:
    return archive({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"})


def open_document(kind: str = "text") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        packed.writestr("content.xml", "<content/>", zipfile.ZIP_DEFLATED)
    return file.getvalue()


def archive(parts: dict[str, bytes], *, comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
        packed.comment = comment
    return file.getvalue()


def directory(entries: int) -> bytes:
    """The end of an archive that names so many parts and holds none of them."""
    entry = b"PK\x01\x02" + bytes(24) + b"\x01\0" + bytes(16) + b"a"
    size = entries * len(entry)
    return entry * entries + b"PK\x05\x06" + bytes(8) + struct.pack("<LL", size, 0) + bytes(2)


def zip_bomb() -> bytes:
    """A document on the outside, and a gigabyte of nothing within."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        packed.writestr("[Content_Types].xml", "<Types/>")
        with packed.open("word/document.xml", "w", force_zip64=True) as part:
            for _ in range(300):
                part.write(b"\0" * 1024 * 1024)
    return file.getvalue()
