"""SQLAdmin, with the doors shut that we do not use."""

from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from sqladmin import Admin
from starlette.datastructures import FormData

from admin.access import LOGIN


class Panel(Admin):
    async def login(self, request: Request) -> Response:
        """There is no second sign-in for the panel, so no page for it either."""
        return RedirectResponse(LOGIN, 303)

    async def _delete(self, request: Request) -> None:
        if not request.query_params.get("pks"):
            raise HTTPException(400)
        await super()._delete(request)

    @staticmethod
    async def _handle_form_data(request: Request, _obj: Any = None) -> FormData:
        """What was typed: no field here takes a file."""
        async with request.form() as form:
            return FormData([(name, value) for name, value in form.multi_items() if isinstance(value, str)])
