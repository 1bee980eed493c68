"""The key pair this instance shows to push services (VAPID, RFC 8292)."""

import base64
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from settings import VAR, get_settings

PATH = VAR / "vapid.pem"


def make() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def keep(key: ec.EllipticCurvePrivateKey) -> None:
    """In `var/`, for its owner alone to read."""
    VAR.mkdir(exist_ok=True)
    PATH.touch(mode=0o600)
    PATH.write_text(private(key))


def find() -> ec.EllipticCurvePrivateKey | None:
    """The operator's key, from the settings or from `var/`; None when there is none. Raises `ValueError`."""
    given = get_settings().vapid_private_key
    if given is not None:
        return load(given.get_secret_value())
    return load(PATH.read_text()) if PATH.exists() else None


@lru_cache(maxsize=4)
def load(pem: str) -> ec.EllipticCurvePrivateKey:
    """Also from one line with `\\n` in it, as environment variables often are."""
    try:
        key = serialization.load_pem_private_key(pem.replace("\\n", "\n").encode(), password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("not a private key without password") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not a P-256 private key")  # noqa: TRY004
    return key


def public(key: ec.EllipticCurvePrivateKey) -> str:
    """As browsers want it for `applicationServerKey`."""
    point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(point).decode().rstrip("=")


def private(key: ec.EllipticCurvePrivateKey) -> str:
    """As PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
