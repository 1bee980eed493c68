"""What is wrong with a request is said on a page or in a toast, and is never our fault."""

import base64
from urllib.parse import quote, urljoin

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from services.permissions import Actor
from tests.conftest import NOWHERE, ClientOf
from tests.doors import DOORS, Door, make_one_of_each
from tests.pages import html
from tests.pages.test_site import crawl, furnish

ODD = (
    "\x00",
    "x" * 9_999,
    "NaN",
    "-1",
    "1e999",
    "9" * 400,
    "\u202eelif",
    "٣",
    str(NOWHERE),
    "9999-12-31",
    "'; DROP TABLE lot; --",
    "{{ 7 * 7 }}",
    "🥛" * 100,
)
# What no schema knows gets through alone, where the other fields are right.
WORST = ("\x00", "1e999", "x" * 9_999)
# They end the session, or ask for a hash each.
NOT_TRIED = {"/logout", "/logout-all", "/login", "/settings/password"}


async def forms_of(browser: AsyncClient) -> dict[str, dict[str, str]]:
    """What every form of the site sends, by its address."""
    found: dict[str, dict[str, str]] = {}
    async for address, response in crawl(browser):
        for form in html.read(response.text).all("form", method="post"):
            chosen = {b.attrs["name"]: b.attrs.get("value", "") for b in form.all("button") if "name" in b.attrs}
            for to in [
                form.attrs["action"],
                *(b.attrs["formaction"] for b in form.all("button") if "formaction" in b.attrs),
            ]:
                found.setdefault(urljoin(address, to), {**form.values, **chosen})
    return {to: values for to, values in found.items() if to not in NOT_TRIED}


async def test_no_field_of_any_form_is_answered_by_a_500(
    session: AsyncSession, browser_of: ClientOf, alice: Actor
) -> None:
    await furnish(session, alice)
    browser = browser_of(alice)
    wrong, kinds = [], set()

    for to, values in (await forms_of(browser)).items():
        kind = (to.rpartition("/")[2], *values)
        if kind in kinds:
            continue
        kinds.add(kind)
        for odd in ODD:
            tries = [dict.fromkeys(values, odd), *({**values, name: odd} for name in values if odd in WORST)]
            for data in tries:
                response = await browser.post(to, data=data)
                if response.status_code >= 500:
                    wrong.append((to, data, response.status_code))
    assert wrong == []


CURSORS = [
    base64.urlsafe_b64encode(cursor.encode()).decode()
    for cursor in (f'["\\u0000", "{NOWHERE}"]', f'["\\ud800", "{NOWHERE}"]', '["x", "x"]', "[", "🥛")
]
FIELDS = (
    "q",
    "name",
    "next",
    "pick",
    "urgency",
    "sort",
    "location",
    "category",
    "group",
    "kind",
    "archived",
    "expires",
)
PART_ODD = ("\x00", "\u200b", "x" * 3000, "%ff", "🥛", "-1")


async def test_nothing_in_an_address_is_answered_by_a_500(
    session: AsyncSession, browser_of: ClientOf, client_of: ClientOf, alice: Actor
) -> None:
    ids = await make_one_of_each(session, alice)
    await session.commit()
    asked: list[tuple[Door, str, dict[str, str]]] = []
    for door in DOORS:
        address = door.address(ids)
        if door.method == "GET":
            asked += [(door, address, dict.fromkeys(FIELDS, odd)) for odd in PART_ODD]
            asked += [(door, address, {name: odd}) for name in ("q", "name") for odd in PART_ODD]
            asked += [(door, address, {"after": odd}) for odd in (*CURSORS, *PART_ODD)]
        for key in door.keys - {"household_id"}:
            for odd in PART_ODD:
                asked.append((door, door.address({**ids, key: quote(odd, safe="")}), {}))

    wrong = []
    for door, address, query in asked:
        client = client_of(alice) if door.is_api else browser_of(alice, htmx="/stock/" in door.path)
        response = await client.request(door.method, address, params=query or None)
        if response.status_code >= 500:
            wrong.append((door.method, address, query))
    assert wrong == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Referer": "http://["},
        {"Referer": "http://localhost/\xff\xfe"},
        {"Referer": "http://localhost//elsewhere.example"},
        {"Origin": "http://[", "Sec-Fetch-Site": ""},
        {"Host": "["},
        {"Host": "localhost:port"},
        {"Host": ""},
        {"Cookie": "larder_flash=x; larder_session=\xff"},
        {"Accept-Language": ",;q=,*,\xff-\xff," * 50},
        {"Content-Type": "multipart/form-data"},
        {"Content-Type": "multipart/form-data; boundary=x; charset=undefined"},
        {"Content-Type": "application/x-www-form-urlencoded; charset=utf-7"},
        {"Content-Type": "\xff"},
    ],
    ids=str,
)
@pytest.mark.parametrize("htmx", [False, True])
async def test_no_header_is_answered_by_a_500(
    headers: dict[str, str], htmx: bool, session: AsyncSession, browser_of: ClientOf, alice: Actor
) -> None:
    ids = await make_one_of_each(session, alice)
    await session.commit()
    body = b'--x\r\nContent-Disposition: form-data; name="quantity"\r\n\r\n1\r\n--x--\r\n'
    sent = {name.encode(): value.encode("latin-1") for name, value in headers.items() if value != ""}
    browser = browser_of(alice, htmx=htmx)
    if headers.get("Sec-Fetch-Site") == "":
        del browser.headers["Sec-Fetch-Site"]

    for method, path in (
        ("POST", f"/stock/lots/{ids['lot_id']}/consume"),
        ("POST", "/login"),
        ("GET", "/"),
        ("POST", "/household/invitations"),
    ):
        response = await browser.request(method, path, content=body if method == "POST" else None, headers=sent)
        assert response.status_code < 500, (method, path)
