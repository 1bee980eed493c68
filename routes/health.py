"""Probes: /healthz says the process lives, /readyz that it can work."""

from fastapi import APIRouter, Response

from routes.api.answers import json
from services import health

router = APIRouter(tags=["health"])


@router.get("/healthz", name="health:alive")
async def alive() -> Response:
    """The process is alive. Asks nothing of anything else."""
    return json({"status": "ok"})


@router.get("/readyz", name="health:ready")
async def ready() -> Response:
    """200 when the database answers and its migrations are up to date, else 503."""
    parts = await health.check()
    is_ready = all(state == "ok" for state in parts.values())
    return json({"status": "ok" if is_ready else "unavailable", **parts}, 200 if is_ready else 503)
