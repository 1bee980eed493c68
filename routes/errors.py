"""What went wrong, told once: as problem+json, as a toast, or as a page."""

from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field
from sqlalchemy.exc import IntegrityError, NoResultFound
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db import is_unavailable
from routes.rendering import VARY, Toast, back, is_htmx, redirect, render, trigger
from services.core.errors import (
    AppError,
    BadRequest,
    ConfirmationNeeded,
    Conflict,
    Gone,
    InvalidInput,
    LimitExceeded,
    NoHousehold,
    NotFound,
    NotSignedIn,
    NotVerified,
    PasswordChangeRequired,
    PermissionDenied,
    SecondFactorRequired,
    TooLarge,
    Unavailable,
    UnsupportedType,
)
from services.core.i18n import _
from services.schemas.messages import field_errors
from services.schemas.products import FieldError
from services.schemas.types import Read

logger = structlog.get_logger("larder.errors")

STATUS: Mapping[type[AppError], int] = {
    BadRequest: 400,
    NotSignedIn: 401,
    PermissionDenied: 403,
    NotFound: 404,
    NoHousehold: 404,
    Conflict: 409,
    Gone: 410,
    TooLarge: 413,
    UnsupportedType: 415,
    InvalidInput: 422,
    LimitExceeded: 429,
    Unavailable: 503,
}
CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media"}


class Problem(Read):
    """RFC 9457 problem details."""

    type: str = Field(examples=["urn:larder:problem:invalid_input"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    code: str = Field(examples=["invalid_input"])
    detail: str = Field(examples=["Enter more than 0."])
    request_id: str
    errors: list[FieldError] = Field(description="What is wrong with which field.")
    challenge: str | None = Field(
        default=None, description="With `second_factor_required` only: for `POST /auth/login/code`."
    )


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of routes that can answer with these errors."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def add_exception_handlers(app: FastAPI) -> None:
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    for overtaken in (IntegrityError, NoResultFound, StaleDataError):
        app.add_exception_handler(overtaken, _overtaken)


def answer(
    request: Request,
    status: int,
    detail: str,
    *,
    code: str,
    errors: list[tuple[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, str] | None = None,
) -> Response:
    """The same failure, in the form this client reads."""
    response: Response
    if is_api(request):
        problem = {
            "type": f"urn:larder:problem:{code}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "code": code,
            "detail": detail,
            "request_id": getattr(request.state, "request_id", ""),
            "errors": [{"field": field, "message": message} for field, message in errors or []],
            **(more or {}),
        }
        response = JSONResponse(problem, status, media_type="application/problem+json")
    elif is_htmx(request):
        # htmx fires HX-Trigger on any status; without Reswap an empty body would blank the target.
        response = Response(status_code=status, headers={"HX-Reswap": "none", "Vary": VARY})
        trigger(response, {"toast": asdict(Toast(detail, "error")), "stock:changed": True})
    else:
        response = render(request, "errors/page.html", {"status": status, "message": detail}, status_code=status)
    response.headers.update(headers or {})
    return response


def problem(request: Request, error: AppError) -> Response:
    """An `AppError` as an answer, for when raising it would undo what must be kept."""
    status = status_of(error)
    errors = list(error.fields.items()) if isinstance(error, InvalidInput) else None
    more = {"challenge": error.challenge} if isinstance(error, SecondFactorRequired) else None
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in {429, 503}:
        headers["Retry-After"] = str(getattr(error, "retry_after", 1))
    return answer(request, status, str(error), code=error.code, errors=errors, headers=headers, more=more)


def status_of(error: AppError) -> int:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


CONFIRM = "/confirm"
# Where pages send whoever cannot go on without it.
_HELPFUL: Mapping[type[AppError], str] = {
    NotSignedIn: "/login",
    NoHousehold: "/households/new",
    PasswordChangeRequired: "/settings/password",
    NotVerified: "/verify-email",
    ConfirmationNeeded: CONFIRM,
}


async def _app_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    page = next((page for kind, page in _HELPFUL.items() if isinstance(error, kind)), None)
    return problem(request, error) if page is None or is_api(request) else _send_to(request, page)


def _send_to(request: Request, page: str) -> Response:
    """To the page that helps, and from there back to where somebody wanted to go."""
    if page == CONFIRM and request.method != "GET":  # what was asked for is asked for again on the page it was asked on
        return redirect(request, f"{page}?next={quote(back(request, '/settings'), safe='/')}")
    if is_htmx(request):
        return Response(status_code=204, headers={"HX-Redirect": page})
    wanted = request.url.path if request.method == "GET" else "/"
    if request.method == "GET" and request.url.query:
        wanted = f"{wanted}?{request.url.query}"
    location = page if wanted == "/" else f"{page}?next={quote(wanted, safe='/')}"
    return Response(status_code=303, headers={"Location": location, "Cache-Control": "no-store"})


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    if any(found["type"] == "json_invalid" for found in problems):
        return answer(request, 400, _("The body is not JSON."), code="bad_request")
    if not is_api(request) and any(found["loc"][0] == "path" for found in problems):
        return answer(request, 404, _("There is nothing at this address."), code="not_found")
    fields = field_errors(problems, skip=1)
    return answer(request, 422, fields[0][1], code="invalid_input", errors=fields)


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    details = {
        400: _("This request cannot be read."),
        404: _("There is nothing at this address."),
        405: _("This address does not take that method."),
        413: _("That is too large."),
    }
    detail = details.get(error.status_code, error.detail)
    code = CODES.get(error.status_code, "error")
    return answer(request, error.status_code, detail, code=code, headers=error.headers)


async def _overtaken(request: Request, error: Exception) -> Response:
    """What a request built on was changed or deleted by another one meanwhile."""
    logger.warning("overtaken", error=type(error).__name__)
    detail = _("Somebody changed this at the same moment. Please look again.")
    return answer(request, 409, detail, code="overtaken")


async def refuse_cross_origin(request: Request) -> Response:
    return answer(request, 403, _("This request came from another site, so it was refused."), code="cross_origin")


async def refuse_too_large(request: Request) -> Response:
    return await _http_exception(request, HTTPException(413))


async def refuse(request: Request, error: AppError) -> Response:
    return problem(request, error)


class LastResort:
    """Answers for what nobody expected, inside the middleware that gives answers their id and headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:
            request = Request(scope, receive)
            if is_unavailable(error):
                logger.warning("unavailable", error=type(error).__name__)
                message, status, code = _("We are busy. Please try again in a moment."), 503, "unavailable"
            else:
                logger.exception("unexpected")
                route = getattr(scope.get("route"), "name", "")
                scope["state"]["problem"] = scope["app"].state.recorder.note(error, route=route)
                message, status, code = _("Something went wrong on our side. It was noted."), 500, "unexpected"
            if started:
                raise
            headers = {"Retry-After": "1"} if status == 503 else {}
            await answer(request, status, message, code=code, headers=headers)(scope, receive, send)
