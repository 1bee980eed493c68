"""What came out, as docs/performance.md."""

import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.contest import CLIENTS, MANY_CLIENTS, POLL_EVERY, STORM_CLIENTS, Crowd, Figures, Operation, Sizes, Storm
from bench.contestants import APP, POOL_SIZE, ROOT

MOST_STATEMENTS = 4
MOST_MEGABYTES = 120
MOST_SECONDS_TO_START = 2
QUIET = 0.7  # tasks at a time, on average, before the first of ours
MOST_STALLED = 1000  # milliseconds without a single answer
PACKAGES = (
    *("fastapi", "starlette", "uvicorn", "uvloop", "httptools", "sqlalchemy", "asyncpg", "aiosqlite", "jinja2"),
    *("msgspec", "pydantic", "argon2-cffi", "django", "gunicorn", "psycopg"),
)

REASONS = """
## Where it falls short, and why

- **Against the bare driver.** What a request needs before its own statement (routing, dependencies, sign-in,
  permission, session, log) costs Larder about 0.8 ms of CPU, and on SQLite each statement a change of threads, which
  is aiosqlite's way. The floor has one statement for a list where Larder has two, and four for a consume where Larder
  has seven, BEGIN and COMMIT among them. Nothing stands out in a profile any more; to go further would mean to leave
  FastAPI's dependencies or SQLAlchemy's sessions.
- **Memory.** Pydantic, FastAPI, SQLAlchemy, fastapi-users (with cryptography) and SQLAdmin hold 94 MB before a line of
  Larder is loaded, Larder itself some 20. Ten reading connections of SQLite add 10. Sign-ins add 40, for glibc keeps
  the blocks that argon2 gave back; an operator who sets `MALLOC_MMAP_THRESHOLD_=1000000` has them back.
"""


@dataclass(slots=True)
class Findings:
    """Everything one run found out; keys are names of databases or contestants."""

    rounds: int
    seconds: float
    is_pinned: bool
    left_out: list[str] = field(default_factory=list)
    worlds: dict[str, dict[str, Any]] = field(default_factory=dict)
    inside: dict[str, dict[str, Any]] = field(default_factory=dict)
    starts: dict[str, tuple[float, float]] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)
    loaded: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, Sizes] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    crowds: dict[str, list[Crowd]] = field(default_factory=dict)
    storms: dict[str, Storm] = field(default_factory=dict)
    load: float = 0
    stolen: float = 0


def written(findings: Findings) -> str:
    """The whole page."""
    sections = [
        _introduction(findings),
        _side_by_side(findings.operations),
        _statements(findings.inside),
        _start_and_memory(findings),
        _crowds(findings.crowds),
        _storms(findings.storms),
        _layers(findings.inside),
        REASONS,
        _method(findings),
        _machine(findings),
    ]
    return "\n".join(f"{section.strip()}\n" for section in sections)


def _introduction(findings: Findings) -> str:
    left_out = "".join(f"\nLeft out: {reason}.\n" for reason in findings.left_out)
    is_busy = findings.load > QUIET
    busy = (
        f"\nThe machine was busy with other things too (load {findings.load:.1f}): trust what is by CPU.\n"
        if is_busy
        else ""
    )
    return f"""
# Performance

`make bench` wrote this page on {date.today().isoformat()}, at {_commit()}: one run on one machine, with nothing taken
out and nothing added by hand. Ratios are what it is about. Figures of another machine, or of this one an hour later,
cannot be compared with these.
{busy}{left_out}"""


def _side_by_side(operations: Sequence[Operation]) -> str:
    rows = [
        (
            operation.title,
            operation.database,
            _speed(operation.median(APP)),
            against,
            _speed(operation.median(against)),
            _spread(operation.ratios(against)),
            _cpu(operation, against),
            "" if aim is None else f"≥ {aim:g}",
            "" if aim is None else _verdict(statistics.median(operation.ratios(against)) >= aim),
        )
        for operation in operations
        for against, aim in operation.aims.items()
    ]
    head = (
        "What",
        "Database",
        "Larder: 1/s (p50, p99 ms)",
        "Against",
        "1/s (p50, p99 ms)",
        "Ratio",
        "By CPU",
        "Aim",
        "Met",
    )
    return f"""
## Side by side

{CLIENTS} clients unless said otherwise, one worker process. Larder does all it always does: it reads the sign-in,
checks the permission and the household, writes its log. "Ratio" is Larder's answers a second over the other's: the
median of the rounds, and the lowest and highest. "By CPU" is the other's milliseconds of CPU an answer over Larder's
own, which holds better while others use the machine; what a database server computes is not in it.

{table(head, rows)}
"""


def _statements(inside: Mapping[str, dict[str, Any]]) -> str:
    titles = next(iter(inside.values()))["statements"]
    rows = [
        (title, *(found["statements"][title] for found in inside.values()), _verdict(most <= MOST_STATEMENTS))
        for title in titles
        for most in [max(found["statements"][title] for found in inside.values())]
    ]
    return f"""
## Statements a request

Sign-in and permission among them; BEGIN and COMMIT are not counted. The aim is at most {MOST_STATEMENTS}.

{table(("What", *inside, "Met"), rows)}
"""


def _start_and_memory(findings: Findings) -> str:
    starts = [(name, f"{seconds:.2f}", f"{cpu:.2f}") for name, (seconds, cpu) in findings.starts.items()]
    memories = [(name, f"{idle:.0f}", f"{findings.loaded[name]:.0f}") for name, idle in findings.idle.items()]
    is_quick = findings.starts[APP][0] < MOST_SECONDS_TO_START
    most = max(megabytes for name, megabytes in findings.loaded.items() if name.startswith(APP))
    return f"""
## Start and memory

Seconds from starting the process to the first 200 of its health route; the median, with byte code cached.
The aim for Larder is under {MOST_SECONDS_TO_START} s: {_verdict(is_quick)}.

{table(("", "Seconds", "Of CPU"), starts)}

Resident megabytes of a worker, right after its start and after everything else on this page. The aim for Larder is
under {MOST_MEGABYTES} MB: {_verdict(most < MOST_MEGABYTES)}.

{table(("", "At first", "In the end"), memories)}
"""


def _crowds(crowds: Mapping[str, list[Crowd]]) -> str:
    rows = [
        (
            crowd.title,
            name,
            _speed(crowd.figures),
            crowd.failures,
            f"{crowd.longest_gap:.0f}",
            _verdict(not crowd.failures and crowd.longest_gap < MOST_STALLED),
        )
        for name, of_database in crowds.items()
        for crowd in of_database
    ]
    head = ("What", "Database", "1/s (p50, p99 ms)", "Not 2xx", "Longest time without an answer, ms", "Met")
    return f"""
## {MANY_CLIENTS} clients, {POOL_SIZE} connections

The aim: every answer is a 2xx, and some answer arrives every {MOST_STALLED / 1000:g} s at least.

{table(head, rows)}
"""


def _storms(storms: Mapping[str, Storm]) -> str:
    rows = [
        (
            name,
            f"{storm.logins:.1f}",
            f"{storm.health.p50:.1f}, {storm.health.p99:.1f}, {storm.slowest:.1f}",
            storm.failures,
            f"{storm.before:.0f} → {storm.after:.0f}",
            _verdict(not storm.failures and storm.slowest < MOST_STALLED),
        )
        for name, storm in storms.items()
    ]
    head = ("Database", "Logins a second", "Health p50, p99, longest, ms", "Not 2xx", "Resident MB", "Met")
    return f"""
## {STORM_CLIENTS} people sign in at once

They do so again and again, while another client asks /healthz {POLL_EVERY * 1000:.0f} ms after each answer. The aim:
every answer is a 2xx, and no health check takes {MOST_STALLED / 1000:g} s.

{table(head, rows)}
"""


def _layers(inside: Mapping[str, dict[str, Any]]) -> str:
    tables = {
        what: table(
            (title, *inside),
            [(way, *(f"{found[what][way] / 1000:.2f}" for found in inside.values())) for way in ways],
        )
        for what, title in (("rows", "Through"), ("page", "Page"))
        for ways in [next(iter(inside.values()))[what]]
    }
    return f"""
## From within, without a network

The rows of the list of 100 lots, fetched by the same statement on one open connection, in milliseconds (medians):
what `db.Prepared` is for.

{tables["rows"]}

The eat-first page. Larder keeps the drawn lines of lots, by all that is said in them, because each booking draws the
whole list again on every screen that shows it. Side by side, above, the lines have been drawn before.

{tables["page"]}
"""


def _method(findings: Findings) -> str:
    world = next(iter(findings.worlds.values()))
    sizes = [
        (name, what, *(f"{count / 1000:.1f}" if count else "" for count in counts))
        for name, of_database in findings.sizes.items()
        for what, by_name in (("list", of_database.lists), ("page", of_database.pages))
        for counts in [[by_name.get(contestant, 0) for contestant in of_database.lists]]
    ]
    contestants = next(iter(findings.sizes.values())).lists
    pinned = (
        "Servers run on one CPU; the load generator and the databases on another."
        if findings.is_pinned
        else "Servers, load generator and databases share the CPU: there was only one to be had."
    )
    return f"""
## What was measured, and how

- **Turns.** {findings.rounds} rounds; in each, every operation for {findings.seconds:g} s by every contestant, right
  after each other and each time another first. A machine whose speed drifts slows all of them alike, so a ratio is
  formed within each round. Under 1.2 or so, differences are noise. {pinned}
- **Data.** A household with {len(world["lots"])} lots in stock and {world["neighbours"] + 1} others with as many each,
  in one database for all contestants. What is consumed belongs to one of the others. Before the rounds, all must list
  the same lots in the same order with the same fields, and both pages must show the same rows. PostgreSQL runs with
  its default settings, SQLite in WAL mode with `synchronous = NORMAL`.
- **Load.** Keep-alive connections, each with one request at a time. Nobody asks for compression. A single answer that
  is not a complete 2xx ends the run without a page.
- **Larder** is started as an operator does, `oppman.py runserver` in production with its log on, going to a file.
  List and consume show a bearer token, the page a cookie.
- **The bare driver** (`bench/floors.py`): a FastAPI route without sign-in, permission, validation and rules; asyncpg
  or aiosqlite fetches the same rows into structs, msgspec writes them once. Its consume is BEGIN, UPDATE, INSERT of the
  event, COMMIT. **Bare FastAPI** is its route that answers a constant. Both under the same uvicorn, uvloop and
  httptools.
- **Django** (`bench/django_app`): its own sign-in with sessions in the database, `startproject`'s middleware, one query
  for the membership, `.values()` for the rows, JsonResponse or a template; the same fields, groups, rows, forms and
  buttons, but no translation, no address reversing and no merging of equal rows, which all would cost it more. It runs
  under gunicorn with one worker of four threads and lasting connections, its fastest way here.
- **argon2 alone** verifies passwords with Larder's parameters, in as many threads as Larder lets verify at once.

Kilobytes of an answer:

{table(("Database", "Answer", *contestants), sizes)}
"""


def _machine(findings: Findings) -> str:
    known = [f"{name} {number}" for name in PACKAGES if (number := _version(name))]
    databases = [f"{name} {found['version']}" for name, found in findings.inside.items()]
    return f"""
## Machine and versions

{_processor()}, {os.cpu_count()} CPUs, {_memory_size():.0f} GB, {platform.system()} {platform.release()};
{findings.stolen:.1f} % of the time the host gave the CPUs to others. {platform.python_implementation()}
{platform.python_version()}, {", ".join(databases)}.

{", ".join(known)}.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _speed(figures: Figures) -> str:
    digits = 0 if figures.rps >= 100 else 1
    times = f" ({figures.p50:.1f}, {figures.p99:.1f})" if figures.p50 else ""
    return f"{figures.rps:.{digits}f}{times}"


def _spread(ratios: Sequence[float]) -> str:
    return f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f})"


def _cpu(operation: Operation, against: str) -> str:
    own, other = operation.median(APP).cpu, operation.median(against).cpu
    return f"{other / own:.2f} ({own:.2f}, {other:.2f} ms)" if other else ""


def _verdict(is_met: bool) -> str:
    return "yes" if is_met else "**no**"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str:
    commit = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/performance.md")
    return f"commit {commit}{' with changes' if changed else ''}" if commit else "a version without a history"


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _processor() -> str:
    return next(_values("/proc/cpuinfo", "model name"), platform.processor() or "an unknown processor")


def _memory_size() -> float:
    return next((int(value.split()[0]) / 1e6 for value in _values("/proc/meminfo", "MemTotal")), 0)


def _values(path: str, name: str) -> Iterator[str]:
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return (line.partition(":")[2].strip() for line in lines if line.startswith(name))
