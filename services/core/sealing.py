"""Secrets at rest: encrypted, or hashed with a key, under keys of their own that are derived from the secret key."""

import base64
import hmac
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.core.errors import Unavailable
from services.core.i18n import _
from settings import get_settings


def seal(secret: str, *, purpose: str) -> str:
    return _fernet(purpose).encrypt(secret.encode()).decode()


def unseal(sealed: str, *, purpose: str) -> str:
    """Raises `Unavailable` for what was sealed under another secret key."""
    try:
        return _fernet(purpose).decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise Unavailable(_("The secret key of this instance was changed; this cannot be read any more.")) from error


def keyed_hash(value: str, *, purpose: str) -> str:
    """For what is too short for a plain hash: without the key, trying all values is in vain."""
    return hmac.new(_key(purpose), value.encode(), sha256).hexdigest()


def _fernet(purpose: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_key(purpose)))


def _key(purpose: str) -> bytes:
    secret = get_settings().secret_key.get_secret_value().encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"larder {purpose}".encode()).derive(secret)
