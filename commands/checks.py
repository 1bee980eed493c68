"""check: whether this instance is set up well. secrets: what to set it up with."""

import os
import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

import typer
from sqlmodel import col, select

from commands.asynchronous import run
from db import session_scope
from models import Category, Unit
from routes.rendering import DIST
from services import health
from services.core import storage
from services.core.errors import Unavailable
from services.delivery import vapid
from services.jobs import procrastinate_queue
from settings import Registration, Settings, get_settings


def check(
    deploy: Annotated[bool, typer.Option("--deploy", help="Also what matters once others can reach it.")] = False,
) -> None:
    """Look for what is wrong with the settings, the database and the assets. Exits with 1 when something is."""
    settings = get_settings()
    problems = [*_unknown_settings(), *_provider(settings), *run(_services(settings, deploy=deploy)), *_assets()]
    if deploy:
        problems += _deployment(settings)
        for notice in _notices(settings):
            typer.secho(f"? {notice}", err=True, fg="yellow")
    for problem in problems:
        typer.secho(f"! {problem}", err=True, fg="red")
    if problems:
        raise typer.Exit(1)
    typer.echo("Everything is in order.")


def _unknown_settings() -> Iterator[str]:
    known = {f"LARDER_{name}".upper() for name in Settings.model_fields} | {"LARDER_SUPERUSER_PASSWORD"}
    for name in sorted(os.environ):
        if name.startswith("LARDER_") and not name.startswith("LARDER_TEST_") and name not in known:
            yield f"{name} is set, but there is no such setting."


def _provider(settings: Settings) -> Iterator[str]:
    if bool(settings.openid_issuer) != bool(settings.openid_client_id):
        yield "LARDER_OPENID_ISSUER and LARDER_OPENID_CLIENT_ID only work together."
    if settings.openid_issuer is not None and settings.is_production and settings.openid_issuer.scheme != "https":
        yield "LARDER_OPENID_ISSUER is not https: anybody on the way can say who somebody is."


def new_secrets() -> None:
    """Print fresh values for the secrets in .env: made now, kept nowhere, and never those in use."""
    private_key = vapid.private(vapid.make()).strip().replace("\n", "\\n")
    typer.echo(f"LARDER_SECRET_KEY={secrets.token_urlsafe(48)}")
    typer.echo(f"LARDER_METRICS_TOKEN={secrets.token_urlsafe(32)}")
    typer.echo(f"LARDER_VAPID_PRIVATE_KEY='{private_key}'")


async def _services(settings: Settings, *, deploy: bool) -> list[str]:
    return [*await _database(settings, deploy=deploy), *await _storage()]


async def _storage() -> list[str]:
    try:
        await storage.current().try_writing()
    except Unavailable as error:
        return [f"The storage {get_settings().storage} cannot be written: {storage.reason(error)}"]
    return []


async def _database(settings: Settings, *, deploy: bool) -> list[str]:
    parts = await health.check()
    if parts["database"] != "ok":
        return ["The database does not answer."]
    if parts["migrations"] != "ok":
        return ["The database is not at the newest migration: run `python oppman.py migrate`."]
    async with session_scope(read_only=True) as session:
        has_words = all(
            [
                (await session.scalars(select(table.id).where(col(table.household_id).is_(None)).limit(1))).first()
                for table in (Unit, Category)
            ]
        )
        has_worker = not (deploy and settings.has_task_workers) or await procrastinate_queue.is_worked_on(
            session, lease=timedelta(seconds=settings.task_lease)
        )
    return [
        *([] if has_words else ["Units and categories are missing: run `python oppman.py seed`."]),
        *([] if has_worker else ["No worker does the tasks: start `python oppman.py worker`."]),
    ]


def _assets() -> Iterator[str]:
    if not (DIST / "manifest.json").exists():
        yield "static/dist is not built: run `python oppman.py collectstatic`."


def _deployment(settings: Settings) -> Iterator[str]:
    if not settings.is_production:
        yield "LARDER_ENVIRONMENT is not production."
    if not settings.is_sqlite and not settings.has_shared_bus:
        yield "LARDER_BUS_URL is memory://: what one process does shows late in the others. Leave it out."
    if settings.base_url is None:
        yield "LARDER_BASE_URL is not set: links that are sent to people trust the Host header."
    elif settings.base_url.scheme != "https":
        yield "LARDER_BASE_URL is not https: passwords and cookies travel in the clear."
    if settings.shows_api_docs and settings.is_production:
        yield "LARDER_API_DOCS is on: everybody can read how the API is built."
    if settings.registration is Registration.OPEN:
        yield "LARDER_REGISTRATION is open: anybody can make an account (use invite, unless that is meant)."


def _notices(settings: Settings) -> Iterator[str]:
    """What may be meant."""
    if settings.has_task_workers and settings.storage.scheme == "file":
        yield (
            f"{settings.storage} is a folder: on another machine, web processes and workers do not see what is in it "
            "(use s3://…, unless they are all here, or it is mounted everywhere)."
        )
