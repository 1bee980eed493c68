"""What watching and guarding cost: the same requests with the monitor off and on, and with the guard, in turns.

`python -m bench.monitor` starts Larder several times on one database of its own, and lets the servers take turns. It
compares the CPU time of an answer: on a machine that does other things too, that is steadier than answers a second.
"Without" is Larder whose database layer has no place to listen at, which nobody runs.
"""

import argparse
import asyncio
import statistics
from dataclasses import dataclass, field

import uvloop
from fastapi import FastAPI

import db
import main as larder
from bench.contest import A_LITTLE
from bench.contestants import UVICORN, Database, Server, Stage, app_environment, free_port
from bench.load import drive, request
from bench.report import table

CLIENTS = 8
# Seconds in which what was seen is written down: that is part of what it costs.
SETTLE = 1.6
WITHOUT, OFF, ON, GUARD = "without", "monitor off", "monitor on", "guard on"
# Nobody is exempt, and nobody is refused.
GUARDING = {"LARDER_GUARD_ENABLED": "true", "LARDER_GUARD_ALLOW": "", "LARDER_GUARD_GENERAL": "1000000000"}
SETTINGS = {
    WITHOUT: {"LARDER_GUARD_ENABLED": "false"},
    OFF: {"LARDER_GUARD_ENABLED": "false"},
    ON: {"LARDER_GUARD_ENABLED": "false", "LARDER_MONITOR_ENABLED": "true"},
    GUARD: GUARDING,
}
# How much more an answer may cost than with the other.
AIMS = {OFF: (WITHOUT, 1.03), ON: (OFF, 1.15), GUARD: (OFF, 1.03)}


def without() -> FastAPI:
    """The app of those whom nobody listens to."""
    db._record_statements = lambda engine: None  # noqa: ARG005, SLF001
    return larder.create_app()


@dataclass
class Operation:
    title: str
    requests: list[bytes]
    costs: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in SETTINGS})

    def ratio(self, name: str) -> float:
        """The median of the turns."""
        other = self.costs[AIMS[name][0]]
        return statistics.median(mine / theirs for mine, theirs in zip(self.costs[name], other, strict=True))


def operations(database: Database) -> list[Operation]:
    world = database.world
    bearer = {"Authorization": f"Bearer {world['access']}"}
    lots = f"/api/v1/households/{world['household']}/lots?limit=100"
    consumes = [f"/api/v1/households/{world['busy_household']}/lots/{lot}/consume" for lot in world["busy_lots"]]
    return [
        Operation("List of 100 lots, JSON", [request("GET", lots, headers=bearer)]),
        Operation(
            "Eat-first page, 100 lots", [request("GET", "/", headers={"Cookie": f"larder_session={world['cookie']}"})]
        ),
        Operation("One consume", [request("POST", path, headers=bearer, body=A_LITTLE) for path in consumes]),
    ]


def start(stage: Stage, database: Database, name: str) -> Server:
    port = free_port()
    app = "bench.monitor:without" if name == WITHOUT else "main:create_app"
    command = ("-m", "uvicorn", "--factory", app, "--port", str(port), "--no-server-header", *UVICORN)
    env = {**app_environment(database, port), "LARDER_LOG_LEVEL": "WARNING", **SETTINGS[name]}
    return stage.start(name.replace(" ", "-"), *command, env=env, port=port, probe="/healthz")


async def measure(stage: Stage, database: Database, *, rounds: int, seconds: float) -> list[Operation]:
    servers = {name: start(stage, database, name) for name in SETTINGS}
    found = operations(database)
    names = list(servers)
    for number in range(rounds + 1):
        for operation in found:
            for name in names[number % len(names) :] + names[: number % len(names)]:
                server = servers[name]
                before = server.cpu_seconds()
                sample = await drive(server.port, operation.requests, seconds=seconds, clients=CLIENTS)
                await asyncio.sleep(SETTLE)
                if number:  # the first round fills caches
                    operation.costs[name].append((server.cpu_seconds() - before) / sample.answers)
    return found


def written(found: list[Operation], database: Database) -> str:
    rows = [
        (
            operation.title,
            name,
            f"{statistics.median(operation.costs[name]) * 1e6:.0f}",
            *((f"{AIMS[name][0]}", f"**{operation.ratio(name):.3f}**") if name in AIMS else ("", "")),
            ""
            if name not in AIMS
            else f"{AIMS[name][1]}: {'yes' if operation.ratio(name) <= AIMS[name][1] else '**no**'}",
        )
        for operation in found
        for name in SETTINGS
    ]
    head = ("What", "How", "CPU of an answer, µs", "Beside", "Ratio", "At most")
    return f"""
## What watching costs

On {database.name}, servers in turns on one CPU, {CLIENTS} clients. The ratio is the median of the turns. "Without" has
nothing in its way to the database; with the monitor off and no guard that is all that differs. With the monitor on,
every request is kept, with its statements, headers and bodies. With the guard on, each request is counted.

{table(head, rows)}
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.monitor", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three minutes of everything")
    is_quick: bool = parser.parse_args().quick
    with Stage() as stage:
        database = stage.furnish(stage.postgresql() or stage.sqlite())
        rounds, seconds = (4, 1) if is_quick else (11, 2)
        print(written(uvloop.run(measure(stage, database, rounds=rounds, seconds=seconds)), database))


if __name__ == "__main__":
    main()
