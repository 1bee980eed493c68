"""The site as a whole: every link and form of every page leads somewhere, with and without JavaScript."""

import re
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urljoin, urlsplit

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.routing import Match

from models import UserSession
from services import households, products, stock
from services.permissions import ROLE_PERMISSIONS, Actor
from services.schemas.households import HouseholdCreate
from services.schemas.stock import LotOpen
from tests.conftest import NOW, TODAY, ClientOf, make_actor
from tests.doors import make_one_of_each
from tests.factories import make_lot, make_product
from tests.pages import html

# Many of a kind are as good as one.
KIND = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
# Who is signed in is sent home from where one signs in.
ELSEWHERE = ("/admin", "/static", "/api", "/login")
PERMISSIONS = frozenset().union(*ROLE_PERMISSIONS.values())


async def furnish(session: AsyncSession, actor: Actor) -> None:
    """A household with some of everything that pages show."""
    await make_one_of_each(session, actor)
    lots = [await make_lot(session, actor, product=f"Thing {n}", expires_on=TODAY, price="2") for n in range(60)]
    await stock.open_lot(session, actor, lots[0].id, LotOpen())
    archived = await make_product(session, actor, name="Old <b>&amp; bold</b>")
    await products.archive_product(session, actor, archived.id)
    await households.create_household(session, actor, HouseholdCreate(name="Cabin"))
    # Nobody is asked again who they are on the way.
    await session.execute(update(UserSession).values(confirmed_at=NOW))
    await session.commit()


async def crawl(browser: AsyncClient) -> AsyncIterator[tuple[str, Response]]:
    """Every page that can be reached by links, one of each kind."""
    waiting, seen = ["/"], {"/"}
    while waiting:
        address = waiting.pop()
        response = await browser.get(address)
        yield address, response
        for link in html.read(response.text).all("a"):
            to = urljoin(address, link.attrs["href"]).partition("#")[0]
            kind = KIND.sub("id", re.sub(r"after=[^&]+", "after", to))
            if not to.startswith(ELSEWHERE) and kind not in seen:
                seen.add(kind)
                waiting.append(to)


def route_to(app: FastAPI, method: str, address: str) -> str | None:
    """The name of the route that answers there."""
    scope = {"type": "http", "method": method, "path": urlsplit(address).path, "headers": []}
    return next((getattr(route, "name", "") for route in app.routes if route.matches(scope)[0] is Match.FULL), None)


def asked_by(page: html.Element) -> Iterator[tuple[str, str]]:
    """Method and address of every link and every form with a button."""
    yield from (("GET", link.attrs["href"]) for link in page.all("a"))
    yield from (("POST", button.attrs["formaction"]) for button in page.all("button") if "formaction" in button.attrs)
    for form in page.all("form"):
        # One that is hidden is for scripts, which show it.
        if form.all("button") and "hidden" not in form.attrs:
            yield form.attrs.get("method", "get").upper(), form.attrs["action"]


@pytest.mark.parametrize("name", ["alice", "bob", "vera"])
async def test_every_link_leads_to_a_whole_page(
    name: str, session: AsyncSession, browser_of: ClientOf, alice: Actor
) -> None:
    await furnish(session, alice)
    reached, wrong = set(), []

    async for address, response in crawl(browser_of(make_actor(name))):
        reached.add(urlsplit(address).path)
        wrong += [f"{address}: {problem}" for problem in html.problems(response.text)]
        if response.status_code != 200 or "HX-Request" not in response.headers["vary"]:
            wrong.append(f"{address}: {response.status_code} {response.headers}")
        if not response.text.rstrip().endswith("</html>"):
            wrong.append(f"{address} is no whole page")

    assert wrong == []
    assert {"/", "/stock", "/products", "/history", "/household", "/settings", "/more", "/households"} <= reached
    assert any("/stock/lots/" in path for path in reached)


@pytest.mark.parametrize("name", ["alice", "vera"])
async def test_every_form_has_a_route_and_every_htmx_request_a_way_without_javascript(
    name: str, app: FastAPI, session: AsyncSession, browser_of: ClientOf, alice: Actor
) -> None:
    await furnish(session, alice)
    wrong = []

    async for address, response in crawl(browser_of(make_actor(name))):
        page = html.read(response.text)
        wrong += [
            f"{address}: {method} {to}"
            for method, to in asked_by(page)
            if route_to(app, method, urljoin(address, to)) is None
        ]
        for element in page:
            posted, got, attrs = element.attrs.get("hx-post"), element.attrs.get("hx-get"), element.attrs
            if posted and (element.tag, attrs.get("method"), attrs.get("action")) != ("form", "post", posted):
                wrong.append(f"{address}: hx-post on {attrs}")
            # What a page shows already may renew itself, and a field may be helped while it is typed in.
            if got and not (
                got == attrs.get("href" if element.tag == "a" else "action")
                or "from:body" in attrs.get("hx-trigger", "")
                or element.within("form")
            ):
                wrong.append(f"{address}: hx-get on <{element.tag}> {attrs}")
            if got and route_to(app, "GET", urljoin(address, got)) is None:
                wrong.append(f"{address}: GET {got}")

    assert wrong == []


@pytest.mark.parametrize("name", ["dora", "bob", "vera"])
async def test_nobody_is_offered_what_would_be_refused(
    name: str, app: FastAPI, session: AsyncSession, browser_of: ClientOf, alice: Actor
) -> None:
    await furnish(session, alice)
    actor, offered = make_actor(name), set()

    async for address, response in crawl(browser_of(actor)):
        offered |= {
            (route_to(app, method, urljoin(address, to)), f"{address} offers {method} {to}")
            for method, to in asked_by(html.read(response.text))
        }

    assert {where for permission, where in offered if permission in PERMISSIONS and not actor.can(permission)} == set()
    assert {permission for permission, _where in offered} & PERMISSIONS
