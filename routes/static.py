"""Our own static files: built, named by their content, cached for good."""

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from routes.rendering import DIST


class HashedFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def mount_static(app: FastAPI) -> None:
    DIST.mkdir(parents=True, exist_ok=True)
    app.mount("/static", HashedFiles(directory=DIST), name="static")
