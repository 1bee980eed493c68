"""Files people send: pictures, drawn anew, and a few kinds of documents. Who may see one gets a signed address."""

from services.core.file_urls import address
from services.files.keeping import (
    Received,
    destroy,
    digest,
    discard,
    find_attachable,
    keep,
    note_upload,
    objects_of,
    release,
    remove,
    used,
)
from services.files.names import download_as
from services.files.places import (
    MAX_LOT_PHOTOS,
    add_lot_photo,
    avatar_url,
    avatar_urls,
    list_lot_photos,
    remove_avatar,
    remove_lot_photo,
    remove_product_picture,
    set_avatar,
    set_product_picture,
)
from services.files.reading import Content, find_content
from services.files.tidying import tidy

__all__ = [
    "MAX_LOT_PHOTOS",
    "Content",
    "Received",
    "add_lot_photo",
    "address",
    "avatar_url",
    "avatar_urls",
    "destroy",
    "digest",
    "discard",
    "download_as",
    "find_attachable",
    "find_content",
    "keep",
    "list_lot_photos",
    "note_upload",
    "objects_of",
    "release",
    "remove",
    "remove_avatar",
    "remove_lot_photo",
    "remove_product_picture",
    "set_avatar",
    "set_product_picture",
    "tidy",
    "used",
]
