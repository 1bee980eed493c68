"""Probes: /healthz says the process lives, /readyz that it can work. /metrics is for Prometheus."""

import hmac

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from routes.api.answers import json
from routes.deps import SessionDep
from services import health, metrics
from services.core.errors import NotFound
from services.core.i18n import _
from settings import get_settings

router = APIRouter(tags=["health"])


@router.get("/healthz", name="health:alive")
async def alive() -> Response:
    """The process is alive. Asks nothing of anything else."""
    return json({"status": "ok"})


@router.get("/readyz", name="health:ready")
async def ready(request: Request) -> Response:
    """200 when the database answers, its migrations are up to date, and the live parts run, else 503."""
    parts = {**await health.check(), "live": "stalled" if request.app.state.hub.has_stalled else "ok"}
    is_ready = all(state == "ok" for state in parts.values())
    return json({"status": "ok" if is_ready else "unavailable", **parts}, 200 if is_ready else 503)


@router.get("/metrics", name="health:metrics", include_in_schema=False)
async def read_metrics(request: Request, session: SessionDep) -> Response:
    """Numbers for whoever shows LARDER_METRICS_TOKEN as a bearer token; without that setting there are none."""
    token = get_settings().metrics_token.get_secret_value()
    shown = request.headers.get("authorization", "")
    if not token or not hmac.compare_digest(shown.encode(), f"Bearer {token}".encode()):
        raise NotFound(_("There is nothing at this address."))
    return Response(await metrics.read(session), media_type=CONTENT_TYPE_LATEST)
