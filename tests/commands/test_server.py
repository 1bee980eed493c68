"""runserver."""

import signal
import socket
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.commands.conftest import Oppman
from tests.processes import free_port, wait_for


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT], ids=lambda ending: ending.name)
def test_it_serves_until_it_is_told_to_stop(ending: signal.Signals, oppman: Oppman, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "server.log"
    with log.open("w") as output, oppman.start("runserver", f"127.0.0.1:{port}", stdout=output) as server:
        try:
            wait_for(f"http://localhost:{port}/healthz", server, log)
            alive = httpx.get(f"http://localhost:{port}/healthz")
            ready = httpx.get(f"http://localhost:{port}/readyz")
        finally:
            server.send_signal(ending)
            status = server.wait(timeout=60)

    assert alive.json() == {"status": "ok"}
    assert "server" not in alive.headers
    # It does not migrate by itself.
    assert ready.status_code == 503
    assert status == 0
    assert log.read_text().startswith(f"Larder is at http://localhost:{port}/ (Ctrl+C stops it)\n")


def test_several_workers_serve_and_stop_together(postgresql: str, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "server.log"
    oppman = Oppman(postgresql)
    with log.open("w") as output, oppman.start("runserver", str(port), "--workers", "2", stdout=output) as server:
        try:
            wait_for(f"http://localhost:{port}/healthz", server, log)
        finally:
            server.terminate()
            status = server.wait(timeout=60)

    assert status == 0
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://localhost:{port}/healthz")


def test_an_address_in_use_is_told(oppman: Oppman) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        server = oppman.start("runserver", str(taken.getsockname()[1]))
        said, _nothing = server.communicate()

    assert server.returncode != 0
    assert "address already in use" in said


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:", "0", "65536", "127.0.0.1:http", "-1", ""])
def test_what_is_no_address_is_refused(address: str, oppman: Oppman) -> None:
    result = oppman("runserver", "--", address)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"{address} is not address:port.\n"


def test_sqlite_serves_one_process(oppman: Oppman) -> None:
    result = oppman("runserver", "--workers", "2")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "SQLite serves one process. Use PostgreSQL for several workers.\n"
