"""What the monitor sees of a request, and what it leaves alone."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from models import MonitoredQuery, MonitoredRequest, MonitoredShape, Problem
from services import monitor
from services.core import clock
from services.monitor import Recorder, redaction
from services.permissions import Actor
from settings import Settings
from tests.conftest import HOUSEHOLD, NOW, PASSWORD, ClientOf
from tests.factories import make_lot
from tests.monitor.conftest import everything_in

LOTS = f"/api/v1/households/{HOUSEHOLD}/lots"


async def seen(session: AsyncSession, recorder: Recorder) -> list[MonitoredRequest]:
    await recorder.flush()
    session.expire_all()
    return list((await session.scalars(select(MonitoredRequest).order_by(col(MonitoredRequest.id)))).all())


async def test_a_request_is_seen_with_its_statements(
    session: AsyncSession, recorder: Recorder, as_: ClientOf, alice: Actor
) -> None:
    answer = await as_(alice).get(f"{LOTS}?limit=7&q=secret+cheese")

    (row,) = await seen(session, recorder)
    assert (row.method, row.route, row.path, row.status) == ("GET", "stock:list", LOTS, 200)
    assert row.query == f"limit=7&q={redaction.HIDDEN}"
    assert row.request_id == answer.headers["x-request-id"]
    assert (row.user_id, row.ip_address, row.at) == (alice.user_id, "127.0.0.1", NOW)
    assert row.ms > row.query_ms > 0
    assert row.query_count >= 2
    assert row.repeated == 1
    assert row.weight == 1
    queries = (await session.scalars(select(MonitoredQuery))).all()
    assert sum(query.count for query in queries) == row.query_count
    assert all(query.ms > 0 for query in queries)
    shapes = {shape.id: shape.sql for shape in (await session.scalars(select(MonitoredShape))).all()}
    assert {query.shape_id for query in queries} == shapes.keys()
    assert any("session_token" in sql for sql in shapes.values())


async def test_what_a_request_asks_again_and_again_is_told(
    session: AsyncSession, recorder: Recorder, as_: ClientOf
) -> None:
    await as_().get("/again")

    (row,) = await seen(session, recorder)
    assert row.repeated == 7
    found = await monitor.overview(session, monitor.Window.HOUR)
    (repetition,) = found.repetitions
    assert (repetition.route, repetition.most, repetition.requests) == ("again", 7, 1)
    assert repetition.request_id == row.id


async def test_files_and_probes_are_not_watched(session: AsyncSession, recorder: Recorder, as_: ClientOf) -> None:
    for path in ("/healthz", "/readyz", "/static/nothing.css", "/sw.js"):
        await as_().get(path)

    assert await seen(session, recorder) == []


async def test_it_is_off_unless_it_is_turned_on(
    app: FastAPI, session: AsyncSession, client_of: ClientOf, alice: Actor
) -> None:
    await client_of(alice).get(f"/households/{HOUSEHOLD}/lots")

    assert await seen(session, app.state.recorder) == []


async def test_secrets_are_left_out_before_anything_is_written(
    session: AsyncSession, recorder: Recorder, as_: ClientOf, alice: Actor, bob: Actor
) -> None:
    secret = "sUp3r-s3cret-T0ken-that-must-not-be-kept"
    client = as_(alice)
    who = {"email": "alice@example.com", "password": PASSWORD}
    cookie = (await client.post("/api/v1/auth/login", json=who)).cookies["larder_session"]
    await client.post("/login", data=who)
    await client.get(f"/invitations/{secret}")
    await client.get(f"/feeds/{secret}/expiry.ics")
    await client.get(f"/do/{secret}?ticket={secret}")
    await client.get(f"/nowhere/{secret}?next=/reset/{secret}", headers={"Referer": f"http://localhost/{secret}"})
    nested = {"items": [{"apiKey": secret, "deep": {"password": [secret], "note": f"see {secret}"}}], "pin": secret}
    await client.post("/echo", json=nested, headers={"X-Api-Key": "shortish", "Cookie": "a=biscuit"})
    await client.post("/echo", data={"password": secret, "text": f"mail {secret} to eve@example.com"})
    await client.post("/echo", files={"file": ("name", secret.encode(), "text/plain")}, data={"a": secret})
    await client.post("/echo", content=f'{{"password": "{secret}', headers={"Content-Type": "application/json"})
    await client.post("/echo", content=f"Bearer {secret}", headers={"Content-Type": "text/plain"})
    browser = as_(bob, is_browser=True)
    await browser.get("/")

    rows = await seen(session, recorder)
    assert len(rows) == 12
    kept = await everything_in(session, "monitored_request", "monitored_query", "monitored_shape")
    for hidden in (
        secret,
        PASSWORD,
        cookie,
        "Bearer",
        "example.com",
        "Token",
        "shortish",
        "biscuit",
        browser.cookies["larder_session"],
    ):
        assert hidden not in kept, hidden
    by_route = {row.route: row for row in rows}
    # What is harmless is there.
    echoed = next(row for row in rows if row.route == "echo")
    assert echoed.request_headers["content-type"] == "application/json"
    assert echoed.request_headers["authorization"] == redaction.HIDDEN
    assert '"size": ' in echoed.response_body
    assert '"note": "see •••"' in echoed.request_body
    # Of signing in, only how it went.
    login = by_route["auth:login"]
    assert (login.request_headers, login.request_body, login.response_body, login.query) == ({}, "", "", "")


async def test_no_more_than_the_beginning_of_a_body_is_held(
    session: AsyncSession, recorder: Recorder, as_: ClientOf
) -> None:
    await as_().post("/echo", content=b"y" * 1_000_000, headers={"Content-Type": "text/plain"})
    answer = await as_().get("/stream")
    assert len(answer.content) == 100_100
    assert all(len(sighting.request_body.kept) <= redaction.LIMIT for sighting in recorder._seen)
    assert all(len(sighting.response_body.kept) <= redaction.LIMIT for sighting in recorder._seen)

    sent, streamed = await seen(session, recorder)
    assert sent.request_body == "(1000000 bytes)"
    assert streamed.response_body == "(100100 bytes)"


async def test_pages_are_not_kept(session: AsyncSession, recorder: Recorder, as_: ClientOf, alice: Actor) -> None:
    await make_lot(session, alice, product="Unmistakable cheese")
    await session.commit()
    page = await as_(alice, is_browser=True).get("/")
    assert "Unmistakable cheese" in page.text

    (row,) = await seen(session, recorder)
    assert row.response_body == ""


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/%ff%fe", {}, 404),
        ("GET", "/a%00b?c=%00", {}, 404),
        ("GET", "/stock?q=%ff", {}, 303),
        ("HEAD", "/login", {}, 405),
        ("OPTIONS", "/login", {}, 405),
        ("POST", "/echo", {"content": b"\xff\xfe\x00", "headers": {"Content-Type": "text/plain"}}, 200),
        ("POST", "/echo", {"content": b'"\\ud800"', "headers": {"Content-Type": "application/json"}}, 200),
        ("POST", "/echo", {"content": b"[" * 8000, "headers": {"Content-Type": "application/json"}}, 200),
        ("POST", "/echo", {"content": b"9" * 8000, "headers": {"Content-Type": "application/json"}}, 200),
        (
            "POST",
            "/echo",
            {"content": b"a=%00&b=%ff&=", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
            200,
        ),
        ("POST", "/echo", {"content": b"x" * 10_000_000}, 413),
        ("GET", "/login", {"headers": {"User-Agent": "z" * 60_000, "Accept": "\x7f", "Cookie": "a" * 9000}}, 200),
    ],
)
async def test_whatever_is_sent_is_answered_and_seen(
    method: str,
    path: str,
    options: dict[str, object],
    status: int,
    session: AsyncSession,
    recorder: Recorder,
    as_: ClientOf,
) -> None:
    answer = await as_().request(method, path, **options)  # type: ignore[arg-type]

    assert answer.status_code == status
    (row,) = await seen(session, recorder)
    assert row.status == status
    assert recorder.dropped == 0


async def test_a_client_that_goes_away_leaves_a_trace_and_no_problem(
    watched: FastAPI, session: AsyncSession, recorder: Recorder
) -> None:
    messages: Iterator[dict[str, object]] = iter(
        [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> dict[str, object]:
        return next(messages)

    async def send(_message: object) -> None:
        raise OSError("nobody is there")

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": "/echo",
        "raw_path": b"/echo", "query_string": b"", "headers": [(b"content-type", b"text/plain")],
        "client": ("127.0.0.1", 1), "server": ("localhost", 80), "scheme": "http", "root_path": "",
    }  # fmt: skip
    with suppress(OSError):
        await watched(scope, receive, send)

    (row,) = await seen(session, recorder)
    assert row.route == "echo"
    assert row.request_body == "half"


async def test_a_socket_goes_through(watched: FastAPI, session: AsyncSession, recorder: Recorder) -> None:
    sent: list[str] = []
    scope = {"type": "websocket", "path": "/ws", "headers": [], "client": ("127.0.0.1", 1), "query_string": b""}

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])

    await watched(scope, receive, send)  # type: ignore[arg-type]

    assert sent == ["websocket.close"]
    assert await seen(session, recorder) == []


# Samples


async def test_of_a_sample_each_stands_for_its_share_and_errors_are_always_kept(
    rolled_back: object, watched: FastAPI, session: AsyncSession, recorder: Recorder, as_: ClientOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    middleware = watched.middleware_stack or watched.build_middleware_stack()
    watched.middleware_stack = middleware
    found: object = middleware
    while type(found).__name__ != "Monitor":
        found = found.app  # type: ignore[attr-defined]
    monkeypatch.setattr(found, "sample", 0.25)
    turns = iter([0.1, 0.3, 0.2, 0.9, 0.9, 0.9])
    monkeypatch.setattr("routes.middleware.monitor.random.random", lambda: next(turns))
    for _ in range(5):
        await as_().post("/echo", json={"note": "kept"})
    await as_().get("/boom/1")

    rows = await seen(session, recorder)
    assert [(row.route, row.weight) for row in rows] == [("echo", 4), ("echo", 4), ("boom", 1)]
    totals = (await monitor.overview(session, monitor.Window.HOUR)).totals
    assert (totals.count, totals.errors) == (9, 1)


# Too much


async def test_what_does_not_fit_is_dropped_and_counted(
    recorder: Recorder, as_: ClientOf, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.monitor.recorder.MOST_WAITING", 3)
    for _ in range(5):
        await as_().get("/stream")

    assert recorder.dropped == 2
    assert len(await seen(session, recorder)) == 3


async def test_what_waits_is_written_when_the_process_ends(
    recorder: Recorder, as_: ClientOf, session: AsyncSession
) -> None:
    async with recorder.running():
        await as_().get("/stream")

    assert len((await session.scalars(select(MonitoredRequest))).all()) == 1


async def test_a_database_that_is_away_costs_no_request(
    recorder: Recorder, as_: ClientOf, session: AsyncSession, rolled_back: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.monitor.recorder.session_scope", _away)
    async with recorder.running():
        assert (await as_().get("/stream")).status_code == 200
        await asyncio.sleep(0)

    assert recorder.dropped == 1


def _away() -> object:
    raise ConnectionError("the database is away")


async def test_old_requests_are_forgotten_and_too_many_are(
    session: AsyncSession, recorder: Recorder, as_: ClientOf, config: Settings
) -> None:
    for days in (40, 20, 0):
        with clock.frozen(NOW - timedelta(days=days)):
            await as_().get("/again")
    assert len(await seen(session, recorder)) == 3

    assert await monitor.prune() == 1
    assert await monitor.prune(rows=1) == 1
    (left,) = await seen(session, recorder)
    assert left.at == NOW
    assert await monitor.prune(rows=0) == 1
    assert await everything_in(session, "monitored_request", "monitored_query", "monitored_shape") == ""
    # What is forgotten with them is written again when it is needed.
    recorder.forget_shapes()
    await as_().get("/again")
    await recorder.flush()
    assert (await session.scalars(select(MonitoredShape))).all()
    assert (await session.scalars(select(Problem))).all() == []
