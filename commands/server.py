"""runserver."""

import os
import signal
import sys
import tempfile
from typing import Annotated

import typer
import uvicorn

from commands import sockets
from commands.asynchronous import fail
from settings import get_settings


def runserver(
    address: Annotated[str, typer.Argument(help="address:port, or only a port.")] = "127.0.0.1:8000",
    reload: Annotated[bool, typer.Option(help="Start anew when a file changes.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that serve.")] = 1,
) -> None:
    """Serve the app. It does not migrate: run `migrate` first."""
    host, port = _split(address)
    settings = get_settings()
    if workers > 1 and settings.is_sqlite:
        fail("SQLite serves one process. Use PostgreSQL for several workers.")
        raise typer.Exit(1)
    if workers > 1 and not settings.has_shared_bus:
        fail("LARDER_BUS_URL is memory://, which reaches one process only. Leave it out, or name a Redis.")
        raise typer.Exit(1)
    if workers > 1 and settings.metrics_token.get_secret_value():
        # Where the processes count together; Prometheus' client looks for it when it is imported.
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="larder-metrics-"))
    shown = "localhost" if host in {"127.0.0.1", "::1"} else host
    typer.echo(f"Larder is at http://{shown}:{port}/ (Ctrl+C stops it)")
    # uvicorn stops in good order, and then raises the signal again.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    uvicorn.run(
        "main:create_app",
        factory=True,
        host=host,
        port=port,
        reload=reload,
        workers=workers,
        access_log=False,
        log_level="warning",
        # Nobody's word for who the client is, unless the operator names a proxy.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies or None,
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=10,
        **sockets.OPTIONS,
        # A worker that starts on a busy machine says nothing for a while, and is not dead.
        timeout_worker_healthcheck=60,
    )


def _split(address: str) -> tuple[str, int]:
    host, _colon, port = address.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        fail(f"{address} is not address:port.")
        raise typer.Exit(2)
    return host.strip("[]") or "127.0.0.1", int(port)
