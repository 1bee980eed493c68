"""Both ways a page is used, for tests that hold either way: with HTMX, and without JavaScript."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from httpx import AsyncClient, Response
from itsdangerous import URLSafeSerializer

from routes.rendering import FLASH_COOKIE
from tests.pages import html
from tests.servers import SECRET

BOTH_WAYS = pytest.mark.parametrize("htmx", [False, True], ids=["without JavaScript", "HTMX"])


def toast_of(response: Response) -> dict[str, Any]:
    """What was said after something was done, whichever way it travels."""
    if "hx-trigger" in response.headers:
        return dict(json.loads(response.headers["hx-trigger"])["toast"])
    (toast,) = URLSafeSerializer(SECRET, salt="flash").loads(response.cookies[FLASH_COOKIE])
    return dict(toast)


def assert_done(response: Response, htmx: bool, *, to: str | None = None) -> dict[str, Any]:
    """It was done; the message is on its way, and without JavaScript the browser goes on to a page."""
    if htmx:
        assert response.status_code == 204, response.text
    else:
        assert response.status_code == 303, response.text
        assert to is None or response.headers["location"] == to
    toast = toast_of(response)
    assert toast["level"] == "success"
    return toast


def assert_sent(response: Response, htmx: bool, to: str) -> dict[str, Any]:
    """It was done, and either way the browser goes on to a page that says so."""
    sent = response.headers.get("hx-redirect" if htmx else "location")
    assert (response.status_code, sent) == (204 if htmx else 303, to), response.text
    (toast,) = URLSafeSerializer(SECRET, salt="flash").loads(response.cookies[FLASH_COOKIE])
    return dict(toast)


def refused(response: Response, action: str, *, status: int = 422) -> tuple[dict[str, str], dict[str, str]]:
    """The form that comes back: its errors by field, and what stands in it."""
    assert response.status_code == status, response.text
    (form,) = html.read(response.text).all("form", method="post", action=action)
    return form.errors, form.values


async def form_at(client: AsyncClient, page: str, action: str) -> dict[str, str]:
    """What a form of a page would send as it stands."""
    response = await client.get(page, headers={"HX-Request": ""})
    (form, *_others) = html.read(response.text).all("form", method="post", action=action)
    return form.values


def ends_whole(response: Response) -> bool:
    return response.text.rstrip().endswith("</html>")


def shows(response: Response, *texts: str) -> Mapping[str, bool]:
    seen = html.read(response.text).text
    return {text: text in seen for text in texts}
