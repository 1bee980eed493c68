"""The operations, who competes in them, and the rounds in which they take turns."""

import asyncio
import json
import re
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from bench.contestants import APP, DJANGO, FASTAPI, Database, Server, Stage
from bench.load import LoadError, Sample, answer, drive, request

DRIVER, ARGON2 = "bare driver", "argon2 alone"
CLIENTS = 16
MANY_CLIENTS = 64
LOGIN_CLIENTS = 4
STORM_CLIENTS = 16
PASSWORD_HASH_SLOTS = 2
POLL_EVERY = 0.02
ROW = re.compile(rb'id="lot-([0-9a-f-]{36})"')
A_LITTLE = b'{"quantity": "0.001"}'


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement: answers a second, milliseconds until one, and those that the server computed for one."""

    rps: float
    p50: float = 0
    p99: float = 0
    cpu: float = 0

    @classmethod
    def of(cls, sample: Sample, cpu_seconds: float = 0) -> "Figures":
        cpu = cpu_seconds / sample.answers
        return cls(sample.rps, *(1000 * part for part in (sample.percentile(50), sample.percentile(99), cpu)))

    @classmethod
    def median(cls, all_figures: Sequence["Figures"]) -> "Figures":
        columns = zip(*((f.rps, f.p50, f.p99, f.cpu) for f in all_figures), strict=True)
        return cls(*(statistics.median(column) for column in columns))


Measure = Callable[[float], Awaitable[Figures]]


@dataclass(frozen=True, slots=True)
class Operation:
    """What contestants do in turn. `aims`: how many times as fast as another the app should be."""

    title: str
    database: str
    contestants: dict[str, Measure]
    aims: dict[str, float | None]
    rounds: list[dict[str, Figures]] = field(default_factory=list)

    def ratios(self, against: str) -> list[float]:
        return [figures[APP].rps / figures[against].rps for figures in self.rounds]

    def median(self, contestant: str) -> Figures:
        return Figures.median([figures[contestant] for figures in self.rounds])


@dataclass(frozen=True, slots=True)
class Line:
    """The servers on one database, all up at the same time, and what is asked of each."""

    database: Database
    app: Server
    floors: Server
    django: Server
    django_session: str

    @property
    def servers(self) -> tuple[Server, ...]:
        return self.app, self.floors, self.django

    @property
    def app_list(self) -> bytes:
        path = f"/api/v1/households/{self.database.world['household']}/lots?limit=100"
        return request("GET", path, headers=self._bearer)

    @property
    def app_page(self) -> bytes:
        return request("GET", "/", headers={"Cookie": f"larder_session={self.database.world['cookie']}"})

    @property
    def app_consume(self) -> list[bytes]:
        world = self.database.world
        paths = [f"/api/v1/households/{world['busy_household']}/lots/{lot}/consume" for lot in world["busy_lots"]]
        return [request("POST", path, headers=self._bearer, body=A_LITTLE) for path in paths]

    @property
    def app_login(self) -> bytes:
        body = {name: self.database.world[name] for name in ("email", "password")}
        return request("POST", "/api/v1/auth/login", body=json.dumps(body).encode())

    @property
    def floor_list(self) -> bytes:
        return request("GET", f"/lots?household={self.database.world['household']}")

    @property
    def floor_consume(self) -> list[bytes]:
        return [request("POST", f"/lots/{lot}/consume", body=A_LITTLE) for lot in self.database.world["busy_lots"]]

    @property
    def django_list(self) -> bytes:
        return request("GET", f"/households/{self.database.world['household']}/lots", headers=self._django_cookie)

    @property
    def django_page(self) -> bytes:
        return request("GET", "/", headers=self._django_cookie)

    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.database.world['access']}"}

    @property
    def _django_cookie(self) -> dict[str, str]:
        return {"Cookie": f"sessionid={self.django_session}"}


def operations(line: Line, stage: Stage) -> list[Operation]:
    """What is done on each database."""
    app, floors, django = line.servers
    lists = {
        APP: _loading(app, [line.app_list]),
        DRIVER: _loading(floors, [line.floor_list]),
        DJANGO: _loading(django, [line.django_list]),
    }
    pages = {APP: _loading(app, [line.app_page]), DJANGO: _loading(django, [line.django_page])}
    consumes = {APP: _loading(app, line.app_consume), DRIVER: _loading(floors, line.floor_consume)}
    logins = {APP: _loading(app, [line.app_login], clients=LOGIN_CLIENTS), ARGON2: _verifying(stage)}
    healths = {
        APP: _loading(app, [request("GET", "/healthz")]),
        FASTAPI: _loading(floors, [request("GET", "/health")]),
    }
    name = line.database.name
    return [
        Operation("List of 100 lots, JSON", name, lists, {DRIVER: 0.5, DJANGO: 2.5}),
        Operation("Eat-first page, 100 lots", name, pages, {DJANGO: 2.5}),
        Operation("One consume", name, consumes, {DRIVER: 0.4}),
        Operation(f"Login, {LOGIN_CLIENTS} clients", name, logins, {ARGON2: None}),
        Operation("Health", name, healths, {FASTAPI: 0.7}),
    ]


async def play_round(all_operations: Sequence[Operation], number: int, seconds: float) -> None:
    """Measure all, those of one operation right after each other, and in each round another first."""
    for operation in all_operations:
        names = list(operation.contestants)
        shift = number % len(names)
        operation.rounds.append(
            {name: await operation.contestants[name](seconds) for name in names[shift:] + names[:shift]}
        )


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of the answers, by contestant."""

    lists: dict[str, int]
    pages: dict[str, int]


def check_alike(line: Line) -> Sizes:
    """Raise `LoadError` unless all contestants give the same lots in the same order."""
    lists = {
        APP: answer(line.app.port, line.app_list),
        DRIVER: answer(line.floors.port, line.floor_list),
        DJANGO: answer(line.django.port, line.django_list),
    }
    seen = {name: [(lot["id"], *sorted(lot)) for lot in json.loads(body)["items"]] for name, body in lists.items()}
    pages = {APP: answer(line.app.port, line.app_page), DJANGO: answer(line.django.port, line.django_page)}
    rows = {name: sorted(ROW.findall(body)) for name, body in pages.items()}
    if not (seen[APP] == seen[DRIVER] == seen[DJANGO] and len(seen[APP]) == len(rows[APP]) == 100):
        raise LoadError("the lists differ")
    if rows[APP] != rows[DJANGO]:
        raise LoadError("the pages differ")
    return Sizes(*({name: len(body) for name, body in bodies.items()} for bodies in (lists, pages)))


@dataclass(frozen=True, slots=True)
class Crowd:
    """What became of the app under more clients than it has connections."""

    title: str
    figures: Figures
    failures: int
    longest_gap: float


@dataclass(frozen=True, slots=True)
class Storm:
    """What became of /healthz and of the memory while many signed in."""

    logins: float
    health: Figures
    slowest: float
    failures: int
    before: float
    after: float


async def crowd(line: Line, seconds: float) -> list[Crowd]:
    crowds = []
    for title, asked in (("List of 100 lots, JSON", line.app_list), ("Eat-first page", line.app_page)):
        sample = await drive(line.app.port, [asked], seconds=seconds, clients=MANY_CLIENTS, strict=False)
        crowds.append(Crowd(title, Figures.of(sample), sample.failures.total(), sample.longest_gap * 1000))
    return crowds


async def storm(line: Line, seconds: float) -> Storm:
    port, before = line.app.port, line.app.memory()
    health = [request("GET", "/healthz")]
    logins, polls = await asyncio.gather(
        drive(port, [line.app_login], seconds=seconds, clients=STORM_CLIENTS, strict=False),
        drive(port, health, seconds=seconds, clients=1, pause=POLL_EVERY, strict=False),
    )
    failures = logins.failures.total() + polls.failures.total()
    slowest = max(polls.latencies) * 1000
    return Storm(logins.rps, Figures.of(polls), slowest, failures, before, line.app.memory())


def _loading(server: Server, requests: Sequence[bytes], *, clients: int = CLIENTS) -> Measure:
    async def measure(seconds: float) -> Figures:
        before = server.cpu_seconds()
        sample = await drive(server.port, requests, seconds=seconds, clients=clients)
        return Figures.of(sample, server.cpu_seconds() - before)

    return measure


def _verifying(stage: Stage) -> Measure:
    async def measure(seconds: float) -> Figures:
        command = ("-m", "bench.floors", str(seconds), str(PASSWORD_HASH_SLOTS))
        return Figures(float(stage.run(*command, env={}, on_server_cpu=True)))

    return measure
