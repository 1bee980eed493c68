"""What watching and guarding cost: the same requests with the monitor off and on, and with the guard, in one process.

`python -m bench.monitor` furnishes a database and starts one process with Larder in it four times. They take turns at
each single request, and what is compared is the CPU time that the process spends on it, all its threads together: so
it matters little what else the machine does. "Without" is Larder whose database layer has no place to listen at,
which nobody runs. What the monitor saw is written down within its own turns.
"""

import argparse
import asyncio
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

import db
import main as larder
from bench.contest import A_LITTLE
from bench.contestants import Stage, app_environment
from bench.report import table
from settings import get_settings

WITHOUT, OFF, ON, GUARD = "without", "monitor off", "monitor on", "guard on"
SETTINGS: dict[str, dict[str, Any]] = {
    WITHOUT: {"guard_enabled": False},
    OFF: {"guard_enabled": False},
    ON: {"guard_enabled": False, "monitor_enabled": True},
    GUARD: {"guard_general": 10**9},
}
# How much more an answer may cost than with the other.
AIMS = {OFF: (WITHOUT, 1.03), ON: (OFF, 1.15), GUARD: (OFF, 1.03)}
# Of nobody who is exempt.
CLIENT = ("198.51.100.7", 50_000)
WARM_UP = 30
FLUSH_EVERY = 25


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes = b""

    async def of(self, app: FastAPI) -> None:
        """Ask an app. Raises `RuntimeError` for anything but a 200."""
        path, _mark, query = self.path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", b"localhost"), *self.headers],
            "client": CLIENT,
            "server": ("localhost", 80),
        }
        status = 0

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": self.body, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)

        await app(scope, receive, send)
        if status != 200:
            raise RuntimeError(f"{self.method} {self.path} answered {status}")


def requests(world: dict[str, Any]) -> dict[str, list[Asked]]:
    bearer = [(b"authorization", f"Bearer {world['access']}".encode())]
    as_json = [*bearer, (b"content-type", b"application/json"), (b"content-length", str(len(A_LITTLE)).encode())]
    household = f"/api/v1/households/{world['busy_household']}/lots"
    lots = f"/api/v1/households/{world['household']}/lots?limit=100"
    return {
        "List of 100 lots, JSON": [Asked("GET", lots, bearer)],
        "Eat-first page, 100 lots": [Asked("GET", "/", [(b"cookie", f"larder_session={world['cookie']}".encode())])],
        "One consume": [Asked("POST", f"{household}/{lot}/consume", as_json, A_LITTLE) for lot in world["busy_lots"]],
    }


class Contestant:
    """One of the apps, with a database layer of its own."""

    def __init__(self, name: str) -> None:
        settings = get_settings().model_copy(update=SETTINGS[name])
        recording: Callable[..., None] = db._record_statements  # noqa: SLF001
        if name == WITHOUT:
            db._record_statements = lambda engine: None  # noqa: ARG005, SLF001
        self.database = db.Database(settings)
        db._record_statements = recording  # noqa: SLF001
        self.app = larder.create_app(settings)
        self.turns = 0

    async def cost(self, asked: Asked) -> float:
        """Seconds of CPU."""
        db.use_database(self.database)
        self.turns += 1
        begun = time.process_time()
        await asked.of(self.app)
        if self.turns % FLUSH_EVERY == 0:
            await self.app.state.recorder.flush()
        return time.process_time() - begun


async def measure(world: dict[str, Any], times: int) -> dict[str, dict[str, list[float]]]:
    """The seconds of each request, by operation and contestant."""
    contestants = {name: Contestant(name) for name in SETTINGS}
    names = list(contestants)
    found: dict[str, dict[str, list[float]]] = {}
    gc.disable()
    for title, asked in requests(world).items():
        costs: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(WARM_UP + times):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                seconds = await contestants[name].cost(asked[turn % len(asked)])
                if turn >= WARM_UP:
                    costs[name].append(seconds)
            if turn % FLUSH_EVERY == 0:
                gc.collect()
        found[title] = costs
    for contestant in contestants.values():
        await contestant.database.dispose()
    return found


def typical(costs: Sequence[float]) -> float:
    """The mean without the outliers that are the machine's; the turns that write down what was seen are in it."""
    parts = [sum(costs[at : at + FLUSH_EVERY]) / FLUSH_EVERY for at in range(0, len(costs), FLUSH_EVERY)]
    return statistics.median(parts)


def written(found: dict[str, dict[str, list[float]]], database: str) -> str:
    rows = []
    for title, costs in found.items():
        for name in SETTINGS:
            cells = ["", "", ""]
            if name in AIMS:
                other, aim = AIMS[name]
                ratio = typical(costs[name]) / typical(costs[other])
                cells = [other, f"**{ratio:.3f}**", f"{aim}: {'yes' if ratio <= aim else '**no**'}"]
            rows.append((title, name, f"{typical(costs[name]) * 1e6:.0f}", *cells))
    head = ("What", "How", "CPU of an answer, µs", "Beside", "Ratio", "At most")
    return f"""
## What watching costs

On {database}, in one process, each request by each in turn. "Without" has nothing in its way to the database; with the
monitor off and no guard, that is all that differs. With the monitor on, every request is kept, with its statements,
headers and bodies, and written down. With the guard on, each request is counted, and nobody is exempt.

{table(head, rows)}
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.monitor", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="half a minute of everything")
    parser.add_argument("--inside", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        print(json.dumps(asyncio.run(measure(json.load(sys.stdin), arguments.inside))))
        return
    with Stage() as stage:
        database = stage.furnish(stage.postgresql() or stage.sqlite())
        env = {**app_environment(database), "LARDER_LOG_LEVEL": "WARNING", "LARDER_GUARD_ALLOW": ""}
        times = str(250 if arguments.quick else 1500)
        given = json.dumps(database.world)
        inside = stage.run("-m", "bench.monitor", "--inside", times, env=env, given=given, on_server_cpu=True)
        print(written(json.loads(inside), database.name))


if __name__ == "__main__":
    main()
