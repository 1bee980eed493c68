"""Our own static files: built, named by their content, cached for good."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from routes.rendering import DIST, static_url


class HashedFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


async def service_worker(_request: Request) -> Response:
    """It may only serve what lies below its own address, so it stands at the root, under a name that stays."""
    path = DIST / static_url("sw.js").removeprefix("/static/")
    return FileResponse(path, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


def mount_static(app: FastAPI) -> None:
    DIST.mkdir(parents=True, exist_ok=True)
    app.add_route("/sw.js", service_worker, name="static:service_worker")
    app.mount("/static", HashedFiles(directory=DIST), name="static")
