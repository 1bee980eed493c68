"""The API's description, and the page that shows it with our own copy of Swagger UI."""

from typing import Any

from fastapi import FastAPI, Request, Response

from routes.errors import Problem
from routes.rendering import render
from settings import Settings

DESCRIPTION = """
What a household has, what is due, and what was done with it.

Sign in with `POST /auth/login` and send the access token as `Authorization: Bearer …`. Lists come in pages: follow
`next` with `?after=`. Quantities and money are decimal strings, dates ISO. Errors are `application/problem+json`.
Repeat a `POST` under the same `Idempotency-Key` to get its first answer again.
"""


def describe(app: FastAPI, settings: Settings) -> None:
    app.description = DESCRIPTION
    if not settings.shows_api_docs:
        return

    generate = app.openapi

    def with_problem() -> dict[str, Any]:
        if not app.openapi_schema:
            schema = generate()
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(problem.pop("$defs", {}))
            schemas["Problem"] = problem
        return app.openapi_schema or {}

    app.openapi = with_problem  # type: ignore[method-assign]
    app.add_route("/api/docs", _docs, include_in_schema=False)


async def _docs(request: Request) -> Response:
    return render(request, "api_docs.html")
