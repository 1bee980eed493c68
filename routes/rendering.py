"""Templates, and the answers pages give: full, or as the block that HTMX asked for."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from itsdangerous import BadSignature, URLSafeSerializer
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2_fragments import render_block

import auth
from models import Theme
from services import acts, stock, wording
from services.core import clock, i18n, ids
from services.permissions import Account, Actor
from services.schemas.files import picture
from settings import ROOT, get_settings

FLASH_COOKIE = "larder_flash"
VARY = "HX-Request, Cookie"
DIST = ROOT / "static" / "dist"


@dataclass(frozen=True, slots=True)
class Toast:
    """A short message, and one thing to do about it: `action` is the address its button posts to."""

    message: str
    level: str = "success"
    action: str | None = None
    label: str | None = None


def is_htmx(request: Request) -> bool:
    return request.headers.get("HX-Request") == "true"


def wants_fragment(request: Request) -> bool:
    """A boosted link and a restored page need the whole page."""
    headers = request.headers
    return is_htmx(request) and "HX-Boosted" not in headers and "HX-History-Restore-Request" not in headers


def render(
    request: Request,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    fragment: str | None = None,
    status_code: int = 200,
) -> Response:
    """Render a page, or only its `fragment` block when HTMX asked for it."""
    values = {**common(request), **(context or {})}
    if fragment and wants_fragment(request):
        body = render_block(environment(), template, fragment, values)
    else:
        values["flash"] = read_flash(request)
        body = environment().get_template(template).render(values)
    response = HTMLResponse(body, status_code)
    response.headers["Vary"] = VARY
    response.headers["Cache-Control"] = "no-cache, private"
    if values.get("flash"):
        response.delete_cookie(FLASH_COOKIE)
    return response


def redirect(request: Request, to: str, *, toast: Toast | None = None) -> Response:
    """Send the browser to another of our pages (303), with a message for when it gets there."""
    response: Response = RedirectResponse(to, 303)
    if is_htmx(request):
        # htmx would follow a 303 by itself and put the page into the target.
        response = Response(status_code=204, headers={"HX-Redirect": response.headers["location"]})
    response.headers["Vary"] = VARY
    if toast is not None:
        signed = _flash_signer().dumps([asdict(toast)])
        response.set_cookie(
            FLASH_COOKIE, str(signed), max_age=60, secure=auth.is_secure(request), httponly=True, samesite="lax"
        )
    return response


def done(
    request: Request, toast: Toast, *, to: str, answer: Response | None = None, event: str = "stock:changed"
) -> Response:
    """After something was booked: HTMX gets the message and an event for the lists, others go back to a page."""
    if not is_htmx(request):
        return redirect(request, to, toast=toast)
    return trigger(answer or Response(status_code=204), {"toast": asdict(toast), event: True})


def trigger(response: Response, events: Mapping[str, Any]) -> Response:
    """Add client events to those a response already has. Headers are Latin-1, so the JSON is kept ASCII."""
    known = json.loads(response.headers.get("HX-Trigger", "{}"))
    response.headers["HX-Trigger"] = json.dumps({**known, **events})
    return response


def back(request: Request, default: str) -> str:
    """The page of ours a form was sent from."""
    try:
        referer = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return default
    if referer.netloc != request.url.netloc:
        return default
    return safe_next(f"{referer.path}?{referer.query}" if referer.query else referer.path, default)


def safe_next(target: str | None, default: str = "/") -> str:
    """An address on this site, or `default`: never `//elsewhere`, `/\\elsewhere` or another scheme."""
    if not target or not target.startswith("/") or target[1:2] in {"/", "\\"}:
        return default
    if any(ord(character) < 0x20 or character == "\x7f" for character in target):
        return default
    return target


def undo_toast(message: str, event_id: UUID, *, whole_group: bool = False) -> Toast:
    query = "?group=true" if whole_group else ""
    return Toast(message, action=f"/history/{event_id}/undo{query}", label=i18n.gettext("Undo"))


def static_url(name: str) -> str:
    """The address of a built asset, with the hash of its content."""
    return f"/static/{_manifest()[name]}"


@lru_cache(maxsize=1)
def environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(ROOT / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=not get_settings().is_production,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    env.install_gettext_callables(i18n.gettext, i18n.ngettext, newstyle=True)  # type: ignore[attr-defined]
    env.globals.update(
        static=static_url,
        # What is in a variable. `_()` takes its text for markup, and % in it for a place to fill in.
        translated=i18n.gettext,
        due=wording.due,
        amount=wording.amount,
        number=wording.number,
        entry=wording.entry,
        money=wording.money,
        day=wording.day,
        long_day=wording.long_day,
        relative_day=wording.relative_day,
        clock_time=wording.clock_time,
        moment=wording.moment,
        short_moment=wording.short_moment,
        file_size=wording.file_size,
        label=wording.label,
        booked=wording.booked,
        act_named=acts.named,
        act_said=acts.said,
        act_shown=acts.shown,
        both=wording.both,
        doer=wording.doer,
        sprite=static_url("icons.svg"),
        lot_line=_lot_line,
        new_id=ids.new_id,
        picture_of=picture,
        upload_limit_mb=get_settings().upload_limit_mb,
    )
    # A block rendered alone does not see imports at the top of its file, so macros are globals.
    for name in ("ui", "forms", "lots", "actions", "journal", "acts", "people", "uploads", "talk"):
        env.globals[name] = env.get_template(f"macros/{name}.html").module
    return env


def _lot_line(row: stock.Row, can_act: bool, pane: str = "") -> str:
    return _drawn_lot_line(i18n.current_locale(), row, can_act, pane)


# Whatever is booked, lists are drawn anew, and all their lines but one are what they were.
@lru_cache(maxsize=2000)
def _drawn_lot_line(_locale: str, row: stock.Row, can_act: bool, pane: str) -> str:
    macros: Any = environment().globals["lots"]
    drawn: str = macros.line(row, can_act, pane)
    return drawn


def common(request: Request) -> dict[str, Any]:
    """What every page finds in its context."""
    account: Account | None = getattr(request.state, "account", None)
    actor = account if isinstance(account, Actor) else None
    locale = i18n.parse_locale(i18n.current_locale())
    return {
        "request": request,
        "path": request.url.path,
        "account": account,
        "actor": actor,
        "can": getattr(account, "can", _cannot),
        "menu": getattr(request.state, "menu", ()),
        "acting_minutes": _minutes_left(account),
        "theme": account.theme if account else Theme.SYSTEM,
        "lang": i18n.current_locale(),
        "direction": locale.text_direction,
        "flash": [],
    }


def _minutes_left(account: Account | None) -> int | None:
    """For staff who acts for somebody."""
    if account is None or account.acting_until is None:
        return None
    return max(0, math.ceil((account.acting_until - clock.now()).total_seconds() / 60))


def _cannot(_permission: str) -> bool:
    return False


def read_flash(request: Request) -> list[dict[str, Any]]:
    signed = request.cookies.get(FLASH_COOKIE)
    try:
        return list(_flash_signer().loads(signed)) if signed else []
    except BadSignature:
        return []


def _flash_signer() -> URLSafeSerializer:
    return URLSafeSerializer(get_settings().secret_key.get_secret_value(), salt="flash")


@lru_cache(maxsize=1)
def _manifest() -> dict[str, str]:
    path = DIST / "manifest.json"
    if not path.exists():
        raise RuntimeError("static/dist is not built: run `python oppman.py collectstatic`")
    manifest: dict[str, str] = json.loads(path.read_text())
    return manifest
