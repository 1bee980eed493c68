"""The guard and the monitor in real processes: whom they believe, and what they share."""

import asyncio
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests import processes
from tests.servers import create_database

LOGIN = "/api/v1/auth/login"
WRONG = {"email": "nobody@example.com", "password": "not the password 1"}
# Nobody is exempt, so that this machine is anybody.
STRICT = {"LARDER_GUARD_ALLOW": "", "LARDER_GUARD_GENERAL": "30", "LARDER_MONITOR_ENABLED": "true"}


@contextmanager
def serving(url: str, **settings: str) -> Iterator[str]:
    env = {"LARDER_DATABASE_URL": url, **STRICT, **settings}
    migrating = processes.start("migrate", env=env)
    assert migrating.wait(processes.PATIENCE) == 0
    with processes.serving(env=env) as address:
        yield address


def knock(address: str, count: int, **headers: str) -> list[int]:
    with httpx.Client(base_url=address, headers=headers) as client:
        return [client.get("/login").status_code for _ in range(count)]


def test_nobody_is_believed_about_their_address(tmp_path: Path) -> None:
    with serving(f"sqlite:///{tmp_path / 'larder.db'}") as address:
        found = [
            status
            for number in range(40)
            for status in knock(address, 1, **{"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": "for=192.0.2.1"})
        ]
        assert found[:30] == [200] * 30
        assert set(found[32:]) == {429}

    with closing(sqlite3.connect(tmp_path / "larder.db")) as database:
        seen = database.execute("SELECT DISTINCT ip_address, status FROM monitored_request").fetchall()
    # What was seen is written when the process ends, and those that were refused are seen too.
    assert set(seen) == {("127.0.0.1", 200), ("127.0.0.1", 429)}


def test_a_proxy_that_is_named_is_believed(tmp_path: Path) -> None:
    with serving(f"sqlite:///{tmp_path / 'larder.db'}", LARDER_TRUSTED_PROXIES="127.0.0.1") as address:
        for number in range(3):
            found = knock(address, 32, **{"X-Forwarded-For": f"198.51.100.{number}"})
            assert found[:30] == [200] * 30
            assert found[31] == 429
        # Of a chain, the last that the proxy did not add itself; what was there before may be made up.
        chain = {"X-Forwarded-For": "203.0.113.1, 198.51.100.0"}
        assert knock(address, 1, **chain) == [429]


def test_whatever_is_sent_is_answered(tmp_path: Path) -> None:
    with serving(f"sqlite:///{tmp_path / 'larder.db'}", LARDER_GUARD_GENERAL="100000") as address:
        host = urlsplit(address)
        for sent in (
            b"GET /%ff%fe%00 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /login HTTP/1.1\r\nHost: x\r\nCookie: larder_session=\xff\xfe\r\n\r\n",
            b"GET /login HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\r\n\r\n",
            b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n",
            b"OPTIONS /login HTTP/1.1\r\nHost: x\r\n\r\n",
            b"HEAD /login HTTP/1.1\r\nHost: x\r\n\r\n",
            (
                b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            ),
            b"GET /login HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        ):
            with socket.create_connection((host.hostname or "", host.port or 0), timeout=30) as connection:
                connection.sendall(sent)
                status = int(connection.recv(100).split()[1])
            assert 200 <= status < 500, (sent[:60], status)
        # One that goes away in the middle of what it sends.
        with socket.create_connection((host.hostname or "", host.port or 0), timeout=30) as connection:
            connection.sendall(
                b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nabc"
            )
        assert knock(address, 1) == [200]

    with closing(sqlite3.connect(tmp_path / "larder.db")) as database:
        assert database.execute("SELECT kind, message FROM problem").fetchall() == []


def test_workers_share_what_they_count(postgresql: str, tmp_path: Path) -> None:
    """Two processes, and one limit: exactly that for passwords, soon enough for everything else."""
    url = _new_database(postgresql)
    env = {"LARDER_DATABASE_URL": url, **STRICT, "LARDER_TASKS": "distributed"}
    assert processes.start("migrate", env=env).wait(processes.PATIENCE) == 0
    with processes.serving(env=env) as one, processes.serving(env=env) as other:
        found = [httpx.post(f"{address}{LOGIN}", json=WRONG).status_code for _ in range(6) for address in (one, other)]
        assert found == [401] * 10 + [429] * 2

        def both_refuse() -> bool:
            knock(one, 2)
            knock(other, 2)
            return knock(one, 1) == [429] and knock(other, 1) == [429]

        # With thirty a minute for each, it would take both that many.
        processes.until(both_refuse)
        listed = processes.start("guard", "ban", "203.0.113.5", env=env)
        assert listed.wait(processes.PATIENCE) == 0


def _new_database(server: str) -> str:
    return asyncio.run(create_database(server))


@pytest.mark.parametrize("value", ["nonsense", "127.0.0.1/99", "10.0.0.0/8, x"])
def test_networks_that_are_none_are_refused_at_the_start(value: str, tmp_path: Path) -> None:
    env = {"LARDER_DATABASE_URL": f"sqlite:///{tmp_path / 'larder.db'}", "LARDER_GUARD_ALLOW": value}
    assert processes.start("check", env=env).wait(processes.PATIENCE) == 1
