"""The application: settings, lifespan, middleware, routers, admin, error handlers. No routes, no logic."""

import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from functools import cache

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from admin import mount_admin
from admin.registry import read_registry
from db import get_database, use_database
from routes import api, files, health, live, pages, staff, static, uploads
from routes.errors import LastResort, add_exception_handlers, refuse, refuse_cross_origin, refuse_too_large
from routes.gate import guard_routes
from routes.idempotent import Replay, replay
from routes.middleware.body_limit import BodyLimit
from routes.middleware.cross_origin import CrossOriginProtection
from routes.middleware.guard import Guard
from routes.middleware.metrics import Metrics
from routes.middleware.monitor import Monitor
from routes.middleware.request_id import RequestId
from routes.middleware.security_headers import SecurityHeaders
from routes.openapi import describe
from services import dictionary
from services.core import bus, logs, storage
from services.guard import Doorkeeper
from services.jobs import engines
from services.live import Hub
from services.monitor import Recorder
from settings import ROOT, Settings, get_settings

MAX_BODY = 2 * 1024 * 1024


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    hub: Hub = app.state.hub
    settings: Settings = app.state.settings
    keeper: Doorkeeper = app.state.keeper
    recorder: Recorder = app.state.recorder

    def hear(message: str) -> None:
        hub.hear(message)
        dictionary.hear(message)

    async with (
        bus.running(settings.bus_url, hear),
        hub.running(),
        recorder.running(),
        keeper.running() if settings.guard_enabled else nullcontext(),
        engines.beside_web(settings),
    ):
        yield
    await get_database().dispose()
    use_database(None)


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or get_settings()
    logs.configure(settings)
    keeper, recorder = Doorkeeper(settings), Recorder()
    monitor = Middleware(Monitor, recorder=recorder, sample=settings.monitor_sample, slow_ms=settings.monitor_slow_ms)
    app = FastAPI(
        title="Larder",
        version=_version(),
        lifespan=lifespan,
        openapi_url="/api/openapi.json" if settings.shows_api_docs else None,
        docs_url=None,
        redoc_url=None,
        middleware=[
            Middleware(RequestId),
            *([Middleware(Metrics)] if settings.metrics_token.get_secret_value() else []),
            Middleware(
                SecurityHeaders,
                hsts=settings.base_url is not None and settings.base_url.scheme == "https",
                images_from=storage.current().origin if settings.storage.scheme == "s3" else None,
            ),
            Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5),
            *([monitor] if settings.monitor_enabled else []),
            *([Middleware(Guard, keeper=keeper, refuse=refuse)] if settings.guard_enabled else []),
            Middleware(CrossOriginProtection, refuse=refuse_cross_origin),
            Middleware(LastResort),
            Middleware(BodyLimit, max_body_size=MAX_BODY, largest=uploads.largest_body, refuse=refuse_too_large),
        ],
    )
    app.state.settings = settings
    app.state.hub = Hub()
    app.state.keeper, app.state.recorder = keeper, recorder
    add_exception_handlers(app)
    app.add_exception_handler(Replay, replay)
    # Taken over as they are: FastAPI matches the routes of included routers twice for each request.
    for router in (
        health.router,
        *api.ROUTERS,
        live.ticket_router,
        *pages.ROUTERS,
        *staff.ROUTERS,
        files.router,
        live.router,
    ):
        app.router.routes.extend(router.routes)
    app.state.upload_routes = [route for route in app.routes if uploads.takes_files(route)]
    static.mount_static(app)
    panel = mount_admin(app, settings)
    describe(app, settings)
    app.state.registry = read_registry(app, panel.views)
    guard_routes(app)
    return app


@cache
def _version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])
