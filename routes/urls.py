"""Addresses that leave the page: in links that are sent to people."""

from urllib.parse import urlsplit

from fastapi import Request

from services.passkeys import RelyingParty
from settings import get_settings


def base_url(request: Request) -> str:
    """Where people reach us, without a slash at the end: as the operator says, else as this request did."""
    configured = get_settings().base_url
    return str(configured or request.base_url).rstrip("/")


def relying_party(request: Request) -> RelyingParty:
    """Us, as passkeys know us: they belong to one domain and are shown to its pages only."""
    parts = urlsplit(base_url(request))
    return RelyingParty(id=parts.hostname or "", origin=f"{parts.scheme}://{parts.netloc}")
