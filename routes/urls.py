"""Addresses that leave the page: in links that are sent to people."""

from fastapi import Request

from settings import get_settings


def base_url(request: Request) -> str:
    """Where people reach us, without a slash at the end: as the operator says, else as this request did."""
    configured = get_settings().base_url
    return str(configured or request.base_url).rstrip("/")
