"""SQLAdmin in our own frame. It lists, shows and exports; what is written goes through our forms and transactions."""

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from sqladmin import Admin, BaseView
from sqladmin.authentication import login_required
from sqladmin.helpers import get_object_identifier
from sqladmin.templating import Jinja2Templates
from starlette import status
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.routing import Mount, Route

from admin.access import staff_of
from admin.views import View
from db import session_scope
from routes import rendering
from routes.forms import Form, bind_edit
from routes.rendering import Toast
from services import catalogue, system
from services.core import i18n, tables
from services.core.errors import Conflict, InvalidInput
from services.core.i18n import _

MAX_CHOSEN = 1000
T = TypeVar("T")


class Templates(Jinja2Templates):
    """Our templates, with what all our pages know, for SQLAdmin, which renders in an environment of its own."""

    async def TemplateResponse(  # noqa: N802  (SQLAdmin's name)
        self, request: Request, name: str, context: dict[str, Any] | None = None, status_code: int = 200
    ) -> Any:
        values = {**rendering.common(request), "flash": rendering.read_flash(request), **(context or {})}
        response = await super().TemplateResponse(request, name, values, status_code)
        response.headers["Cache-Control"] = "no-cache, private"
        response.headers["Vary"] = rendering.VARY
        if values["flash"]:
            response.delete_cookie(rendering.FLASH_COOKIE)
        return response


@cache
def _templates() -> Templates:
    templates = Templates("templates")
    ours = rendering.environment()
    templates.env.loader = ours.loader
    templates.env.trim_blocks = templates.env.lstrip_blocks = True
    templates.env.add_extension("jinja2.ext.i18n")
    templates.env.globals.update(ours.globals, get_object_identifier=get_object_identifier, min=min)
    templates.env.install_gettext_callables(i18n.gettext, i18n.ngettext, newstyle=True)  # type: ignore[attr-defined]
    return templates


class Panel(Admin):
    def __init__(self, app: FastAPI, **options: Any) -> None:
        super().__init__(app, **options)
        # Without its own sign-in, assets, uploads and look-ups, which nothing of ours uses.
        self.admin.router.routes = [
            Route("/", self.index, name="index"),
            Route("/{identity}/list", self.list, name="list"),
            Route("/{identity}/details/{pk:path}", self.details, name="details"),
            Route("/{identity}/create", self.create, name="create", methods=["GET", "POST"]),
            Route("/{identity}/edit/{pk:path}", self.edit, name="edit", methods=["GET", "POST"]),
            Route("/{identity}/delete", self.delete, name="delete", methods=["POST"]),
            Route("/{identity}/export/{export_type}", self.export, name="export"),
            Route("/{identity}/action/{slug}", self.act, name="act", methods=["POST"]),
            Route("/{identity}/import", self.import_file, name="import", methods=["GET", "POST"]),
        ]
        # Without an application around them, which would answer for what goes wrong before ours can.
        mount = app.router.routes[-1]
        assert isinstance(mount, Mount)
        mount.app = self.admin.router

    def init_templating_engine(self) -> Templates:
        return _templates()

    @staticmethod
    def _find_decorated_funcs(view: type[BaseView], view_instance: BaseView, handle_fn: Callable[..., None]) -> None:
        """Actions are posted to `act`; they have no routes of their own. Looking for some takes most of a start."""

    @login_required
    async def index(self, request: Request) -> Response:
        staff = staff_of(request)
        async with session_scope(read_only=True) as session:
            found = await system.attention(session, staff)
        tables = [view for view in self.views if isinstance(view, View) and view.allows(request, "list")]
        return await self._page(request, "panel/index.html", found=found, tables=tables)

    async def _list(self, request: Request) -> bool:
        self._view(request).require(request, "list")
        return True

    async def _export(self, request: Request) -> None:
        view = self._view(request)
        view.require(request, "export")
        if request.path_params["export_type"] not in view.export_types:
            raise HTTPException(status.HTTP_404_NOT_FOUND)

    @login_required
    async def details(self, request: Request) -> Response:
        view = self._view(request)
        row = await view.find(request, "details")
        deeds = [deed for deed in view.visible_acts(request) if await view.reaches(request, deed.code, row)]
        can_edit = view.allows(request, "edit") and await view.reaches(request, "edit", row)
        context = {"view": view, "row": row, "deeds": deeds, "can_edit": can_edit, "picture_form": Form()}
        return await self._page(request, "sqladmin/details.html", **context)

    @login_required
    async def create(self, request: Request) -> Response:
        view = self._view(request)
        view.require(request, "create")
        schema = view.create_schema or view.schema
        assert schema is not None
        if request.method == "GET":
            return await self._form(request, view, Form(values=view.suggested(request)), None)

        form: Form[Any] = await bind_edit(request, schema, required=_required(schema))
        row = await _attempt(form, lambda: view.insert(request, form.data))
        if not form.is_valid:
            return await self._form(request, view, form, None, 422)
        return self._saved(request, view, form, row)

    @login_required
    async def edit(self, request: Request) -> Response:
        view = self._view(request)
        row = await view.find(request, "edit")
        assert view.schema is not None
        if request.method == "GET":
            return await self._form(request, view, view.filled(row), row)

        form: Form[Any] = await bind_edit(request, view.schema, required=_required(view.schema))
        await _attempt(form, lambda: view.update(request, request.path_params["pk"], form.data))
        if not form.is_valid:
            return await self._form(request, view, form, row, 422)
        return self._saved(request, view, form, row)

    @login_required
    async def delete(self, request: Request) -> Response:
        view = self._view(request)
        view.require(request, "delete")
        return await self._do(request, view, "delete")

    @login_required
    async def act(self, request: Request) -> Response:
        view = self._view(request)
        slug = request.path_params["slug"]
        if slug not in view.acts:
            raise HTTPException(status.HTTP_404_NOT_FOUND)
        view.require(request, slug)
        return await self._do(request, view, slug)

    @login_required
    async def import_file(self, request: Request) -> Response:
        """Look at a file first, then take all of it or its right rows."""
        view = self._view(request)
        view.require(request, "import")
        if request.method == "GET":
            return await self._page(request, "panel/import.html", view=view, file=None, content="", error="")

        async with request.form(max_files=1, max_part_size=2 * catalogue.MAX_FILE) as sent:
            upload = sent.get("file")
            typed = await upload.read() if isinstance(upload, UploadFile) else str(sent.get("content", "")).encode()
            wanted = sent.get("take")
        try:
            if wanted in {"all", "right"}:
                async with session_scope() as session:
                    by = staff_of(request)
                    made, changed = await catalogue.import_items(session, by, typed, only_right=wanted == "right")
                toast = Toast(_("{made} new, {changed} changed.").format(made=made, changed=changed))
                return rendering.redirect(
                    request, request.url_for("admin:list", identity=view.identity).path, toast=toast
                )
            async with session_scope(read_only=True) as session:
                file = await catalogue.read_items(session, typed)
        except InvalidInput as error:
            values = {"file": None, "content": "", "error": str(error)}
            return await self._page(request, "panel/import.html", 422, view=view, **values)
        content = tables.decode(typed)
        return await self._page(request, "panel/import.html", view=view, file=file, content=content, error="")

    async def _do(self, request: Request, view: View, slug: str) -> Response:
        """Do something with the chosen rows, after having asked. All of them or none."""
        act = view.acts[slug]
        async with request.form(max_fields=MAX_CHOSEN + 20, max_files=0) as sent:
            keys = [str(key) for key in sent.getlist("pks")]
            is_sure = sent.get("sure") == "yes"
        if not keys:
            return rendering.redirect(request, view.path, toast=Toast(_("Choose a row first."), "error"))
        if len(keys) > MAX_CHOSEN:
            raise Conflict(_("At most {count} rows at once.").format(count=MAX_CHOSEN))
        form: Form[Any] = Form()
        if is_sure:
            if act.schema is not None:
                form = await bind_edit(request, act.schema, required=_required(act.schema))
            said = await _attempt(form, lambda: view.perform(request, act, keys, form.parsed))
            if form.is_valid:
                to = rendering.safe_next(request.query_params.get("next"), view.path)
                return rendering.redirect(request, to, toast=Toast(said or ""))
        async with session_scope(read_only=True) as session:
            rows = await view.chosen(session, request, slug, keys)
            controls = await view.controls(session, request, act.schema, rows) if act.schema else []
        context = {"view": view, "deed": act, "rows": rows, "form": form, "controls": controls, "back": view.path}
        return await self._page(request, "panel/sure.html", 422 if form.errors else 200, **context)

    def _view(self, request: Request) -> View:
        view = self._find_model_view(request.path_params["identity"])
        assert isinstance(view, View)
        return view

    async def _form(self, request: Request, view: View, form: Form[Any], row: Any, status_code: int = 200) -> Response:
        schema = view.schema if row is not None else view.create_schema or view.schema
        async with session_scope(read_only=True) as session:
            controls = await view.controls(session, request, schema, row)
        return await self._page(
            request, "sqladmin/form.html", status_code, view=view, form=form, row=row, controls=controls
        )

    def _saved(self, request: Request, view: View, form: Form[Any], row: Any) -> Response:
        to = view.path
        if form.values.get("save") == "again" and view.allows(request, "create"):
            to = request.url_for("admin:create", identity=view.identity).path
        elif view.allows(request, "details"):
            to = view.url(request, "details", row)
        return rendering.redirect(request, to, toast=Toast(_("Saved.")))

    async def _page(self, request: Request, template: str, status_code: int = 200, **context: Any) -> Response:
        response: Response = await self.templates.TemplateResponse(request, template, context, status_code)
        return response


def _required(schema: type[BaseModel]) -> frozenset[str]:
    return frozenset(name for name, field in schema.model_fields.items() if field.is_required())


async def _attempt(form: Form[Any], work: Callable[[], Awaitable[T]]) -> T | None:
    """What comes of a form that is in order. When that refuses, the form says why."""
    if form.is_valid:
        try:
            return await work()
        except InvalidInput as error:
            form.errors.update(error.fields)
        except Conflict as error:
            form.errors[""] = str(error)
    return None
